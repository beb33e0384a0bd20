//! A quick hash of bytes that come in pieces.

/// Odd, and as many ones as zeros: the fraction of the golden ratio, and of the square root of 3.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const LAST: u64 = 0xbb67_ae85_84ca_a73b;

/// Hashes bytes, the same wherever they are cut into pieces. Good enough to tell whether two bodies are the same for a figure;
/// nothing that decides an answer may rest on it.
#[derive(Debug, Clone, Copy)]
pub struct Digest {
    state: u64,
    /// The bytes of the word that is not full yet, the first one lowest.
    word: u64,
    len: u64,
}

impl Digest {
    /// Digests of different seeds cannot be compared. A seed that nobody knows keeps others from making collisions.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed ^ STEP,
            word: 0,
            len: 0,
        }
    }

    /// Adds bytes.
    pub fn write(&mut self, mut bytes: &[u8]) {
        let held = (self.len % 8) as usize;
        self.len += bytes.len() as u64;
        if held > 0 {
            let (first, rest) = bytes.split_at(bytes.len().min(8 - held));
            self.word |= little(first) << (8 * held);
            if held + first.len() < 8 {
                return;
            }
            self.state = fold(self.state ^ self.word);
            (self.word, bytes) = (0, rest);
        }
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.state = fold(self.state ^ u64::from_le_bytes(*word));
        }
        self.word = little(rest);
    }

    /// Adds bytes as a part of its own: `ab`, `c` is not `a`, `bc`.
    pub fn part(&mut self, bytes: &[u8]) {
        self.write(&(bytes.len() as u64).to_le_bytes());
        self.write(bytes);
    }

    /// The hash of all bytes so far.
    pub fn get(&self) -> u64 {
        fold(fold(self.state ^ self.word) ^ self.len ^ LAST)
    }
}

/// Up to eight bytes as a number, the first one lowest.
fn little(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Multiplies, and folds the two halves of the product: each bit of the input moves half of those of the output.
fn fold(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(STEP);
    (product as u64 ^ (product >> 64) as u64).rotate_left(23) ^ STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&[u8]]) -> u64 {
        let mut digest = Digest::new(7);
        pieces.iter().for_each(|piece| digest.write(piece));
        digest.get()
    }

    #[test]
    fn pieces_make_no_difference() {
        let bytes: Vec<u8> = (0..40).collect();
        let whole = of(&[&bytes]);
        for one in 0..=bytes.len() {
            for two in one..=bytes.len() {
                assert_eq!(of(&[&bytes[..one], &bytes[one..two], &bytes[two..]]), whole);
            }
        }
    }

    #[test]
    fn bytes_order_length_and_seed_do() {
        let mut seen = std::collections::HashSet::new();
        let mut bytes = vec![0; 33];
        for len in 0..=bytes.len() {
            assert!(seen.insert(of(&[&bytes[..len]])), "{len} zeros");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                assert!(seen.insert(of(&[&bytes])), "bit {bit} of byte {at}");
                bytes[at] ^= 1 << bit;
            }
        }
        assert_ne!(Digest::new(1).get(), Digest::new(2).get());
        let mut parts = [Digest::new(1); 2];
        parts[0].part(b"ab");
        parts[0].part(b"c");
        parts[1].part(b"a");
        parts[1].part(b"bc");
        assert_ne!(parts[0].get(), parts[1].get());
    }

    #[test]
    fn half_of_the_bits_move() {
        // Of numbers that follow each other, as ids do.
        let of = |number: u64| of(&[&number.to_le_bytes()]);
        let moved: u32 = (0..4_096)
            .map(|number| (of(number) ^ of(number + 1)).count_ones())
            .sum();
        let mean = f64::from(moved) / 4_096.0;
        assert!((30.0..34.0).contains(&mean), "{mean} of 64");
    }
}
