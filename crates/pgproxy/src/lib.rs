//! The Postgres half of Paceline: clients share server connections, and every statement is accounted to the request that
//! caused it.
//!
//! - [`Proxy`] is what all workers share; [`Proxy::serve`] is one worker.
//! - `pool` says who has a server connection and who waits for one.
//! - `session` is the life of a SQL message, stage by stage.
//! - `session::expect` keeps the answers in step with what was asked.
#![forbid(unsafe_code)]

mod auth;
mod buffer;
mod cancel;
mod client;
mod config;
mod console;
mod count;
mod databases;
mod direct;
mod error;
mod files;
mod flaws;
mod hashing;
mod means;
mod notify;
mod observe;
mod pool;
mod proxy;
mod random;
mod room;
mod roster;
mod server;
mod session;
mod settings;
mod slow_log;
mod stream;
mod tls;
mod worker;

pub use cancel::Stray;
pub use config::{
    ANY, AuthMethod, AuthQuery, ChannelBindingMode, ClientAuth, ClientTls, ClientTlsMode, Config,
    Database, DatabaseUrl, DatabaseUrlError, Mode, Pooling, RootCertificates, ServerMethod,
    ServerTls, SessionAttrs, SslMode, Timeouts, User,
};
pub use direct::open_session;
pub use error::{Error, Unavailable};
pub use files::FileError;
pub use flaws::Flaw;
pub use pool::{PoolSnapshot, PoolTotals};
pub use proxy::{Proxy, Stats};
pub use slow_log::{ShownParameters, SlowStatement};
pub use tls::TlsError;
