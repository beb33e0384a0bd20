//! Stage 7: what the journal is told, and what is remembered with each answer that is due.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    ConnectionId, Execution, Journal, Payer, StatementEnd, StatementStart, TraceParent,
};
use paceline_pgwire::SqlState;
use paceline_sql::{Shape, Statement, Values};

use super::Session;
use super::expect::Remembered;
use super::state::Act;
use crate::client::{Prepared, StatementId};
use crate::error::Refusal;
use crate::server::ServerName;
use crate::slow_log::ShownParameters;

/// So much of the parameters is hashed; it is enough to tell most of them apart, and bounded.
const HASHED_BYTES_MAX: usize = 64 * 1024;

/// What is remembered with an answer that is due.
#[derive(Default)]
pub(crate) struct Note {
    pub(super) undo: Undo,
    /// It is an execution that is accounted: one of [`Runs`].
    pub(super) has_run: bool,
    /// The error that came.
    pub(super) sqlstate: Option<SqlState>,
    pub(super) purpose: Purpose,
    /// The error that replaces the server's.
    pub(super) refusal: Option<Box<Refusal>>,
    /// What it does to the session.
    pub(super) act: Option<Box<Act>>,
}

/// Executions from their sending to their end, in order, beside the answers that are due: few of these are executions, and the
/// others shall be small. Of several that are sent ahead the server runs one after the other: each begins when it is the
/// oldest without an answer, and none bears the time of those before it.
#[derive(Default)]
pub(crate) struct Runs(VecDeque<Run>);

struct Run {
    due: Due,
    began: Option<(Execution, Instant)>,
    rows: u64,
}

/// What has to be known when it begins.
pub(crate) struct Due {
    pub(crate) statement: Statement,
    /// A hash of the parameters.
    pub(crate) parameters: u64,
    /// What the few of these tell that are looked at.
    pub(crate) values: Values,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) queued: Duration,
    /// The parameters for the slow log, if it shows them.
    pub(crate) shown: Option<Box<ShownParameters>>,
}

/// What has run, and how it went.
pub(crate) struct Ran {
    pub(crate) due: Due,
    pub(crate) took: Duration,
    pub(crate) rows: u64,
    pub(crate) sqlstate: Option<SqlState>,
    /// The request that it was charged to.
    pub(crate) payer: Option<Payer>,
}

impl Runs {
    /// An execution is sent.
    pub(crate) fn push(&mut self, due: Due) {
        self.0.push_back(Run {
            due,
            began: None,
            rows: 0,
        });
    }

    /// Begins the oldest, unless it runs.
    pub(crate) fn begin_next(&mut self, journal: &Arc<Journal>, connection: ConnectionId) {
        let Some(Run { due, began, .. }) = self.0.front_mut() else {
            return;
        };
        if began.is_none() {
            let now = Instant::now();
            let execution = journal.begin(StatementStart {
                connection,
                shape: &due.statement.shape,
                trace: due.trace,
                parameters: due.statement.literals ^ due.parameters,
                values: due.values,
                queued: due.queued,
                now,
            });
            *began = Some((execution, now));
        }
    }

    /// The oldest has brought so many rows more.
    pub(crate) fn count_rows(&mut self, rows: u64) {
        if let Some(run) = self.0.front_mut() {
            run.rows += rows;
        }
    }

    /// The answer of the oldest is complete, or will never come because of an error. What has not begun never ran.
    pub(crate) fn end_oldest(&mut self, sqlstate: Option<SqlState>) -> Option<Ran> {
        let Run { due, began, rows } = self.0.pop_front()?;
        let (execution, began) = began?;
        let now = Instant::now();
        let code = sqlstate.map(|SqlState(code)| code);
        let end = StatementEnd {
            rows,
            sqlstate: code,
        };
        let payer = execution.finish(end, now);
        Some(Ran {
            due,
            took: now.saturating_duration_since(began),
            rows,
            sqlstate,
            payer,
        })
    }

    /// What is executed, or was to be.
    pub(super) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.0.iter().map(|run| &*run.due.statement.shape)
    }

    /// How they went will never be known.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What to do when the message fails or is skipped.
#[derive(Default)]
pub(super) enum Undo {
    #[default]
    Nothing,
    /// The server has no unnamed statement, unless another change came behind this one.
    ServerUnnamed(u64),
    /// The server has no unnamed statement, and the client has the one before; or had it before the change that came behind.
    Unnamed {
        number: u64,
        before: Option<Arc<Prepared>>,
    },
    /// The server has not prepared it.
    ServerPrepared(StatementId),
    /// The server still has it.
    ServerClosed(StatementId, ServerName),
    /// Its plan may be worth nothing any more.
    Bound(StatementId),
    /// What happens rarely, so that the others stay small.
    Client(Box<UndoClient>),
}

/// What to do for a name of the client's.
pub(super) enum UndoClient {
    /// The client does not have it; nor, if given, does the server.
    Parsed {
        name: Box<[u8]>,
        server: Option<StatementId>,
    },
    /// The client still has it.
    Closed {
        name: Box<[u8]>,
        prepared: Arc<Prepared>,
    },
}

/// For whom a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Purpose {
    #[default]
    Client,
    /// To bring the settings in line, in several steps.
    SettingUp,
    /// The last of these.
    SetUp,
    /// To know to what the connection listens.
    Channels,
    /// To tell what it has heard itself from what comes by the connection that listens for all.
    Mark,
    /// To make it listen to nothing more.
    Unlisten,
    /// To make the session as new, in several steps.
    Resetting,
    /// The last of these.
    Reset,
    /// To find out what has become of the session.
    Survey,
}

impl Remembered for Note {
    fn is_open(&self) -> bool {
        !matches!(self.undo, Undo::Nothing | Undo::Bound(_))
    }
}

impl Note {
    pub(super) fn undo(undo: Undo) -> Self {
        Self {
            undo,
            ..Self::default()
        }
    }
}

impl Session {
    /// What a statement's execution is told with. The first one of a transaction bears the wait for the connection.
    pub(super) fn due(
        &mut self,
        statement: &Statement,
        (parameters, values): (u64, Values),
        trace: Option<TraceParent>,
        shown: Option<Box<ShownParameters>>,
    ) -> Due {
        let statement = statement.clone();
        let queued = match &mut self.server {
            Some(server) => std::mem::take(&mut server.queued),
            None => Duration::ZERO,
        };
        Due {
            statement,
            parameters,
            values,
            trace,
            queued,
            shown,
        }
    }

    /// An execution was sent, or one has ended.
    pub(super) fn begin_next(&mut self) {
        let (journal, connection) = (&self.worker.proxy.journal, self.client.id());
        if let Some(server) = &mut self.server {
            server.runs.begin_next(journal, connection);
        }
    }
}

/// A hash of a Bind's parameters, equal for equal ones.
pub(crate) fn hash_parameters(rest: &[u8], missing: u32) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(&rest[..rest.len().min(HASHED_BYTES_MAX)]);
    hasher.write_u32(missing);
    hasher.finish()
}
