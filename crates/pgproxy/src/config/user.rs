//! A user that clients may log in as.

use std::fmt;
use std::time::Duration;

use super::Pooling;

/// What holds for the clients of one user. What is `None` is as for its database.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The name that clients give.
    pub name: String,
    /// Its password: what clients prove to know, and, where the database's URL names no user, what the server is given.
    pub password: Option<String>,
    /// Server connections of each of its pools at most.
    pub pool_size: Option<usize>,
    /// Its server connections at most, over all databases, if it is a role on the server; 0: no bound.
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

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("pool_size", &self.pool_size)
            .field("connections_max", &self.connections_max)
            .field("clients_max", &self.clients_max)
            .field("pooling", &self.pooling)
            .finish_non_exhaustive()
    }
}
