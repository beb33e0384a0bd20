//! Proving an identity: SCRAM-SHA-256 (RFC 5802, RFC 7677) for both sides, md5 and cleartext as a client.

mod client;
mod server;
mod verifier;

pub use client::{ClientAuth, Progress};
pub use server::{NONCE_BYTES, ScramServer};
pub use verifier::{SALT_BYTES, Verifier};

/// The mechanism's name on the wire.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";

#[cfg(test)]
mod tests;
