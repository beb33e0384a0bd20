//! Stage 5: the client's messages, written for the server under the names that are known there.

use std::sync::Arc;

use paceline_pgwire::backend::{ReadyForQuery, TransactionStatus};
use paceline_pgwire::frontend::{Execute, FLUSH, Query, SYNC};
use paceline_pgwire::{Message, Wire};
use paceline_sql::{Kind, SessionEffect, SessionState};

use super::account::{Note, Run, Undo};
use super::expect::{Asked, Fate};
use super::read::Taken;
use super::understand::Text;
use super::{BodyTo, Copy, End, Session, Stall};
use crate::error::Refusal;

/// Sent in the place of what was refused. No portal has this name, no statement begins like this.
const REFUSED: &[u8] = b"refused by Paceline";

impl Session {
    pub(super) fn query(&mut self, message: Message<'_>) -> Taken {
        let text = Text::new(Query::parse(message.body()).map_err(malformed)?.text);
        if let Some(stall) = self.must_learn(&text) {
            return Ok(Some(stall));
        }
        if let Some(stall) = self.need_server(b'Q') {
            return stall;
        }
        let statement = self.meaning(&text);
        let run = self.due(&statement, 0, text.trace);
        let stand_in = self.deallocate_by_query(text.stripped().as_bytes());
        let with_comment = self.worker.proxy.config.forward_trace_comment;
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        let (undo, effect) = match stand_in {
            Some((text, undo)) => {
                Query { text: &text }.write(server.outbox.buf());
                (undo, &SessionEffect::NONE)
            }
            None => {
                let text = text.forwarded(with_comment);
                Query { text }.write(server.outbox.buf());
                (Undo::Nothing, &statement.shape.session)
            }
        };
        let note = Note {
            run,
            undo,
            ..Note::default()
        };
        server.expect.push(Asked::Query, Fate::Forward, note);
        // It ends an implicit transaction, and drops the unnamed statement.
        server.is_unsynced = false;
        server.unnamed = None;
        self.client.statements.unnamed = None;
        self.portals.end_transaction();
        self.begin_next();
        self.heed(effect, &statement.shape.summary);
        self.hold(statement.shape.kind, effect);
        Ok(None)
    }

    pub(super) fn execute(&mut self, message: Message<'_>) -> Taken {
        if let Some(stall) = self.need_server(b'E') {
            return stall;
        }
        let execute = Execute::parse(message.body()).map_err(malformed)?;
        let portal = self.portals.get_mut(execute.portal).map(|portal| {
            let is_first = !std::mem::replace(&mut portal.has_run, true);
            let prepared = Arc::clone(&portal.prepared);
            (prepared, portal.parameters, portal.trace, is_first)
        });
        let run = match &portal {
            Some((prepared, parameters, trace, true)) => {
                self.due(&prepared.statement, *parameters, *trace)
            }
            // What goes on where it was suspended is no execution of its own.
            _ => Run::default(),
        };
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        server.outbox.put(message.frame());
        let note = Note {
            run,
            ..Note::default()
        };
        server.asked(Asked::Execute, Fate::Forward, note);
        self.begin_next();
        let unknown = SessionEffect::unknown;
        let (kind, effect, summary) = match &portal {
            Some((prepared, ..)) => {
                let shape = &prepared.statement.shape;
                (shape.kind, prepared.effect(), &*shape.summary)
            }
            // One that was forgotten (there may be many), or that SQL has declared: it may run anything.
            None => (Kind::Unknown, &unknown(), "a portal"),
        };
        self.heed(effect, summary);
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
        self.traces.clear();
        self.has_own_unnamed = false;
        self.portals.end_batch();
        match &mut self.server {
            Some(server) => {
                server.outbox.put(SYNC);
                server.is_unsynced = false;
                server
                    .expect
                    .push(Asked::Sync, Fate::Forward, Note::default());
            }
            None => {
                self.is_skipping = false;
                if let Some(refusal) = self.denied.take() {
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
        server
            .expect
            .push(Asked::FunctionCall, Fate::Forward, Note::default());
        server.is_unsynced = false;
        // It may be set_config, or anything.
        server.needs_reset = true;
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

    /// `None` when there is a server connection. When none can be had, the message is answered with the reason.
    pub(super) fn need_server(&mut self, tag: u8) -> Option<Taken> {
        if self.server.is_some() {
            return None;
        }
        let Some(refusal) = self.denied.take() else {
            return Some(Ok(Some(Stall::Server)));
        };
        let out = self.client.outbox.buf();
        refusal.write(out);
        if matches!(tag, b'Q' | b'F') {
            ReadyForQuery(TransactionStatus::Idle).write(out);
        } else {
            self.is_skipping = true;
        }
        self.body_to = BodyTo::Nowhere;
        self.learnt = None;
        Some(Ok(None))
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

    /// What a statement does to the session that runs it.
    fn heed(&mut self, effect: &SessionEffect, statement: &str) {
        let (Some(server), Some(facts)) = (&mut self.server, effect.facts()) else {
            return;
        };
        let mut settings = facts.settings.iter().filter(|setting| !setting.is_local);
        if settings.clone().any(|setting| !setting.is_reset) || !facts.leaves.is_nothing() {
            if !server.is_pinned() {
                let client = self.client.id().0;
                tracing::info!(
                    client,
                    statement,
                    "A client keeps its server connection until it leaves, because of session state."
                );
            }
            server.pin();
        } else {
            server.needs_reset |= facts.is_unknown
                || settings.next().is_some()
                || facts.takes.meets(SessionState::PREPARED);
        }
    }
}

pub(super) fn malformed(error: paceline_pgwire::Error) -> End {
    End::Told(Refusal::client_protocol(&error))
}
