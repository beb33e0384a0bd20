//! Plays the fuzz target's histories on its seeds and on random bytes, the same ones every time.

use std::path::Path;

#[path = "../fuzz/entry.rs"]
mod entry;

#[test]
fn seeds_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/history");
    let paths = std::fs::read_dir(folder).expect("the seeds' folder");
    let mut seeds = 0;
    for path in paths {
        let path = path.expect("an entry").path();
        entry::run(&std::fs::read(path).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds >= 4, "only {seeds} seeds");
}

#[test]
fn random_histories_add_up() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..4_000 {
        let mut bytes = vec![0; random.usize(..400)];
        random.fill(&mut bytes);
        entry::run(&bytes);
    }
}

#[test]
fn histories_with_much_overlap_add_up() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..4_000 {
        // Mostly begins, ends and time, with a load opened or closed now and then.
        let event = |random: &mut fastrand::Rng| {
            *b"\x07\x03\x05\x07\x03\x05\x00\x01\x06\x02"
                .get(random.usize(..10))
                .unwrap_or(&7)
        };
        let bytes: Vec<_> = (0..150)
            .flat_map(|_| [event(&mut random), random.u8(..)])
            .collect();
        entry::run(&bytes);
    }
}

#[test]
fn texts_from_peers_hold() {
    let mut random = fastrand::Rng::with_seed(3);
    let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for _ in 0..4_000 {
        let mut text = if random.bool() {
            valid.to_owned()
        } else {
            "/a/7.b?c=%2F".repeat(9)
        };
        for _ in 0..random.usize(..3) {
            let at = text.floor_char_boundary(random.usize(..text.len()));
            text.insert(at, random.char('\0'..='\u{2000}'));
        }
        entry::run(text.as_bytes());
    }
}
