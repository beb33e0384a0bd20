//! The md5 method of Postgres: what it stores of a password, `md5` and the hexadecimal hash of password and user, lets
//! whoever has it log in. SCRAM is better in every way; some servers and clients still have nothing else.

use std::fmt;

use md5::{Digest, Md5};
use sha2::digest::CtOutput;

use crate::Error;

/// Hexadecimal digits of a hash.
type Digits = [u8; 32];

/// What Postgres stores of a password under `password_encryption = md5`.
#[derive(Clone)]
pub struct Md5Hash(Digits);

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(..)")
    }
}

impl PartialEq for Md5Hash {
    /// In a time that does not tell where they differ.
    fn eq(&self, other: &Md5Hash) -> bool {
        is_equal(&self.0, &other.0)
    }
}

impl Eq for Md5Hash {}

impl Md5Hash {
    /// Of a password. Costs next to nothing, which is what is wrong with it.
    pub fn from_password(user: &[u8], password: &[u8]) -> Md5Hash {
        Md5Hash(digits(&[password, user]))
    }

    /// Reads the stored form: `md5` and 32 hexadecimal digits in lower case.
    pub fn parse(stored: &str) -> Result<Md5Hash, Error> {
        let digits = stored.strip_prefix("md5").map(str::as_bytes);
        let digits = digits.and_then(|digits| Digits::try_from(digits).ok());
        digits
            .filter(|digits| digits.iter().all(|digit| HEXADECIMAL.contains(digit)))
            .map(Md5Hash)
            .ok_or(Error::Verifier(
                "it has not the form md5 and 32 hexadecimal digits",
            ))
    }

    /// The stored form.
    pub fn to_stored(&self) -> String {
        with_prefix(&self.0)
    }

    /// What a client answers to a request with this salt.
    pub fn answer(&self, salt: [u8; 4]) -> String {
        with_prefix(&digits(&[&self.0, &salt]))
    }

    /// Whether a client's answer to a request with this salt is right.
    pub fn accepts(&self, salt: [u8; 4], answer: &[u8]) -> bool {
        let wanted = digits(&[&self.0, &salt]);
        let answer = answer.strip_prefix(b"md5").map(Digits::try_from);
        matches!(answer, Some(Ok(answer)) if is_equal(&answer, &wanted))
    }
}

const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";

fn digits(pieces: &[&[u8]]) -> Digits {
    let mut md5 = Md5::new();
    pieces.iter().for_each(|piece| md5.update(piece));
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(md5.finalize()) {
        pair[0] = HEXADECIMAL[usize::from(byte >> 4)];
        pair[1] = HEXADECIMAL[usize::from(byte & 15)];
    }
    digits
}

fn with_prefix(digits: &Digits) -> String {
    let mut text = String::with_capacity(35);
    text.push_str("md5");
    text.extend(digits.iter().map(|&digit| char::from(digit)));
    text
}

fn is_equal(one: &Digits, other: &Digits) -> bool {
    CtOutput::<sha2::Sha256>::new((*one).into()) == CtOutput::new((*other).into())
}
