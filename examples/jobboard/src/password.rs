//! Password hashes.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

const ROUNDS: u32 = 60_000;

/// A stretched hash of a password. It is meant to take a while.
pub(crate) fn hash(password: &str, salt: &str) -> String {
    let mut digest = Sha256::digest(format!("{salt}:{password}"));
    for _ in 1..ROUNDS {
        digest = Sha256::new()
            .chain_update(digest)
            .chain_update(password)
            .finalize();
    }
    hex(&digest)
}

/// The fingerprint of a document.
pub(crate) fn fingerprint(text: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
