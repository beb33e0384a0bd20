//! Stage 5: the client's messages, written for the server under the names that are known there.

use std::sync::Arc;

use paceline_pgwire::backend::{ReadyForQuery, TransactionStatus};
use paceline_pgwire::frontend::{Bind, Execute, FLUSH, Parse, Query, SYNC};
use paceline_pgwire::{Message, Piece, Wire};
use paceline_sql::{Kind, SessionEffect, SessionState, Shape, ShapeId, TransactionControl};

use super::account::{Note, Undo};
use super::expect::{Asked, Fate};
use super::read::Taken;
use super::understand::{INLINE_BYTES_MAX, Text, meaning};
use super::{BodyTo, Copy, End, Session, Stall, values};
use crate::error::Refusal;
use crate::server::{NameBuf, Reset};

/// Sent in the place of what was refused. No portal has this name, no statement begins like this.
const REFUSED: &[u8] = b"refused by Paceline";

impl Session {
    pub(super) fn query(&mut self, message: Message<'_>) -> Taken {
        let text = Query::parse(message.body()).map_err(malformed)?.text;
        if let Some(stall) = self.need_server_for(b'Q', text) {
            return stall;
        }
        let text = Text::new(text);
        if let Some(stall) = self.must_learn(&text) {
            return Ok(Some(stall));
        }
        // It drops the unnamed statement. What that is must be known, lest an earlier batch that fails brings it back.
        if self.is_name_open() {
            return Ok(Some(Stall::Answers));
        }
        let statement = self.meaning(&text);
        if let Some(taken) = self.need_server_to_run(b'Q', &statement.shape) {
            if matches!(taken, Ok(Some(_))) {
                self.rare().learnt = Some(statement);
            }
            return taken;
        }
        if !self.rides(&statement.shape) {
            return Ok(Some(Stall::Answers));
        }
        self.may_ride = false;
        let values = values(&statement, &[]);
        let due = self.due(&statement, (0, values), text.trace, None);
        let stand_in = self.deallocate_by_query(text.stripped().as_bytes());
        let act = self.act(&statement.shape, Vec::new());
        let with_comment = self.worker.proxy.fixed.forward_trace_comment;
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        let (undo, act, effect) = match stand_in {
            Some((text, undo)) => {
                Query { text: &text }.write(server.outbox.buf());
                (undo, None, &SessionEffect::NONE)
            }
            None => {
                let text = text.forwarded(with_comment);
                Query { text }.write(server.outbox.buf());
                let undo = match self.client.statements.unnamed.take() {
                    // It is skipped if something before it in the batch fails.
                    before if server.is_unsynced => server.undo_unnamed(before),
                    _ => Undo::Nothing,
                };
                (undo, act, &statement.shape.session)
            }
        };
        let note = Note {
            has_run: true,
            undo,
            act,
            ..Note::default()
        };
        server.expect.push(Asked::Query, Fate::Forward, note);
        server.runs.push(due);
        // It ends an implicit transaction, and drops the unnamed statement.
        server.is_unsynced = false;
        server.unnamed = None;
        self.client.statements.unnamed = None;
        self.portals.end_transaction();
        self.begin_next();
        self.heed(statement.shape.kind, effect);
        let has_behind = self.reset_to_startup(effect);
        self.hold(statement.shape.kind, effect);
        // If the text fails, what was sent behind it has to be undone first.
        self.is_held |= has_behind;
        Ok(None)
    }

    pub(super) fn execute(&mut self, message: Message<'_>) -> Taken {
        if let Some(stall) = self.need_server(b'E') {
            return stall;
        }
        let execute = Execute::parse(message.body()).map_err(malformed)?;
        if self.is_setting_up && self.portals.get_mut(execute.portal).is_none() {
            return Ok(Some(Stall::Answers));
        }
        let mut portal = self.portals.get_mut(execute.portal).map(|portal| {
            let is_first = !std::mem::replace(&mut portal.has_run, true);
            let prepared = Arc::clone(&portal.prepared);
            let settings = portal.settings.clone();
            (
                prepared,
                ((portal.parameters, portal.values), portal.shown.take()),
                portal.trace,
                is_first,
                settings,
            )
        });
        let due = match &mut portal {
            Some((prepared, (parameters, shown), trace, true, _)) => {
                Some(self.due(&prepared.statement, *parameters, *trace, shown.take()))
            }
            // What goes on where it was suspended is no execution of its own.
            _ => None,
        };
        let act = portal
            .as_ref()
            .filter(|(prepared, ..)| !prepared.effect().is_none())
            .and_then(|(prepared, .., settings)| {
                self.act(&prepared.statement.shape, settings.clone())
            });
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        server.outbox.put(message.frame());
        let note = Note {
            has_run: due.is_some(),
            act,
            ..Note::default()
        };
        server.asked(Asked::Execute, Fate::Forward, note);
        if let Some(due) = due {
            server.runs.push(due);
        }
        self.begin_next();
        let unknown = SessionEffect::unknown;
        let (kind, effect) = match &portal {
            Some((prepared, ..)) => (prepared.statement.shape.kind, prepared.effect()),
            // One that was forgotten (there may be many), or that SQL has declared: it may run anything.
            None => (Kind::Unknown, &unknown()),
        };
        self.heed(kind, effect);
        self.reset_to_startup(effect);
        if self.hold(kind, effect)
            && let Some(server) = &mut self.server
        {
            server.outbox.put(FLUSH);
        }
        Ok(None)
    }

    pub(super) fn flush(&mut self) -> Taken {
        // A server that reads CopyData would ignore it, too.
        if let Some(server) = &mut self.server
            && self.copy != Copy::In
        {
            server.outbox.put(FLUSH);
        }
        Ok(None)
    }

    pub(super) fn sync(&mut self) -> Taken {
        if self.copy == Copy::In {
            return Ok(None);
        }
        if let Some(rare) = &mut self.rare {
            rare.traces.clear();
        }
        self.has_own_unnamed = false;
        self.may_ride = false;
        self.portals.end_batch();
        match &mut self.server {
            Some(server) => {
                server.outbox.put(SYNC);
                server.is_unsynced = false;
                server
                    .expect
                    .push(Asked::Sync, Fate::Forward, Note::default());
                // What comes behind it runs with the client's settings again.
                self.is_held |= self.was_discarded;
            }
            None => {
                self.is_skipping = false;
                if let Some(refusal) = self.denied.take() {
                    self.was_refused = true;
                    refusal.write(self.client.outbox.buf());
                }
                ReadyForQuery(TransactionStatus::Idle).write(self.client.outbox.buf());
            }
        }
        Ok(None)
    }

    /// A FunctionCall, or its first part.
    pub(super) fn function_call(&mut self, bytes: &[u8], _missing: u32) -> Taken {
        if let Some(stall) = self.need_server(b'F') {
            return stall;
        }
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        server.outbox.put(bytes);
        self.may_ride = false;
        server
            .expect
            .push(Asked::FunctionCall, Fate::Forward, Note::default());
        server.is_unsynced = false;
        // It may be set_config, or anything.
        server.reset = server.reset.max(Reset::Full);
        server.reads_otherwise = true;
        self.body_to = BodyTo::Peer;
        Ok(None)
    }

    /// CopyData (or a part of it), CopyDone, CopyFail. A server that does not expect them ignores them.
    pub(super) fn copy_data(&mut self, bytes: &[u8]) -> Taken {
        self.body_to = BodyTo::Nowhere;
        if let Some(server) = &mut self.server
            && !server.expect.is_empty()
        {
            server.outbox.put(bytes);
            self.body_to = BodyTo::Peer;
            if matches!(bytes.first(), Some(b'c' | b'f')) {
                self.copy = Copy::No;
            }
        }
        Ok(None)
    }

    /// Refuses a message: one that must fail goes in its place, and its error is replaced. So the transaction, the skipping and
    /// the order are what they would be had the server refused it.
    pub(super) fn refuse(&mut self, tag: u8, refusal: Refusal) -> Taken {
        if let Some(stall) = self.need_server(tag) {
            return stall;
        }
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        let note = Note {
            refusal: Some(Box::new(refusal)),
            ..Note::default()
        };
        if matches!(tag, b'Q' | b'F') {
            Query { text: REFUSED }.write(server.outbox.buf());
            server.expect.push(Asked::Query, Fate::Replace, note);
            server.is_unsynced = false;
            server.unnamed = None;
        } else if tag == b'P' {
            // A failed transaction refuses a Parse for its own reason, before it looks at the name. Otherwise the second fails.
            let mut buf = NameBuf::default();
            let name = server.prepared.wasted_name();
            let parse = Parse {
                statement: name.write(&mut buf),
                text: b"SELECT 1",
                types: Parse::NO_TYPES,
            };
            parse.write(server.outbox.buf());
            server.asked(Asked::Parse, Fate::Swallow, Note::default());
            parse.write(server.outbox.buf());
            server.asked(Asked::Parse, Fate::Replace, note);
        } else {
            Execute {
                portal: REFUSED,
                rows_max: 0,
            }
            .write(server.outbox.buf());
            server.asked(Asked::Execute, Fate::Replace, note);
        }
        self.body_to = BodyTo::Nowhere;
        Ok(None)
    }

    /// As [`Session::need_server`], for a text that need not be looked at before: it comes again when there is a connection, or when
    /// it is refused.
    pub(super) fn need_server_for(&mut self, tag: u8, text: &[u8]) -> Option<Taken> {
        if text.len() > INLINE_BYTES_MAX || self.denied.is_some() {
            return None;
        }
        self.need_server(tag)
    }

    /// As [`Session::need_server`], for what may begin a transaction.
    pub(super) fn need_server_to_run(&mut self, tag: u8, shape: &Shape) -> Option<Taken> {
        if self.server.is_none()
            && may_begin(shape)
            && let Some(refusal) = self.denied.take()
        {
            return Some(Err(End::Told(refusal.begins_nothing())));
        }
        self.need_server(tag)
    }

    /// As [`Session::need_server`], for a Bind.
    pub(super) fn need_server_to_bind(&mut self, body: &[u8]) -> Option<Taken> {
        if self.server.is_none()
            && self.denied.is_some()
            && let Ok(bind) = Bind::parse(body)
            && self.may_begin_by_name(bind.statement)
            && let Some(refusal) = self.denied.take()
        {
            return Some(Err(End::Told(refusal.begins_nothing())));
        }
        self.need_server(b'B')
    }

    /// A message that is skipped, since the batch was refused: the batch may have been to begin a transaction.
    pub(super) fn heed_skipped(&mut self, piece: &Piece<'_>) -> Result<(), End> {
        let (None, Piece::Message(message)) = (&self.server, piece) else {
            return Ok(());
        };
        let begins = match message.tag() {
            b'P' => {
                let text = Parse::parse(message.body()).map_err(malformed)?.text;
                let is_inline = text.len() <= INLINE_BYTES_MAX;
                let shapes = &self.worker.proxy.shapes;
                is_inline && may_begin(&meaning(shapes, &Text::new(text)).shape)
            }
            b'B' => {
                let name = Bind::parse(message.body()).map_err(malformed)?.statement;
                self.may_begin_by_name(name)
            }
            _ => false,
        };
        if begins {
            return Err(End::Told(Refusal::sent_ahead()));
        }
        Ok(())
    }

    /// Whether a statement that the client has prepared may begin a transaction.
    pub(super) fn may_begin_by_name(&self, name: &[u8]) -> bool {
        let statements = &self.client.statements;
        let prepared = if name.is_empty() {
            statements.unnamed.as_ref()
        } else {
            statements.get(name)
        };
        prepared.is_some_and(|prepared| may_begin(&prepared.statement.shape))
    }

    /// `None` when there is a server connection. When none can be had, the message is answered with the reason.
    pub(super) fn need_server(&mut self, tag: u8) -> Option<Taken> {
        if self.server.is_some() {
            return None;
        }
        let Some(refusal) = self.denied.take() else {
            return Some(Ok(Some(Stall::Server)));
        };
        self.was_refused = true;
        let out = self.client.outbox.buf();
        refusal.write(out);
        if matches!(tag, b'Q' | b'F') {
            ReadyForQuery(TransactionStatus::Idle).write(out);
        } else {
            self.is_skipping = true;
        }
        self.body_to = BodyTo::Nowhere;
        self.take_learnt();
        Some(Ok(None))
    }

    /// Whether a statement can be sent behind our own that brings the settings in line, without waiting for that: when it fails,
    /// the transaction block is failed, and whatever does not end it is refused.
    pub(super) fn rides(&self, shape: &Shape) -> bool {
        let may_end_block = match shape.kind {
            Kind::Unknown => true,
            Kind::Several => shape.transaction.is_some(),
            _ => !matches!(shape.transaction, None | Some(TransactionControl::Begin)),
        };
        !self.is_setting_up || self.may_ride && !may_end_block
    }

    /// Whether nothing more is sent before the answer has come. A COPY reads CopyData, and would swallow a Sync that comes before
    /// these; and what may drop prepared statements must not make those that are prepared behind it look dropped.
    fn hold(&mut self, kind: Kind, effect: &SessionEffect) -> bool {
        let drops = effect
            .facts()
            .is_some_and(|facts| facts.is_unknown || facts.takes.meets(SessionState::PREPARED));
        self.is_held = drops || matches!(kind, Kind::Copy | Kind::Unknown);
        self.is_held
    }
}

/// Whether what comes behind it may belong to a transaction that it begins.
pub(super) fn may_begin(shape: &Shape) -> bool {
    match shape.kind {
        // What the parser refuses, or is not given for its length, may be anything.
        Kind::Unknown => {
            shape.transaction.is_some()
                || *shape.summary == *"UNKNOWN"
                || shape.id == ShapeId::OTHER
        }
        Kind::Several => shape.transaction.is_some(),
        _ => shape.transaction == Some(TransactionControl::Begin),
    }
}

pub(super) fn malformed(error: paceline_pgwire::Error) -> End {
    End::Told(Refusal::client_protocol(&error))
}

#[cfg(test)]
mod tests {
    use paceline_sql::{Limits, Statements};

    use super::*;

    #[test]
    fn what_was_not_read_may_begin_a_transaction() {
        let long = format!("BEGIN; SELECT {}1", "a, ".repeat(40_000));
        let statements = Statements::new(Limits::default());
        for (text, expected) in [
            ("BEGIN", true),
            ("SELECT 1", false),
            ("COMMIT", false),
            ("DO $$BEGIN END$$", false),
            ("FROBNICATE", true),
            (&*long, true),
        ] {
            let shape = statements.learn(text).shape;
            assert_eq!(may_begin(&shape), expected, "{:.20}", text);
        }
    }
}
