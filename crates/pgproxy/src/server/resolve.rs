//! From the name of a host to its addresses: asked again for each connection, but not more often than every other second.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::lookup_host;

/// How long an answer is good for. After a fail-over the name leads elsewhere, and nobody should wait for that to be noticed.
const FRESH: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Default)]
pub(super) struct Resolver {
    known: Mutex<HashMap<String, Answer>>,
}

struct Answer {
    at: Instant,
    addresses: Vec<IpAddr>,
}

impl Resolver {
    /// All addresses of a host, in the order in which they are to be tried. While names cannot be resolved, what they were
    /// last must do.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let known = self.known(host);
        if let Some((addresses, true)) = known {
            return Ok(with_port(&addresses, port));
        }
        match (lookup_host((host, port)).await, known) {
            (Ok(found), _) => {
                let mut addresses: Vec<IpAddr> = Vec::new();
                for address in found.map(|address| address.ip()) {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                if addresses.is_empty() {
                    return Err(io::Error::other(format!("{host} has no address")));
                }
                let all = with_port(&addresses, port);
                let at = Instant::now();
                self.lock()
                    .insert(host.to_owned(), Answer { at, addresses });
                Ok(all)
            }
            (Err(error), Some((addresses, _))) => {
                tracing::warn!(%error, host, "A name cannot be resolved; using what it was last.");
                Ok(with_port(&addresses, port))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// What is known may be wrong: ask anew.
    pub(super) fn doubt(&self) {
        for answer in self.lock().values_mut() {
            if let Some(earlier) = answer.at.checked_sub(FRESH) {
                answer.at = earlier;
            }
        }
    }

    /// What is known, and whether it is fresh.
    fn known(&self, host: &str) -> Option<(Vec<IpAddr>, bool)> {
        let known = self.lock();
        let answer = known.get(host)?;
        Some((answer.addresses.clone(), answer.at.elapsed() < FRESH))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn with_port(addresses: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let address = |ip: &IpAddr| SocketAddr::new(*ip, port);
    addresses.iter().map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_remembered_for_a_moment_and_doubted_on_request() {
        let resolver = Resolver::default();
        let found = resolver.resolve("localhost", 7).await.unwrap();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 7)
        );
        assert!(matches!(resolver.known("localhost"), Some((_, true))));
        resolver.doubt();
        assert!(matches!(resolver.known("localhost"), Some((_, false))));
        assert!(!resolver.resolve("localhost", 8).await.unwrap().is_empty());
        assert!(matches!(resolver.known("localhost"), Some((_, true))));
        let found = resolver.resolve("::1", 9).await.unwrap();
        assert_eq!(found, ["[::1]:9".parse().unwrap()]);
        assert!(resolver.resolve("no.such.host.invalid", 1).await.is_err());
    }
}
