//! The HTTP half of Paceline: a streaming reverse proxy that mints a trace for each request it sends to the
//! application, and notes in the journal how the request went.
//!
//! What happens to a request stands as one list in `stages/mod.rs`. Around it:
//!
//! | file | what it is |
//! |---|---|
//! | `gateway.rs` | made once; accepts on each worker, and drains |
//! | `connection.rs` | a client connection: hyper, the clock and the drain signal in one task |
//! | `watch.rs` | what a connection waits for, and until when: one timer for all of it |
//! | `pool.rs` | a worker's connections to the application |
//! | `request_body.rs`, `response_body.rs` | bodies on their way, and what has to happen when they end |
//! | `said.rs`, `appraise.rs` | what answers say of themselves, for the journal's figures |
//! | `respond.rs` | every error that becomes an answer |
//!
//! Nothing is buffered: a body is read from one side only when the other takes it. Some are looked at on their way, and pass as
//! they are. A client that leaves ends its request
//! upstream; an answer that breaks off upstream breaks off here, and never ends as if it were whole.
//!
//! What this half does not do: it speaks HTTP/1.1 without TLS, answers `Expect: 100-continue` when the application does
//! (after a second in any case), passes no other 1xx answer on, and drops `Upgrade`, which leaves the application to
//! answer as HTTP.
#![forbid(unsafe_code)]

mod appraise;
mod config;
mod connection;
mod error;
mod gateway;
mod guests;
mod headers;
mod pool;
mod request_body;
mod respond;
mod response_body;
mod said;
mod stages;
mod stats;
mod stream;
mod watch;
mod worker;

pub use config::{Config, Upstream};
pub use error::Error;
pub use gateway::Gateway;
pub use stats::{Stats, UpstreamStats};
