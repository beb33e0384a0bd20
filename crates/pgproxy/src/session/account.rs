//! Stage 7: what the journal is told, and what is remembered with each answer that is due.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{Execution, StatementEnd, StatementStart, TraceParent};
use paceline_pgwire::SqlState;
use paceline_sql::Statement;

use super::Session;
use super::expect::Remembered;
use crate::client::{Prepared, StatementId};
use crate::error::Refusal;
use crate::server::ServerName;

/// So much of the parameters is hashed; it is enough to tell most of them apart, and bounded.
const HASHED_BYTES_MAX: usize = 64 * 1024;

/// What is remembered with an answer that is due.
#[derive(Default)]
pub(crate) struct Note {
    pub(super) undo: Undo,
    pub(super) execution: Option<Execution>,
    pub(super) rows: u64,
    pub(super) sqlstate: Option<SqlState>,
    pub(super) purpose: Purpose,
    /// The error that replaces the server's.
    pub(super) refusal: Option<Box<Refusal>>,
}

/// What to do when the message fails or is skipped.
#[derive(Default)]
pub(super) enum Undo {
    #[default]
    Nothing,
    /// The server has no unnamed statement, unless this is not the last one that it was sent.
    ServerUnnamed(u64),
    /// The client has no unnamed statement, nor has the server, unless this is not the last one that it was sent.
    Unnamed(u64),
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
    /// The client still has its unnamed statement.
    UnnamedClosed(Arc<Prepared>),
}

/// For whom a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Purpose {
    #[default]
    Client,
    /// To bring the settings in line.
    SetUp,
    /// To make the session as new.
    Reset,
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

    /// The execution has ended.
    pub(super) fn finish(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(execution) = self.execution.take() {
            let sqlstate = self.sqlstate.map(|SqlState(code)| code);
            execution.finish(
                StatementEnd {
                    rows: self.rows,
                    sqlstate,
                },
                now(),
            );
        }
    }
}

impl Session {
    /// An execution begins: its message is about to be written.
    pub(super) fn begin(
        &mut self,
        statement: &Statement,
        parameters: u64,
        trace: Option<TraceParent>,
    ) -> Execution {
        let queued = std::mem::replace(&mut self.queued, Duration::ZERO);
        self.worker.proxy.journal.begin(StatementStart {
            connection: self.client.id(),
            shape: &statement.shape,
            trace,
            parameters: statement.literals ^ parameters,
            queued,
            now: Instant::now(),
        })
    }
}

/// A hash of a Bind's parameters, equal for equal ones.
pub(crate) fn hash_parameters(rest: &[u8], missing: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&rest[..rest.len().min(HASHED_BYTES_MAX)]);
    hasher.write_u32(missing);
    hasher.finish()
}
