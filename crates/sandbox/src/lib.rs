//! A private Postgres server, and child processes that end with their owner.
//!
//! The demo and the tests start real servers. Whatever happens to the process that started them (a
//! panic, Ctrl-C, SIGKILL), they must not outlive it, and nothing may stay behind in the temporary
//! folder. Three things see to that:
//!
//! - `Drop` stops what was started, and never waits without a bound.
//! - Each child has a thread of its own that spawned it and waits for it. The kernel's parent-death
//!   signal (`setpriv --pdeathsig`) is tied to the *thread* that spawned: this one lives exactly as
//!   long as it should.
//! - Beside each server waits a tiny shell, reading from a pipe that only its owner holds open. When
//!   the owner is gone, the pipe closes, and the shell ends the server and removes the folder.
//!
//! Everything here blocks, and needs no runtime.
//!
//! ```no_run
//! use paceline_sandbox::{Options, PrivatePostgres};
//!
//! let server = PrivatePostgres::start(Options::default())?;
//! println!("{}", server.url("postgres"));
//! # Ok::<(), paceline_sandbox::Error>(())
//! ```

mod account;
mod binaries;
mod child;
mod cluster;
mod error;
mod janitor;
mod port;
mod postgres;
mod process;

pub use binaries::Binaries;
pub use child::ChildProcess;
pub use error::Error;
pub use port::free_port;
pub use postgres::{Auth, Options, PrivatePostgres};
pub use process::Signal;
