//! Prepared statements as clients know them: by name, each client for itself, the texts shared by all.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use paceline_sql::{SessionEffect, Statement};

/// Parts of the table with a lock of their own.
const SHARDS: usize = 8;
/// Texts that are remembered although no client holds them, so that the next client finds them understood.
const ENTRIES_MAX: usize = 16 * 1024;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Stands for one text with its parameter types. Never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(pub(crate) u64);

/// A text with its parameter types, and what it means.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) id: StatementId,
    /// Without the trace comment, in the client's encoding.
    pub(crate) text: Box<[u8]>,
    /// As they stand in a Parse message.
    pub(crate) types: Box<[u8]>,
    pub(crate) statement: Statement,
    /// What it leaves behind in the session that runs it.
    pub(crate) effect: SessionEffect,
}

impl Prepared {
    pub(crate) fn is(&self, text: &[u8], types: &[u8]) -> bool {
        *self.text == *text && *self.types == *types
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.types.len()
    }
}

/// All texts that clients have prepared, each once. The hash only leads to the candidates: text and types are compared whole.
pub(crate) struct StatementTable {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    last_id: AtomicU64,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<u64, Vec<Arc<Prepared>>>,
    count: usize,
    bytes: usize,
}

impl StatementTable {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: Default::default(),
            last_id: AtomicU64::new(0),
        }
    }

    /// The statement, if any client has prepared it.
    pub(crate) fn get(&self, text: &[u8], types: &[u8]) -> Option<Arc<Prepared>> {
        let hash = self.hash(text, types);
        let shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = shard
            .entries
            .get(&hash)?
            .iter()
            .find(|prepared| prepared.is(text, types))?;
        Some(Arc::clone(found))
    }

    /// The statement, remembered for all from now on.
    pub(crate) fn intern(&self, text: &[u8], types: &[u8], statement: &Statement) -> Arc<Prepared> {
        let hash = self.hash(text, types);
        let mut shard = self
            .shard(hash)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = shard.entries.get(&hash).into_iter().flatten();
        if let Some(found) = found.into_iter().find(|prepared| prepared.is(text, types)) {
            return Arc::clone(found);
        }
        let prepared = self.make(text, types, statement);
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

    /// The statement, for one client alone.
    pub(crate) fn make(&self, text: &[u8], types: &[u8], statement: &Statement) -> Arc<Prepared> {
        self.make_with(text, types, statement, statement.shape.session)
    }

    /// The statement, for one client alone, known to leave nothing else behind than this.
    pub(crate) fn make_with(
        &self,
        text: &[u8],
        types: &[u8],
        statement: &Statement,
        effect: SessionEffect,
    ) -> Arc<Prepared> {
        let id = StatementId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        Arc::new(Prepared {
            id,
            text: text.into(),
            types: types.into(),
            statement: statement.clone(),
            effect,
        })
    }

    fn hash(&self, text: &[u8], types: &[u8]) -> u64 {
        self.hasher.hash_one((text, types))
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
    named: HashMap<Box<[u8]>, Arc<Prepared>>,
    text_bytes: usize,
    pub(crate) unnamed: Option<Arc<Prepared>>,
}

impl ClientStatements {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Prepared>> {
        self.named.get(name)
    }

    pub(crate) fn insert(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        self.text_bytes += prepared.bytes();
        if let Some(old) = self.named.insert(name.into(), prepared) {
            self.text_bytes -= old.bytes();
        }
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> Option<Arc<Prepared>> {
        let removed = self.named.remove(name)?;
        self.text_bytes -= removed.bytes();
        Some(removed)
    }

    /// `DEALLOCATE ALL`.
    pub(crate) fn clear(&mut self) {
        self.named.clear();
        self.text_bytes = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len()
    }

    /// What the texts of the named ones add up to.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }
}

#[cfg(test)]
mod tests {
    use paceline_sql::{Limits, Statements};

    use super::*;

    #[test]
    fn one_text_with_one_set_of_types_is_one_statement() {
        let table = StatementTable::new();
        let statement = Statements::new(Limits::default()).learn("SELECT $1");
        let one = table.intern(b"SELECT $1", b"\0\0", &statement);
        assert!(Arc::ptr_eq(
            &one,
            &table.intern(b"SELECT $1", b"\0\0", &statement)
        ));
        assert!(Arc::ptr_eq(
            &one,
            &table.get(b"SELECT $1", b"\0\0").unwrap()
        ));
        assert_ne!(
            one.id,
            table
                .intern(b"SELECT $1", b"\0\x01\0\0\0\x17", &statement)
                .id
        );
        assert!(table.get(b"SELECT $2", b"\0\0").is_none());
    }

    #[test]
    fn what_nobody_holds_is_forgotten_when_room_is_needed() {
        let table = StatementTable::new();
        let statement = Statements::new(Limits::default()).learn("x");
        let held = table.intern(b"held", b"\0\0", &statement);
        for number in 0..2 * ENTRIES_MAX {
            table.intern(format!("text {number}").as_bytes(), b"\0\0", &statement);
        }
        let count: usize = table
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().count)
            .sum();
        assert!(count <= ENTRIES_MAX, "{count}");
        assert!(Arc::ptr_eq(&held, &table.get(b"held", b"\0\0").unwrap()));
    }

    #[test]
    fn a_clients_texts_are_counted() {
        let table = StatementTable::new();
        let statement = Statements::new(Limits::default()).learn("x");
        let mut statements = ClientStatements::default();
        statements.insert(b"a", table.make(b"12345", b"", &statement));
        statements.insert(b"a", table.make(b"123", b"", &statement));
        statements.insert(b"b", table.make(b"1", b"", &statement));
        assert_eq!((statements.len(), statements.text_bytes()), (2, 4));
        statements.remove(b"a");
        assert_eq!((statements.len(), statements.text_bytes()), (1, 1));
    }
}
