//! What fails because a statement was planned for a table that is no more, or was dropped behind our back, is sent again: the
//! statement is prepared anew then. Only outside of a transaction, when nothing of the batch has been answered yet.

use paceline_pgwire::{ErrorFields, Piece, SqlState};

use super::Session;
use super::expect::{Asked, Fate};
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
    /// Its messages are being kept.
    Open,
    /// It is there up to its Sync.
    Whole,
    /// It is being sent again, and not kept this time.
    Again,
}

impl Session {
    /// Whether a message of the client's begins a batch that is worth being kept: one that executes what is prepared.
    pub(super) fn begins_batch(&self, piece: &Piece<'_>) -> bool {
        let is_bind = matches!(piece, Piece::Message(message) if message.tag() == b'B');
        is_bind
            && self.batch_state != BatchState::Again
            && self
                .server
                .as_ref()
                .is_none_or(|server| !server.is_unsynced && server.expect.batches_due() == 0)
    }

    /// Keeps a message that was dealt with.
    pub(super) fn record(&mut self, begins: bool, frame: &[u8]) {
        let is_end = frame.first() == Some(&b'S');
        match self.batch_state {
            BatchState::Again if is_end => self.batch_state = BatchState::Off,
            BatchState::Again => {}
            _ if begins && frame.len() <= BATCH_BYTES_MAX => {
                self.batch.borrow(&self.worker.spares);
                self.batch.clear();
                self.batch.put(frame);
                self.batch_state = BatchState::Open;
            }
            BatchState::Open => {
                let tag = frame.first().copied().unwrap_or_default();
                let fits = self.batch.len() + frame.len() <= BATCH_BYTES_MAX;
                if fits && b"BDEPCS".contains(&tag) {
                    self.batch.put(frame);
                    if is_end {
                        self.batch_state = BatchState::Whole;
                    }
                } else {
                    self.batch_state = BatchState::Off;
                }
            }
            // More has been sent behind it.
            BatchState::Whole => self.batch_state = BatchState::Off,
            BatchState::Off => {}
        }
        if self.batch_state == BatchState::Off {
            self.batch.clear();
        }
    }

    /// The client has got an answer: what was answered is not sent again.
    pub(super) fn is_being_answered(&mut self, tag: u8) {
        if !matches!(tag, b'N' | b'A' | b'S') && self.batch_state != BatchState::Again {
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
        is_curable
            && self.batch_state == BatchState::Whole
            && server.status == Status::Idle
            && server.expect.batches_due() == 1
            && server.expect.head().is_some_and(|head| {
                head.asked == Asked::Bind
                    && matches!(head.note.undo, super::account::Undo::Bound(_))
            })
            && self.client.reader.missing() == 0
    }

    /// The batch has failed and is forgotten but for its Sync: back to the client's messages with it.
    pub(super) fn retry(&mut self) {
        let Some(sync) = self.server.as_mut().and_then(|server| server.expect.head()) else {
            return;
        };
        debug_assert_eq!(sync.asked, Asked::Sync, "it was sent, and is the last");
        sync.fate = Fate::SwallowAll;
        if let Some(server) = &mut self.server {
            server.expect.recount();
        }
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
