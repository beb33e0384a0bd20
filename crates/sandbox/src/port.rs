//! Ports to listen on.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::ops::Range;

/// Below the range from which the kernel takes the local ports of outgoing connections, so that a
/// stopped server finds its port free when it comes back.
const PORTS: Range<u16> = 16_384..32_768;
const TRIES_MAX: usize = 20;

/// A port of 127.0.0.1 that is free at this moment. Whoever binds it later must be ready to find it
/// taken, and to try another.
pub fn free_port() -> io::Result<u16> {
    let width = u64::from(PORTS.end - PORTS.start);
    (0..TRIES_MAX)
        .find_map(|try_number| {
            let offset = RandomState::new().hash_one(try_number) % width;
            let port = PORTS.start + u16::try_from(offset).unwrap_or(0);
            TcpListener::bind(("127.0.0.1", port)).ok()
        })
        .map_or_else(|| TcpListener::bind(("127.0.0.1", 0)), Ok)
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
}
