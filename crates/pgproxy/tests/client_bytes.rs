//! Runs the fuzz target's entry function over its seeds and over damaged seeds, the same ones every time.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/entry.rs"]
mod entry;

use std::path::Path;

#[test]
fn a_client_that_says_anything_is_answered_or_left() {
    let port = entry::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/client");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 10, "the seeds are gone");
    let mut random = fastrand::Rng::with_seed(1);
    for path in paths {
        let seed = std::fs::read(path).unwrap();
        entry::run(port, &seed);
        for _ in 0..30 {
            let mut damaged = seed.clone();
            for _ in 0..random.usize(1..4) {
                // The first byte says what it is.
                let at = random.usize(1..damaged.len());
                match random.u8(..3) {
                    0 => damaged[at] = random.u8(..),
                    1 => damaged.insert(at, random.u8(..)),
                    _ => damaged.truncate(at + 1),
                }
            }
            entry::run(port, &damaged);
        }
    }
}
