"""The same API, written well."""
