//! Stage 4: the server connection gets the statements that it lacks.

use std::sync::Arc;

use paceline_pgwire::Wire;
use paceline_pgwire::frontend::{Close, Parse, Target};

use super::account::{Note, Undo};
use super::expect::{Asked, Fate};
use crate::client::Prepared;
use crate::server::{NameBuf, ServerConnection, ServerName};

impl ServerConnection {
    /// The statement's name here. Prepares it when it is missing; nobody sees the answer to that.
    pub(super) fn name_of(&mut self, prepared: &Arc<Prepared>, max: usize) -> ServerName {
        if let Some(name) = self.prepared.get(prepared.id) {
            self.uses.hits += 1;
            return name;
        }
        if self.reads_otherwise {
            self.prepared.misread(prepared.id);
        }
        let note = Note::undo(Undo::ServerPrepared(prepared.id));
        self.prepare(prepared, max, Fate::Swallow, note)
    }

    /// Sends a Parse under a new name.
    pub(super) fn prepare(
        &mut self,
        prepared: &Arc<Prepared>,
        max: usize,
        fate: Fate,
        note: Note,
    ) -> ServerName {
        self.make_room(max);
        self.uses.server_parses += 1;
        let name = self.prepared.insert(prepared.id);
        let mut buf = NameBuf::default();
        let (statement, text, types) = (name.write(&mut buf), &*prepared.text, &*prepared.types);
        Parse {
            statement,
            text,
            types,
        }
        .write(self.outbox.buf());
        self.asked(Asked::Parse, fate, note);
        name
    }

    /// Makes sure that the unnamed statement here is this one.
    pub(super) fn have_unnamed(&mut self, prepared: &Arc<Prepared>) {
        if self.unnamed != Some(prepared.id) {
            self.unnamed_changes += 1;
            let undo = Undo::ServerUnnamed(self.unnamed_changes);
            self.parse_unnamed(prepared, Fate::Swallow, undo);
        }
    }

    /// The client's unnamed statement changes; what it was before, if that comes to nothing.
    pub(super) fn undo_unnamed(&mut self, before: Option<Arc<Prepared>>) -> Undo {
        self.unnamed_changes += 1;
        let number = self.unnamed_changes;
        Undo::Unnamed { number, before }
    }

    /// Sends a Parse of the unnamed statement.
    pub(super) fn parse_unnamed(&mut self, prepared: &Arc<Prepared>, fate: Fate, undo: Undo) {
        let (text, types) = (&*prepared.text, &*prepared.types);
        Parse {
            statement: b"",
            text,
            types,
        }
        .write(self.outbox.buf());
        self.unnamed = Some(prepared.id);
        self.asked(Asked::Parse, fate, Note::undo(undo));
    }

    /// A message of the extended protocol was written.
    pub(super) fn asked(&mut self, asked: Asked, fate: Fate, note: Note) {
        self.is_unsynced = true;
        self.expect.push(asked, fate, note);
    }

    /// Closes what is worth nothing any more, and the least recently used when there are too many.
    fn make_room(&mut self, max: usize) {
        while let Some(name) = self.prepared.take_condemned() {
            self.close_prepared(name, Undo::Nothing);
        }
        if let Some((id, name)) = self.prepared.evict(max) {
            self.close_prepared(name, Undo::ServerClosed(id, name));
        }
    }

    fn close_prepared(&mut self, name: ServerName, undo: Undo) {
        let mut buf = NameBuf::default();
        let close = Close {
            target: Target::Statement,
            name: name.write(&mut buf),
        };
        close.write(self.outbox.buf());
        self.asked(Asked::Close, Fate::Swallow, Note::undo(undo));
    }
}
