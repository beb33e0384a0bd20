//! Messages in a read buffer: found in one pass, never copied, the large ones streamed.

use bytes::{Bytes, BytesMut};

use crate::{Error, Header, Limits};

/// A message of a kind that is kept but too large to keep is handed on in parts. The first part has at least this many
/// bytes (or the whole message), so that what stands at its beginning can be read: a Bind's names, an error's SQLSTATE.
const FIRST_PART_MIN: usize = 4096;

/// One whole message in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'b> {
    frame: &'b [u8],
}

impl<'b> Message<'b> {
    /// The message type.
    #[inline]
    pub fn tag(&self) -> u8 {
        self.frame[0]
    }

    /// What follows the header.
    #[inline]
    pub fn body(&self) -> &'b [u8] {
        &self.frame[Header::LEN..]
    }

    /// Header and body, as they came.
    #[inline]
    pub fn frame(&self) -> &'b [u8] {
        self.frame
    }
}

/// A stretch of a message that is passed on without being kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'b> {
    /// The message type.
    pub tag: u8,
    /// The bytes; those of a first part begin with the header.
    pub bytes: &'b [u8],
    /// Whether the message begins here.
    pub is_first: bool,
    /// Bytes of the message that are still to come.
    pub missing: u32,
}

impl<'b> Part<'b> {
    /// The part of the body that is in here.
    pub fn body(&self) -> &'b [u8] {
        if self.is_first {
            &self.bytes[Header::LEN..]
        } else {
            self.bytes
        }
    }
}

/// What stands next in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'b> {
    /// A whole message.
    Message(Message<'b>),
    /// A part of a large message.
    Part(Part<'b>),
}

impl<'b> Piece<'b> {
    /// Bytes of the buffer that this piece takes.
    #[inline]
    #[allow(clippy::len_without_is_empty, reason = "a piece is never empty")]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// The message type.
    #[inline]
    pub fn tag(&self) -> u8 {
        match self {
            Piece::Message(message) => message.tag(),
            Piece::Part(part) => part.tag,
        }
    }

    /// The bytes as they came.
    #[inline]
    pub fn bytes(&self) -> &'b [u8] {
        match self {
            Piece::Message(message) => message.frame,
            Piece::Part(part) => part.bytes,
        }
    }
}

/// A whole message that owns its (shared) bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// The message as a view.
    pub fn message(&self) -> Message<'_> {
        Message { frame: &self.0 }
    }

    /// Header and body.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// A set of message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagSet([u64; 4]);

impl TagSet {
    /// The set of these types.
    pub const fn of(tags: &[u8]) -> TagSet {
        let mut bits = [0; 4];
        let mut i = 0;
        while i < tags.len() {
            bits[(tags[i] >> 6) as usize] |= 1 << (tags[i] & 63);
            i += 1;
        }
        TagSet(bits)
    }

    /// Whether the type is in the set.
    #[inline]
    pub const fn contains(&self, tag: u8) -> bool {
        self.0[(tag >> 6) as usize] & (1 << (tag & 63)) != 0
    }
}

/// What [`Reader::scan`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned<'b> {
    /// Bytes before `found` (or before the end of what can be read yet) that belong to nobody's interest: pass them on.
    pub passed: usize,
    /// Messages that ended within `passed`.
    pub messages: u32,
    /// The next piece of a type in the set; it begins at `passed`.
    pub found: Option<Piece<'b>>,
}

/// Where one direction of a connection stands in its stream of messages. It holds no bytes: the buffer is the caller's,
/// who drops what each piece has taken. A message in parts continues over any number of buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reader {
    tag: u8,
    missing: u32,
}

impl Reader {
    /// The piece at the start of `buf`, or `None` when more bytes are needed (see [`Reader::wants`]). The caller goes on
    /// behind [`Piece::len`] bytes. Whether a message above its keep limit comes whole or in parts depends on how much
    /// of it is in the buffer; one at most that large always comes whole.
    #[inline]
    pub fn next<'b>(&mut self, limits: &Limits, buf: &'b [u8]) -> Result<Option<Piece<'b>>, Error> {
        if self.missing > 0 {
            return Ok(self.next_part(buf));
        }
        let Some(header) = limits.header(buf)? else {
            return Ok(None);
        };
        match buf.get(..header.frame_len()) {
            Some(frame) => Ok(Some(Piece::Message(Message { frame }))),
            None => Ok(self.first_part(limits, header, buf)),
        }
    }

    /// Walks over the messages at the start of `buf` and stops at the first whose type is in `stop`. Goes on behind
    /// `passed`, and behind `found` when there is one. With `found` empty all that can be read was passed; bytes that
    /// remain belong to a message that must become whole first.
    #[inline]
    pub fn scan<'b>(
        &mut self,
        limits: &Limits,
        buf: &'b [u8],
        stop: &TagSet,
    ) -> Result<Scanned<'b>, Error> {
        let (mut passed, mut messages) = (0, 0);
        loop {
            let Some(piece) = self.next(limits, &buf[passed..])? else {
                return Ok(Scanned {
                    passed,
                    messages,
                    found: None,
                });
            };
            if stop.contains(piece.tag()) {
                return Ok(Scanned {
                    passed,
                    messages,
                    found: Some(piece),
                });
            }
            passed += piece.len();
            messages += u32::from(self.missing == 0);
        }
    }

    /// Takes the next message out of `buf` when it is whole, sharing its memory. For the paths where messages are few
    /// (authentication, tests); a message that would come in parts is waited for instead.
    pub fn take(&mut self, limits: &Limits, buf: &mut BytesMut) -> Result<Option<Frame>, Error> {
        let Some(header) = limits.header(buf)? else {
            return Ok(None);
        };
        if buf.len() < header.frame_len() {
            return Ok(None);
        }
        Ok(Some(Frame(buf.split_to(header.frame_len()).freeze())))
    }

    /// Starts to pass on the message at the start of a buffer in parts, whatever its keep limit: the caller has dealt
    /// with its first `taken` bytes (header included), the others come as parts. Does nothing when nothing is left.
    pub fn stream(&mut self, header: Header, taken: usize) {
        let left = header.frame_len().saturating_sub(taken);
        self.tag = header.tag;
        // At most the body and its header: the length word counts four of these five bytes.
        self.missing = u32::try_from(left).unwrap_or(u32::MAX);
    }

    /// Bytes of the current message that have not come yet, 0 between messages.
    #[inline]
    pub fn missing(&self) -> u32 {
        self.missing
    }

    /// How many bytes `buf` must have in all before [`Reader::next`] gives another piece, so that the caller can make room.
    /// Never more than a message's keep limit and its header.
    pub fn wants(&self, limits: &Limits, buf: &[u8]) -> Result<usize, Error> {
        if self.missing > 0 {
            return Ok(1);
        }
        Ok(match limits.header(buf)? {
            None => Header::LEN,
            Some(header) if header.body_len <= limits.keep_max(header.tag) => header.frame_len(),
            Some(header) => first_part_min(limits, header),
        })
    }

    #[cold]
    fn first_part<'b>(
        &mut self,
        limits: &Limits,
        header: Header,
        buf: &'b [u8],
    ) -> Option<Piece<'b>> {
        if header.body_len <= limits.keep_max(header.tag)
            || buf.len() < first_part_min(limits, header)
        {
            return None;
        }
        self.stream(header, buf.len());
        Some(Piece::Part(Part {
            tag: header.tag,
            bytes: buf,
            is_first: true,
            missing: self.missing,
        }))
    }

    #[cold]
    fn next_part<'b>(&mut self, buf: &'b [u8]) -> Option<Piece<'b>> {
        if buf.is_empty() {
            return None;
        }
        let bytes = &buf[..buf.len().min(self.missing as usize)];
        self.missing -= bytes.len() as u32;
        Some(Piece::Part(Part {
            tag: self.tag,
            bytes,
            is_first: false,
            missing: self.missing,
        }))
    }
}

fn first_part_min(limits: &Limits, header: Header) -> usize {
    if limits.keep_max(header.tag) == 0 {
        Header::LEN
    } else {
        FIRST_PART_MIN.min(header.frame_len())
    }
}
