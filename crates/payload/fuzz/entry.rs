//! What is fuzzed: a look at arbitrary bytes, and their digest. Shared by the libFuzzer target and by a plain test.
//!
//! Beyond not panicking: bytes cut in two anywhere, and into single bytes, say the same as the whole.

use paceline_payload::{Digest, Figures, Look};

/// Runs everything on one input.
pub(crate) fn run(data: &[u8]) {
    let whole = of([data]);
    assert_eq!(of(data.chunks(1)), whole, "byte by byte");
    let cut = data
        .first()
        .map_or(0, |first| usize::from(*first) * data.len() / 255);
    assert_eq!(of([&data[..cut], &data[cut..]]), whole, "cut at {cut}");
    if let (Some(figures), _) = whole {
        check(&figures, data);
    }
}

/// The same, cut everywhere.
#[allow(dead_code, reason = "too slow for libFuzzer")]
pub(crate) fn at_every_split(data: &[u8]) {
    let whole = of([data]);
    for cut in 0..=data.len() {
        assert_eq!(of([&data[..cut], &data[cut..]]), whole, "cut at {cut}");
    }
    run(data);
}

fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Option<Figures>, u64) {
    let (mut look, mut digest) = (Look::default(), Digest::new(1));
    for piece in pieces {
        look.push(piece);
        digest.write(piece);
    }
    (look.figures(), digest.get())
}

/// No part is larger than the whole.
fn check(figures: &Figures, data: &[u8]) {
    assert!(figures.bytes as usize <= data.len());
    assert!(figures.values >= figures.nulls + figures.empties);
    assert!(figures.name_bytes >= figures.repeated_name_bytes);
    assert!(figures.null_bytes + figures.empty_bytes <= figures.bytes + figures.values);
    assert!(figures.fields >= figures.fields_null + figures.fields_numeric);
    assert!(figures.list_length <= figures.values);
}
