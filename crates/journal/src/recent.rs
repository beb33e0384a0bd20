//! Finished requests, one by one, with their statements.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use paceline_sql::Shape;

use crate::execution::ConnectionId;
use crate::load::LoadError;
use crate::lock;
use crate::trace::{RequestId, TraceParent};

/// One finished request, without its statements.
#[derive(Debug, Clone)]
pub struct RequestSummary {
    /// Its name, for [`Journal::request`](crate::Journal::request).
    pub id: RequestId,
    /// Method and template, `GET /jobs/{id}`.
    pub route: Arc<str>,
    /// When its load was opened, by the wall clock.
    pub started_at: SystemTime,
    /// From open to finish; `None` when it was aborted.
    pub duration: Option<Duration>,
    /// From open until the upstream connection was ready.
    pub connected: Option<Duration>,
    /// From open until the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// What went wrong, if something did.
    pub error: Option<LoadError>,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// The trace context that the caller sent.
    pub caller: Option<TraceParent>,
    /// Executions charged exactly.
    pub statements: u64,
    /// Executions charged as a share of an overlap.
    pub statements_shared: f64,
    /// Database time, exact and shared. Statements that run side by side each count in full.
    pub database_time: Duration,
    /// The exact part of it.
    pub database_time_exact: Duration,
}

/// One finished request with its statements, in the order in which they began.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// The request.
    pub summary: RequestSummary,
    /// Its statements; overlapping ones of other requests may be among them.
    pub statements: Vec<StatementRecord>,
    /// Executions that were charged, but are not in the list.
    pub statements_unlisted: u64,
}

/// One execution, as its request saw it.
#[derive(Debug, Clone)]
pub struct StatementRecord {
    /// What was executed.
    pub shape: Arc<Shape>,
    /// On which client connection.
    pub connection: ConnectionId,
    /// How it came to be charged to this request.
    pub attribution: Attribution,
    /// From the request's start until it was sent to a server.
    pub offset: Duration,
    /// How long it had waited for a server connection before that.
    pub queued: Duration,
    /// How long it ran; up to the request's end when it is unfinished, unknown when it was lost.
    pub duration: Option<Duration>,
    /// How it ended.
    pub ending: StatementEnding,
    /// Rows returned or affected.
    pub rows: u64,
    /// A hash of its literals and parameters.
    pub parameters: u64,
}

/// How an execution came to be charged to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// It bore the request's trace id: exact.
    Tagged,
    /// No other request was open while it ran: exact.
    Exclusive,
    /// Several requests were open while it ran; it may belong to any of them.
    Shared,
}

impl Attribution {
    /// Whether the execution certainly belongs to the request.
    pub fn is_exact(self) -> bool {
        self != Self::Shared
    }
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementEnding {
    /// The request ended first.
    Unfinished,
    /// Well.
    Done,
    /// With this SQLSTATE.
    Failed([u8; 5]),
    /// Its connection ended first.
    Lost,
}

/// An overlapping execution, kept once for all the requests that it overlapped.
#[derive(Debug, Clone)]
pub(crate) struct Overlapping {
    pub(crate) began: Instant,
    pub(crate) record: StatementRecord,
    /// The load that has it in its own list already.
    pub(crate) listed_by: Option<RequestId>,
}

/// A request as it is kept: its overlapping statements are only a range of the common list.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) opened: Instant,
    pub(crate) record: RequestRecord,
    /// Numbers of the first overlapping execution that ended while it was open, and of the first after.
    pub(crate) overlaps: (u64, u64),
}

/// The recent requests, and the executions that overlapped them.
pub(crate) struct Recent {
    requests_max: usize,
    statements_max: usize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    order: VecDeque<Arc<Kept>>,
    by_id: HashMap<RequestId, Arc<Kept>>,
    statements: usize,
}

impl Recent {
    pub(crate) fn new(requests_max: usize, statements_max: usize) -> Self {
        Self {
            requests_max,
            statements_max,
            ring: Mutex::default(),
        }
    }

    pub(crate) fn push(&self, kept: Arc<Kept>) {
        let mut ring = lock(&self.ring);
        ring.statements += kept.record.statements.len();
        ring.by_id.insert(kept.record.summary.id, Arc::clone(&kept));
        ring.order.push_back(kept);
        while ring.order.len() > self.requests_max || ring.statements > self.statements_max {
            let Some(oldest) = ring.order.pop_front() else {
                break;
            };
            ring.statements -= oldest.record.statements.len();
            ring.by_id.remove(&oldest.record.summary.id);
        }
    }

    /// Newest first.
    pub(crate) fn summaries(&self) -> Vec<RequestSummary> {
        let ring = lock(&self.ring);
        ring.order
            .iter()
            .rev()
            .map(|kept| kept.record.summary.clone())
            .collect()
    }

    pub(crate) fn get(&self, id: &RequestId) -> Option<Arc<Kept>> {
        lock(&self.ring).by_id.get(id).cloned()
    }
}

/// Room for requests that are kept as examples although they are no longer recent, measured in
/// statements.
#[derive(Debug)]
pub(crate) struct Pins {
    statements_max: usize,
    statements: Arc<AtomicUsize>,
}

/// A request that is kept as an example for as long as this lives.
#[derive(Debug)]
pub(crate) struct Pin {
    request: Arc<Kept>,
    statements: Arc<AtomicUsize>,
}

impl Pins {
    pub(crate) fn new(statements_max: usize) -> Self {
        Self {
            statements_max,
            statements: Arc::default(),
        }
    }

    /// `None` when there is no room; the request can then be looked up only as long as it is recent.
    pub(crate) fn pin(&self, request: &Arc<Kept>) -> Option<Pin> {
        let weight = Pin::weight(request);
        let before = self.statements.fetch_add(weight, Ordering::Relaxed);
        let pin = Pin {
            request: Arc::clone(request),
            statements: Arc::clone(&self.statements),
        };
        (before + weight <= self.statements_max).then_some(pin)
    }
}

impl Pin {
    pub(crate) fn request(&self) -> &Arc<Kept> {
        &self.request
    }

    fn weight(request: &Kept) -> usize {
        request.record.statements.len()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.statements
            .fetch_sub(Self::weight(&self.request), Ordering::Relaxed);
    }
}

impl Kept {
    /// The record, its own statements and the overlapping ones that began within it, in order.
    pub(crate) fn assemble(&self, overlapping: Vec<Overlapping>) -> RequestRecord {
        let mut record = self.record.clone();
        let foreign = overlapping.into_iter().filter(|overlap| {
            // What began before the request cannot have been caused by it.
            overlap.began >= self.opened && overlap.listed_by != Some(record.summary.id)
        });
        record
            .statements
            .extend(foreign.map(|overlap| StatementRecord {
                offset: overlap.began.duration_since(self.opened),
                ..overlap.record
            }));
        record.statements.sort_by_key(|statement| statement.offset);
        record
    }
}
