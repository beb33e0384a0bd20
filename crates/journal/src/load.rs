//! One request on its way upstream.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::attribution::{Closing, Opening, Ticket};
use crate::execution::{StatementEnd, StatementStart};
use crate::journal::Journal;
use crate::lock;
use crate::recent::{Attribution, StatementEnding, StatementRecord};
use crate::tally::Tallies;
use crate::trace::{RequestId, TraceId, TraceParent};

/// What the gateway knows when it sends a request upstream.
#[derive(Debug, Clone, Copy)]
pub struct LoadStart<'a> {
    /// The request's method; one that HTTP does not define counts as `_OTHER`.
    pub method: &'a str,
    /// The request's path as it was sent; what follows a `?` is ignored.
    pub path: &'a str,
    /// The trace context that the caller sent, if it sent a valid one.
    pub caller: Option<TraceParent>,
    /// Now.
    pub now: Instant,
}

/// A request on its way upstream, open until it is finished or dropped.
#[derive(Debug)]
#[must_use = "dropping a load says that the request was aborted"]
pub struct Load {
    journal: Arc<Journal>,
    open: Arc<OpenLoad>,
    finished: bool,
}

/// How a load ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The status that the client was answered with.
    pub status: Option<u16>,
    /// What went wrong between the gateway and its peers, if anything did.
    pub error: Option<LoadError>,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// What else was seen of it.
    pub answer: Answer,
}

/// What can go wrong with a load, and whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LoadError {
    /// No connection to the upstream: refused, unreachable, not resolved.
    Unreachable,
    /// No connection to the upstream in time.
    ConnectTimeout,
    /// No first byte of the answer in time.
    ResponseTimeout,
    /// The answer stopped for too long.
    BodyTimeout,
    /// The upstream closed too early, or sent what is not HTTP.
    UpstreamBroken,
    /// The client sent a body that broke off or is not HTTP.
    RequestBroken,
    /// The client left before its answer was complete.
    ClientGone,
    /// Dropped without an outcome.
    Aborted,
}

impl LoadError {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::ResponseTimeout,
        Self::BodyTimeout,
        Self::UpstreamBroken,
        Self::RequestBroken,
        Self::ClientGone,
        Self::Aborted,
    ];

    /// The name in labels and JSON: `connect_timeout` (`error.type` of the semantic conventions).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::UpstreamBroken => "upstream_broken",
            Self::RequestBroken => "request_broken",
            Self::ClientGone => "client_gone",
            Self::Aborted => "aborted",
        }
    }

    /// Whether the client caused it: then it does not count as an error of the route.
    pub fn is_clients_fault(self) -> bool {
        matches!(self, Self::RequestBroken | Self::ClientGone | Self::Aborted)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Load {
    pub(crate) fn new(journal: Arc<Journal>, open: Arc<OpenLoad>) -> Self {
        Self {
            journal,
            open,
            finished: false,
        }
    }

    /// What to send upstream as `traceparent`, in place of any that the caller sent.
    pub fn traceparent(&self) -> TraceParent {
        self.open.trace
    }

    /// The name under which the request can be looked up once it has finished.
    pub fn request_id(&self) -> RequestId {
        self.open.trace.trace_id.into()
    }

    /// The upstream connection is ready, new or reused; from here on the upstream's own time counts.
    /// When the request must be sent again on another connection, the last one counts.
    pub fn upstream_connected(&self, now: Instant) {
        lock(&self.open.state).connected = Some(now);
    }

    /// The first byte of the answer has come.
    pub fn first_byte(&self, now: Instant) {
        lock(&self.open.state).first_byte.get_or_insert(now);
    }

    /// Method and template, as far as they are known before the answer.
    pub fn route(&self) -> &str {
        &self.open.route
    }

    /// The answer is complete, or will never be. Returns up to which key the route's requests are followed: what is known of
    /// the [`Ask`](crate::Ask)s of higher ones need not be gathered.
    pub fn finish(mut self, outcome: Outcome, now: Instant) -> u64 {
        self.finished = true;
        self.journal.close(&self.open, outcome, Some(now))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if !self.finished {
            let aborted = Outcome {
                error: Some(LoadError::Aborted),
                ..Outcome::default()
            };
            let _ = self.journal.close(&self.open, aborted, None);
        }
    }
}

/// What a load and the executions charged to it share.
#[derive(Debug)]
pub(crate) struct OpenLoad {
    pub(crate) trace: TraceParent,
    pub(crate) caller: Option<TraceParent>,
    /// Method and template.
    pub(crate) route: Arc<str>,
    pub(crate) configured: bool,
    pub(crate) opened: Instant,
    /// `None` when there was no room for it among the open ones: it cannot be charged.
    pub(crate) opening: Option<Opening>,
    state: Mutex<LoadState>,
}

/// The account of a load.
#[derive(Debug, Default)]
pub(crate) struct LoadState {
    pub(crate) closed: bool,
    pub(crate) connected: Option<Instant>,
    pub(crate) first_byte: Option<Instant>,
    pub(crate) statements: Vec<StatementRecord>,
    pub(crate) unlisted: u64,
    pub(crate) tallies: Tallies,
    /// Executions charged exactly, and their time; of these, the untagged ones.
    pub(crate) exact: Share,
    pub(crate) exclusive: Share,
    /// Untagged executions that run as the load's alone: their place in `statements`, and since when.
    unsettled: Vec<(usize, Ticket)>,
}

/// A number of executions and their time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    pub(crate) executions: u64,
    pub(crate) time: Duration,
}

/// Where an execution was charged in a load: its place in the list, if it has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(Option<usize>);

impl OpenLoad {
    pub(crate) fn new(
        trace: TraceParent,
        (route, configured): (Arc<str>, bool),
        start: &LoadStart<'_>,
        opening: Option<Opening>,
    ) -> Self {
        Self {
            trace,
            caller: start.caller,
            route,
            configured,
            opened: start.now,
            opening,
            state: Mutex::default(),
        }
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.trace.trace_id
    }

    /// Charges an execution that begins. With a ticket it is untagged, and exact only if it stays
    /// alone. `None`: the load has closed.
    pub(crate) fn charge(
        &self,
        start: &StatementStart<'_>,
        ticket: Option<Ticket>,
        statements_max: usize,
    ) -> Option<Place> {
        let state = &mut *lock(&self.state);
        if state.closed {
            return None;
        }
        state.tallies.begin(start.shape, start.parameters);
        state.exact.executions += 1;
        state.exclusive.executions += u64::from(ticket.is_some());
        if state.statements.len() >= statements_max {
            state.unlisted += 1;
            return Some(Place(None));
        }
        let at = state.statements.len();
        state.unsettled.extend(ticket.map(|ticket| (at, ticket)));
        let attribution = match ticket {
            Some(_) => Attribution::Exclusive,
            None => Attribution::Tagged,
        };
        let offset = start.now.saturating_duration_since(self.opened);
        state.statements.push(StatementRecord {
            attribution,
            offset,
            ..StatementRecord::begun(start)
        });
        Some(Place(Some(at)))
    }

    /// Completes an execution that is the load's own. False: the load has closed before.
    pub(crate) fn complete(
        &self,
        charged: &Charged<'_>,
        end: Option<(StatementEnd, Duration)>,
    ) -> bool {
        let state = &mut *lock(&self.state);
        if state.closed {
            return false;
        }
        let (time, rows) = end.map_or((Duration::ZERO, 0), |(end, time)| (time, end.rows));
        state
            .tallies
            .finish(charged.shape, charged.parameters, time, rows);
        state.exact.time += time;
        if charged.untagged {
            state.exclusive.time += time;
        }
        if let Some(statement) = state.settle(charged.place) {
            statement.end(end);
        }
        true
    }

    /// Takes back an untagged execution that did not stay alone; it is listed as shared from here on.
    pub(crate) fn retract(&self, charged: &Charged<'_>, end: Option<(StatementEnd, Duration)>) {
        let state = &mut *lock(&self.state);
        if state.closed {
            return;
        }
        state.disown(charged.shape, charged.parameters);
        if let Some(statement) = state.settle(charged.place) {
            statement.attribution = Attribution::Shared;
            statement.end(end);
        }
    }

    /// Closes the account: nothing is charged to it any more. What still runs is charged up to now.
    pub(crate) fn close(&self, closing: &Closing, now: Option<Instant>) -> LoadState {
        let state = &mut *lock(&self.state);
        let mut account = std::mem::take(state);
        state.closed = true;
        account.cut_off(self.opened, closing, now);
        account
    }
}

/// An execution as the load that it was charged to knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Charged<'a> {
    pub(crate) place: Place,
    pub(crate) untagged: bool,
    pub(crate) shape: &'a Arc<paceline_sql::Shape>,
    pub(crate) parameters: u64,
}

impl LoadState {
    fn settle(&mut self, place: Place) -> Option<&mut StatementRecord> {
        let at = place.0?;
        self.unsettled.retain(|(unsettled, _)| *unsettled != at);
        self.statements.get_mut(at)
    }

    fn disown(&mut self, shape: &Arc<paceline_sql::Shape>, parameters: u64) {
        self.tallies.retract(shape, parameters);
        self.exact.executions -= 1;
        self.exclusive.executions -= 1;
    }

    fn cut_off(&mut self, opened: Instant, closing: &Closing, now: Option<Instant>) {
        for (at, ticket) in std::mem::take(&mut self.unsettled) {
            if ticket.opened == closing.opened {
                continue;
            }
            self.statements[at].attribution = Attribution::Shared;
            let shape = Arc::clone(&self.statements[at].shape);
            let parameters = self.statements[at].parameters;
            self.disown(&shape, parameters);
        }
        let Some(now) = now else { return };
        for at in 0..self.statements.len() {
            let statement = &mut self.statements[at];
            if statement.ending != StatementEnding::Unfinished || statement.duration.is_some() {
                continue;
            }
            let time = now
                .saturating_duration_since(opened)
                .saturating_sub(statement.offset);
            statement.duration = Some(time);
            let (attribution, parameters) = (statement.attribution, statement.parameters);
            let shape = Arc::clone(&statement.shape);
            if attribution.is_exact() {
                self.tallies.finish(&shape, parameters, time, 0);
                self.exact.time += time;
            }
            if attribution == Attribution::Exclusive {
                self.exclusive.time += time;
            }
        }
    }
}
