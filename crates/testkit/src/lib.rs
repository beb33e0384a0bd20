//! Tests only: real servers, a running Paceline, and clients that can misbehave.
//!
//! Everything here blocks, ends what it started on drop, and panics with a sentence that says what
//! went wrong: a test has nobody to hand an error to.
#![expect(
    clippy::missing_panics_doc,
    reason = "everything here panics: it is for tests"
)]
#![expect(clippy::unwrap_used, reason = "for tests only")]

mod browser;
mod ended;
pub mod http;
pub mod origin;
mod paceline;
mod postgres;
mod raw_pg;
mod sockets;
mod wait;

pub use browser::{Browser, View};
pub use ended::{Ended, run_to_end};
pub use paceline::{Launch, Paceline, built_binary};
pub use paceline_sandbox as sandbox;
pub use paceline_sandbox::{
    Auth, Binaries, ChildProcess, Options, PrivatePostgres, Signal, free_port,
};
pub use postgres::{options, postgres, psql, scram_postgres, target_folder};
pub use raw_pg::{Frame, RawPg, frame};
pub use sockets::keepalive_timers;
pub use wait::{wait_for, wait_until};
