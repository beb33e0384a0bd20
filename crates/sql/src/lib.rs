//! Understands a SQL statement: its shape, the relations that it reads and writes, what it leaves behind in its session,
//! and the trace comment that it bears. No I/O, no clock.

#![forbid(unsafe_code)]

mod batch;
mod comment;
mod shape;
mod statements;

pub use batch::{BatchForm, batch_form};
pub use comment::{Stripped, TraceComment, strip_comment};
pub use shape::{Kind, Relation, SessionEffect, Shape, ShapeId, TransactionControl};
pub use statements::{Limits, Statement, Statements, Understanding};
