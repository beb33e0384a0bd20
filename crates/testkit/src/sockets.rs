//! What the kernel knows of connections, whoever holds them.

use std::time::Duration;

/// The established IPv4 connections of this machine with this port on their own side, or this one on the peer's: for each,
/// how long until the kernel asks whether the peer is still there. `None`: never.
pub fn keepalive_timers(own_port: Option<u16>, peer_port: Option<u16>) -> Vec<Option<Duration>> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_port = |address: &str, port: Option<u16>| {
        port.is_none_or(|port| address.ends_with(&format!(":{port:04X}")))
    };
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[3] == ESTABLISHED)
        .filter(|fields| is_port(fields[1], own_port) && is_port(fields[2], peer_port))
        .map(|fields| timer(fields[5]))
        .collect()
}

/// `02:00001770`: the keepalive timer, which rings in so many hundredths of a second.
fn timer(text: &str) -> Option<Duration> {
    let ticks = text.strip_prefix("02:")?;
    let ticks = u64::from_str_radix(ticks, 16).unwrap();
    Some(Duration::from_millis(10 * ticks))
}
