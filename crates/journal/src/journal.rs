//! The journal as a whole.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use paceline_sql::{Shape, ShapeId};

use crate::attribution::{Closing, OpenLoads};
use crate::config::Config;
use crate::execution::{Ended, Execution, StatementStart};
use crate::follow::Followed;
use crate::load::{Load, LoadStart, LoadState, OpenLoad, Outcome};
use crate::recent::{Kept, Recent, RequestRecord, RequestSummary};
use crate::route::{Finished, RouteSnapshot, Routes};
use crate::shape::{ShapeSnapshot, Shapes};
use crate::tally::{Repetition, Tallies};
use crate::totals::{Counters, Totals};
use crate::trace::{RequestId, TraceParent};

/// Which request caused which statement, and what that teaches. Shared by all workers.
pub struct Journal {
    pub(crate) config: Config,
    pub(crate) loads: OpenLoads,
    pub(crate) counters: Counters,
    pub(crate) followed: Followed,
    routes: Routes,
    shapes: Shapes,
    recent: Recent,
}

impl Journal {
    /// An empty journal.
    pub fn new(config: Config) -> Arc<Self> {
        let now = config.anchor.instant;
        Arc::new(Self {
            loads: OpenLoads::new(config.open_loads_max, config.overlaps_max),
            counters: Counters::default(),
            followed: Followed::default(),
            routes: Routes::new(&config, now),
            shapes: Shapes::new(config.shapes_max, now),
            recent: Recent::new(config.recent_requests_max, config.recent_statements_max),
            config,
        })
    }

    /// Opens a load for a request that goes upstream, and gives it a trace id.
    pub fn open_load(self: &Arc<Self>, start: LoadStart<'_>) -> Load {
        self.counters.loads_opened.add(1);
        let trace = TraceParent::fresh();
        let opening = self.loads.reserve(trace.trace_id, start.now);
        let route = self.routes.name(start.method, start.path);
        let open = Arc::new(OpenLoad::new(trace, route, &start, opening));
        if opening.is_some() {
            self.loads.insert(Arc::clone(&open));
        } else {
            self.counters.loads_unchargeable.add(1);
        }
        Load::new(Arc::clone(self), open)
    }

    /// Begins an execution, and charges it.
    pub fn begin(self: &Arc<Self>, start: StatementStart<'_>) -> Execution {
        Execution::begin(self, &start)
    }

    /// All routes, by name; `other` last.
    pub fn routes(&self) -> Vec<RouteSnapshot> {
        self.routes.snapshots()
    }

    /// All shapes, in the order in which they were first understood; `other` last.
    pub fn shapes(&self) -> Vec<ShapeSnapshot> {
        self.shapes.snapshots()
    }

    /// The recent requests, newest first.
    pub fn recent(&self) -> Vec<RequestSummary> {
        self.recent.summaries()
    }

    /// One request with its statements: a recent one, or the example of a [`Repetition`].
    pub fn request(&self, id: &RequestId) -> Option<RequestRecord> {
        let kept = self.recent.get(id).or_else(|| self.routes.example(id))?;
        Some(kept.assemble(self.loads.overlapping(kept.overlaps)))
    }

    /// What routes repeat, by route and shape.
    pub fn repetitions(&self) -> Vec<Repetition> {
        self.routes.repetitions()
    }

    /// What happened in all, and what did not fit.
    pub fn totals(&self) -> Totals {
        let counters = &self.counters;
        let mut totals = Totals {
            loads_opened: counters.loads_opened.get(),
            loads_finished: counters.loads_finished.get(),
            loads_aborted: counters.loads_aborted.get(),
            executions_tagged: counters.executions_tagged.get(),
            executions_exclusive: counters.executions_exclusive.get(),
            executions_overlapping: counters.executions_overlapping.get(),
            unknown_traces: counters.unknown_traces.get(),
            late: counters.late.get(),
            loads_unchargeable: counters.loads_unchargeable.get(),
            statements_unlisted: counters.statements_unlisted.get(),
            statements_uncompared: counters.statements_uncompared.get(),
            requests_other: self.routes.other_requests(),
            routes_evicted: self.routes.evicted(),
            shapes_evicted: self.shapes.evicted(),
            pairs_dropped: counters.pairs_dropped.get(),
            ..Totals::default()
        };
        let ended = totals.loads_finished + totals.loads_aborted;
        totals.loads_open = totals.loads_opened.saturating_sub(ended);
        self.shapes.visit(|shape| {
            totals.executions += shape.executions;
            totals.executions_failed += shape.errors;
            totals.executions_lost += shape.lost;
            if shape.shape.id == ShapeId::OTHER {
                totals.executions_other += shape.executions;
            }
        });
        totals
    }

    pub(crate) fn record_execution(&self, shape: &Arc<Shape>, ended: &Ended) {
        self.shapes.record(shape, ended);
    }

    /// Ends a load. Without a moment it was aborted. Returns up to which key its route's requests are followed.
    pub(crate) fn close(&self, load: &OpenLoad, outcome: Outcome, now: Option<Instant>) -> u64 {
        let closing = match load.opening {
            Some(opening) => self.loads.remove(load.trace_id(), opening, now),
            None => Closing::default(),
        };
        let state = load.close(&closing, now);
        let used_at = now.unwrap_or(load.opened);
        let (kept, tallies) = self.keep(load, state, &closing, &outcome, now);
        let kept = Arc::new(kept);
        let finished = Finished {
            kept: &kept,
            tallies: &tallies,
            answer: &outcome.answer,
            now: used_at,
        };
        if let Some(own) = self.followed(load.caller.map(|caller| caller.trace_id)) {
            own.adopt(&finished, load.configured);
        }
        let keys_limit = self.record_request(&finished, load.configured);
        match now {
            Some(_) => self.counters.loads_finished.add(1),
            None => self.counters.loads_aborted.add(1),
        }
        keys_limit
    }

    /// Counts a request for its route, and keeps it among the recent ones. Returns up to which key the route's requests are
    /// followed.
    pub(crate) fn record_request(&self, finished: &Finished<'_>, is_configured: bool) -> u64 {
        let Finished { kept, tallies, .. } = finished;
        let recorded = self.routes.record(finished, is_configured);
        if recorded.pairs_dropped > 0 {
            self.counters.pairs_dropped.add(recorded.pairs_dropped);
        }
        if kept.record.statements_unlisted > 0 {
            self.counters
                .statements_unlisted
                .add(kept.record.statements_unlisted);
        }
        if tallies.uncompared > 0 {
            self.counters.statements_uncompared.add(tallies.uncompared);
        }
        self.recent.push(Arc::clone(kept));
        recorded.keys_limit
    }

    fn keep(
        &self,
        load: &OpenLoad,
        state: LoadState,
        closing: &Closing,
        outcome: &Outcome,
        now: Option<Instant>,
    ) -> (Kept, Tallies) {
        let since_open = |at: Instant| at.saturating_duration_since(load.opened);
        // The common accounts hold what ran exclusively, too.
        let shared_time = closing.time.saturating_sub(state.exclusive.time);
        let shared = closing.executions - state.exclusive.executions as f64;
        let summary = RequestSummary {
            id: load.trace_id().into(),
            route: Arc::clone(&load.route),
            started_at: self.config.anchor.at(load.opened),
            duration: now.map(since_open),
            connected: state.connected.map(since_open),
            first_byte: state.first_byte.map(since_open),
            status: outcome.status,
            error: outcome.error,
            response_bytes: outcome.response_bytes,
            caller: load.caller,
            statements: state.exact.executions,
            statements_shared: shared.max(0.0),
            database_time: state.exact.time + shared_time,
            database_time_exact: state.exact.time,
        };
        let record = RequestRecord {
            summary,
            statements: state.statements,
            statements_unlisted: state.unlisted,
        };
        let kept = Kept {
            opened: load.opened,
            record,
            overlaps: closing.overlaps,
        };
        (kept, state.tallies)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}
