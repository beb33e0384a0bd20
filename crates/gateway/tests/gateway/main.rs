//! The gateway in this process, between origins that do as they are told and clients that send what they like.
#![expect(clippy::unwrap_used, reason = "for tests only")]

mod bodies;
mod drain;
mod faults;
mod headers;
mod hostile;
mod observed;
mod support;
mod timeouts;
