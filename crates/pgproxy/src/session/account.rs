//! Stage 7: what the journal is told, and what is remembered with each answer that is due.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    ConnectionId, Execution, Journal, Payer, StatementEnd, StatementStart, TraceParent,
};
use paceline_pgwire::SqlState;
use paceline_sql::{Shape, Statement};

use super::Session;
use super::expect::{Expect, Remembered};
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
    pub(super) run: Run,
    /// The error that came.
    pub(super) sqlstate: Option<SqlState>,
    pub(super) purpose: Purpose,
    /// The error that replaces the server's.
    pub(super) refusal: Option<Box<Refusal>>,
    /// What it does to the session.
    pub(super) act: Option<Box<Act>>,
}

/// An execution from its sending to its end. Of several that are sent ahead the server runs one after the other: each begins when it
/// is the oldest without an answer, and none bears the time of those before it.
#[derive(Default)]
pub(crate) struct Run {
    state: RunState,
    pub(crate) rows: u64,
}

#[derive(Default)]
enum RunState {
    /// Nothing is executed, or nothing that is accounted, or it has ended.
    #[default]
    None,
    Due(Due),
    Runs {
        execution: Execution,
        due: Due,
        began: Instant,
    },
}

/// What has to be known when it begins.
pub(crate) struct Due {
    pub(crate) statement: Statement,
    /// A hash of the parameters.
    pub(crate) parameters: u64,
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

impl From<Due> for Run {
    fn from(due: Due) -> Self {
        Self {
            state: RunState::Due(due),
            rows: 0,
        }
    }
}

impl Run {
    fn begin(&mut self, journal: &Arc<Journal>, connection: ConnectionId) {
        match std::mem::take(&mut self.state) {
            RunState::Due(due) => {
                let began = Instant::now();
                let execution = journal.begin(StatementStart {
                    connection,
                    shape: &due.statement.shape,
                    trace: due.trace,
                    parameters: due.statement.literals ^ due.parameters,
                    queued: due.queued,
                    now: began,
                });
                self.state = RunState::Runs {
                    execution,
                    due,
                    began,
                };
            }
            other => self.state = other,
        }
    }

    /// What is executed.
    pub(super) fn shape(&self) -> Option<&Shape> {
        match &self.state {
            RunState::None => None,
            RunState::Due(due) | RunState::Runs { due, .. } => Some(&due.statement.shape),
        }
    }

    /// Its answer is complete, or will never come because of an error. What has not begun never ran.
    pub(crate) fn finish(&mut self, sqlstate: Option<SqlState>) -> Option<Ran> {
        let RunState::Runs {
            execution,
            due,
            began,
        } = std::mem::take(&mut self.state)
        else {
            return None;
        };
        let (rows, now) = (self.rows, Instant::now());
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
}

/// Begins the oldest execution that is due, unless one runs.
pub(crate) fn begin_next<N: Remembered + AsMut<Run>>(
    expect: &mut Expect<N>,
    journal: &Arc<Journal>,
    connection: ConnectionId,
) {
    let runs = expect.iter_mut().map(|entry| entry.note.as_mut());
    if let Some(oldest) = runs
        .into_iter()
        .find(|run| !matches!(run.state, RunState::None))
    {
        oldest.begin(journal, connection);
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

impl AsMut<Run> for Note {
    fn as_mut(&mut self) -> &mut Run {
        &mut self.run
    }
}

impl Session {
    /// What a statement's execution is told with. The first one of a transaction bears the wait for the connection.
    pub(super) fn due(
        &mut self,
        statement: &Statement,
        parameters: u64,
        trace: Option<TraceParent>,
        shown: Option<Box<ShownParameters>>,
    ) -> Run {
        let statement = statement.clone();
        let queued = match &mut self.server {
            Some(server) => std::mem::take(&mut server.queued),
            None => Duration::ZERO,
        };
        Run::from(Due {
            statement,
            parameters,
            trace,
            queued,
            shown,
        })
    }

    /// An execution was sent, or one has ended.
    pub(super) fn begin_next(&mut self) {
        let (journal, connection) = (&self.worker.proxy.journal, self.client.id());
        if let Some(server) = &mut self.server {
            begin_next(&mut server.expect, journal, connection);
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
