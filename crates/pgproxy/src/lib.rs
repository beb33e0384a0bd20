//! The Postgres half of Paceline: clients share server connections, and every statement is accounted to the request that
//! caused it.
//!
//! - [`Proxy`] is what all workers share; [`Proxy::serve`] is one worker.
#![forbid(unsafe_code)]

mod config;
mod error;
mod pool;
mod proxy;

pub use config::{Config, DatabaseUrl, DatabaseUrlError, Mode};
pub use error::Error;
pub use pool::PoolSnapshot;
pub use proxy::{Proxy, Stats};
