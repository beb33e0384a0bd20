//! Bounds: how each follows from what is configured.

use std::time::Duration;

use super::{Config, Database, User};

/// How long a client's doings may take. Zero: as long as they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// A statement, or several that are sent together, from the first byte sent to the server to the last of the answer;
    /// then it is cancelled.
    pub statement: Duration,
    /// An open transaction in which the client does nothing; then it is rolled back and the client is sent away.
    pub idle_in_transaction: Duration,
    /// A client that does nothing at all, outside of a transaction; then it is sent away.
    pub client_idle: Duration,
}

/// What one of so many instances may take of a maximum: at least one.
fn share(max: usize, instances: usize) -> usize {
    (max / instances.max(1)).max(1)
}

impl Config {
    /// Server connections of a pool at most: those of the user, of the database, of the configuration, the first that is given;
    /// and of that our share.
    pub(crate) fn size_of(&self, database: &Database, user: Option<&User>) -> usize {
        let given = user
            .and_then(|user| user.pool_size)
            .or(database.pool_size)
            .or((self.pool_size > 0).then_some(self.pool_size));
        let by_cores = || match self.server_cores {
            0 => 20,
            cores => (cores * 2 + 1).max(5),
        };
        share(given.unwrap_or_else(by_cores), self.instances)
    }

    /// Of a bound on server connections, our share; the first that is given counts, and 0 is no bound.
    pub(crate) fn bound(&self, given: Option<usize>, default: usize) -> Option<usize> {
        match given.unwrap_or(default) {
            0 => None,
            max => Some(share(max, self.instances)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_follows_from_the_cores_and_is_shared() {
        let check = |cores, instances, expected| {
            let config = Config {
                server_cores: cores,
                instances,
                ..Config::default()
            };
            assert_eq!(config.size_of(&Database::default(), None), expected);
        };
        check(0, 1, 20);
        check(1, 1, 5);
        check(2, 1, 5);
        check(8, 1, 17);
        check(8, 4, 4);
        check(0, 50, 1);
    }

    #[test]
    fn what_is_given_counts() {
        let config = Config {
            pool_size: 30,
            server_cores: 64,
            ..Config::default()
        };
        let database = Database {
            pool_size: Some(12),
            ..Database::default()
        };
        let user = User {
            pool_size: Some(3),
            ..User::default()
        };
        assert_eq!(config.size_of(&Database::default(), None), 30);
        assert_eq!(config.size_of(&database, None), 12);
        assert_eq!(config.size_of(&database, Some(&user)), 3);
        assert_eq!(config.bound(None, 0), None);
        assert_eq!(config.bound(Some(0), 9), None);
        assert_eq!(config.bound(Some(7), 0), Some(7));
    }
}
