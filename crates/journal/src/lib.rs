//! The join: which request caused which statement, in bounded memory.
//!
//! The gateway opens a [`Load`] for each request that it sends upstream; the Postgres half begins an
//! [`Execution`] for each statement. The [`Journal`] brings the two together and keeps what can be
//! learnt from them: per route, per query shape, per pair of both, and request by request.
//!
//! # Who is charged
//!
//! An execution that bears the trace id of an open load is *tagged*: it is charged to that load,
//! exactly. Every other execution is *untagged*, also one whose trace id is unknown or belongs to a
//! load that has closed. Untagged executions are charged by the loads open while they run:
//!
//! - Begun while no load is open, an execution is nobody's, even if a load opens before it ends:
//!   what arrives later cannot have caused it.
//! - Begun otherwise, its time is shared, moment by moment, equally among the loads that are open at
//!   that moment; as one execution it is shared equally among the loads open when it begins.
//! - It counts as *exact* only if one load, and no other, was open during its whole run. The moment a
//!   second load opens, it is an overlap, and stays one.
//!
//! Sharing is *statistical*: right in the sum over many requests, not for each of them. Routes show
//! what part of their database time is exact, and only exact executions count for [`Repetition`]s,
//! since overlapping requests would otherwise look like one that repeats itself.
//!
//! A load is charged when an execution begins, before its first result byte leaves, and the charge is
//! completed when it finishes. A load that finishes first is charged with the time up to then; what
//! comes later counts for the shape only. Dropping an [`Execution`] says that it was *lost*, dropping
//! a [`Load`] that the request was *aborted*.
//!
//! # Answers
//!
//! An [`Answer`] says what the gateway has seen of head and body: figures and hashes, never values. Per route they are summed
//! ([`Answers`]), and the requests of some of its keys (path and query) are played to caches that keep nothing but times, which
//! says how often a cache would have had the answer, and how often an old one ([`Reuse`]).
//!
//! # Bounds
//!
//! Routes, shapes, pairs, open loads, followed keys, recent requests and their statements each have a limit in
//! [`Config`], and [`Totals`] count what did not fit. Routes and shapes that find no slot count as
//! `other`. So that random paths or texts cannot hold the slots, a new key is on *probation* until it
//! was seen three times: when all slots are taken, the oldest on probation gives way to a newcomer,
//! and its numbers move to `other`. One that is established keeps its slot until it is idle for a
//! quarter of an hour. In addition, a route is admitted only by an answer other than 404 and 405,
//! and configured routes take precedence over inferred ones.
//!
//! # Time
//!
//! The journal has no clock. Each call hands in its moment; [`Anchor`] relates the monotonic clock to
//! the wall clock, for display only.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, Instant};
//! use paceline_journal::{
//!     Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart,
//! };
//! use paceline_sql::{Limits, Statements, Values};
//!
//! let journal = Journal::new(Config::default());
//! let shape = Statements::new(Limits::default()).learn("SELECT * FROM jobs").shape;
//! let now = Instant::now();
//!
//! let load = journal.open_load(LoadStart { method: "GET", path: "/jobs/7", caller: None, now });
//! let execution = journal.begin(StatementStart {
//!     connection: ConnectionId(1),
//!     shape: &shape,
//!     trace: Some(load.traceparent()),
//!     parameters: 0,
//!     values: Values::default(),
//!     queued: Duration::ZERO,
//!     now,
//! });
//! let (id, later) = (load.request_id(), now + Duration::from_millis(3));
//! execution.finish(StatementEnd { rows: 20, sqlstate: None }, later);
//! load.finish(Outcome { status: Some(200), ..Outcome::default() }, later);
//!
//! let request = journal.request(&id).expect("a recent request");
//! assert_eq!(&*request.summary.route, "GET /jobs/{id}");
//! assert_eq!(request.statements[0].rows, 20);
//! ```
#![warn(missing_docs)]

mod answer;
mod attribution;
mod config;
mod execution;
mod follow;
mod journal;
mod latencies;
mod load;
mod recent;
mod route;
mod shape;
mod slots;
mod tally;
mod totals;
mod trace;
mod values;

pub use answer::{
    Answer, Answers, Ask, Bodies, Content, Keeping, PLAIN_BYTES_MIN, Pairs, Reuse, TTLS, TtlReuse,
};
pub use config::{Anchor, Config};
pub use execution::{ConnectionId, Execution, Payer, StatementEnd, StatementStart};
pub use journal::Journal;
pub use latencies::Latencies;
pub use load::{Load, LoadError, LoadStart, Outcome};
pub use recent::{Attribution, RequestRecord, RequestSummary, StatementEnding, StatementRecord};
pub use route::{RouteSnapshot, RouteTemplate};
pub use shape::ShapeSnapshot;
pub use tally::{Before, Repetition, Run};
pub use totals::Totals;
pub use trace::{RequestId, SpanId, TraceFlags, TraceId, TraceParent};
pub use values::ValueCounts;

/// What the journal refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A route template that does not say which paths it stands for.
    #[error("The route template {template:?} is not valid: {reason}.")]
    Template {
        /// As given.
        template: String,
        /// Half a sentence.
        reason: &'static str,
    },
    /// Not 32 lower-case hexadecimal digits.
    #[error("A request id has 32 lower-case hexadecimal digits.")]
    RequestId,
}

/// Locks, also after a panic elsewhere: all that is guarded here are numbers, which stay usable.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
