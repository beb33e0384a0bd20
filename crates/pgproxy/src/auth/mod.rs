//! Who may come in, and what servers are told about them.

mod authenticator;
mod credential;

pub(crate) use authenticator::{Authenticator, Verdict};
pub(crate) use credential::{Credential, Identity};
