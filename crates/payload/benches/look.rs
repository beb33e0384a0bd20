//! Nanoseconds per byte of a look and of a digest, over bodies in pieces of 16 KiB. `cargo bench -p paceline-payload`.
#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark prints its result"
)]

use std::hint::black_box;
use std::time::Instant;

use paceline_payload::{Digest, Look};

const REPEATS: usize = 15;
const PIECE_BYTES: usize = 16 * 1024;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --benches` only wants to know that it builds.
    }
    let row = |id: usize| {
        format!(
            r#"{{"id":{id},"title":"Engineer, Databases and {id}","company":{{"id":{id},"name":"Example {id} Ltd"}},"remote":true,"salary_min":61000,"salary_max":null,"posted_at":"2025-06-11T08:30:00Z","skills":["rust","postgres"]}}"#
        )
    };
    let rows = |count: usize| format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(","));
    let texts: Vec<_> = (0..20)
        .map(|_| format!("\"{}\"", "A sentence of some length. ".repeat(400)))
        .collect();
    for (name, body) in [
        ("look, a page of 50 rows", rows(50)),
        ("look, a list of 4,000 rows", rows(4_000)),
        ("look, long texts", format!("[{}]", texts.join(","))),
        ("look, numbers", format!("[{}]", "1,".repeat(50_000) + "1")),
    ] {
        measure(name, body.len(), || {
            let mut look = Look::default();
            body.as_bytes()
                .chunks(PIECE_BYTES)
                .for_each(|piece| look.push(piece));
            black_box(look.figures().is_some())
        });
    }
    let body = rows(50);
    measure("digest, a page of 50 rows", body.len(), || {
        let mut digest = Digest::new(1);
        digest.write(black_box(body.as_bytes()));
        black_box(digest.get() != 0)
    });
}

/// Median and spread over some rounds.
fn measure(name: &str, bytes: usize, mut call: impl FnMut() -> bool) {
    let calls = (4 << 20) / bytes + 1;
    let mut rounds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..calls {
                assert!(call());
            }
            began.elapsed().as_nanos() as f64 / (calls * bytes) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (median, low, high) = (rounds[REPEATS / 2], rounds[0], rounds[REPEATS - 1]);
    println!("{name:<32} {bytes:>9} bytes {median:>7.3} ns/byte ({low:.3} to {high:.3})");
}
