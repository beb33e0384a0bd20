//! Listening sockets for the two halves and the admin server: one per worker on the same port ([`bind`]), an accept
//! loop that survives the want of descriptors ([`Acceptor`]), the options of a connection ([`tune`]), the signal to
//! stop accepting ([`drain`]), sockets for a successor ([`Lines`]), and what the parts of a process can ask of the whole
//! ([`control()`]).
#![forbid(unsafe_code)]

mod accept;
mod bind;
mod control;
mod drain;
mod pass;
mod stream;

pub use accept::{Acceptor, is_out_of_descriptors};
pub use bind::{BindError, bind};
pub use control::{Busy, Control, Effect, Leave, Reloaded, Setting, Wish, control};
pub use drain::{Drain, DrainSignal, drain};
pub use pass::Lines;
pub use stream::{give_up_after, tune};
