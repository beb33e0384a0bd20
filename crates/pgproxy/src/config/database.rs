//! A database that clients may ask for.

use super::{DatabaseUrl, Pooling};

/// The name under which a [`Database`] stands for all those that have no entry of their own.
pub const ANY: &str = "*";

/// What clients ask for by name, where it is, and what holds for it. What is `None` is as in the
/// [`Config`](super::Config).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Database {
    /// The name that clients give; [`ANY`] for all that have no entry of their own.
    pub name: String,
    /// The server. Under [`ANY`], the database there is the one that the client asks for.
    pub url: DatabaseUrl,
    /// Server connections of each of its pools at most.
    pub pool_size: Option<usize>,
    /// How long its clients keep their server connections.
    pub pooling: Option<Pooling>,
}

impl Database {
    /// A database under its own name.
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            name: url.database.clone(),
            url,
            ..Self::default()
        }
    }

    /// Where it is for a client that asks for `name`.
    pub(crate) fn url_of(&self, name: &str) -> DatabaseUrl {
        let mut url = self.url.clone();
        if self.name == ANY {
            name.clone_into(&mut url.database);
        }
        url
    }
}
