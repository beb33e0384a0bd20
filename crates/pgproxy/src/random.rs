//! Random numbers that nobody can guess, for salts, nonces and cancel keys.

use std::fs::File;
use std::io::{self, Read};

/// The system's generator. Reading a few bytes from it neither waits nor fails once it is open.
#[derive(Debug)]
pub(crate) struct Random(File);

impl Random {
    pub(crate) fn open() -> io::Result<Self> {
        let random = Self(File::open("/dev/urandom")?);
        random.bytes::<1>()?;
        Ok(random)
    }

    pub(crate) fn bytes<const N: usize>(&self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        (&self.0).read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
