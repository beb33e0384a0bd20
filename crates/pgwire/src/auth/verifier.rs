//! What a server keeps of a password: enough to check it and to prove that it knows it, not enough to log in with it
//! (RFC 5802, section 3; stored by Postgres in `pg_authid.rolpassword`).

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::digest::CtOutput;
use sha2::{Digest, Sha256};

use super::scram::Derivation;
use crate::Error;

/// Bytes of salt in a verifier that we make.
pub const SALT_BYTES: usize = 16;
/// Postgres's default.
const ITERATIONS: u32 = 4096;
pub(super) const SALT_BYTES_MAX: usize = 1024;

/// A SCRAM-SHA-256 verifier: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: [u8; 32],
    pub(super) server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Verifier {
    /// Makes the verifier of a password. The salt must be random. Takes some milliseconds of CPU: done once when a
    /// password is configured, never for a login.
    pub fn from_password(password: &[u8], salt: [u8; SALT_BYTES]) -> Verifier {
        ScramKeys::derive(password, &salt, ITERATIONS).verifier()
    }

    /// Reads the stored form.
    pub fn parse(stored: &str) -> Result<Verifier, Error> {
        let malformed =
            Error::Verifier("it has not the form SCRAM-SHA-256$iterations:salt$key:key");
        let parts = (|| {
            let (first, keys) = stored.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
            Some((first.split_once(':')?, keys.split_once(':')?))
        })();
        let ((iterations, salt), (stored_key, server_key)) = parts.ok_or(malformed)?;
        let iterations = iterations.parse().ok().filter(|count| *count > 0);
        let salt = STANDARD
            .decode(salt)
            .ok()
            .filter(|salt| salt.len() <= SALT_BYTES_MAX);
        Ok(Verifier {
            iterations: iterations.ok_or(Error::Verifier("its iteration count is no number"))?,
            salt: salt.ok_or(Error::Verifier("its salt is not base64, or too long"))?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// The stored form.
    pub fn to_stored(&self) -> String {
        let mut stored = format!(
            "SCRAM-SHA-256${}:{}$",
            self.iterations,
            STANDARD.encode(&self.salt)
        );
        let (stored_key, server_key) = (
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key),
        );
        write!(stored, "{stored_key}:{server_key}").expect("a String takes all that is written");
        stored
    }

    /// A verifier for a user who does not exist, so that the exchange with it looks and lasts like any other. The same
    /// secret gives the same user always the same salt. No password belongs to it that anybody could know.
    pub fn mock(secret: &[u8; 32], user: &[u8]) -> Verifier {
        let salt = hmac(secret, &[b"salt", user]);
        Verifier {
            iterations: ITERATIONS,
            salt: salt[..SALT_BYTES].to_vec(),
            stored_key: hmac(secret, &[b"stored", user]),
            server_key: hmac(secret, &[b"server", user]),
        }
    }

    /// What is to be done to find out whether a password is the right one: see [`Verifier::is_of`].
    pub fn derivation(&self, password: &[u8]) -> Derivation {
        Derivation::new(password, &self.salt, self.iterations)
    }

    /// Whether it was made from the same password as these keys.
    pub fn is_of(&self, keys: &ScramKeys) -> bool {
        let (mine, other) = (
            CtOutput::<Sha256>::new(self.stored_key.into()),
            CtOutput::new(keys.stored_key().into()),
        );
        (mine == other) & keys.belong_to(&self.salt, self.iterations)
    }

    /// The keys, once a client has proved that it has its own.
    pub(super) fn keys(self, client_key: [u8; 32]) -> ScramKeys {
        ScramKeys {
            iterations: self.iterations,
            salt: self.salt,
            client_key,
            server_key: self.server_key,
        }
    }
}

/// What SCRAM makes of a password for one salt and iteration count: enough to log in wherever the password's verifier has both,
/// of no use elsewhere, and gone with the verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    iterations: u32,
    salt: Vec<u8>,
    pub(super) client_key: [u8; 32],
    pub(super) server_key: [u8; 32],
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramKeys(..)")
    }
}

impl ScramKeys {
    pub(super) fn derive(password: &[u8], salt: &[u8], iterations: u32) -> ScramKeys {
        let salted = salted_password(&normalize(password), salt, iterations);
        ScramKeys {
            iterations,
            salt: salt.to_vec(),
            client_key: hmac(&salted, &[b"Client Key"]),
            server_key: hmac(&salted, &[b"Server Key"]),
        }
    }

    /// The verifier of the same password.
    pub fn verifier(&self) -> Verifier {
        Verifier {
            iterations: self.iterations,
            salt: self.salt.clone(),
            stored_key: self.stored_key(),
            server_key: self.server_key,
        }
    }

    pub(super) fn stored_key(&self) -> [u8; 32] {
        Sha256::digest(self.client_key).into()
    }

    pub(super) fn belong_to(&self, salt: &[u8], iterations: u32) -> bool {
        self.salt == salt && self.iterations == iterations
    }
}

/// HMAC-SHA-256 over the pieces joined.
pub(super) fn hmac(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = mac(key);
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().into()
}

pub(super) fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// `Hi` of RFC 5802: PBKDF2 with one block. The keyed state is made once and cloned, which halves the work.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = mac(password);
    let round = |pieces: &[&[u8]]| -> [u8; 32] {
        let mut mac = keyed.clone();
        pieces.iter().for_each(|piece| mac.update(piece));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &[0, 0, 0, 1]]);
    let mut sum = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        sum.iter_mut()
            .zip(last)
            .for_each(|(sum, last)| *sum ^= last);
    }
    sum
}

/// SASLprep where it applies, else the bytes as they are, as Postgres and libpq do it.
fn normalize(password: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(password).map(stringprep::saslprep) {
        Ok(Ok(prepared)) => prepared.as_bytes().to_vec(),
        _ => password.to_vec(),
    }
}

fn key(text: &str) -> Result<[u8; 32], Error> {
    let bytes = STANDARD.decode(text).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Error::Verifier("a key is not 32 bytes of base64"))
}
