"""A small shop's API, on Postgres."""
