//! What opening connections and logging in takes, on both sides.

use std::io;
use std::sync::Arc;

use crate::hashing::Hashing;
use crate::random::Random;
use crate::roster::Roster;
use crate::tls::Connectors;

/// Shared by all workers.
pub(crate) struct Means {
    pub(crate) random: Random,
    pub(crate) hashing: Hashing,
    pub(crate) connectors: Connectors,
    /// Who is here.
    pub(crate) roster: Arc<Roster>,
}

impl Means {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            random: Random::open()?,
            hashing: Hashing::start()?,
            connectors: Connectors::default(),
            roster: Arc::default(),
        })
    }
}
