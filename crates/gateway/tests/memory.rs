//! Bodies pass through without being held: measured in a process in which nothing else runs.
#![expect(clippy::unwrap_used, reason = "for tests only")]

#[expect(dead_code, reason = "shared with the other tests")]
#[path = "gateway/support.rs"]
mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline_testkit::origin::{Next, Origin};

use crate::support::Running;

const MIB: u64 = 1024 * 1024;
const LARGE: u64 = 200 * MIB;
const MEMORY_MAX: u64 = 16 * MIB;

#[test]
fn large_bodies_take_no_memory() {
    a_large_answer_takes_no_memory();
    a_large_upload_takes_no_memory();
}

fn a_large_answer_takes_no_memory() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let origin = Origin::start(move |_, peer| {
        peer.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes());
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..LARGE / piece.len() as u64 {
            peer.send(&piece);
            counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
        Next::Keep
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n");
    while !client.line().unwrap().is_empty() {}
    let before = resident_bytes();
    let mut most = before;
    for read in 1..=LARGE / MIB {
        assert!(client.bytes(MIB as usize).iter().all(|byte| *byte == b'x'));
        let ahead = sent.load(Ordering::SeqCst).saturating_sub(read * MIB);
        assert!(
            ahead < most_in_flight(),
            "the origin is {ahead} bytes ahead of the client"
        );
        most = most.max(resident_bytes());
    }
    assert!(
        most - before < MEMORY_MAX,
        "{} MiB more than before",
        (most - before) / MIB
    );
    assert_eq!(running.only_request().response_bytes, LARGE);
}

fn a_large_upload_takes_no_memory() {
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let origin = Origin::start_unread(move |_, peer| {
        let mut buffer = vec![0; 64 * 1024];
        while counter.load(Ordering::SeqCst) < LARGE {
            let read = peer.read(&mut buffer) as u64;
            assert_ne!(read, 0, "the upload was cut short");
            counter.fetch_add(read, Ordering::SeqCst);
        }
        peer.respond(200, &[], b"all")
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send(format!(
        "PUT /large HTTP/1.1\r\nhost: a\r\ncontent-length: {LARGE}\r\n\r\n"
    ));
    let (piece, before) = (vec![b'x'; MIB as usize], resident_bytes());
    let mut most = before;
    for sent in 1..=LARGE / MIB {
        client.send(&piece);
        let ahead = (sent * MIB).saturating_sub(received.load(Ordering::SeqCst));
        assert!(
            ahead < most_in_flight(),
            "the client is {ahead} bytes ahead of the origin"
        );
        most = most.max(resident_bytes());
    }
    assert_eq!(client.response().text(), "all");
    assert!(
        most - before < MEMORY_MAX,
        "{} MiB more than before",
        (most - before) / MIB
    );
}

/// What the sockets of two connections can hold, and as much again as our own buffers may: how far one end can be ahead
/// of the other.
fn most_in_flight() -> u64 {
    let largest = |name: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        text.split_whitespace().last().unwrap().parse().unwrap()
    };
    let bytes = 2 * (largest("tcp_rmem") + largest("tcp_wmem")) + MEMORY_MAX;
    assert!(
        bytes < LARGE,
        "the body must be larger than what is on the way"
    );
    bytes
}

/// What this process holds in memory now.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
