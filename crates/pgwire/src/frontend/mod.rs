//! What a client sends after its startup (section "Message Formats", marked F).

mod extended;
mod password;

use bytes::BufMut;

use crate::cursor::Cursor;
use crate::wire::{Wire, put_cstr, put_header};
use crate::{Error, Message, Side};

pub use extended::{Bind, BindRest, Close, Describe, Execute, Parse, Target};
pub use password::{Password, SaslInitialResponse, SaslResponse};

/// Sync, ready to send.
pub const SYNC: &[u8; 5] = b"S\0\0\0\x04";
/// Flush, ready to send.
pub const FLUSH: &[u8; 5] = b"H\0\0\0\x04";
/// Terminate, ready to send.
pub const TERMINATE: &[u8; 5] = b"X\0\0\0\x04";
/// CopyDone, ready to send; the same from either side.
pub const COPY_DONE: &[u8; 5] = b"c\0\0\0\x04";

/// Any message of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend<'a> {
    /// `Q`
    Query(Query<'a>),
    /// `P`
    Parse(Parse<'a>),
    /// `B`
    Bind(Bind<'a>),
    /// `D`
    Describe(Describe<'a>),
    /// `E`
    Execute(Execute<'a>),
    /// `C`
    Close(Close<'a>),
    /// `H`
    Flush,
    /// `S`
    Sync,
    /// `X`
    Terminate,
    /// `d`
    CopyData(CopyData<'a>),
    /// `c`
    CopyDone,
    /// `f`
    CopyFail(CopyFail<'a>),
    /// `F`
    FunctionCall(FunctionCall<'a>),
    /// `p`: what it is depends on what the server asked for, see [`Password`], [`SaslInitialResponse`] and [`SaslResponse`].
    Authentication(&'a [u8]),
}

impl<'a> Frontend<'a> {
    /// Reads a whole message.
    pub fn parse(message: Message<'a>) -> Result<Frontend<'a>, Error> {
        let (tag, body) = (message.tag(), message.body());
        Ok(match tag {
            Query::TAG => Frontend::Query(Query::parse(body)?),
            Parse::TAG => Frontend::Parse(Parse::parse(body)?),
            Bind::TAG => Frontend::Bind(Bind::parse(body)?),
            Describe::TAG => Frontend::Describe(Describe::parse(body)?),
            Execute::TAG => Frontend::Execute(Execute::parse(body)?),
            Close::TAG => Frontend::Close(Close::parse(body)?),
            CopyData::TAG => Frontend::CopyData(CopyData::parse(body)?),
            CopyFail::TAG => Frontend::CopyFail(CopyFail::parse(body)?),
            FunctionCall::TAG => Frontend::FunctionCall(FunctionCall::parse(body)?),
            b'p' => Frontend::Authentication(body),
            b'H' => empty("Flush", body, Frontend::Flush)?,
            b'S' => empty("Sync", body, Frontend::Sync)?,
            b'X' => empty("Terminate", body, Frontend::Terminate)?,
            b'c' => empty("CopyDone", body, Frontend::CopyDone)?,
            _ => {
                return Err(Error::UnknownTag {
                    side: Side::Frontend,
                    tag,
                });
            }
        })
    }

    /// Writes the message.
    pub fn write(&self, out: &mut impl BufMut) {
        match self {
            Frontend::Query(message) => message.write(out),
            Frontend::Parse(message) => message.write(out),
            Frontend::Bind(message) => message.write(out),
            Frontend::Describe(message) => message.write(out),
            Frontend::Execute(message) => message.write(out),
            Frontend::Close(message) => message.write(out),
            Frontend::CopyData(message) => message.write(out),
            Frontend::CopyFail(message) => message.write(out),
            Frontend::FunctionCall(message) => message.write(out),
            Frontend::Authentication(body) => {
                put_header(out, b'p', body.len());
                out.put_slice(body);
            }
            Frontend::Flush => out.put_slice(FLUSH),
            Frontend::Sync => out.put_slice(SYNC),
            Frontend::Terminate => out.put_slice(TERMINATE),
            Frontend::CopyDone => out.put_slice(COPY_DONE),
        }
    }
}

/// A text to run, with no parameters: the simple query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The text, in the client's encoding.
    pub text: &'a [u8],
}

impl<'a> Wire<'a> for Query<'a> {
    const TAG: u8 = b'Q';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("Query", body);
        let text = fields.cstr()?;
        fields.end()?;
        Ok(Query { text })
    }

    fn body_len(&self) -> usize {
        self.text.len() + 1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.text);
    }
}

/// A stretch of COPY data; the same from either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyData<'a>(pub &'a [u8]);

impl<'a> Wire<'a> for CopyData<'a> {
    const TAG: u8 = b'd';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        Ok(CopyData(body))
    }

    fn body_len(&self) -> usize {
        self.0.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_slice(self.0);
    }
}

/// Makes a COPY from the client fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    /// Why.
    pub reason: &'a [u8],
}

impl<'a> Wire<'a> for CopyFail<'a> {
    const TAG: u8 = b'f';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("CopyFail", body);
        let reason = fields.cstr()?;
        fields.end()?;
        Ok(CopyFail { reason })
    }

    fn body_len(&self) -> usize {
        self.reason.len() + 1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.reason);
    }
}

/// Calls a function by its OID (a legacy that still writes). Like [`Bind`], it can be parsed from its first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// The function's OID.
    pub function: u32,
    /// Formats and arguments, as they stand on the wire.
    pub rest: &'a [u8],
}

impl<'a> Wire<'a> for FunctionCall<'a> {
    const TAG: u8 = b'F';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("FunctionCall", body);
        let function = fields.u32()?;
        Ok(FunctionCall {
            function,
            rest: fields.rest(),
        })
    }

    fn body_len(&self) -> usize {
        self.rest.len() + 4
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.function);
        out.put_slice(self.rest);
    }
}

fn take_value<'a>(fields: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Error> {
    match fields.u32()? {
        u32::MAX => Ok(None),
        len => fields.bytes(len as usize).map(Some),
    }
}

fn cursor<'a>(message: &'static str, body: &'a [u8]) -> Cursor<'a> {
    Cursor::new(Side::Frontend, message, body)
}

fn empty<'a>(
    message: &'static str,
    body: &[u8],
    value: Frontend<'a>,
) -> Result<Frontend<'a>, Error> {
    cursor(message, body).end().map(|()| value)
}
