//! What a server sends (section "Message Formats", marked B).

mod session;
mod startup;

use bytes::BufMut;

use crate::cursor::Cursor;
use crate::frontend::{COPY_DONE, CopyData};
use crate::wire::{Wire, put_header};
use crate::{Error, ErrorFields, Message, Side};

pub use session::{CommandComplete, CopyResponse, Notification, ReadyForQuery, TransactionStatus};
pub use startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SaslMechanisms,
};

/// ParseComplete, ready to send.
pub const PARSE_COMPLETE: &[u8; 5] = b"1\0\0\0\x04";
/// BindComplete, ready to send.
pub const BIND_COMPLETE: &[u8; 5] = b"2\0\0\0\x04";
/// CloseComplete, ready to send.
pub const CLOSE_COMPLETE: &[u8; 5] = b"3\0\0\0\x04";
/// NoData, ready to send.
pub const NO_DATA: &[u8; 5] = b"n\0\0\0\x04";
/// PortalSuspended, ready to send.
pub const PORTAL_SUSPENDED: &[u8; 5] = b"s\0\0\0\x04";
/// EmptyQueryResponse, ready to send.
pub const EMPTY_QUERY_RESPONSE: &[u8; 5] = b"I\0\0\0\x04";

/// Any message of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend<'a> {
    /// `R`
    Authentication(Authentication<'a>),
    /// `S`
    ParameterStatus(ParameterStatus<'a>),
    /// `K`
    BackendKeyData(BackendKeyData<'a>),
    /// `Z`
    ReadyForQuery(ReadyForQuery),
    /// `C`
    CommandComplete(CommandComplete<'a>),
    /// `E`
    ErrorResponse(ErrorFields<'a>),
    /// `N`
    NoticeResponse(ErrorFields<'a>),
    /// `1`
    ParseComplete,
    /// `2`
    BindComplete,
    /// `3`
    CloseComplete,
    /// `n`
    NoData,
    /// `s`
    PortalSuspended,
    /// `I`
    EmptyQueryResponse,
    /// `T`, unread
    RowDescription(&'a [u8]),
    /// `t`, unread
    ParameterDescription(&'a [u8]),
    /// `D`, unread
    DataRow(&'a [u8]),
    /// `V`, unread
    FunctionCallResponse(&'a [u8]),
    /// `G`
    CopyIn(CopyResponse<'a>),
    /// `H`
    CopyOut(CopyResponse<'a>),
    /// `W`
    CopyBoth(CopyResponse<'a>),
    /// `d`
    CopyData(CopyData<'a>),
    /// `c`
    CopyDone,
    /// `v`
    NegotiateProtocolVersion(NegotiateProtocolVersion<'a>),
    /// `A`
    Notification(Notification<'a>),
}

impl<'a> Backend<'a> {
    /// Reads a whole message.
    pub fn parse(message: Message<'a>) -> Result<Backend<'a>, Error> {
        let (tag, body) = (message.tag(), message.body());
        Ok(match tag {
            b'R' => Backend::Authentication(Authentication::parse(body)?),
            b'S' => Backend::ParameterStatus(ParameterStatus::parse(body)?),
            b'K' => Backend::BackendKeyData(BackendKeyData::parse(body)?),
            b'Z' => Backend::ReadyForQuery(ReadyForQuery::parse(body)?),
            b'C' => Backend::CommandComplete(CommandComplete::parse(body)?),
            b'E' => Backend::ErrorResponse(ErrorFields::parse(body)?),
            b'N' => Backend::NoticeResponse(ErrorFields::parse(body)?),
            b'1' => empty("ParseComplete", body, Backend::ParseComplete)?,
            b'2' => empty("BindComplete", body, Backend::BindComplete)?,
            b'3' => empty("CloseComplete", body, Backend::CloseComplete)?,
            b'n' => empty("NoData", body, Backend::NoData)?,
            b's' => empty("PortalSuspended", body, Backend::PortalSuspended)?,
            b'I' => empty("EmptyQueryResponse", body, Backend::EmptyQueryResponse)?,
            b'c' => empty("CopyDone", body, Backend::CopyDone)?,
            b'T' => Backend::RowDescription(body),
            b't' => Backend::ParameterDescription(body),
            b'D' => Backend::DataRow(body),
            b'V' => Backend::FunctionCallResponse(body),
            b'G' => Backend::CopyIn(CopyResponse::parse(body)?),
            b'H' => Backend::CopyOut(CopyResponse::parse(body)?),
            b'W' => Backend::CopyBoth(CopyResponse::parse(body)?),
            b'd' => Backend::CopyData(CopyData::parse(body)?),
            b'v' => Backend::NegotiateProtocolVersion(NegotiateProtocolVersion::parse(body)?),
            b'A' => Backend::Notification(Notification::parse(body)?),
            _ => {
                return Err(Error::UnknownTag {
                    side: Side::Backend,
                    tag,
                });
            }
        })
    }

    /// Writes the message.
    pub fn write(&self, out: &mut impl BufMut) {
        match self {
            Backend::Authentication(message) => message.write(out),
            Backend::ParameterStatus(message) => message.write(out),
            Backend::BackendKeyData(message) => message.write(out),
            Backend::ReadyForQuery(message) => message.write(out),
            Backend::CommandComplete(message) => message.write(out),
            Backend::ErrorResponse(fields) => put_body(out, b'E', fields.body()),
            Backend::NoticeResponse(fields) => put_body(out, b'N', fields.body()),
            Backend::ParseComplete => out.put_slice(PARSE_COMPLETE),
            Backend::BindComplete => out.put_slice(BIND_COMPLETE),
            Backend::CloseComplete => out.put_slice(CLOSE_COMPLETE),
            Backend::NoData => out.put_slice(NO_DATA),
            Backend::PortalSuspended => out.put_slice(PORTAL_SUSPENDED),
            Backend::EmptyQueryResponse => out.put_slice(EMPTY_QUERY_RESPONSE),
            Backend::CopyDone => out.put_slice(COPY_DONE),
            Backend::RowDescription(body) => put_body(out, b'T', body),
            Backend::ParameterDescription(body) => put_body(out, b't', body),
            Backend::DataRow(body) => put_body(out, b'D', body),
            Backend::FunctionCallResponse(body) => put_body(out, b'V', body),
            Backend::CopyIn(response) => response.write(b'G', out),
            Backend::CopyOut(response) => response.write(b'H', out),
            Backend::CopyBoth(response) => response.write(b'W', out),
            Backend::CopyData(message) => message.write(out),
            Backend::NegotiateProtocolVersion(message) => message.write(out),
            Backend::Notification(message) => message.write(out),
        }
    }
}

fn put_body(out: &mut impl BufMut, tag: u8, body: &[u8]) {
    put_header(out, tag, body.len());
    out.put_slice(body);
}

fn cursor<'a>(message: &'static str, body: &'a [u8]) -> Cursor<'a> {
    Cursor::new(Side::Backend, message, body)
}

fn empty<'a>(message: &'static str, body: &[u8], value: Backend<'a>) -> Result<Backend<'a>, Error> {
    cursor(message, body).end().map(|()| value)
}
