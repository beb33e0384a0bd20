//! What is known about a statement once it has been parsed.

use std::fmt;

use crate::SessionEffect;

/// The name of a shape within one [`Statements`](crate::Statements) table.
///
/// It is a small number that is never given to two shapes of one table, good as an index or a label. It means nothing in
/// another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShapeId(u32);

impl ShapeId {
    /// The id shared by all shapes that were met when the table was full.
    pub const OTHER: ShapeId = ShapeId(0);

    pub(crate) fn new(number: u32) -> ShapeId {
        ShapeId(number)
    }

    /// The number itself: 0 for [`ShapeId::OTHER`], else counted from 1 in the order in which shapes were met.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ShapeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A statement without its literals: what all executions that differ only in values have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Unique within the table that made this shape; [`ShapeId::OTHER`] when the table was full.
    pub id: ShapeId,
    /// The normalised text, with `$1`, `$2`, … in the place of literals and parameters. `(other)` when the table was full.
    pub text: Box<str>,
    /// A few words for people and labels, such as `SELECT jobs` (`db.query.summary` of the semantic conventions).
    pub summary: Box<str>,
    /// What sort of statement this is.
    pub kind: Kind,
    /// Relations whose rows are read, each once, sorted. Common table expressions are resolved.
    pub reads: Box<[Relation]>,
    /// Relations that are written, each once, sorted. Triggers, rules and cascades are not known here.
    pub writes: Box<[Relation]>,
    /// Functions called by name, each once, sorted: `lower`, `public.f`. Operators and casts are not listed.
    pub functions: Box<[Box<str>]>,
    /// What the statement does to its session.
    pub session: SessionEffect,
    /// Set when the statement steers the transaction. For several statements in one text, the last one that does.
    pub transaction: Option<TransactionControl>,
    /// True when rows are locked (`FOR UPDATE`, `FOR SHARE`, …) or tables (`LOCK`).
    pub locks: bool,
    /// True when a catalogue function is called that writes something which `writes` does not name: `nextval`, `setval`,
    /// large objects and the like.
    pub hidden_writes: bool,
    /// True when values of its executions tell more than the shape does: see [`Statement::watched`](crate::Statement::watched).
    pub has_watched: bool,
}

impl Shape {
    /// True when the statement cannot change anything in the database, as far as its text shows: user-defined functions,
    /// and rules on views, may still write.
    pub fn is_read_only(&self) -> bool {
        self.kind == Kind::Select && self.writes.is_empty() && !self.locks && !self.hidden_writes
    }
}

/// A sort of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SELECT`, `VALUES` and `TABLE`. May still write, through a data-modifying common table expression.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `MERGE`.
    Merge,
    /// `COPY`, in either direction.
    Copy,
    /// Whatever creates, alters or drops an object or a right, and `TRUNCATE`.
    Ddl,
    /// `BEGIN`, `COMMIT`, `SAVEPOINT` and the others that steer a transaction.
    Transaction,
    /// `SET`, `RESET`, `SHOW`, `LISTEN`, `PREPARE`, cursors and others that concern this session.
    Session,
    /// `EXPLAIN`, `VACUUM`, `NOTIFY`, `LOCK` and the rest.
    Utility,
    /// More than one statement in one text.
    Several,
    /// No statement at all: an empty text, or comments only.
    Empty,
    /// Refused by the parser, or opaque (`DO`, `CALL`, `EXECUTE`): may write anything.
    Unknown,
}

/// How a statement steers the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionControl {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint,
    /// `RELEASE`.
    Release,
    /// `ROLLBACK TO`.
    RollbackTo,
    /// `PREPARE TRANSACTION`.
    Prepare,
    /// `COMMIT PREPARED`.
    CommitPrepared,
    /// `ROLLBACK PREPARED`.
    RollbackPrepared,
}

/// A table, view or other relation, as the text names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Relation {
    /// The schema, when the text gives one.
    pub schema: Option<Box<str>>,
    /// The name, with unquoted letters already in lower case.
    pub name: Box<str>,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}
