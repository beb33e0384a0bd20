//! One request as a waterfall: where its time went.

mod request;
mod split;
mod waterfall;

pub(crate) use request::{Candidate, Recent, Request};
pub(crate) use waterfall::{View, render};
