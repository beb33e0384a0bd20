//! Server connections: how they are opened, and what is known about each.

mod auth;
mod connect;
mod connection;
mod prepared;

pub(crate) use connect::{Opened, Server};
pub(crate) use connection::{CancelKey, Reported, ServerConnection, Status};
pub(crate) use prepared::{NameBuf, PreparedSet, ServerName};
