//! A position in a message's body, from which fields are taken; what is missing becomes an error.

use crate::{Error, Side};

pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    side: Side,
    message: &'static str,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(side: Side, message: &'static str, body: &'a [u8]) -> Cursor<'a> {
        Cursor {
            rest: body,
            side,
            message,
        }
    }

    /// Bytes up to the next zero, which is dropped.
    pub(crate) fn cstr(&mut self) -> Result<&'a [u8], Error> {
        let end = memchr::memchr(0, self.rest).ok_or_else(|| self.error("a string has no end"))?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(text)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (array, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.error("it is too short"))?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.error("it is too short"))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek_rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error("it is too long"))
        }
    }

    pub(crate) fn error(&self, problem: &'static str) -> Error {
        Error::Malformed {
            side: self.side,
            message: self.message,
            problem,
        }
    }
}
