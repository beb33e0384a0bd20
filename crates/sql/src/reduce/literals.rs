//! Telling sets of literals apart.

use super::words;
use crate::lexer::{Lexer, TokenKind};

/// A quick hash over literals. It need not resist anybody: it only tells value sets apart when counting.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LiteralHash(u64);

impl LiteralHash {
    #[inline]
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(word) ^ (bytes.len() as u64) << 56);
    }

    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product >> 64) as u64 ^ product as u64 ^ self.0.rotate_left(29);
    }

    pub(super) fn finish(self) -> u64 {
        self.0
    }
}

/// The hash of the literals of a text that has only this one.
pub(crate) fn hash_literal(bytes: &[u8]) -> u64 {
    let mut hash = LiteralHash::default();
    hash.add(bytes);
    hash.finish()
}

/// The hash of a text's literals; the same that [`Reducer::reduce`] gives, for texts that have no form.
pub(crate) fn hash_literals(text: &str) -> u64 {
    let mut hash = LiteralHash::default();
    for token in Lexer::new(text).map_while(Result::ok) {
        let bytes = &text.as_bytes()[token.start..token.end];
        if token.kind.is_literal() {
            hash.add(bytes);
        } else if token.kind == TokenKind::Word && words::is_constant(bytes) {
            hash.add(&bytes.to_ascii_lowercase());
        }
    }
    hash.finish()
}
