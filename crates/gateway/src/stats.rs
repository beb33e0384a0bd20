//! What the gateway counts: per worker, so that no two workers write to the same cache line, and summed when asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

/// A look at the gateway as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Client connections that are open now.
    pub clients_open: u64,
    /// Client connections accepted since the start.
    pub clients_total: u64,
    /// Client connections that were told to come back, because there were too many.
    pub clients_refused_total: u64,
    /// Requests whose answer is not complete.
    pub requests_in_flight: u64,
    /// Requests read since the start.
    pub requests_total: u64,
    /// Requests that the gateway answered itself, with a problem.
    pub requests_refused_total: u64,
    /// The connections to the application.
    pub upstream: UpstreamStats,
}

/// A look at the connections to the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamStats {
    /// Connections that are open now, idle ones included.
    pub connections_open: u64,
    /// Connections opened since the start.
    pub connections_total: u64,
    /// Requests that were sent again, because the connection that they were sent on had just been closed.
    pub retries_total: u64,
    /// Whether the latest attempt to reach the application succeeded; unknown before the first.
    pub reachable: Option<bool>,
    /// The error of the latest attempt that failed, as a sentence.
    pub last_error: Option<String>,
}

/// One worker's counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) clients_total: AtomicU64,
    pub(crate) clients_ended: AtomicU64,
    pub(crate) clients_refused: AtomicU64,
    pub(crate) requests_total: AtomicU64,
    pub(crate) requests_ended: AtomicU64,
    pub(crate) requests_refused: AtomicU64,
    pub(crate) upstream_opened: AtomicU64,
    pub(crate) upstream_closed: AtomicU64,
    pub(crate) upstream_retries: AtomicU64,
}

/// A connection to the application is open as long as this lives.
#[derive(Debug)]
pub(crate) struct Open(Arc<Tally>);

/// What all workers know of the application: whether it can be reached.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// 0 unknown, 1 reachable, 2 not: read on each connect, written when it changes.
    state: AtomicU64,
    last_error: Mutex<Option<String>>,
}

const REACHABLE: u64 = 1;
const UNREACHABLE: u64 = 2;

/// One more. Each counter has one writing thread, so that a plain load and store would do; this costs no more when the
/// cache line is ours.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Open {
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        count(&tally.upstream_opened);
        Self(Arc::clone(tally))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        count(&self.0.upstream_closed);
    }
}

impl Reach {
    pub(crate) fn succeeded(&self) {
        if self.state.load(Relaxed) != REACHABLE
            && self.state.swap(REACHABLE, Relaxed) == UNREACHABLE
        {
            info!("The application can be reached again.");
        }
    }

    pub(crate) fn failed(&self, error: String) {
        if self.state.swap(UNREACHABLE, Relaxed) != UNREACHABLE {
            warn!(%error, "The application cannot be reached.");
        }
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Sums the workers' counters.
pub(crate) fn sum<'a>(tallies: impl Iterator<Item = &'a Arc<Tally>>, reach: &Reach) -> Stats {
    let mut stats = Stats::default();
    for tally in tallies {
        // What ended is read before what began: a gauge may be a little too high, never below zero.
        let ended = tally.clients_ended.load(Relaxed);
        let clients = tally.clients_total.load(Relaxed);
        stats.clients_open += clients.saturating_sub(ended);
        stats.clients_total += clients;
        stats.clients_refused_total += tally.clients_refused.load(Relaxed);
        let ended = tally.requests_ended.load(Relaxed);
        let requests = tally.requests_total.load(Relaxed);
        stats.requests_in_flight += requests.saturating_sub(ended);
        stats.requests_total += requests;
        stats.requests_refused_total += tally.requests_refused.load(Relaxed);
        let closed = tally.upstream_closed.load(Relaxed);
        let opened = tally.upstream_opened.load(Relaxed);
        stats.upstream.connections_open += opened.saturating_sub(closed);
        stats.upstream.connections_total += opened;
        stats.upstream.retries_total += tally.upstream_retries.load(Relaxed);
    }
    stats.upstream.reachable = match reach.state.load(Relaxed) {
        REACHABLE => Some(true),
        UNREACHABLE => Some(false),
        _ => None,
    };
    stats.upstream.last_error = reach
        .last_error
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    stats
}
