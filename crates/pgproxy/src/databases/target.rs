//! One database for one role: where its connections come from, who has them, and what holds for its clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Key;
use super::doubt::Doubt;
use super::tally::{Periods, Tally, Totals};
use crate::auth::Credential;
use crate::config::{Config, Database, DatabaseUrl, Pooling, Timeouts, User};
use crate::notify::Hub;
use crate::pool::{Budget, Clock, Fullness, Pool, PoolLimits, PoolSnapshot, PoolTotals};
use crate::server::{Circuit, Opened, Reported, Server};
use crate::session::Doing;
use crate::settings::Settings;

/// Sets of settings whose parameter statuses are remembered.
const STATUSES_MAX: usize = 1024;

/// See the module.
pub(crate) struct Target {
    /// The database as clients call it.
    pub(crate) database: String,
    /// The role on the server.
    pub(crate) user: String,
    pub(crate) pool: Arc<Pool<Opened>>,
    pub(crate) server: Server,
    pub(crate) circuit: Circuit,
    pub(crate) hub: Hub,
    settings: Mutex<Arc<TargetSettings>>,
    time_limits: TimeLimits,
    pub(super) doubt: Doubt,
    pub(crate) tally: Tally,
    periods: Mutex<Periods>,
    statuses: Mutex<HashMap<u64, Arc<Reported>>>,
}

/// What holds for a target: the configuration's defaults, those of the database, those of the user, the later the stronger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetSettings {
    pub(crate) pooling: Pooling,
    pub(crate) limits: PoolLimits,
    /// How long a client waits for a connection.
    pub(crate) wait_timeout: Duration,
    /// How long opening one may take.
    pub(crate) connect_timeout: Duration,
    pub(crate) timeouts: Timeouts,
}

/// The time-outs in milliseconds, to be read at each turn of a session without a lock; 0 is off.
#[derive(Debug, Default)]
struct TimeLimits {
    statement: AtomicU64,
    idle_in_transaction: AtomicU64,
    client_idle: AtomicU64,
}

impl TimeLimits {
    fn new(timeouts: &Timeouts) -> Self {
        let limits = Self::default();
        limits.set(timeouts);
        limits
    }

    fn set(&self, timeouts: &Timeouts) {
        for (limit, timeout) in [
            (&self.statement, timeouts.statement),
            (&self.idle_in_transaction, timeouts.idle_in_transaction),
            (&self.client_idle, timeouts.client_idle),
        ] {
            limit.store(timeout.as_millis().try_into().unwrap_or(u64::MAX), Relaxed);
        }
    }
}

impl TargetSettings {
    pub(crate) fn new(config: &Config, database: &Database, user: Option<&User>) -> Self {
        let pooling = user.and_then(|user| user.pooling).or(database.pooling);
        Self {
            pooling: pooling.unwrap_or_default(),
            limits: PoolLimits {
                size: config.size_of(database, user),
                size_min: database.pool_size_min.unwrap_or(config.pool_size_min),
                reserve: database.reserve_size.unwrap_or(config.reserve_size),
                reserve_after: config.reserve_after,
                opening_max: config.opening_max,
                idle_timeout: config.idle_timeout,
                lifetime_max: config.lifetime_max,
                check_after: config.check_after,
            },
            wait_timeout: config.wait_timeout,
            connect_timeout: config.connect_timeout,
            timeouts: Timeouts {
                statement: user
                    .and_then(|user| user.statement_timeout)
                    .or(database.statement_timeout)
                    .unwrap_or(config.timeouts.statement),
                idle_in_transaction: user
                    .and_then(|user| user.idle_in_transaction_timeout)
                    .or(database.idle_in_transaction_timeout)
                    .unwrap_or(config.timeouts.idle_in_transaction),
                client_idle: user
                    .and_then(|user| user.client_idle_timeout)
                    .or(database.client_idle_timeout)
                    .unwrap_or(config.timeouts.client_idle),
            },
        }
    }
}

impl Target {
    pub(super) fn new(
        key: &Key,
        server: Server,
        settings: TargetSettings,
        budgets: &[Arc<Budget<Opened>>],
        workers: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            database: key.database.clone(),
            user: key.user.clone(),
            pool: Pool::new(settings.limits, budgets, Clock::System),
            server,
            circuit: Circuit::default(),
            hub: Hub::default(),
            time_limits: TimeLimits::new(&settings.timeouts),
            settings: Mutex::new(Arc::new(settings)),
            doubt: Doubt::default(),
            tally: Tally::new(workers),
            periods: Mutex::default(),
            statuses: Mutex::default(),
        })
    }

    /// To be called once a second, for the averages.
    pub(super) fn roll(&self, now: Instant) {
        lock(&self.periods).roll(self.tally.read(), now);
    }

    /// What came within the last whole period, and how long that was.
    pub(crate) fn last_period(&self, totals: Totals, now: Instant) -> (Totals, Duration) {
        lock(&self.periods).last(totals, now)
    }

    /// What holds now. For what happens once in a while: it takes a lock.
    pub(crate) fn settings(&self) -> Arc<TargetSettings> {
        Arc::clone(&lock(&self.settings))
    }

    /// How long a client may do this, if there is a limit.
    pub(crate) fn time_limit(&self, doing: Doing) -> Option<Duration> {
        let ms = match doing {
            Doing::Statement(_) => self.time_limits.statement.load(Relaxed),
            Doing::IdleInTransaction => self.time_limits.idle_in_transaction.load(Relaxed),
            Doing::Idle => self.time_limits.client_idle.load(Relaxed),
            Doing::Other => 0,
        };
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Something else holds from now on. Connections that were opened with other credentials, or elsewhere, go when they
    /// come back. Says whether anything is new.
    pub(super) fn change(
        &self,
        url: DatabaseUrl,
        credential: Credential,
        settings: TargetSettings,
    ) -> bool {
        let is_elsewhere = self.server.change(url, credential);
        if is_elsewhere {
            self.reconnect();
        }
        self.pool.set_limits(settings.limits);
        self.time_limits.set(&settings.timeouts);
        let is_other = **lock(&self.settings) != settings;
        *lock(&self.settings) = Arc::new(settings);
        is_elsewhere || is_other
    }

    /// All connections are replaced: those of the pool as they come back, the one that listens at once.
    pub(crate) fn reconnect(&self) {
        self.pool.retire();
        self.hub.reconnect();
    }

    /// Whether neither a client nor a connection is there. Only the directory may ask, under its lock: nobody else can then
    /// come by.
    pub(super) fn is_unused(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1 && self.pool.is_empty()
    }

    /// The pool's numbers, with its names and what was done.
    pub(crate) fn snapshot(&self, now: Instant) -> PoolSnapshot {
        let totals = self.tally.read();
        PoolSnapshot {
            database: self.database.clone(),
            user: self.user.clone(),
            done: PoolTotals {
                transactions: totals.transactions,
                queries: totals.queries,
                bytes_from_clients: totals.from_clients,
                bytes_from_servers: totals.from_servers,
                prepared_hits: totals.prepared_hits,
                prepared_misses: totals.server_parses,
                errors: self.tally.errors.read(),
            },
            ..self.pool.snapshot(now)
        }
    }

    /// Why a client waits.
    pub(crate) fn fullness(&self) -> Fullness {
        self.pool.fullness()
    }

    /// What a server reports under these settings, if that is known.
    pub(crate) fn statuses(&self, settings: &Settings) -> Option<Arc<Reported>> {
        lock(&self.statuses).get(&settings.reports).cloned()
    }

    /// Remembers what a server reports under these settings.
    pub(crate) fn remember_statuses(
        &self,
        settings: &Settings,
        reported: &Reported,
    ) -> Arc<Reported> {
        let mut statuses = lock(&self.statuses);
        if statuses.len() >= STATUSES_MAX {
            statuses.clear();
        }
        let reported = Arc::new(reported.clone());
        statuses.insert(settings.reports, Arc::clone(&reported));
        reported
    }

    /// A new server connection reports something else than the ones before it: another version of the server, perhaps.
    pub(crate) fn review_statuses(&self, fresh: &Reported) {
        let mut statuses = lock(&self.statuses);
        if statuses.get(&0).is_some_and(|known| **known != *fresh) {
            statuses.clear();
        }
        if statuses.is_empty() {
            statuses.insert(0, Arc::new(fresh.clone()));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
