//! Understands a SQL statement: its shape, the relations that it reads and writes, what it leaves behind in its session,
//! and the trace comment that it bears. No I/O, no clock.
//!
//! ```
//! use paceline_sql::{Kind, Limits, Statements, Understanding, strip_comment};
//!
//! let statements = Statements::new(Limits::default());
//! let stripped = strip_comment(
//!     "SELECT title FROM jobs WHERE id = 7 \
//!      /*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/",
//! );
//! assert!(stripped.comment.is_some());
//! assert!(matches!(statements.understand(&stripped.text), Understanding::NeedsParse));
//!
//! let learnt = statements.learn(&stripped.text);
//! assert_eq!(&*learnt.shape.text, "SELECT title FROM jobs WHERE id = $1");
//! assert_eq!(learnt.shape.kind, Kind::Select);
//!
//! // Another that differs in literals only is understood without parsing.
//! let again = statements.understand("select title from jobs where id = 8");
//! assert!(matches!(again, Understanding::Known(same) if same.shape.id == learnt.shape.id));
//! ```

#![forbid(unsafe_code)]

mod batch;
mod comment;
mod condense;
mod join;
mod lexer;
mod pretty;
mod reduce;
mod session;
mod shape;
mod shapes;
mod statements;
mod structure;
mod templates;
mod tree;
mod trusted;
mod watched;

pub use batch::{BatchForm, TypeOf, batch_form, batch_form_typed};
pub use comment::{Stripped, TraceComment, strip_comment};
pub use join::{Lookup, Output, join_form, lookups, outputs};
pub use session::{SessionEffect, SessionFacts, SessionState, SettingChange, SettingName};
pub use shape::{Kind, Relation, Shape, ShapeId, TransactionControl};
pub use statements::{Limits, Statement, Statements, Understanding};
pub use structure::{
    Block, Column, Condition, Form, KeysetColumn, KeysetForm, Like, Place, Selected, Source,
    Structure, UnionForm, Wrapped, Wrapper, keyset_form, range_form, structure, union_form,
};
pub use trusted::{TrustedFunction, TrustedFunctionError};
pub use watched::{Values, Watched, WatchedParameter};
