//! Whether a peer can be reached, asked actively: a half without traffic learns nothing by itself, and one that was
//! taken out of service for an unreachable peer would never come back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a peer may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a success is believed. A failure is not: whoever waits for the peer wants to know at once.
const BELIEVED: Duration = Duration::from_secs(1);

/// The host and port of a peer, and when it was last reached.
#[derive(Debug)]
pub struct Peer {
    host: String,
    port: u16,
    reached: Mutex<Option<Instant>>,
}

impl Peer {
    /// A peer by name or address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            reached: Mutex::new(None),
        }
    }

    /// Connects, unless that worked a moment ago. The error is the end of a sentence.
    pub(crate) async fn reach(&self) -> Result<(), String> {
        let recent = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.is_some_and(|reached| reached.elapsed() < BELIEVED) {
            return Ok(());
        }
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        match timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(_)) => {
                *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Ok(())
            }
            Ok(Err(error)) => Err(format!("{self} could not be reached: {error}")),
            Err(_) => Err(format!(
                "{self} did not accept a connection within {CONNECT_TIMEOUT:?}"
            )),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}
