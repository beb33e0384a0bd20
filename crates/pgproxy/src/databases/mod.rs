//! What clients ask for, and what they get: a database and a user lead to a [`Target`].
//!
//! Targets are made when somebody who has proved who they are asks for one, and are dropped when nobody has used them for
//! a while. The configuration can be exchanged while clients go on ([`reload`]).

mod doubt;
mod errors;
mod opening;
mod orders;
mod reload;
mod rounds;
mod shared;
mod tally;
mod target;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use opening::{Attempt, Outcome};
pub(crate) use shared::Admission;
pub(crate) use tally::{Sums, Totals, Uses};
pub(crate) use target::{Target, TargetSettings};

use crate::auth::{Credential, Identity};
use crate::config::{Config, Database, Mode};
use crate::error::{Refusal, Unavailable};
use crate::means::Means;
use crate::server::Server;
use crate::settings::Settings;
use orders::Orders;
use shared::Shared;

/// Targets at most. With a database for any name and users that are not listed, peers could make more and more.
const TARGETS_MAX: usize = 4096;
/// How long a target is kept that has neither a client nor a connection: what it has counted can be read so long.
const UNUSED_KEPT: Duration = Duration::from_secs(60);

/// See the module.
pub(crate) struct Databases {
    /// The settings of a new server connection.
    neutral: Arc<Settings>,
    means: Arc<Means>,
    reloads: AtomicU64,
    inner: Mutex<Inner>,
}

struct Inner {
    config: Arc<Config>,
    targets: HashMap<Key, Entry>,
    shared: Shared,
    orders: Orders,
}

/// The database as clients call it, and the role on the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    database: String,
    user: String,
}

struct Entry {
    target: Arc<Target>,
    /// Since when nobody has used it, as far as that was seen.
    unused_since: Option<Instant>,
}

impl Databases {
    /// The directory of a configuration, with the target of its main database, if its role is known.
    pub(crate) fn new(config: Arc<Config>, neutral: Arc<Settings>, means: Arc<Means>) -> Self {
        let databases = Self {
            neutral,
            means,
            reloads: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                shared: Shared::new(&config),
                config,
                targets: HashMap::new(),
                orders: Orders::default(),
            }),
        };
        databases.main();
        databases
    }

    /// The configuration that is in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.lock().config)
    }

    /// How often another configuration has come into force.
    pub(crate) fn reloads(&self) -> u64 {
        self.reloads.load(Relaxed)
    }

    /// What a client gets that has proved who it is and asks for this database. When the database's URL names no role that all
    /// clients share, the server is given what the client has proved.
    ///
    /// # Errors
    ///
    /// There is no such database, nobody may ask for it at present, or too many targets are in use.
    pub(crate) fn target(
        &self,
        database: &str,
        identity: &Identity,
    ) -> Result<Arc<Target>, Refusal> {
        let mut inner = self.lock();
        if inner.orders.disable(database) {
            return Err(Refusal::database_disabled(database));
        }
        let config = Arc::clone(&inner.config);
        let found = config.database(database);
        let found = found.ok_or_else(|| Refusal::unknown_database(database))?;
        self.get(&mut inner, &config, found, database, identity)
    }

    /// Counts a client in that is about to get a target.
    ///
    /// # Errors
    ///
    /// Its database or its user has too many clients already.
    pub(crate) fn admit(&self, database: &str, user: &str) -> Result<Admission, Refusal> {
        let mut inner = self.lock();
        let config = Arc::clone(&inner.config);
        inner.shared.admit(&config, database, user)
    }

    /// The target of the main database for its own role. None when each client will be a role of its own.
    pub(crate) fn main(&self) -> Option<Arc<Target>> {
        let mut inner = self.lock();
        let config = Arc::clone(&inner.config);
        let main = &config.databases[0];
        if config.mode == Mode::Transaction && !main.url.names_user && !config.is_open() {
            return None;
        }
        let (name, url) = (&main.url.database, &main.url);
        let name = if main.name == crate::config::ANY {
            name
        } else {
            &main.name
        };
        let identity = Identity {
            user: url.user.clone(),
            credential: Credential::None,
        };
        let target = self.get(&mut inner, &config, main, name, &identity);
        target.ok()
    }

    /// Looks whether the main database's server is there, when nobody's role is known yet.
    pub(crate) async fn reach(&self) -> Result<(), Unavailable> {
        let config = self.config();
        let main = &config.databases[0];
        let (neutral, means) = (Arc::clone(&self.neutral), Arc::clone(&self.means));
        let server = Server::new(main.url.clone(), Credential::None, neutral, means);
        let settings = TargetSettings::new(&config, main, None);
        server.connect_in_time(&settings).await.map(drop)
    }

    fn get(
        &self,
        inner: &mut Inner,
        config: &Config,
        database: &Database,
        name: &str,
        identity: &Identity,
    ) -> Result<Arc<Target>, Refusal> {
        let mut url = database.url_of(name);
        let credential = if url.names_user {
            Credential::of_password(url.password.as_deref())
        } else {
            identity.user.clone_into(&mut url.user);
            identity.credential.clone()
        };
        let key = Key {
            database: name.to_owned(),
            user: url.user.clone(),
        };
        if let Some(entry) = inner.targets.get_mut(&key) {
            entry.unused_since = None;
            // A password that has changed since. Who has proved nothing says nothing of passwords.
            if credential != Credential::None {
                entry.target.server.change_credential(&credential);
            }
            return Ok(Arc::clone(&entry.target));
        }
        if inner.targets.len() >= TARGETS_MAX {
            let is_kept =
                |key: &Key, entry: &Entry| key.is_named(config) || !entry.target.is_unused();
            inner.targets.retain(|key, entry| is_kept(key, entry));
        }
        if inner.targets.len() >= TARGETS_MAX {
            return Err(Refusal::too_many_targets(TARGETS_MAX));
        }
        let settings = TargetSettings::new(config, database, config.user(&url.user));
        let budgets = inner.shared.budgets(config, name, &url.user);
        let (neutral, means) = (Arc::clone(&self.neutral), Arc::clone(&self.means));
        let server = Server::new(url, credential, neutral, means);
        let target = Target::new(&key, server, settings, &budgets, config.workers);
        if inner.orders.hold(name) {
            target.pool.pause();
        }
        let entry = Entry {
            target: Arc::clone(&target),
            unused_since: None,
        };
        inner.targets.insert(key, entry);
        Ok(target)
    }

    /// All targets, in the order of their names.
    pub(crate) fn targets(&self) -> Vec<Arc<Target>> {
        let inner = self.lock();
        let mut targets: Vec<_> = inner.targets.iter().collect();
        targets.sort_unstable_by_key(|(key, _)| *key);
        targets
            .into_iter()
            .map(|(_, entry)| Arc::clone(&entry.target))
            .collect()
    }

    /// Forgets what nobody uses.
    fn forget_unused(&self, now: Instant) {
        let mut inner = self.lock();
        let config = Arc::clone(&inner.config);
        inner
            .targets
            .retain(|key, entry| entry.is_kept(key, &config, now));
        inner.shared.tidy();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// Whether the configuration names it: both the database and its role.
    fn is_named(&self, config: &Config) -> bool {
        let is_it = |found: &Database| found.name == self.database && found.url.user == self.user;
        config.databases.iter().any(is_it)
    }
}

impl Entry {
    fn is_kept(&mut self, key: &Key, config: &Config, now: Instant) -> bool {
        if !self.target.is_unused() {
            self.unused_since = None;
            return true;
        }
        let since = *self.unused_since.get_or_insert(now);
        key.is_named(config) || now.saturating_duration_since(since) < UNUSED_KEPT
    }
}
