//! What happened in all, and what did not fit.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start. A field that is not zero among the last ten says that a limit of
/// [`Config`](crate::Config) was reached, or that the join was not exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Loads that were opened.
    pub loads_opened: u64,
    /// Loads that finished, and so count for a route.
    pub loads_finished: u64,
    /// Loads that were dropped unfinished; they too count for a route.
    pub loads_aborted: u64,
    /// Loads that are open now.
    pub loads_open: u64,
    /// Executions that ended, however they did.
    pub executions: u64,
    /// Of these, failed with an SQLSTATE.
    pub executions_failed: u64,
    /// Of these, dropped before their end was known.
    pub executions_lost: u64,
    /// Executions charged to the load whose trace id they bore.
    pub executions_tagged: u64,
    /// Untagged executions that had one load open during their whole run.
    pub executions_exclusive: u64,
    /// Untagged executions that were shared among several loads.
    pub executions_overlapping: u64,
    /// Executions whose trace id no open load has.
    pub unknown_traces: u64,
    /// Executions that ended after the load that they were charged to.
    pub late: u64,
    /// Loads that found no room among the open ones, and so could not be charged.
    pub loads_unchargeable: u64,
    /// Statements that are counted, but not listed with their request.
    pub statements_unlisted: u64,
    /// Executions of a load that were not compared with its others: of the shape `other`, or of one
    /// shape too many for one request.
    pub statements_uncompared: u64,
    /// Requests counted for the route `other`.
    pub requests_other: u64,
    /// Executions counted for the shape `other`.
    pub executions_other: u64,
    /// Routes that gave up their slot.
    pub routes_evicted: u64,
    /// Shapes that gave up their slot.
    pub shapes_evicted: u64,
    /// Requests in which a pair of route and shape found no room.
    pub pairs_dropped: u64,
}

/// The counters behind those totals that no table holds. An execution touches none of them on its
/// fastest way.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) loads_opened: Counter,
    pub(crate) loads_finished: Counter,
    pub(crate) loads_aborted: Counter,
    pub(crate) executions_tagged: Counter,
    pub(crate) executions_exclusive: Counter,
    pub(crate) executions_overlapping: Counter,
    pub(crate) unknown_traces: Counter,
    pub(crate) late: Counter,
    pub(crate) loads_unchargeable: Counter,
    pub(crate) statements_unlisted: Counter,
    pub(crate) statements_uncompared: Counter,
    pub(crate) pairs_dropped: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
