//! Server connections: how they are opened, and what is known about each.

mod ask;
mod auth;
mod circuit;
mod connect;
mod connection;
mod dial;
mod hosts;
mod prepared;
mod resolve;

pub(crate) use ask::{first_value, frame_len};
pub(crate) use circuit::{Circuit, Turn};
pub(crate) use connect::{Opened, Server};
pub(crate) use connection::{CancelKey, Reported, Reset, ServerConnection, Status};
pub(crate) use dial::Route;
pub(crate) use prepared::{NameBuf, PreparedSet, ServerName};
