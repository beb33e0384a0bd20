//! What a request is known by. The journal turns it into a template (`/jobs/{id}`), configured or inferred, and bounds
//! the number of templates.

use http::request::Parts;
use http::{Method, Uri};

/// The stage.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    uri: Uri,
}

impl Route {
    /// Takes method and path as the client sent them, before anything is put before the path.
    pub(crate) fn of(head: &Parts) -> Self {
        Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
        }
    }

    /// Without the query, in which anything may stand.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}
