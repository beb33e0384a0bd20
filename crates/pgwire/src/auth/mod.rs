//! Proving an identity, both sides of it: SCRAM-SHA-256 (RFC 5802, RFC 7677), bound to the TLS channel where there is one
//! (RFC 5929), md5, and the password itself.

mod binding;
mod client;
mod md5;
mod scram;
mod server;
mod verifier;

pub use binding::{Channel, ChannelBinding};
pub use client::{ClientAuth, Credential, Progress};
pub use md5::Md5Hash;
pub use scram::Derivation;
pub use server::{Proved, ScramServer};
pub use verifier::{SALT_BYTES, ScramKeys, Verifier};

/// The mechanism's name on the wire.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The name of the mechanism when it is bound to the channel.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// Random bytes that each side of an exchange needs.
pub const NONCE_BYTES: usize = 18;

#[cfg(test)]
mod tests;
