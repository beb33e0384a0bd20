//! Which of its hosts a server is at: they are tried in turn, and each must be what the URL asks for.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ServerConnection;
use super::ask::NOTHING;
use super::resolve::Resolver;
use crate::config::{DatabaseUrl, SessionAttrs};
use crate::error::Unavailable;

/// Data that a server does not acknowledge for this long ends the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);

/// What is known about where the hosts are.
#[derive(Default)]
pub(super) struct Hosts {
    resolver: Resolver,
    /// The one that could be used last is tried first.
    last: AtomicUsize,
}

impl Hosts {
    /// The URL once for each of its hosts, with that host alone; the number goes to [`Hosts::found`].
    pub(super) fn of(&self, url: &DatabaseUrl) -> Vec<(usize, DatabaseUrl)> {
        let single = |(host, port): (String, u16)| DatabaseUrl {
            host,
            port,
            also: Vec::new(),
            ..url.clone()
        };
        let first = std::iter::once((url.host.clone(), url.port));
        let all = first.chain(url.also.iter().cloned()).map(single);
        let mut all: Vec<_> = all.enumerate().collect();
        let start = self.last.load(Relaxed) % all.len();
        all.rotate_left(start);
        all
    }

    /// This one can be used.
    pub(super) fn found(&self, number: usize) {
        self.last.store(number, Relaxed);
    }

    /// What names stand for may have changed.
    pub(super) fn doubt(&self) {
        self.resolver.doubt();
    }

    /// A connection to one of the addresses of a host.
    pub(super) async fn reach(
        &self,
        host: &str,
        port: u16,
        limit: Duration,
    ) -> io::Result<TcpStream> {
        let addresses = self.resolver.resolve(host, port).await?;
        // An address that swallows everything must leave time for the others.
        let each = limit / addresses.len().max(1) as u32;
        let mut failure = io::Error::other("the host has no address");
        for address in addresses {
            match timeout(each, dial(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    paceline_listen::tune(&stream);
    paceline_listen::give_up_after(&stream, UNACKNOWLEDGED_MAX);
    Ok(stream)
}

/// Which of several failures is to be told: one that may pass rather than one that will not, and one of a server that should
/// have been used rather than one of a server that should not.
pub(super) fn telling(one: Option<Unavailable>, other: Unavailable) -> Unavailable {
    match one {
        None => other,
        Some(one) => {
            let rank = |error: &Unavailable| match error {
                Unavailable::Unsuitable { .. } => 0,
                error if error.is_final() => 1,
                _ => 2,
            };
            if rank(&other) > rank(&one) {
                other
            } else {
                one
            }
        }
    }
}

impl SessionAttrs {
    /// The word in the URL.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::Primary => "primary",
        }
    }
}

impl ServerConnection {
    /// Whether the server is what the URL asks for.
    pub(super) async fn suits(&mut self, wanted: SessionAttrs) -> io::Result<bool> {
        match wanted {
            SessionAttrs::Any => Ok(true),
            SessionAttrs::Primary => self.is_in_recovery().await.map(|is| !is),
            SessionAttrs::ReadWrite => {
                let answer = self.ask(b"SHOW transaction_read_only").await?;
                Ok(answer.as_deref() == Some(b"off"))
            }
        }
    }

    /// Whether the server answers, and is what it should be. `is_standby` says what servers of this URL have been of late.
    pub(crate) async fn is_sound(
        &mut self,
        wanted: SessionAttrs,
        is_standby: bool,
    ) -> io::Result<bool> {
        match wanted {
            SessionAttrs::Any if is_standby => self.ask(NOTHING).await.map(|_| true),
            // It was a primary. Should it not be one any more, the name leads elsewhere now.
            SessionAttrs::Any => self.is_in_recovery().await.map(|is| !is),
            wanted => self.suits(wanted).await,
        }
    }

    async fn is_in_recovery(&mut self) -> io::Result<bool> {
        let answer = self.ask(b"SELECT pg_catalog.pg_is_in_recovery()").await?;
        Ok(answer.as_deref() == Some(b"t"))
    }

    /// Whether the server has said of itself that it is a standby.
    pub(crate) fn is_standby(&self) -> bool {
        let is_it = |(name, value): &(Box<[u8]>, Box<[u8]>)| {
            **name == *b"in_hot_standby" && **value == *b"on"
        };
        self.reported.iter().any(is_it)
    }
}
