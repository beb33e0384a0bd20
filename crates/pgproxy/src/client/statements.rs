//! Prepared statements as clients know them: by name, each client for itself, the texts shared by all.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use paceline_sql::{SessionEffect, Statement};

use crate::room::{Held, Room};

/// Parts of the table with a lock of their own.
const SHARDS: usize = 8;
/// Texts that are remembered although no client holds them, so that the next client finds them understood.
const ENTRIES_MAX: usize = 16 * 1024;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Stands for one text with its parameter types, read under the same settings. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(pub(crate) u64);

/// What a server connection is given to prepare, and under which settings it reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'s> {
    pub(crate) text: &'s [u8],
    pub(crate) types: &'s [u8],
    /// [`Settings::reading`](crate::settings::Settings::reading): the server takes literals and names for what they mean when it
    /// prepares the text, once for all executions.
    pub(crate) reading: u64,
}

/// A text with its parameter types, and what it means.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: StatementId,
    /// Without the trace comment, in the client's encoding.
    pub(crate) text: Box<[u8]>,
    /// As they stand in a Parse message.
    pub(crate) types: Box<[u8]>,
    reading: u64,
    pub(crate) statement: Statement,
    /// It stands for another one, and does nothing to the session that runs it.
    is_stand_in: bool,
    _held: Held,
}

impl Prepared {
    pub(crate) fn is(&self, source: Source<'_>) -> bool {
        *self.text == *source.text && *self.types == *source.types && self.reading == source.reading
    }

    /// What it does to the session that runs it.
    pub(crate) fn effect(&self) -> &SessionEffect {
        if self.is_stand_in {
            &SessionEffect::NONE
        } else {
            &self.statement.shape.session
        }
    }

    /// Whether the server reads it as it was read when the client prepared it.
    pub(crate) fn is_read_under(&self, reading: u64) -> bool {
        self.reading == reading || self.is_stand_in
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.types.len()
    }
}

/// All texts that clients have prepared, each once. The hash only leads to the candidates: the rest is compared whole.
pub(crate) struct StatementTable {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    last_id: AtomicU64,
    room: Arc<Room>,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u64, Vec<Arc<Prepared>>>,
    count: usize,
    bytes: usize,
}

impl StatementTable {
    pub(crate) fn new(room: &Arc<Room>) -> Self {
        Self {
            room: Arc::clone(room),
            hasher: RandomState::new(),
            shards: Default::default(),
            last_id: AtomicU64::new(0),
        }
    }

    /// Whether there is no memory for another text of so many bytes, whatever is forgotten.
    pub(crate) fn is_out_of_room(&self, bytes: usize) -> bool {
        if self.room.lacks(bytes) {
            self.forget_unused();
        }
        self.room.lacks(bytes)
    }

    /// Forgets the texts that no client holds.
    pub(crate) fn forget_unused(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.forget_unused();
        }
    }

    /// The statement, if any client has prepared it.
    pub(crate) fn get(&self, source: Source<'_>) -> Option<Arc<Prepared>> {
        let hash = self.hash(source);
        let shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = shard
            .entries
            .get(&hash)?
            .iter()
            .find(|prepared| prepared.is(source))?;
        Some(Arc::clone(found))
    }

    /// The statement, remembered for all from now on.
    pub(crate) fn intern(&self, source: Source<'_>, statement: &Statement) -> Arc<Prepared> {
        let hash = self.hash(source);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = shard.entries.get(&hash).into_iter().flatten();
        if let Some(found) = found.into_iter().find(|prepared| prepared.is(source)) {
            return Arc::clone(found);
        }
        let prepared = self.make(source, statement);
        if !shard.has_room(prepared.bytes()) {
            shard.forget_unused();
        }
        if shard.has_room(prepared.bytes()) {
            shard.count += 1;
            shard.bytes += prepared.bytes();
            shard
                .entries
                .entry(hash)
                .or_default()
                .push(Arc::clone(&prepared));
        }
        prepared
    }

    /// The same statement under other settings.
    pub(crate) fn reread(&self, prepared: &Prepared, reading: u64) -> Arc<Prepared> {
        let source = Source {
            text: &prepared.text,
            types: &prepared.types,
            reading,
        };
        self.intern(source, &prepared.statement)
    }

    /// The statement, for one client alone.
    pub(crate) fn make(&self, source: Source<'_>, statement: &Statement) -> Arc<Prepared> {
        self.make_with(source, statement, false)
    }

    /// One that is sent in the place of a statement with this meaning, and does nothing to its session.
    pub(crate) fn make_stand_in(&self, source: Source<'_>, statement: &Statement) -> Arc<Prepared> {
        self.make_with(source, statement, true)
    }

    fn make_with(
        &self,
        source: Source<'_>,
        statement: &Statement,
        is_stand_in: bool,
    ) -> Arc<Prepared> {
        let id = StatementId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        Arc::new(Prepared {
            id,
            text: source.text.into(),
            types: source.types.into(),
            reading: source.reading,
            statement: statement.clone(),
            is_stand_in,
            _held: self.room.hold(source.text.len() + source.types.len()),
        })
    }

    fn hash(&self, source: Source<'_>) -> u64 {
        self.hasher
            .hash_one((source.text, source.types, source.reading))
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[hash as usize % SHARDS]
    }
}

impl Shard {
    fn has_room(&self, bytes: usize) -> bool {
        self.count < ENTRIES_MAX / SHARDS && self.bytes + bytes <= BYTES_MAX / SHARDS
    }

    /// Forgets what only the table holds. What clients hold is bounded by their number and their limits.
    fn forget_unused(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        self.entries.retain(|_, entries| {
            entries.retain(|prepared| Arc::strong_count(prepared) > 1);
            count += entries.len();
            bytes += entries
                .iter()
                .map(|prepared| prepared.bytes())
                .sum::<usize>();
            !entries.is_empty()
        });
        (self.count, self.bytes) = (count, bytes);
    }
}

/// The statements of one client.
#[derive(Default)]
pub(crate) struct ClientStatements {
    named: Option<Box<Named>>,
    pub(crate) unnamed: Option<Arc<Prepared>>,
}

#[derive(Default)]
struct Named {
    /// A quick hash will do: the names are the client's own, who could only make its own look-ups slow.
    statements: HashMap<Box<[u8]>, Arc<Prepared>, foldhash::fast::RandomState>,
    text_bytes: usize,
}

impl ClientStatements {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.named.as_ref()?.statements.get(name)
    }

    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut Arc<Prepared>> {
        if name.is_empty() {
            return self.unnamed.as_mut();
        }
        self.named.as_mut()?.statements.get_mut(name)
    }

    pub(crate) fn insert(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        let named = self.named.get_or_insert_default();
        named.text_bytes += prepared.bytes();
        if let Some(old) = named.statements.insert(name.into(), prepared) {
            named.text_bytes -= old.bytes();
        }
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Arc<Prepared>> {
        let named = self.named.as_mut()?;
        let removed = named.statements.remove(name)?;
        named.text_bytes -= removed.bytes();
        Some(removed)
    }

    /// `DEALLOCATE ALL`.
    pub(crate) fn clear(&mut self) {
        self.named = None;
    }

    pub(crate) fn len(&self) -> usize {
        self.named
            .as_ref()
            .map_or(0, |named| named.statements.len())
    }

    /// What the texts of the named ones add up to.
    pub(crate) fn text_bytes(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.text_bytes)
    }
}

#[cfg(test)]
mod tests {
    use paceline_sql::{Limits, Statements};

    use super::*;

    fn source(text: &[u8]) -> Source<'_> {
        Source {
            text,
            types: b"\0\0",
            reading: 0,
        }
    }

    #[test]
    fn one_text_with_one_set_of_types_is_one_statement() {
        let table = StatementTable::new(&Room::new(0));
        let statement = Statements::new(Limits::default()).learn("SELECT $1");
        let one = table.intern(source(b"SELECT $1"), &statement);
        assert!(Arc::ptr_eq(
            &one,
            &table.intern(source(b"SELECT $1"), &statement)
        ));
        assert!(Arc::ptr_eq(&one, &table.get(source(b"SELECT $1")).unwrap()));
        let others = [
            Source {
                types: b"\0\x01\0\0\0\x17",
                ..source(b"SELECT $1")
            },
            Source {
                reading: 1,
                ..source(b"SELECT $1")
            },
        ];
        for other in others {
            assert!(table.get(other).is_none());
            assert_ne!(one.id, table.intern(other, &statement).id);
        }
        assert!(table.get(source(b"SELECT $2")).is_none());
    }

    #[test]
    fn what_nobody_holds_is_forgotten_when_room_is_needed() {
        let table = StatementTable::new(&Room::new(0));
        let statement = Statements::new(Limits::default()).learn("x");
        let held = table.intern(source(b"held"), &statement);
        for number in 0..2 * ENTRIES_MAX {
            table.intern(source(format!("text {number}").as_bytes()), &statement);
        }
        let count: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().count)
            .sum();
        assert!(count <= ENTRIES_MAX, "{count}");
        assert!(Arc::ptr_eq(&held, &table.get(source(b"held")).unwrap()));
    }

    #[test]
    fn a_clients_texts_are_counted() {
        let table = StatementTable::new(&Room::new(0));
        let statement = Statements::new(Limits::default()).learn("x");
        let mut statements = ClientStatements::default();
        statements.insert(b"a", table.make(source(b"12345"), &statement));
        statements.insert(b"a", table.make(source(b"123"), &statement));
        statements.insert(b"b", table.make(source(b"1"), &statement));
        assert_eq!((statements.len(), statements.text_bytes()), (2, 8));
        statements.remove(b"a");
        assert_eq!((statements.len(), statements.text_bytes()), (1, 3));
    }
}
