//! What a database says of itself, read in a few round trips and handed on as plain data.
//!
//! [`read`] opens one read-only, repeatable-read transaction with time-outs and a pinned `search_path`, and gives a [`Snapshot`].
//! An ordinary role will do: what it may not see, and what a lock or a time-out kept from being read, is a [`Gap`] and no error.
//! Postgres 13 to 18. The SQL texts are all in `sql.rs`.
//!
//! How the connection is made is the caller's business.
#![warn(missing_docs)]

mod activity;
mod plan;
mod read;
mod relation;
mod snapshot;
mod sql;
mod statement;

pub use activity::{LockWait, Session, SessionState};
pub use plan::{Plan, PlanError, PlanNode};
pub use read::{Error, Options, read};
pub use relation::{
    Column, Constraint, ConstraintKind, ForeignKey, Index, IndexKey, Persistence, Relation,
    RelationKind, Sequence, TableStatistics,
};
pub use snapshot::{Database, Gap, Server, Setting, Snapshot};
pub use statement::{Statement, Statements};
