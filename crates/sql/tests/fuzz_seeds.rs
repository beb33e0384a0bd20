//! Runs the fuzzer's entry over its seeds, and over texts made from them.

use std::path::Path;

#[path = "../fuzz/entry.rs"]
mod entry;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/statement");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the seeds' folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| std::fs::read(path).expect("a seed"))
        .collect();
    assert!(seeds.len() >= 20, "only {} seeds", seeds.len());
    seeds
}

#[test]
fn seeds_hold() {
    for seed in seeds() {
        entry::run(&seed);
    }
}

/// A small generator that always gives the same numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

#[test]
fn mutated_seeds_hold() {
    let seeds = seeds();
    let mut numbers = Numbers(0x5EED);
    for _ in 0..20_000 {
        let mut text = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(text.len());
            match numbers.below(5) {
                0 => text.truncate(at),
                1 => text.insert(at, b"'\"$/*-;()\\,"[numbers.below(11)]),
                2 if !text.is_empty() => drop(text.remove(at)),
                3 if !text.is_empty() => text[at] = numbers.below(256) as u8,
                _ => {
                    let other = &seeds[numbers.below(seeds.len())];
                    let from = numbers.below(other.len());
                    let to = from + numbers.below(other.len() - from);
                    text.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        entry::run(&text);
    }
}
