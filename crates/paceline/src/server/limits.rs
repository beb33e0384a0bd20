//! Limits that the system sets this process.

use rustix::process::{Resource, getrlimit, setrlimit};
use tracing::debug;

/// Raises the limit of open descriptors as far as it may be raised. The usual soft limit of 1024 is there for programs
/// that use select(2), which cannot take more.
pub(super) fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            debug!(%error, "Could not raise the limit of open descriptors.");
        }
    }
}
