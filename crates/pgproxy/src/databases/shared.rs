//! What several targets share: bounds on the connections and on the clients of a database, of a user, and of all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::config::Config;
use crate::error::Refusal;
use crate::pool::{Budget, UNLIMITED};
use crate::server::Opened;

/// The bounds of all databases and users in use.
pub(super) struct Shared {
    total: Arc<Budget<Opened>>,
    databases: HashMap<String, Bounds>,
    users: HashMap<String, Bounds>,
}

struct Bounds {
    connections: Arc<Budget<Opened>>,
    clients: Arc<AtomicUsize>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: Budget::new(UNLIMITED),
            clients: Arc::default(),
        }
    }
}

/// A client's place among those of its database and of its user. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Admission([Arc<AtomicUsize>; 2]);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.iter().for_each(|clients| {
            clients.fetch_sub(1, Relaxed);
        });
    }
}

impl Shared {
    pub(super) fn new(config: &Config) -> Self {
        let total = config.bound(None, config.server_connections_max);
        Self {
            total: Budget::new(total.unwrap_or(UNLIMITED)),
            databases: HashMap::new(),
            users: HashMap::new(),
        }
    }

    /// The budgets of a pool: of its database, of its user, of all.
    pub(super) fn budgets(
        &mut self,
        config: &Config,
        database: &str,
        user: &str,
    ) -> [Arc<Budget<Opened>>; 3] {
        let database = bounds(
            &mut self.databases,
            database,
            database_max(config, database),
        );
        let user = bounds(&mut self.users, user, user_max(config, user));
        let [database, user] = [database, user].map(|bounds| Arc::clone(&bounds.connections));
        [database, user, Arc::clone(&self.total)]
    }

    /// Counts a client in, unless there are too many.
    pub(super) fn admit(
        &mut self,
        config: &Config,
        database: &str,
        user: &str,
    ) -> Result<Admission, Refusal> {
        let found = config.database(database);
        let of_database = found.and_then(|database| database.clients_max);
        let of_database = of_database.unwrap_or(config.database_clients_max);
        let of_user = config.user(user).and_then(|user| user.clients_max);
        let of_user = of_user.unwrap_or(config.user_clients_max);
        let counts = [
            &bounds(
                &mut self.databases,
                database,
                database_max(config, database),
            )
            .clients,
            &bounds(&mut self.users, user, user_max(config, user)).clients,
        ];
        let named = [("database", database, of_database), ("user", user, of_user)];
        for (count, (kind, name, max)) in counts.iter().zip(named) {
            if max > 0 && count.load(Relaxed) >= max {
                return Err(Refusal::too_many_clients_of(kind, name, max));
            }
        }
        // Under the directory's lock: nobody else counts at the same time.
        Ok(Admission(counts.map(|count| {
            count.fetch_add(1, Relaxed);
            Arc::clone(count)
        })))
    }

    /// Other bounds hold from now on. Gives the budgets to be told, once the directory is not locked any more.
    pub(super) fn change(&mut self, config: &Config) -> Vec<(Arc<Budget<Opened>>, usize)> {
        let total = config.bound(None, config.server_connections_max);
        let mut changed = vec![(Arc::clone(&self.total), total.unwrap_or(UNLIMITED))];
        for (name, bounds) in &self.databases {
            let max = database_max(config, name);
            changed.push((Arc::clone(&bounds.connections), max));
        }
        for (name, bounds) in &self.users {
            let max = user_max(config, name);
            changed.push((Arc::clone(&bounds.connections), max));
        }
        changed
    }

    /// Forgets what no pool and no client uses.
    pub(super) fn tidy(&mut self) {
        for bounds in [&mut self.databases, &mut self.users] {
            bounds.retain(|_, bounds| {
                Arc::strong_count(&bounds.connections) > 1 || Arc::strong_count(&bounds.clients) > 1
            });
        }
    }
}

fn bounds<'b>(of: &'b mut HashMap<String, Bounds>, name: &str, max: usize) -> &'b Bounds {
    of.entry(name.to_owned()).or_insert_with(|| Bounds {
        connections: Budget::new(max),
        ..Bounds::default()
    })
}

fn database_max(config: &Config, name: &str) -> usize {
    let database = config.database(name);
    let given = database.and_then(|database| database.connections_max);
    let max = config.bound(given, config.database_connections_max);
    max.unwrap_or(UNLIMITED)
}

fn user_max(config: &Config, name: &str) -> usize {
    let given = config.user(name).and_then(|user| user.connections_max);
    let max = config.bound(given, config.user_connections_max);
    max.unwrap_or(UNLIMITED)
}
