//! What every message can do.

use bytes::BufMut;

use crate::Error;

/// A message that borrows its fields: parsed from a body, written with its header. What was parsed is written again
/// byte for byte, except where the protocol leaves no choice.
pub trait Wire<'a>: Sized {
    /// The message type.
    const TAG: u8;

    /// Reads the body of a message of this type.
    fn parse(body: &'a [u8]) -> Result<Self, Error>;

    /// Bytes of the body.
    fn body_len(&self) -> usize;

    /// Writes the body alone.
    fn write_body(&self, out: &mut impl BufMut);

    /// Writes header and body.
    #[inline]
    fn write(&self, out: &mut impl BufMut) {
        put_header(out, Self::TAG, self.body_len());
        self.write_body(out);
    }
}

/// Writes a header for a body of this many bytes.
#[inline]
pub(crate) fn put_header(out: &mut impl BufMut, tag: u8, body_len: usize) {
    let length = u32::try_from(body_len + 4)
        .expect("a message is made of parts of messages, which are below 1 GiB each");
    out.put_u8(tag);
    out.put_u32(length);
}

/// Writes a string and its closing zero. Strings with a zero inside cannot come from a parsed message.
#[inline]
pub(crate) fn put_cstr(out: &mut impl BufMut, text: &[u8]) {
    debug_assert!(!text.contains(&0), "a protocol string has no zero inside");
    out.put_slice(text);
    out.put_u8(0);
}
