//! Who may come in, and what servers are told about them.
//!
//! - [`authenticator`] knows how a client has to prove who it is, from what [`users`], the databases' URLs and [`query`] know.
//! - [`limiter`] slows guessing down.
//! - What a client has proved is an [`Identity`]; it opens connections to servers that know the same user.
//!
//! The messages of a login are dealt with in `client::login` and `server::auth`.

mod authenticator;
mod credential;
mod limiter;
mod query;
mod secret;
mod userlist;
mod users;

pub(crate) use authenticator::{Authenticator, Challenge, Claim, Known};
pub(crate) use credential::{Credential, Identity};
pub(crate) use secret::Secret;
pub(crate) use users::{Users, looker};
