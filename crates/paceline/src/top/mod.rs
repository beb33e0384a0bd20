//! `paceline top`: routes, statements and pools of a running instance, live.
//!
//! A thread asks the instance; the other one draws and reads keys, so that an instance that is slow to answer does not hold up
//! either.

mod keys;
mod live;
mod model;
mod poll;
mod screen;
mod snapshot;
mod table;

pub(crate) use live::live;
pub(crate) use model::{Model, Sort, View};
pub(crate) use poll::read;
pub(crate) use table::plain;
