//! Listening sockets for the two halves and the admin server: one per worker on the same port ([`bind`]), an accept
//! loop that survives the want of descriptors ([`Acceptor`]), the options of a connection ([`tune`]), and the signal to
//! stop accepting ([`drain`]).
#![forbid(unsafe_code)]

mod accept;
mod bind;
mod drain;
mod stream;

pub use accept::Acceptor;
pub use bind::{BindError, bind};
pub use drain::{Drain, DrainSignal, drain};
pub use stream::{give_up_after, tune};
