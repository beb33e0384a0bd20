//! A user that clients may log in as.

use std::fmt;

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
    /// How long its clients keep their server connections.
    pub pooling: Option<Pooling>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("pool_size", &self.pool_size)
            .field("pooling", &self.pooling)
            .finish()
    }
}
