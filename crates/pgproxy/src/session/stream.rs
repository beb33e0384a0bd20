//! Stage 6: the server's answers, passed back as they come.

use paceline_pgwire::backend::{
    CommandComplete, ParameterStatus, ReadyForQuery, TransactionStatus,
};
use paceline_pgwire::{ErrorFields, Piece, Severity, SqlState, TagSet, Wire};

use super::account::{Purpose, Undo, UndoClient};
use super::expect::{Asked, Entry, Fate, Step};
use super::retry::BatchState;
use super::{BodyTo, Copy, Session};
use crate::buffer::Inbox;
use crate::client::ClientStatements;
use crate::error::Refusal;
use crate::server::{ServerConnection, Status};

/// All but rows and CopyData: what has to be looked at.
const LOOKED_AT: TagSet = TagSet::of(b"123ACEGHIKNRSTVWZcnstv");

/// The server connection is of no use any more.
pub(super) struct Lost {
    /// What the server said before it went, or why we gave it up.
    pub(super) words: Option<String>,
    /// The connection was as it should be, but not for this client.
    pub(super) misfit: Option<Misfit>,
}

/// The connection could not be brought in line with the client's settings; nothing of the client's was run on it.
pub(super) struct Misfit {
    pub(super) refusal: Refusal,
    /// Another connection may do.
    pub(super) is_of_others: bool,
}

impl Session {
    /// Passes on what has come, as long as the client takes it.
    pub(super) fn stream(&mut self) -> Result<(), Lost> {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        // Taken out, so that messages can be borrowed from it while the session changes.
        let mut inbox = std::mem::take(&mut server.inbox);
        let result = self.stream_from(&mut inbox);
        if let Some(server) = &mut self.server {
            server.inbox = inbox;
        }
        result
    }

    fn stream_from(&mut self, inbox: &mut Inbox) -> Result<(), Lost> {
        loop {
            self.is_paused = self.client.outbox.is_backed_up();
            let Some(server) = self.server.as_mut().filter(|_| !self.is_paused) else {
                return Ok(());
            };
            let limits = &self.worker.proxy.server_limits;
            let (passed, found) = if passes_rows(server, self.answer_to) {
                let scanned = server.reader.scan(limits, inbox.bytes(), &LOOKED_AT);
                let scanned = scanned.map_err(|error| lost(&error))?;
                self.client.outbox.put(&inbox.bytes()[..scanned.passed]);
                // A row that goes on in the next buffer goes where this part of it went.
                self.answer_to = BodyTo::Peer;
                (scanned.passed, scanned.found)
            } else {
                let next = server.reader.next(limits, inbox.bytes());
                (0, next.map_err(|error| lost(&error))?)
            };
            let Some(piece) = found else {
                inbox.consume(passed);
                return Ok(());
            };
            let len = passed + piece.len();
            self.answer(piece)?;
            inbox.consume(len);
            self.deliver_local();
        }
    }

    fn answer(&mut self, piece: Piece<'_>) -> Result<(), Lost> {
        let (tag, bytes) = (piece.tag(), piece.bytes());
        let body = match piece {
            Piece::Part(part) if !part.is_first => {
                if self.answer_to == BodyTo::Peer {
                    self.client.outbox.put(bytes);
                }
                return Ok(());
            }
            Piece::Part(part) => part.body(),
            Piece::Message(message) => message.body(),
        };
        let mut retries = false;
        let (is_forwarded, step) = match tag {
            // A statement of our own may say again what one of the client's has said.
            b'N' => (!self.is_swallowed(), None),
            // They come between transactions, when it is our turn, too.
            b'A' => (self.passes_on(body), None),
            b'S' => (self.report(body)?, None),
            b'E' => {
                let fields = ErrorFields::prefix(body);
                if let Some(sqlstate) = fields.sqlstate() {
                    self.client.target.heed(sqlstate);
                    if !self.is_internal() {
                        self.client.target.tally.errors.count(sqlstate);
                    }
                }
                last_words(&fields)?;
                if self.is_of_set_up() {
                    return Err(Lost {
                        words: None,
                        misfit: Some(self.misfit(&fields)),
                    });
                }
                let step = self.step(tag)?;
                retries = step.fails && self.may_retry(&fields);
                (self.error(&fields, &step) && !retries, Some(step))
            }
            _ => {
                let step = self.step(tag)?;
                (self.expected(tag, body, &step)?, Some(step))
            }
        };
        // Whatever comes instead is the end of what was sent again.
        let is_known = matches!(tag, b't' | b'E') && self.knows_parameters();
        let is_forwarded = is_forwarded && !(is_known && tag == b't');
        self.answer_to = if is_forwarded {
            BodyTo::Peer
        } else {
            BodyTo::Nowhere
        };
        if is_forwarded {
            self.client.outbox.put(bytes);
            self.is_being_answered(tag);
        }
        // What follows comes after the message was passed on, and before anything is sent.
        match step {
            Some(Step { fails: true, .. }) => {
                self.fail();
                if retries {
                    self.retry();
                }
            }
            Some(Step { ends: true, .. }) => self.finish(),
            _ => {}
        }
        Ok(())
    }

    /// Whether nobody gets the answer that is due.
    fn is_swallowed(&mut self) -> bool {
        let head = self.server.as_mut().and_then(|server| server.expect.head());
        head.is_some_and(|entry| matches!(entry.fate, Fate::Swallow | Fate::SwallowAll))
    }

    /// Whether the answer that is due is one to what brings the settings in line.
    fn is_of_set_up(&mut self) -> bool {
        let head = self.server.as_mut().and_then(|server| server.expect.head());
        head.is_some_and(|entry| matches!(entry.note.purpose, Purpose::SettingUp | Purpose::SetUp))
    }

    /// Whether the answer that is due is one to a statement of our own that does not concern the client.
    fn is_internal(&mut self) -> bool {
        let head = self.server.as_mut().and_then(|server| server.expect.head());
        head.is_some_and(|entry| {
            entry.fate == Fate::SwallowAll && entry.note.purpose != Purpose::Client
        })
    }

    fn report(&mut self, body: &[u8]) -> Result<bool, Lost> {
        let ParameterStatus { name, value } = ParameterStatus::parse(body).map_err(|e| lost(&e))?;
        let is_internal = self.is_internal();
        if let Some(server) = &mut self.server {
            let is_news = server.report(name, value) && !is_internal;
            self.has_reports |= is_news;
            server.reads_otherwise |= is_news && name != b"application_name";
        }
        Ok(!is_internal)
    }

    fn step(&self, tag: u8) -> Result<Step, Lost> {
        let step = self
            .server
            .as_ref()
            .and_then(|server| server.expect.receive(tag).ok());
        step.ok_or_else(|| {
            let refusal = Refusal::server_out_of_step(tag);
            tracing::warn!(error = refusal.message, "Closing a server connection.");
            Lost {
                words: Some(refusal.message.clone()),
                misfit: None,
            }
        })
    }

    /// A message that answers the head of the queue. Says whether the client gets it.
    fn expected(&mut self, tag: u8, body: &[u8], step: &Step) -> Result<bool, Lost> {
        if tag == b'D' && self.channel_row(body) {
            return Ok(false);
        }
        let Some(server) = &mut self.server else {
            return Ok(false);
        };
        match tag {
            b'Z' => {
                let ready = ReadyForQuery::parse(body).map_err(|error| lost(&error))?;
                server.status = match ready.0 {
                    TransactionStatus::Idle => Status::Idle,
                    TransactionStatus::InTransaction => Status::InTransaction,
                    TransactionStatus::Failed => Status::Failed,
                };
            }
            b'C' => {
                let complete = CommandComplete::parse(body).map_err(|error| lost(&error))?;
                let rows = complete.rows().unwrap_or(0);
                if server.expect.head().is_some_and(|head| head.note.has_run) {
                    server.runs.count_rows(rows);
                }
                if complete.tag == b"ROLLBACK" && self.client.subscriptions.is_some() {
                    self.listening.roll_back();
                }
                heed_command(server, &mut self.client.statements, complete.tag, step.fate);
            }
            b'D' if self.is_surveying && step.fate == Fate::SwallowAll => self.survey_row(body),
            b'G' | b'H' => {
                self.copy = if tag == b'G' { Copy::In } else { Copy::Out };
                // What is held behind was sent last.
                self.is_held &= server.expect.len() > 1;
            }
            _ => {}
        }
        Ok(matches!(step.fate, Fate::Forward | Fate::Replace))
    }

    /// An error. Says whether the client gets it as it is.
    fn error(&mut self, fields: &ErrorFields<'_>, step: &Step) -> bool {
        let Some(server) = &mut self.server else {
            return false;
        };
        let sqlstate = fields.sqlstate().unwrap_or(SqlState::INTERNAL_ERROR);
        let mut replacement = None;
        if let Some(head) = server.expect.head() {
            head.note.sqlstate = Some(sqlstate);
            replacement = head.note.refusal.take();
            if step.fate == Fate::SwallowAll && head.note.purpose != Purpose::Client {
                let words = String::from_utf8_lossy(fields.message().unwrap_or_default());
                self.rare().internal_error = Some((sqlstate, words.into_owned()));
            }
        }
        if let Some(refusal) = &replacement {
            refusal.write(self.client.outbox.buf());
        }
        match step.fate {
            Fate::Forward | Fate::Swallow => true,
            Fate::SwallowAll => false,
            Fate::Replace => replacement.is_none(),
        }
    }

    fn finish(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        let Some(Entry {
            asked,
            fate,
            mut note,
        }) = server.expect.finish()
        else {
            return;
        };
        if note.has_run
            && let Some(ran) = server.runs.end_oldest(note.sqlstate)
        {
            let tally = self.client.target.tally.of(self.worker.index);
            tally.count_query(ran.took);
            let slow_log = &self.worker.proxy.slow_log;
            if slow_log.is_slow(ran.took) {
                let client = self.client.stream.peer_addr().ok();
                slow_log.note(ran, &self.client.target, client);
            }
        }
        // A query drops the unnamed statement whether it fails or not.
        let stays = matches!(note.undo, Undo::Unnamed { .. });
        if note.sqlstate.is_some() && asked == Asked::Query && !stays {
            let undoing = std::mem::take(&mut note.undo);
            undo(undoing, server, &mut self.client.statements);
        }
        match asked {
            Asked::Execute | Asked::Query | Asked::FunctionCall => self.copy = Copy::No,
            _ => {}
        }
        self.is_held &= !server.expect.is_empty();
        let is_end = matches!(asked, Asked::Query | Asked::FunctionCall | Asked::Sync);
        self.answered = self.answered.wrapping_add(u32::from(is_end));
        if is_end && server.status == Status::Idle && fate != Fate::SwallowAll {
            self.client.seat.count_transaction();
            let tally = self.client.target.tally.of(self.worker.index);
            tally.transactions.add(1);
            tally.add_uses(std::mem::take(&mut server.uses));
            server.listed.has_prepared(server.prepared.len());
        }
        if matches!(asked, Asked::Query | Asked::Execute) {
            self.begin_next();
        }
        if let Some(act) = note.act.take() {
            let has_failed = note.sqlstate.is_some();
            if !has_failed || act.may_half_succeed() {
                self.acted(&act, asked, has_failed);
            }
            if has_failed {
                self.reset_in_vain(&act);
            }
        }
        match note.purpose {
            Purpose::Client | Purpose::SettingUp | Purpose::Resetting => {}
            Purpose::Survey => self.surveyed(),
            Purpose::Channels => self.channels_known(),
            Purpose::Mark => self.marked(),
            Purpose::Unlisten => self.unlistened(),
            Purpose::SetUp => self.set_up_done(),
            Purpose::Reset => self.reset_done(),
        }
    }

    /// The head has failed, and with it all up to the next Sync.
    fn fail(&mut self) {
        self.copy = Copy::No;
        let Some(server) = &mut self.server else {
            return;
        };
        // The entries leave the queue while what they stand for is undone.
        let mut undone = self.worker.undone.take();
        undone.extend(server.expect.fail());
        self.is_held &= !server.expect.is_empty();
        // The last one is the one that failed; the others were never looked at.
        let act = undone.last_mut().and_then(|entry| entry.note.act.take());
        let failed = undone.last().and_then(|entry| entry.note.sqlstate);
        let bound = undone.last().and_then(|entry| match entry.note.undo {
            Undo::Bound(id) => Some(id),
            _ => None,
        });
        for mut entry in undone.drain(..) {
            // An execution whose Bind has failed has begun already, and fails with it.
            if entry.note.has_run {
                server.runs.end_oldest(failed);
            }
            if entry.note.sqlstate.is_some()
                && let Undo::Unnamed { before, .. } = &mut entry.note.undo
            {
                // A Parse that fails has forgotten the unnamed statement; one that was skipped has not.
                *before = None;
            }
            undo(entry.note.undo, server, &mut self.client.statements);
        }
        // "cached plan must not change result type", or a function has deallocated it: the next one to come prepares it again.
        if let (
            Some(id),
            Some(SqlState::FEATURE_NOT_SUPPORTED | SqlState::INVALID_SQL_STATEMENT_NAME),
        ) = (bound, failed)
        {
            server.prepared.condemn(id);
        }
        self.worker.undone.replace(undone);
        if let Some(act) = act.filter(|act| act.may_half_succeed()) {
            self.acted(&act, Asked::Execute, true);
        }
        self.begin_next();
    }

    /// Passes on the local answers whose turn has come.
    pub(super) fn deliver_local(&mut self) {
        if let Some(server) = &mut self.server {
            while let Some(answer) = server.expect.take_local() {
                self.batch_state = BatchState::Off;
                self.client.outbox.put(answer);
            }
        }
    }
}

/// Whether rows may pass without being looked at.
fn passes_rows(server: &mut ServerConnection, answer_to: BodyTo) -> bool {
    if server.reader.missing() > 0 && answer_to == BodyTo::Nowhere {
        return false;
    }
    server.expect.head().is_some_and(|head| {
        matches!(head.asked, Asked::Query | Asked::Execute) && head.fate == Fate::Forward
    })
}

/// Commands that change what is prepared.
fn heed_command(
    server: &mut ServerConnection,
    statements: &mut ClientStatements,
    command: &[u8],
    fate: Fate,
) {
    match command {
        b"DISCARD ALL" => {
            server.forget_session();
            if fate != Fate::SwallowAll {
                statements.clear();
            }
        }
        b"DEALLOCATE ALL" => {
            server.prepared.forget_all();
            statements.clear();
        }
        _ => {}
    }
}

/// Takes back what was taken for granted when a message was sent.
pub(super) fn undo(undo: Undo, server: &mut ServerConnection, statements: &mut ClientStatements) {
    match undo {
        Undo::Nothing | Undo::Bound(_) => {}
        Undo::ServerUnnamed(number) if number == server.unnamed_changes => {
            server.unnamed = None;
            // The one before it may have to be undone as well.
            server.unnamed_changes -= 1;
        }
        Undo::ServerUnnamed(_) => {}
        Undo::Unnamed { number, before } if number == server.unnamed_changes => {
            server.unnamed = None;
            statements.unnamed = before;
            server.unnamed_changes -= 1;
        }
        Undo::Unnamed { before, .. } => {
            let mut behind = server.expect.iter_mut().map(|entry| &mut entry.note.undo);
            let next = behind.find_map(|undo| match undo {
                Undo::Unnamed { before, .. } => Some(before),
                _ => None,
            });
            if let Some(next) = next {
                *next = before;
            }
        }
        Undo::ServerPrepared(id) => server.prepared.remove(id),
        Undo::ServerClosed(id, name) => server.prepared.restore(id, name),
        Undo::Client(undo) => match *undo {
            UndoClient::Parsed { name, server: id } => {
                statements.remove(&name);
                if let Some(id) = id {
                    server.prepared.remove(id);
                }
            }
            UndoClient::Closed { name, prepared } => statements.insert(&name, prepared),
        },
    }
}

/// A server that says that it ends the session has said its last word.
fn last_words(fields: &ErrorFields<'_>) -> Result<(), Lost> {
    if fields
        .severity()
        .is_none_or(|severity| severity < Severity::Fatal)
    {
        return Ok(());
    }
    let sqlstate = fields.sqlstate().unwrap_or(SqlState::CONNECTION_FAILURE);
    let message = String::from_utf8_lossy(fields.message().unwrap_or_default());
    Err(Lost {
        words: Some(format!("{message} ({sqlstate})")),
        misfit: None,
    })
}

fn lost(error: &paceline_pgwire::Error) -> Lost {
    tracing::warn!(%error, "Closing a server connection.");
    Lost {
        words: Some(error.to_string()),
        misfit: None,
    }
}
