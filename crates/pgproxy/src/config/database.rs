//! A database that clients may ask for.

use std::time::Duration;

use super::{DatabaseUrl, Pooling, ServerTls, SslMode};

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
    /// Server connections of each of its pools that are kept open.
    pub pool_size_min: Option<usize>,
    /// Server connections of each of its pools beyond the maximum.
    pub reserve_size: Option<usize>,
    /// Its server connections at most, over all users; 0: no bound.
    pub connections_max: Option<usize>,
    /// Its clients at most; 0: no bound.
    pub clients_max: Option<usize>,
    /// How long its clients keep their server connections.
    pub pooling: Option<Pooling>,
    /// How long its clients' statements may take.
    pub statement_timeout: Option<Duration>,
    /// How long its clients may do nothing in a transaction.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// How long its clients may do nothing at all.
    pub client_idle_timeout: Option<Duration>,
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

    /// How connections to it are encrypted, if they ever are.
    pub(crate) fn tls(&self) -> Option<&ServerTls> {
        Some(&self.url.tls).filter(|tls| tls.mode != SslMode::Disable)
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
