//! What a pool tells about itself.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use paceline_journal::Latencies;
use paceline_sql::SessionState;

use super::{Pool, Pooled};

/// The state of a pool at one moment.
#[derive(Debug, Clone)]
pub struct PoolSnapshot {
    /// The database.
    pub database: String,
    /// The role on the server.
    pub user: String,
    /// Server connections at most. `None` in observe mode, where each client has one.
    pub max: Option<usize>,
    /// Server connections that are kept open.
    pub min: usize,
    /// Server connections beyond `max`, for clients that have waited for a while.
    pub reserve: usize,
    /// Server connections cannot be opened at present.
    pub is_failing: bool,
    /// Server connections that exist.
    pub open: usize,
    /// Of these, those that wait for work.
    pub idle: usize,
    /// Of these, those that a client holds.
    pub used: usize,
    /// Server connections that are being opened.
    pub opening: usize,
    /// Clients in the queue.
    pub waiting: usize,
    /// How long the client at the head of the queue has waited.
    pub longest_wait: Option<Duration>,
    /// Server connections that belong to one client for the time being, because of what its session holds.
    pub pinned: usize,
    /// Server connections whose clients have a transaction open and do nothing.
    pub idle_in_transaction: usize,
    /// Of the pinned ones, those that hold this; one may hold several.
    pub pins: [(&'static str, usize); 7],
    /// How often a server connection became a client's own, by what it held.
    pub pins_total: [(&'static str, u64); 7],
    /// Server connections opened so far.
    pub connects_total: u64,
    /// Attempts to open one that failed.
    pub connect_errors_total: u64,
    /// Clients that were told 53300 because their wait was over.
    pub wait_timeouts_total: u64,
    /// The waits of the clients that did not get a server connection at once: until they had one, their time was up, or none could
    /// be opened.
    pub waits: Latencies,
    /// What was done with them.
    pub done: PoolTotals,
}

/// What clients have done with a pool's connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolTotals {
    /// Transactions that came to their end.
    pub transactions: u64,
    /// Statements that came to their end.
    pub queries: u64,
    /// Bytes that its clients have sent.
    pub bytes_from_clients: u64,
    /// Bytes that its servers have sent.
    pub bytes_from_servers: u64,
    /// How often a named statement was prepared already on the connection where a client wanted it.
    pub prepared_hits: u64,
    /// How often it had to be prepared there first.
    pub prepared_misses: u64,
    /// Errors that servers answered clients with, by the class of the SQLSTATE; classes without any are left out.
    pub errors: Vec<(&'static str, u64)>,
}

/// Why there is nothing left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fullness {
    pub(crate) size: usize,
    pub(crate) reserve: usize,
    pub(crate) open: usize,
    pub(crate) opening: usize,
    pub(crate) waiting: usize,
    pub(crate) pinned: usize,
    /// Connections whose clients have a transaction open and do nothing.
    pub(crate) idle_in_transaction: usize,
    /// A bound over several pools that is reached.
    pub(crate) shared_max: Option<usize>,
}

impl<C: Pooled> Pool<C> {
    /// Why somebody waits.
    pub(crate) fn fullness(&self) -> Fullness {
        let inner = self.lock();
        let mut exhausted = self.budgets.0.iter().filter(|budget| budget.is_exhausted());
        Fullness {
            size: inner.limits.size,
            reserve: inner.limits.reserve,
            open: inner.places_taken - inner.opening,
            opening: inner.opening,
            waiting: inner.waiting(),
            pinned: self.counters.pinned.load(Relaxed),
            idle_in_transaction: self.counters.idle_in_transaction.load(Relaxed),
            shared_max: exhausted.find_map(|budget| budget.limit()),
        }
    }

    /// Whether it has no connection, is opening none, and nobody waits for one.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.places_taken == 0 && inner.has_nobody_waiting()
    }

    /// A client has waited, whatever came of it.
    pub(crate) fn record_wait(&self, wait: Duration) {
        self.lock().waits.record(wait);
    }

    /// The state now. The names, and what was done, are the caller's to fill in.
    pub(crate) fn snapshot(&self, now: Instant) -> PoolSnapshot {
        let inner = self.lock();
        let open = inner.places_taken - inner.opening;
        let head = inner.head_since();
        PoolSnapshot {
            database: String::new(),
            user: String::new(),
            max: Some(inner.limits.size),
            min: inner.limits.size_min,
            reserve: inner.limits.reserve,
            is_failing: inner.is_failing,
            open,
            idle: inner.idle(),
            used: open - inner.idle(),
            opening: inner.opening,
            waiting: inner.waiting(),
            longest_wait: head.map(|since| now.saturating_duration_since(since)),
            pinned: self.counters.pinned.load(Relaxed),
            idle_in_transaction: self.counters.idle_in_transaction.load(Relaxed),
            pins: std::array::from_fn(|index| {
                let (_, reason) = SessionState::EACH[index];
                (reason, self.counters.pins_now[index].load(Relaxed))
            }),
            pins_total: std::array::from_fn(|index| {
                let (_, reason) = SessionState::EACH[index];
                (reason, self.counters.pins[index].load(Relaxed))
            }),
            connects_total: self.counters.connects.load(Relaxed),
            connect_errors_total: self.counters.connect_errors.load(Relaxed),
            wait_timeouts_total: self.counters.wait_timeouts.load(Relaxed),
            waits: inner.waits.clone(),
            done: PoolTotals::default(),
        }
    }
}
