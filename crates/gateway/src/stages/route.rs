//! What a request is known by. The journal turns it into a template (`/jobs/{id}`), configured or inferred, and bounds
//! the number of templates.

use http::request::Parts;
use http::uri::PathAndQuery;
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

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", PathAndQuery::as_str)
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// Without the query, in which anything may stand.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }
}
