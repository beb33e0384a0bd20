//! What opening connections and logging in takes, on both sides.

use std::io;

use crate::hashing::Hashing;
use crate::random::Random;
use crate::tls::Connectors;

/// Shared by all workers.
pub(crate) struct Means {
    pub(crate) random: Random,
    pub(crate) hashing: Hashing,
    pub(crate) connectors: Connectors,
}

impl Means {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            random: Random::open()?,
            hashing: Hashing::start()?,
            connectors: Connectors::default(),
        })
    }
}
