//! One statement on its way through a server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_sql::{Shape, Values};

use crate::attribution::Ticket;
use crate::journal::Journal;
use crate::load::{Charged, OpenLoad, Place};
use crate::recent::{Attribution, Overlapping, StatementEnding, StatementRecord};
use crate::trace::{RequestId, TraceParent};

/// Names a client connection of the Postgres half, for showing which statements ran side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is known when a statement is sent to a server.
#[derive(Debug, Clone, Copy)]
pub struct StatementStart<'a> {
    /// The client's connection.
    pub connection: ConnectionId,
    /// What is executed.
    pub shape: &'a Arc<Shape>,
    /// The trace context of the comment, when this execution belongs to the batch that bore it.
    pub trace: Option<TraceParent>,
    /// A hash of literals and parameters, equal for equal ones.
    pub parameters: u64,
    /// What the few of these tell that are looked at.
    pub values: Values,
    /// How long it has waited for a server connection.
    pub queued: Duration,
    /// Now.
    pub now: Instant,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatementEnd {
    /// Rows returned or affected.
    pub rows: u64,
    /// The error's code, when it failed.
    pub sqlstate: Option<[u8; 5]>,
}

/// A statement that runs. Finish it before its last bytes go to the client: the request that it
/// belongs to may end as soon as they arrive.
#[derive(Debug)]
#[must_use = "dropping an execution says that it was lost"]
pub struct Execution {
    journal: Arc<Journal>,
    shape: Arc<Shape>,
    connection: ConnectionId,
    parameters: u64,
    values: Values,
    queued: Duration,
    began: Instant,
    charge: Charge,
    finished: bool,
}

/// The request that an execution was charged to alone.
#[derive(Debug)]
pub struct Payer(Arc<OpenLoad>);

impl Payer {
    /// Its name in the journal.
    pub fn request(&self) -> RequestId {
        self.0.trace_id().into()
    }

    /// The method and the template of its path.
    pub fn route(&self) -> &str {
        &self.0.route
    }
}

/// An execution that has ended, as its shape counts it.
pub(crate) struct Ended {
    pub(crate) queued: Duration,
    /// `None`: it was lost.
    pub(crate) end: Option<(StatementEnd, Duration)>,
    pub(crate) values: Values,
    pub(crate) now: Instant,
}

/// Who pays for an execution.
#[derive(Debug)]
enum Charge {
    Nobody,
    /// The load that it names.
    Tagged(Arc<OpenLoad>, Place),
    /// The only load open, as long as it stays the only one.
    Sole(Arc<OpenLoad>, Place, Ticket),
    /// All loads open while it runs.
    Overlap(Ticket),
}

/// How the charge of an execution ended, for the totals.
enum Charging {
    Nobody,
    Tagged,
    Exclusive,
    Overlapping,
    Late,
}

impl Execution {
    pub(crate) fn begin(journal: &Arc<Journal>, start: &StatementStart<'_>) -> Self {
        Self {
            charge: Charge::begin(journal, start),
            journal: Arc::clone(journal),
            shape: Arc::clone(start.shape),
            connection: start.connection,
            parameters: start.parameters,
            values: start.values,
            queued: start.queued,
            began: start.now,
            finished: false,
        }
    }

    /// The statement has ended, with success or an error. Gives the request that it was charged to, if that is certain.
    pub fn finish(mut self, end: StatementEnd, now: Instant) -> Option<Payer> {
        self.finished = true;
        self.settle(Some((end, now)))
    }

    /// Whether it bears the trace id of a load that was open when it began.
    pub fn is_tagged(&self) -> bool {
        matches!(self.charge, Charge::Tagged(..))
    }

    fn settle(&mut self, end: Option<(StatementEnd, Instant)>) -> Option<Payer> {
        let mut payer = None;
        let now = end.map(|(_, now)| now);
        let end = end.map(|(end, now)| (end, now.saturating_duration_since(self.began)));
        let charging = match std::mem::replace(&mut self.charge, Charge::Nobody) {
            Charge::Nobody => Charging::Nobody,
            Charge::Tagged(load, place) => {
                if load.complete(&self.charged(place, false), end) {
                    payer = Some(Payer(load));
                    Charging::Tagged
                } else {
                    Charging::Late
                }
            }
            Charge::Sole(load, place, ticket) => {
                let charged = self.charged(place, true);
                if !self.journal.loads.finish(ticket, now) {
                    load.retract(&charged, end);
                    self.overlap(end, Some(&load));
                    Charging::Overlapping
                } else if load.complete(&charged, end) {
                    payer = Some(Payer(load));
                    Charging::Exclusive
                } else {
                    Charging::Late
                }
            }
            Charge::Overlap(ticket) => {
                self.journal.loads.finish(ticket, now);
                self.overlap(end, None);
                Charging::Overlapping
            }
        };
        self.count(&charging);
        let ended = Ended {
            queued: self.queued,
            end,
            values: self.values,
            now: now.unwrap_or(self.began),
        };
        self.journal.record_execution(&self.shape, &ended);
        let caller = payer.as_ref().and_then(|Payer(load)| load.caller);
        if let Some(own) = self.journal.followed(caller.map(|caller| caller.trace_id)) {
            own.record_execution(&self.shape, &ended);
        }
        payer
    }

    fn charged(&self, place: Place, untagged: bool) -> Charged<'_> {
        Charged {
            place,
            untagged,
            shape: &self.shape,
            parameters: self.parameters,
        }
    }

    fn overlap(&self, end: Option<(StatementEnd, Duration)>, listed_by: Option<&Arc<OpenLoad>>) {
        let mut record = StatementRecord {
            attribution: Attribution::Shared,
            ..StatementRecord::begun(&StatementStart {
                connection: self.connection,
                shape: &self.shape,
                trace: None,
                parameters: self.parameters,
                values: self.values,
                queued: self.queued,
                now: self.began,
            })
        };
        record.end(end);
        let listed_by = listed_by.map(|load| load.trace_id().into());
        self.journal.loads.keep(Overlapping {
            began: self.began,
            record,
            listed_by,
        });
    }

    fn count(&self, charging: &Charging) {
        let counters = &self.journal.counters;
        match charging {
            Charging::Nobody => {}
            Charging::Tagged => counters.executions_tagged.add(1),
            Charging::Exclusive => counters.executions_exclusive.add(1),
            Charging::Overlapping => counters.executions_overlapping.add(1),
            Charging::Late => counters.late.add(1),
        }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        if !self.finished {
            self.settle(None);
        }
    }
}

impl Charge {
    fn begin(journal: &Journal, start: &StatementStart<'_>) -> Self {
        let statements_max = journal.config.statements_per_request_max;
        if let Some(trace) = start.trace {
            let load = journal.loads.get(trace.trace_id);
            let place = load
                .as_ref()
                .and_then(|load| load.charge(start, None, statements_max));
            if let (Some(load), Some(place)) = (load, place) {
                return Self::Tagged(load, place);
            }
            journal.counters.unknown_traces.add(1);
        }
        let Some((ticket, sole)) = journal.loads.begin(start.now) else {
            return Self::Nobody;
        };
        let load = sole.and_then(|sole| journal.loads.get(sole));
        let place = load
            .as_ref()
            .and_then(|load| load.charge(start, Some(ticket), statements_max));
        match (load, place) {
            (Some(load), Some(place)) => Self::Sole(load, place, ticket),
            _ => Self::Overlap(ticket),
        }
    }
}

impl StatementRecord {
    /// As it is when it begins, with nothing known of its request.
    pub(crate) fn begun(start: &StatementStart<'_>) -> Self {
        Self {
            shape: Arc::clone(start.shape),
            connection: start.connection,
            attribution: Attribution::Tagged,
            offset: Duration::ZERO,
            queued: start.queued,
            duration: None,
            ending: StatementEnding::Unfinished,
            rows: 0,
            parameters: start.parameters,
        }
    }

    /// `None`: lost.
    pub(crate) fn end(&mut self, end: Option<(StatementEnd, Duration)>) {
        let Some((end, duration)) = end else {
            self.ending = StatementEnding::Lost;
            return;
        };
        self.duration = Some(duration);
        self.rows = end.rows;
        self.ending = match end.sqlstate {
            Some(sqlstate) => StatementEnding::Failed(sqlstate),
            None => StatementEnding::Done,
        };
    }
}
