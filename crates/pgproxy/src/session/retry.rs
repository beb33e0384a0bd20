//! What fails because a statement was planned for a table that is no more, or was dropped behind our back, is sent again: the
//! statement is prepared anew then. Only outside of a transaction, when nothing of the batch has been answered yet.

use std::collections::VecDeque;

use paceline_pgwire::frontend::SYNC;
use paceline_pgwire::{ErrorFields, Piece, SqlState};

use super::Session;
use super::account::Note;
use super::expect::{Asked, Entry, Fate};
use crate::server::Status;

/// Larger batches are not kept.
const BATCH_BYTES_MAX: usize = 16 * 1024;
/// Where Postgres notices that a plan gives other columns than before. Other errors have the same SQLSTATE.
const REVALIDATES: &[u8] = b"RevalidateCachedQuery";

/// What is known about the batch that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchState {
    /// None is.
    Off,
    /// The next one is to be kept: it is sent behind what brings the settings in line.
    Awaited,
    /// Its messages are being kept.
    Open,
    /// It is there up to its Sync.
    Whole,
    /// It is being sent again, and not kept this time.
    Again,
}

impl Session {
    /// Whether a message of the client's begins a batch that is worth being kept: one that executes or describes what is prepared.
    pub(super) fn begins_batch(&self, piece: &Piece<'_>) -> bool {
        let Piece::Message(message) = piece else {
            return false;
        };
        match self.batch_state {
            BatchState::Again => false,
            BatchState::Awaited => true,
            _ if self.is_setting_up || !matches!(message.tag(), b'B' | b'D') => false,
            _ => self
                .server
                .as_ref()
                .is_none_or(|server| !server.is_unsynced && server.expect.batches_due() == 0),
        }
    }

    /// Keeps a message that was dealt with.
    pub(super) fn record(&mut self, begins: bool, frame: &[u8]) {
        let is_end = matches!(frame.first(), Some(b'S' | b'Q' | b'F'));
        match self.batch_state {
            BatchState::Again if is_end => self.batch_state = BatchState::Off,
            BatchState::Again => {}
            _ if begins && frame.len() <= BATCH_BYTES_MAX => {
                self.batch.borrow(&self.worker.spares);
                self.batch.clear();
                self.batch.put(frame);
                self.batch_state = if is_end {
                    BatchState::Whole
                } else {
                    BatchState::Open
                };
            }
            BatchState::Open => {
                let tag = frame.first().copied().unwrap_or_default();
                let fits = self.batch.len() + frame.len() <= BATCH_BYTES_MAX;
                if fits && b"BDEPCHS".contains(&tag) {
                    self.batch.put(frame);
                    if is_end {
                        self.batch_state = BatchState::Whole;
                    }
                } else {
                    self.batch_state = BatchState::Off;
                }
            }
            // More has been sent behind it.
            BatchState::Whole | BatchState::Awaited => self.batch_state = BatchState::Off,
            BatchState::Off => {}
        }
        if self.batch_state == BatchState::Off {
            self.batch.clear();
        }
    }

    /// The client has got an answer: what was answered is not sent again.
    pub(super) fn is_being_answered(&mut self, tag: u8) {
        // Parameters say nothing about rows.
        if !matches!(tag, b'N' | b'A' | b'S' | b't') && self.batch_state != BatchState::Again {
            self.batch_state = BatchState::Off;
            self.batch.clear();
        }
    }

    /// Whether the batch that has just failed can be sent again.
    pub(super) fn may_retry(&mut self, error: &ErrorFields<'_>) -> bool {
        let Some(server) = &mut self.server else {
            return false;
        };
        let is_curable = match error.sqlstate() {
            // A client that asks for no description here reads the rows by one that it was given before.
            Some(SqlState::FEATURE_NOT_SUPPORTED) => {
                error.get(b'R') == Some(REVALIDATES) && has_describe(self.batch.buf())
            }
            Some(SqlState::INVALID_SQL_STATEMENT_NAME) => true,
            _ => false,
        };
        // The client may not have sent its Sync yet.
        let batches = match self.batch_state {
            BatchState::Open => 0,
            BatchState::Whole => 1,
            _ => return false,
        };
        is_curable
            && server.status == Status::Idle
            && server.expect.batches_due() == batches
            && server.expect.head().is_some_and(|head| {
                matches!(head.asked, Asked::Bind | Asked::DescribeStatement)
                    && matches!(head.note.undo, super::account::Undo::Bound(_))
            })
            && self.client.reader.missing() == 0
    }

    /// The batch has failed and is forgotten but for its Sync, if that was sent: back to the client's messages with it.
    pub(super) fn retry(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        match server.expect.head() {
            Some(sync) => {
                debug_assert_eq!(sync.asked, Asked::Sync, "it was sent, and is the last");
                sync.fate = Fate::SwallowAll;
                server.expect.recount();
            }
            None => {
                server.outbox.put(SYNC);
                server.is_unsynced = false;
                let note = Note::default();
                server.expect.push(Asked::Sync, Fate::SwallowAll, note);
            }
        }
        // That came before the error.
        self.rare().knows_parameters = self.batch.buf().first() == Some(&b'D');
        self.put_back();
    }

    /// Whether the client has been told the parameters of the statement that it asks for.
    pub(super) fn knows_parameters(&mut self) -> bool {
        let rare = self.rare.as_mut();
        rare.is_some_and(|rare| std::mem::take(&mut rare.knows_parameters))
    }

    /// What the client has sent behind that which could not bring its settings in line goes back to its messages. Says whether all of
    /// it was kept, if there is any.
    pub(super) fn take_back(&mut self, due: &VecDeque<Entry<Note>>) -> bool {
        let has_sent = due.iter().any(|entry| entry.fate != Fate::SwallowAll);
        let is_kept = matches!(self.batch_state, BatchState::Open | BatchState::Whole);
        if has_sent && is_kept && self.client.reader.missing() == 0 {
            self.has_own_unnamed = false;
            self.put_back();
        }
        !has_sent || self.batch_state == BatchState::Again
    }

    fn put_back(&mut self) {
        self.client.inbox.put_back(self.batch.buf());
        self.batch.clear();
        self.batch_state = BatchState::Again;
    }
}

/// Whether these whole messages ask for a description.
fn has_describe(mut batch: &[u8]) -> bool {
    while let [tag, a, b, c, d, ..] = *batch {
        if tag == b'D' {
            return true;
        }
        let len = u32::from_be_bytes([a, b, c, d]) as usize + 1;
        batch = batch.get(len..).unwrap_or_default();
    }
    false
}
