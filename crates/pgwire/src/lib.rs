//! The Postgres wire protocol (version 3) as data.
//!
//! No sockets, no clock, no hidden buffers: bytes go in, views of those bytes come out, and what is to be sent is
//! written into a buffer that the caller owns. The sections named in the documentation are those of the chapter
//! "Frontend/Backend Protocol" of the PostgreSQL manual.
//!
//! - [`Reader`] finds the messages in a read buffer without copying, and streams those that are too large to keep.
//! - [`frontend`] and [`backend`] hold one type per message, which is both the parsed view and the writer: to send a
//!   Bind under another statement name, write `Bind { statement: b"other", ..bind }`.
//! - [`startup`] is what comes before the first tagged message.
//! - [`auth`] is SCRAM-SHA-256 for both sides, md5 and cleartext as client.
//!
//! ```
//! use paceline_pgwire::{Limits, Piece, Reader, Wire, backend::{CommandComplete, ReadyForQuery, TransactionStatus}};
//!
//! let mut wire = Vec::new();
//! CommandComplete { tag: b"SELECT 3" }.write(&mut wire);
//! ReadyForQuery(TransactionStatus::Idle).write(&mut wire);
//!
//! let (limits, mut reader, mut at) = (Limits::backend(), Reader::default(), 0);
//! let mut rows = 0;
//! while let Some(piece) = reader.next(&limits, &wire[at..])? {
//!     at += piece.len();
//!     if let Piece::Message(message) = piece && message.tag() == CommandComplete::TAG {
//!         rows += CommandComplete::parse(message.body())?.rows().unwrap_or(0);
//!     }
//! }
//! assert_eq!((rows, at), (3, wire.len()));
//! # Ok::<(), paceline_pgwire::Error>(())
//! ```

pub mod auth;
pub mod backend;
mod cursor;
mod error;
mod frame;
pub mod frontend;
mod limits;
mod report;
mod sqlstate;
pub mod startup;
mod wire;

pub use error::{Error, Fault, Side};
pub use frame::{Frame, Message, Part, Piece, Reader, Scanned, TagSet};
pub use limits::{Header, Limits};
pub use report::{ErrorFields, Report, Severity};
pub use sqlstate::SqlState;
pub use wire::Wire;
