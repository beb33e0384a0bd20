//! The client's side of SCRAM-SHA-256 (RFC 5802, section 5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::digest::CtOutput;

use super::NONCE_BYTES;
use super::binding::ChannelBinding;
use super::verifier::{SALT_BYTES_MAX, ScramKeys, hmac};
use crate::Error;

/// A server that demands more is out to keep us busy: Postgres's default is 4096, and 4096 take about 2 ms.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Keys to be derived from a password. Slow by intent: about 2 ms of CPU for Postgres's 4096 iterations.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Derivation {
    password: Box<[u8]>,
    salt: Box<[u8]>,
    iterations: u32,
}

impl std::fmt::Debug for Derivation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Derivation")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

impl Derivation {
    pub(super) fn new(password: &[u8], salt: &[u8], iterations: u32) -> Derivation {
        Derivation {
            password: password.into(),
            salt: salt.into(),
            iterations,
        }
    }

    /// Derives them.
    pub fn run(&self) -> ScramKeys {
        ScramKeys::derive(&self.password, &self.salt, self.iterations)
    }
}

/// How a client's first message says what it does about the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gs2<'b> {
    /// It cannot be bound.
    Unbindable,
    /// It could be, and the server seems unable to. A server that is able then knows that somebody sits in between.
    Refused,
    Bound(&'b ChannelBinding),
}

/// An exchange that has sent its first message.
pub(super) struct First {
    nonce: String,
    /// The header of the first message and the data of the channel, as the last message repeats them.
    bound: Vec<u8>,
}

/// An exchange that knows what its keys are derived from.
pub(super) struct Challenged {
    nonce: String,
    bound: Vec<u8>,
    exchanged: String,
    salt: Vec<u8>,
    iterations: u32,
}

/// An exchange that waits for the server's own proof.
pub(super) struct Last {
    signature: [u8; 32],
}

impl First {
    /// Begins an exchange; also gives the first message.
    pub(super) fn new(gs2: Gs2<'_>, random: [u8; NONCE_BYTES]) -> (First, String) {
        let (header, data) = match gs2 {
            Gs2::Unbindable => ("n,,", &[] as &[u8]),
            Gs2::Refused => ("y,,", &[] as &[u8]),
            Gs2::Bound(binding) => (ChannelBinding::HEADER, binding.data()),
        };
        let nonce = STANDARD.encode(random);
        let message = format!("{header}n=,r={nonce}");
        let bound = [header.as_bytes(), data].concat();
        (First { nonce, bound }, message)
    }

    /// Takes the server's first message.
    pub(super) fn challenged(self, message: &[u8]) -> Result<Challenged, Error> {
        let message = text(message)?;
        let mut parts = message.split(',');
        let mut part = |prefix| parts.next().and_then(|part| part.strip_prefix(prefix));
        let nonce = part("r=").filter(|nonce| {
            nonce.len() > self.nonce.len() && nonce.starts_with(self.nonce.as_str())
        });
        let nonce = nonce.ok_or_else(|| wrong("it did not take our nonce up"))?;
        let salt = part("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.filter(|salt| !salt.is_empty() && salt.len() <= SALT_BYTES_MAX);
        let salt = salt.ok_or_else(|| wrong("its salt is not base64, or too long"))?;
        let iterations = part("i=").and_then(|count| count.parse().ok());
        let iterations = iterations.filter(|count| (1..=ITERATIONS_MAX).contains(count));
        let iterations = iterations
            .ok_or_else(|| wrong("its iteration count is not a number from 1 to 1,000,000"))?;
        Ok(Challenged {
            exchanged: format!("n=,r={},{message}", self.nonce),
            nonce: nonce.to_owned(),
            bound: self.bound,
            salt,
            iterations,
        })
    }
}

impl Challenged {
    /// What is to be done to get the keys from a password.
    pub(super) fn derivation(&self, password: &[u8]) -> Derivation {
        Derivation::new(password, &self.salt, self.iterations)
    }

    /// Gives the last message, which proves that we have the keys.
    pub(super) fn prove(self, keys: &ScramKeys) -> Result<(Last, String), Error> {
        if !keys.belong_to(&self.salt, self.iterations) {
            return Err(Error::OtherVerifier);
        }
        let without_proof = format!("c={},r={}", STANDARD.encode(&self.bound), self.nonce);
        let pieces = [self.exchanged.as_bytes(), b",", without_proof.as_bytes()];
        let mut proof = hmac(&keys.stored_key(), &pieces);
        proof
            .iter_mut()
            .zip(keys.client_key)
            .for_each(|(proof, key)| *proof ^= key);
        let signature = hmac(&keys.server_key, &pieces);
        let message = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((Last { signature }, message))
    }
}

impl Last {
    /// Takes the server's last message: it must prove that it knows the password too.
    pub(super) fn finish(self, message: &[u8]) -> Result<(), Error> {
        let message = text(message)?;
        if message.starts_with("e=") {
            return Err(wrong("it refused our proof"));
        }
        let first = message.split(',').next().unwrap_or_default();
        let signature = first
            .strip_prefix("v=")
            .and_then(|signature| STANDARD.decode(signature).ok())
            .and_then(|signature| <[u8; 32]>::try_from(signature).ok())
            .ok_or_else(|| wrong("its proof is not 32 bytes of base64"))?;
        let (found, wanted) = (
            CtOutput::<sha2::Sha256>::new(signature.into()),
            CtOutput::new(self.signature.into()),
        );
        if found == wanted {
            Ok(())
        } else {
            Err(wrong("it does not know the password itself"))
        }
    }
}

fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| wrong("it sent something that is not UTF-8"))
}

fn wrong(problem: &'static str) -> Error {
    Error::Scram(problem)
}
