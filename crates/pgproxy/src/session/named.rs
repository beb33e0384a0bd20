//! Stage 5, for the messages that name a statement: Parse, Bind, Describe, Close. The client's names stay here; the server gets its own.

use std::sync::Arc;

use paceline_journal::TraceParent;
use paceline_pgwire::backend::{CLOSE_COMPLETE, PARSE_COMPLETE};
use paceline_pgwire::frontend::{Bind, Close, Describe, Parse, Target};
use paceline_pgwire::{Message, Wire};

use super::account::{Note, Undo, UndoClient, hash_parameters};
use super::expect::{Asked, Fate};
use super::forward::malformed;
use super::read::Taken;
use super::state::named_settings;
use super::understand::Text;
use super::watched::values;
use super::{BodyTo, Session, Stall};
use crate::client::{Portal, Prepared, StatementId};
use crate::error::Refusal;
use crate::server::{NameBuf, Reset, ServerName, Status};

/// Trace comments that one batch may bear.
const TRACES_MAX: usize = 256;

impl Session {
    pub(super) fn parse(&mut self, message: Message<'_>) -> Taken {
        let parse = Parse::parse(message.body()).map_err(malformed)?;
        if let Some(stall) = self.need_server_for(b'P', parse.text) {
            return stall;
        }
        let text = Text::new(parse.text);
        let known = self.known(self.forwarded(&text), parse.types);
        if known.is_none()
            && let Some(stall) = self.must_learn(&text)
        {
            return Ok(Some(stall));
        }
        if self.server.is_none() && self.denied.is_some() {
            let statement = match &known {
                Some(prepared) => prepared.statement.clone(),
                None => self.meaning(&text),
            };
            if let Some(taken) = self.need_server_to_run(b'P', &statement.shape) {
                return taken;
            }
        }
        if let Some(stall) = self.need_server(b'P') {
            return stall;
        }
        if !parse.statement.is_empty() && self.is_name_open() {
            return Ok(Some(Stall::Answers));
        }
        let is_new = known.is_none();
        if let Some(refusal) = self.refusal_of_name(parse.statement, parse.text.len(), is_new) {
            self.take_learnt();
            return self.refuse(b'P', refusal);
        }
        let prepared =
            known.unwrap_or_else(|| self.meet(&text, parse.types, !parse.statement.is_empty()));
        if !self.rides(&prepared.statement.shape) {
            self.rare().learnt = Some(prepared.statement.clone());
            return Ok(Some(Stall::Answers));
        }
        self.take_learnt();
        if let Some(trace) = text.trace {
            self.note_trace(prepared.id, trace);
        }
        self.forward_parse(parse.statement, prepared)
    }

    fn forward_parse(&mut self, name: &[u8], prepared: Arc<Prepared>) -> Taken {
        let max = self.worker.proxy.fixed.prepared_statements_max;
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        if name.is_empty() {
            self.has_own_unnamed = true;
            let before = self
                .client
                .statements
                .unnamed
                .replace(Arc::clone(&prepared));
            let undo = server.undo_unnamed(before);
            server.parse_unnamed(&prepared, Fate::Forward, undo);
            return Ok(None);
        }
        // The server would refuse it in a failed transaction. Where we cannot answer in its place, it is asked.
        let is_sure = server.expect.batches_due() == 0 && server.status != Status::Failed;
        let is_there = server.prepared.get(prepared.id).is_some() && is_sure;
        if !is_sure {
            server.prepared.condemn(prepared.id);
        }
        server.uses.client_parses += 1;
        let undo = UndoClient::Parsed {
            name: name.into(),
            server: (!is_there).then_some(prepared.id),
        };
        let note = Note::undo(Undo::Client(Box::new(undo)));
        if is_there {
            server.uses.hits += 1;
            server
                .expect
                .push(Asked::Local(PARSE_COMPLETE), Fate::Forward, note);
        } else {
            server.prepare(&prepared, max, Fate::Forward, note);
        }
        self.client.statements.insert(name, prepared);
        Ok(None)
    }

    /// A Bind, or its first part.
    pub(super) fn bind(&mut self, body: &[u8], missing: u32) -> Taken {
        if let Some(stall) = self.need_server_to_bind(body) {
            return stall;
        }
        let bind = match Bind::parse(body) {
            Ok(bind) => bind,
            Err(_) if missing > 0 => return self.refuse(b'B', Refusal::name_too_long()),
            Err(error) => return Err(malformed(error)),
        };
        let max = self.worker.proxy.fixed.prepared_statements_max;
        let mut buf = NameBuf::default();
        if self.is_open(bind.statement) {
            return Ok(Some(Stall::Answers));
        }
        let prepared = match self.lookup(bind.statement) {
            Lookup::Found(prepared) => Some(prepared),
            Lookup::Foreign => None,
            Lookup::Missing(refusal) => return self.refuse(b'B', refusal),
        };
        let rides = prepared.as_ref().map_or(!self.is_setting_up, |prepared| {
            self.rides(&prepared.statement.shape)
        });
        if !rides {
            return Ok(Some(Stall::Answers));
        }
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        let statement = match &prepared {
            Some(prepared) if bind.statement.is_empty() => {
                server.have_unnamed(prepared);
                bind.statement
            }
            Some(prepared) => {
                server.uses.binds += 1;
                server.name_of(prepared, max).write(&mut buf)
            }
            None => bind.statement,
        };
        Bind { statement, ..bind }.write_first_part(missing, server.outbox.buf());
        let undo = prepared
            .as_ref()
            .map_or(Undo::Nothing, |prepared| Undo::Bound(prepared.id));
        server.asked(Asked::Bind, Fate::Forward, Note::undo(undo));
        self.body_to = BodyTo::Peer;
        if let Some(prepared) = prepared {
            // The planner may run functions, even if the portal is never executed.
            if prepared.effect().is_unknown() {
                server.reset = server.reset.max(Reset::Light);
            }
            let trace = self.trace_of(prepared.id);
            let parameters = hash_parameters(bind.rest, missing);
            let values = values(&prepared.statement, bind.rest);
            let shown = self.worker.proxy.slow_log.parameters(bind.rest);
            let settings = named_settings(&prepared, bind.rest, missing);
            self.portals.insert(
                bind.portal,
                Portal {
                    prepared,
                    parameters,
                    values,
                    trace,
                    settings,
                    shown,
                    has_run: false,
                },
            );
        }
        Ok(None)
    }

    pub(super) fn describe(&mut self, message: Message<'_>) -> Taken {
        if let Some(stall) = self.need_server(b'D') {
            return stall;
        }
        let describe = Describe::parse(message.body()).map_err(malformed)?;
        let max = self.worker.proxy.fixed.prepared_statements_max;
        if describe.target == Target::Statement && self.is_open(describe.name) {
            return Ok(Some(Stall::Answers));
        }
        let prepared = match describe.target {
            Target::Portal => None,
            Target::Statement => match self.lookup(describe.name) {
                Lookup::Found(prepared) => Some(prepared),
                Lookup::Foreign => None,
                Lookup::Missing(refusal) => return self.refuse(b'D', refusal),
            },
        };
        let Some(server) = &mut self.server else {
            return Ok(Some(Stall::Server));
        };
        match &prepared {
            Some(prepared) if describe.name.is_empty() => {
                server.have_unnamed(prepared);
                server.outbox.put(message.frame());
            }
            Some(prepared) => {
                let mut buf = NameBuf::default();
                let name = server.name_of(prepared, max).write(&mut buf);
                Describe { name, ..describe }.write(server.outbox.buf());
            }
            None => server.outbox.put(message.frame()),
        }
        let asked = match describe.target {
            Target::Statement => Asked::DescribeStatement,
            Target::Portal => Asked::DescribePortal,
        };
        let undo = prepared.map_or(Undo::Nothing, |prepared| Undo::Bound(prepared.id));
        server.asked(asked, Fate::Forward, Note::undo(undo));
        Ok(None)
    }

    pub(super) fn close(&mut self, message: Message<'_>) -> Taken {
        let close = Close::parse(message.body()).map_err(malformed)?;
        if close.target == Target::Statement && self.is_open(close.name) {
            return Ok(Some(Stall::Answers));
        }
        let is_pinned = self.is_session_pooled
            || self
                .server
                .as_ref()
                .is_some_and(|server| server.status != Status::Idle || server.is_pinned());
        let undo = match close.target {
            Target::Portal => None,
            Target::Statement if close.name.is_empty() => {
                let before = self.client.statements.unnamed.take();
                let server = self.server.as_mut();
                Some(server.map_or(Undo::Nothing, |server| server.undo_unnamed(before)))
            }
            Target::Statement => match self.client.statements.remove(close.name) {
                Some(prepared) => Some(Undo::Client(Box::new(UndoClient::Closed {
                    name: close.name.into(),
                    prepared,
                }))),
                // It may be one that SQL has prepared.
                None if is_pinned => None,
                None => Some(Undo::Nothing),
            },
        };
        match (&mut self.server, undo) {
            (None, _) => self.client.outbox.put(CLOSE_COMPLETE),
            (Some(server), None) => {
                server.outbox.put(message.frame());
                server.asked(Asked::Close, Fate::Forward, Note::default());
            }
            (Some(server), Some(undo)) => {
                let local = Asked::Local(CLOSE_COMPLETE);
                server.expect.push(local, Fate::Forward, Note::undo(undo));
            }
        }
        Ok(None)
    }

    /// Whether what an earlier batch does to this name may yet be undone, so that nobody knows now what it means. The unnamed
    /// statement is not concerned when this batch has one of its own.
    fn is_open(&self, name: &[u8]) -> bool {
        self.is_name_open() && !(name.is_empty() && self.has_own_unnamed)
    }

    pub(super) fn is_name_open(&self) -> bool {
        self.server
            .as_ref()
            .is_some_and(|server| server.expect.is_earlier_open())
    }

    fn lookup(&mut self, name: &[u8]) -> Lookup {
        let (reading, table) = (self.client.settings.reading, &self.worker.proxy.statements);
        let statements = &mut self.client.statements;
        if let Some(prepared) = statements.get_mut(name)
            && !prepared.is_read_under(reading)
        {
            // The settings have changed since it was prepared, and who has these shares it.
            *prepared = table.reread(prepared, reading);
        }
        if name.is_empty() {
            return match &statements.unnamed {
                Some(prepared) => Lookup::Found(Arc::clone(prepared)),
                // There may be another client's: ours must not run that one.
                None => Lookup::Missing(Refusal::no_unnamed_statement()),
            };
        }
        match statements.get(name) {
            Some(prepared) => Lookup::Found(Arc::clone(prepared)),
            None if ServerName::is_like(name) => Lookup::Missing(Refusal::no_statement(name)),
            // One that SQL has prepared, or none: the server will say.
            None => Lookup::Foreign,
        }
    }

    fn refusal_of_name(&self, name: &[u8], bytes: usize, is_new: bool) -> Option<Refusal> {
        if name.is_empty() {
            return None;
        }
        let (statements, fixed) = (&self.client.statements, &self.worker.proxy.fixed);
        if statements.get(name).is_some() {
            return Some(Refusal::duplicate_statement(name));
        }
        if statements.len() >= fixed.client_statements_max {
            return Some(Refusal::too_many_statements(fixed.client_statements_max));
        }
        if statements.text_bytes() + bytes > fixed.statement_bytes_max {
            return Some(Refusal::statements_too_large(fixed.statement_bytes_max));
        }
        let proxy = &self.worker.proxy;
        let lacks_room = is_new && proxy.statements.is_out_of_room(bytes);
        lacks_room.then(|| Refusal::no_room_for_text(bytes, &proxy.room))
    }

    fn note_trace(&mut self, id: StatementId, trace: TraceParent) {
        let traces = &mut self.rare().traces;
        let has_room = traces.len() < TRACES_MAX;
        match traces.iter_mut().find(|(found, _)| *found == id) {
            Some((_, old)) => *old = trace,
            None if has_room => traces.push((id, trace)),
            None => {}
        }
    }

    fn trace_of(&self, id: StatementId) -> Option<TraceParent> {
        let traces = &self.rare.as_ref()?.traces;
        traces
            .iter()
            .find(|(found, _)| *found == id)
            .map(|(_, trace)| *trace)
    }
}

/// What a statement's name leads to.
enum Lookup {
    Found(Arc<Prepared>),
    /// Not one of the client's Parse messages.
    Foreign,
    Missing(Refusal),
}
