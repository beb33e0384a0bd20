//! Nanoseconds per message of the reader, over a read buffer as a server fills it. `cargo bench -p paceline-pgwire`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its result"
)]

use std::hint::black_box;
use std::time::Instant;

use paceline_pgwire::backend::{
    BIND_COMPLETE, CommandComplete, PARSE_COMPLETE, ReadyForQuery, TransactionStatus,
};
use paceline_pgwire::frontend::{Bind, Execute, SYNC};
use paceline_pgwire::{Limits, Piece, Reader, TagSet, Wire};

const REPEATS: usize = 9;
const BUFFER_BYTES: usize = 16 * 1024;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --benches` only wants to know that it builds.
    }
    let stop = TagSet::of(b"CEZGHWASK");
    let backend = Limits::backend();

    let mut answer = Vec::new();
    answer.extend_from_slice(PARSE_COMPLETE);
    answer.extend_from_slice(BIND_COMPLETE);
    put_row(&mut answer, 4);
    CommandComplete { tag: b"SELECT 1" }.write(&mut answer);
    ReadyForQuery(TransactionStatus::Idle).write(&mut answer);
    report(
        "scan, answers of one small row each",
        &fill(&answer),
        |buf| scan(&backend, &stop, buf),
    );

    let mut rows = Vec::new();
    put_row(&mut rows, 100);
    report("scan, rows of 100 bytes", &fill(&rows), |buf| {
        scan(&backend, &stop, buf)
    });

    let mut batch = Vec::new();
    let rest = b"\0\0\0\x01\0\0\0\x0212\0\0";
    Bind {
        portal: b"",
        statement: b"s1",
        rest,
    }
    .write(&mut batch);
    Execute {
        portal: b"",
        rows_max: 0,
    }
    .write(&mut batch);
    batch.extend_from_slice(SYNC);
    let frontend = Limits::frontend(1 << 20);
    report(
        "next and Bind::parse, prepared batches",
        &fill(&batch),
        |buf| {
            let (mut reader, mut at, mut messages) = (Reader::default(), 0, 0);
            while let Some(piece) = reader.next(&frontend, &buf[at..]).unwrap() {
                at += piece.len();
                messages += 1;
                if let Piece::Message(message) = piece
                    && message.tag() == Bind::TAG
                {
                    black_box(Bind::parse(message.body()).unwrap());
                }
            }
            messages
        },
    );
}

fn scan(limits: &Limits, stop: &TagSet, buf: &[u8]) -> u32 {
    let (mut reader, mut at, mut messages) = (Reader::default(), 0, 0);
    loop {
        let scanned = reader.scan(limits, &buf[at..], stop).unwrap();
        messages += scanned.messages;
        at += scanned.passed;
        let Some(piece) = scanned.found else {
            return messages;
        };
        at += black_box(piece).len();
        messages += 1;
    }
}

fn put_row(out: &mut Vec<u8>, bytes: u32) {
    out.push(b'D');
    out.extend_from_slice(&(10 + bytes).to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&bytes.to_be_bytes());
    out.resize(out.len() + bytes as usize, b'7');
}

fn fill(pattern: &[u8]) -> Vec<u8> {
    pattern.repeat(BUFFER_BYTES / pattern.len())
}

fn report(name: &str, buf: &[u8], mut walk: impl FnMut(&[u8]) -> u32) {
    let rounds = 20_000;
    let mut ns: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let started = Instant::now();
            let messages: u64 = (0..rounds).map(|_| u64::from(walk(black_box(buf)))).sum();
            started.elapsed().as_nanos() as f64 / messages as f64
        })
        .collect();
    ns.sort_by(f64::total_cmp);
    let (low, median, high) = (ns[0], ns[REPEATS / 2], ns[REPEATS - 1]);
    println!("{name:45} {median:6.2} ns per message ({low:.2} to {high:.2})");
}
