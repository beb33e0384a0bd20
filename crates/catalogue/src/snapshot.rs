//! The whole, and how things in it are found.

use std::collections::BTreeMap;

use crate::activity::{LockWait, Session};
use crate::relation::{Constraint, Index, Relation, Sequence};
use crate::statement::Statements;

/// What a database said of itself at one moment. Schemas of the system and temporary ones are left out.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The server.
    pub server: Server,
    /// The database that we are connected to.
    pub database: Database,
    /// Tables, partitioned tables, materialized views, views and foreign tables, the largest first.
    pub relations: Vec<Relation>,
    /// Indexes of these.
    pub indexes: Vec<Index>,
    /// Keys, checks and exclusions of these.
    pub constraints: Vec<Constraint>,
    /// Sequences.
    pub sequences: Vec<Sequence>,
    /// Sessions in this database, but for ours.
    pub sessions: Vec<Session>,
    /// Sessions that wait for a lock.
    pub lock_waits: Vec<LockWait>,
    /// Settings by name, as a new session gets them, with their unit.
    pub settings: BTreeMap<String, Setting>,
    /// What pg_stat_statements has counted, if it is there.
    pub statements: Option<Statements>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// The server.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// `160004`.
    pub version_number: u32,
    /// `16.4 (Debian 16.4-1)`.
    pub version: String,
    /// For how long it has run.
    pub up_s: f64,
    /// Whether it follows another one.
    pub is_in_recovery: bool,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// Sessions of clients in all databases. `None` when that is hidden.
    pub sessions: Option<u64>,
}

/// One database, and what is counted for it.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// All of it on disk.
    pub bytes: u64,
    /// Blocks that were found in the server's own memory.
    pub blocks_hit: u64,
    /// Blocks that were not; the system may have had them in its.
    pub blocks_read: u64,
    /// Files that sorts and hashes have written because memory did not do.
    pub temp_files: u64,
    /// Bytes in these.
    pub temp_bytes: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Since when all this, and whatever is counted per table and index, is counted at most. A crash begins anew.
    pub statistics_age_s: f64,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setting {
    /// In its unit.
    pub value: String,
    /// `8kB`, `ms`; empty when there is none.
    pub unit: String,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What.
    pub what: String,
    /// Why, and what would help.
    pub reason: String,
}

impl Gap {
    pub(crate) fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
        }
    }
}

impl Snapshot {
    /// The relation with this OID.
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.oid == oid)
    }

    /// The indexes of a relation.
    pub fn indexes_of(&self, relation: u32) -> impl Iterator<Item = &Index> {
        self.indexes
            .iter()
            .filter(move |index| index.relation == relation)
    }

    /// A setting as a number, in its unit.
    pub fn setting(&self, name: &str) -> Option<f64> {
        self.settings.get(name)?.value.parse().ok()
    }

    /// Whether a setting is `on`.
    pub fn is_on(&self, name: &str) -> bool {
        self.settings.get(name).is_some_and(|one| one.value == "on")
    }
}
