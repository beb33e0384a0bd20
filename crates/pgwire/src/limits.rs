//! How long a message may be, and how much of it is worth keeping.

use crate::{Error, Side};

/// The type and length of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// Bytes that follow the five bytes of the header.
    pub body_len: u32,
}

impl Header {
    /// Bytes of a header: type and length word.
    pub const LEN: usize = 5;

    /// Bytes of the whole message, header included.
    pub fn frame_len(&self) -> usize {
        Header::LEN + self.body_len as usize
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Largest length word; 0 for a type that does not exist.
    pub(crate) length_max: u32,
    /// A body above this is handed on in parts instead of being kept until it is whole.
    pub(crate) keep_max: u32,
}

/// What Postgres itself allows at most (`PQ_LARGE_MESSAGE_LIMIT`).
const LARGE: u32 = 0x3fff_fffe;
/// Postgres allows 10,000 for a client's short messages, libpq 30,000 for a server's.
const SMALL_FRONTEND: u32 = 10_000;
const SMALL_BACKEND: u32 = 30_000;
/// Authentication tokens (`PG_MAX_AUTH_TOKEN_LENGTH`).
const AUTH_TOKEN: u32 = 65_535;
/// Messages of which we want to see the beginning are kept whole up to this size.
const KEEP: u32 = 64 * 1024;

/// The limits for each message type of one side. About 2 KiB: make it once and share it.
#[derive(Debug, Clone)]
pub struct Limits {
    side: Side,
    rules: [Rule; 256],
}

impl Limits {
    /// What a client may send once it is authenticated. `statement_bytes_max` bounds Query and Parse, the two messages
    /// that must be in memory as a whole to be understood. CopyData passes in parts, and so do large Bind and FunctionCall messages.
    pub fn frontend(statement_bytes_max: usize) -> Limits {
        let statement = u32::try_from(statement_bytes_max.saturating_add(4))
            .unwrap_or(LARGE)
            .min(LARGE);
        Limits::none(Side::Frontend)
            .kept(b"QP", statement)
            .kept(b"CDEHSXc", SMALL_FRONTEND)
            .kept(b"f", SMALL_FRONTEND)
            .kept(b"p", AUTH_TOKEN)
            .parts(b"BF", KEEP)
            .parts(b"d", 0)
    }

    /// What a client may send while it authenticates.
    pub fn authentication() -> Limits {
        Limits::none(Side::Frontend)
            .kept(b"p", AUTH_TOKEN)
            .kept(b"X", SMALL_FRONTEND)
    }

    /// What a server may send. DataRow, CopyData and FunctionCallResponse pass in parts however large they are; large
    /// descriptions, errors, notices and notifications pass in parts too.
    pub fn backend() -> Limits {
        Limits::none(Side::Backend)
            .kept(b"123CGHIKRWZcnsv", SMALL_BACKEND)
            .kept(b"S", KEEP)
            .parts(b"ENATt", KEEP)
            .parts(b"DdV", 0)
    }

    /// The header at the start of `buf`, `None` while it is incomplete. An unknown type is refused on its first byte, a
    /// length out of bounds on the fifth.
    #[inline]
    pub fn header(&self, buf: &[u8]) -> Result<Option<Header>, Error> {
        let Some((head, _)) = buf.split_first_chunk::<{ Header::LEN }>() else {
            return match buf.first() {
                Some(&tag) if self.rules[usize::from(tag)].length_max == 0 => {
                    Err(Error::UnknownTag {
                        side: self.side,
                        tag,
                    })
                }
                _ => Ok(None),
            };
        };
        let [tag, a, b, c, d] = *head;
        let length = u32::from_be_bytes([a, b, c, d]);
        let length_max = self.rules[usize::from(tag)].length_max;
        if length < 4 || length > length_max {
            return Err(self.refuse(tag, length, length_max));
        }
        Ok(Some(Header {
            tag,
            body_len: length - 4,
        }))
    }

    pub(crate) fn keep_max(&self, tag: u8) -> u32 {
        self.rules[usize::from(tag)].keep_max
    }

    #[cold]
    fn refuse(&self, tag: u8, length: u32, length_max: u32) -> Error {
        if length_max == 0 {
            Error::UnknownTag {
                side: self.side,
                tag,
            }
        } else {
            Error::Length {
                side: self.side,
                tag,
                length,
                length_max,
            }
        }
    }

    fn none(side: Side) -> Limits {
        Limits {
            side,
            rules: [Rule {
                length_max: 0,
                keep_max: 0,
            }; 256],
        }
    }

    fn kept(mut self, tags: &[u8], length_max: u32) -> Limits {
        for &tag in tags {
            self.rules[usize::from(tag)] = Rule {
                length_max,
                keep_max: length_max,
            };
        }
        self
    }

    fn parts(mut self, tags: &[u8], keep_max: u32) -> Limits {
        for &tag in tags {
            self.rules[usize::from(tag)] = Rule {
                length_max: LARGE,
                keep_max,
            };
        }
        self
    }
}
