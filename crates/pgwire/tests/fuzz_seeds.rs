//! Runs the fuzz target's entry function over its seeds, over damaged seeds and over random bytes, the same ones every time.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/entry.rs"]
mod entry;

use std::path::Path;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/wire");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn seeds_and_their_damaged_copies_hold() {
    let seeds = seeds();
    assert!(seeds.len() >= 10, "the seeds are gone");
    let mut random = fastrand::Rng::with_seed(1);
    for seed in &seeds {
        entry::run(seed);
        for end in 0..seed.len() {
            entry::run(&seed[..end]);
        }
        for _ in 0..500 {
            let mut damaged = seed.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                match random.u8(..3) {
                    0 => damaged[at] = random.u8(..),
                    1 => damaged.insert(at, random.u8(..)),
                    _ => damaged[at] ^= 1 << random.u8(..8),
                }
            }
            entry::run(&damaged);
        }
    }
}

#[test]
fn random_bytes_hold() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..20_000 {
        let mut bytes = vec![0; random.usize(..200)];
        random.fill(&mut bytes);
        entry::run(&bytes);
    }
}

#[test]
fn random_messages_of_right_form_hold() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..20_000 {
        let mut bytes = vec![random.u8(..2), random.u8(..)];
        for _ in 0..random.usize(1..5) {
            let body: Vec<u8> = (0..random.usize(..30))
                .map(|_| random.u8(..) & random.u8(..))
                .collect();
            bytes.push(random.choice(*b"123ABCDEFGHIKNPQRSTVWXZcdfnpstv").unwrap());
            bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
            bytes.extend(body);
        }
        entry::run(&bytes);
    }
}
