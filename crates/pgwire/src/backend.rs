//! What a server sends (section "Message Formats", marked B).

use bytes::BufMut;

use crate::cursor::Cursor;
use crate::frontend::{COPY_DONE, CopyData};
use crate::startup::SECRET_BYTES_MAX;
use crate::wire::{Wire, put_cstr, put_header};
use crate::{Error, ErrorFields, Message, Side};

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

/// What the server wants to know before it lets a client in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Nothing more.
    Ok,
    /// The password in the clear.
    CleartextPassword,
    /// The password's md5 form with this salt.
    Md5Password {
        /// The salt.
        salt: [u8; 4],
    },
    /// A SASL exchange with one of these mechanisms.
    Sasl(SaslMechanisms<'a>),
    /// The next data of the SASL exchange.
    SaslContinue(&'a [u8]),
    /// The last data of the SASL exchange.
    SaslFinal(&'a [u8]),
    /// A method that we do not speak: Kerberos 5 (2), SCM credentials (6), GSSAPI (7, 8), SSPI (9), or a newer one.
    Other {
        /// The method's number.
        code: u32,
        /// Its data.
        data: &'a [u8],
    },
}

impl Authentication<'_> {
    fn code(&self) -> u32 {
        match self {
            Authentication::Ok => 0,
            Authentication::CleartextPassword => 3,
            Authentication::Md5Password { .. } => 5,
            Authentication::Sasl(_) => 10,
            Authentication::SaslContinue(_) => 11,
            Authentication::SaslFinal(_) => 12,
            Authentication::Other { code, .. } => *code,
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Authentication::Ok | Authentication::CleartextPassword => &[],
            Authentication::Md5Password { salt } => salt,
            Authentication::Sasl(mechanisms) => mechanisms.0,
            Authentication::SaslContinue(data)
            | Authentication::SaslFinal(data)
            | Authentication::Other { data, .. } => data,
        }
    }
}

impl<'a> Wire<'a> for Authentication<'a> {
    const TAG: u8 = b'R';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("Authentication", body);
        let code = fields.u32()?;
        match code {
            0 => fields.end().map(|()| Authentication::Ok),
            3 => fields.end().map(|()| Authentication::CleartextPassword),
            5 => {
                let salt = fields.array()?;
                fields.end().map(|()| Authentication::Md5Password { salt })
            }
            10 => SaslMechanisms::parse(fields).map(Authentication::Sasl),
            11 => Ok(Authentication::SaslContinue(fields.rest())),
            12 => Ok(Authentication::SaslFinal(fields.rest())),
            _ => Ok(Authentication::Other {
                code,
                data: fields.rest(),
            }),
        }
    }

    fn body_len(&self) -> usize {
        4 + self.data().len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.code());
        out.put_slice(self.data());
    }
}

/// Names of SASL mechanisms, each closed by a zero, with a zero at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslMechanisms<'a>(&'a [u8]);

impl<'a> SaslMechanisms<'a> {
    /// The one that we offer.
    pub const SCRAM_SHA_256: SaslMechanisms<'static> = SaslMechanisms(b"SCRAM-SHA-256\0\0");

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        let mut fields = cursor("AuthenticationSASL", self.0);
        std::iter::from_fn(move || fields.cstr().ok().filter(|name| !name.is_empty()))
    }

    fn parse(mut fields: Cursor<'a>) -> Result<SaslMechanisms<'a>, Error> {
        let names = fields.peek_rest();
        while !fields.cstr()?.is_empty() {}
        fields.end()?;
        Ok(SaslMechanisms(names))
    }
}

/// A setting of the session that the client is kept informed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// The setting.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl<'a> Wire<'a> for ParameterStatus<'a> {
    const TAG: u8 = b'S';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("ParameterStatus", body);
        let (name, value) = (fields.cstr()?, fields.cstr()?);
        fields.end()?;
        Ok(ParameterStatus { name, value })
    }

    fn body_len(&self) -> usize {
        self.name.len() + self.value.len() + 2
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.name);
        put_cstr(out, self.value);
    }
}

/// What a client needs to have its statements cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// The server process.
    pub process_id: u32,
    /// The secret: four bytes in protocol 3.0, 4 to 256 in 3.2.
    pub secret: &'a [u8],
}

impl std::fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendKeyData")
            .field("process_id", &self.process_id)
            .finish_non_exhaustive()
    }
}

impl<'a> Wire<'a> for BackendKeyData<'a> {
    const TAG: u8 = b'K';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("BackendKeyData", body);
        let process_id = fields.u32()?;
        if !(4..=SECRET_BYTES_MAX).contains(&fields.peek_rest().len()) {
            return Err(fields.error("its secret is too short or too long"));
        }
        Ok(BackendKeyData {
            process_id,
            secret: fields.rest(),
        })
    }

    fn body_len(&self) -> usize {
        4 + self.secret.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.process_id);
        out.put_slice(self.secret);
    }
}

/// Whether the session is in a transaction block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`
    Idle,
    /// `T`
    InTransaction,
    /// `E`: statements are refused until the block ends.
    Failed,
}

/// The server waits for the next Query or batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery(pub TransactionStatus);

impl<'a> Wire<'a> for ReadyForQuery {
    const TAG: u8 = b'Z';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        match body {
            b"I" => Ok(ReadyForQuery(TransactionStatus::Idle)),
            b"T" => Ok(ReadyForQuery(TransactionStatus::InTransaction)),
            b"E" => Ok(ReadyForQuery(TransactionStatus::Failed)),
            _ => Err(cursor("ReadyForQuery", body).error("its status is unknown")),
        }
    }

    fn body_len(&self) -> usize {
        1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u8(match self.0 {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        });
    }
}

/// A statement has been run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// The command's word and mostly its number of rows: `SELECT 3`, `INSERT 0 1`, `BEGIN`.
    pub tag: &'a [u8],
}

impl CommandComplete<'_> {
    /// The number of rows, for commands that tell it.
    #[inline]
    pub fn rows(&self) -> Option<u64> {
        let digits = self
            .tag
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (word, number) = self.tag.split_at(self.tag.len() - digits);
        if digits == 0 || word.last() != Some(&b' ') {
            return None;
        }
        number.iter().try_fold(0_u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }
}

impl<'a> Wire<'a> for CommandComplete<'a> {
    const TAG: u8 = b'C';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("CommandComplete", body);
        let tag = fields.cstr()?;
        fields.end()?;
        Ok(CommandComplete { tag })
    }

    fn body_len(&self) -> usize {
        self.tag.len() + 1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.tag);
    }
}

/// A COPY begins; which way is told by the message's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyResponse<'a> {
    /// Whether the data are binary.
    pub is_binary: bool,
    /// The columns' format codes as they stand on the wire: a 16-bit count, then two bytes each.
    pub formats: &'a [u8],
}

impl<'a> CopyResponse<'a> {
    /// Reads the body of a CopyInResponse, CopyOutResponse or CopyBothResponse.
    pub fn parse(body: &'a [u8]) -> Result<CopyResponse<'a>, Error> {
        let mut fields = cursor("CopyResponse", body);
        let is_binary = match fields.u8()? {
            0 => false,
            1 => true,
            _ => return Err(fields.error("its format is unknown")),
        };
        let formats = fields.peek_rest();
        let count = fields.u16()?;
        fields.bytes(usize::from(count) * 2)?;
        fields.end()?;
        Ok(CopyResponse { is_binary, formats })
    }

    /// Writes it as the message of this type: `G`, `H` or `W`.
    pub fn write(&self, tag: u8, out: &mut impl BufMut) {
        put_header(out, tag, 1 + self.formats.len());
        out.put_u8(u8::from(self.is_binary));
        out.put_slice(self.formats);
    }
}

/// The server does not speak all that the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest version that the server speaks, major and minor as in a StartupMessage. (The manual speaks of the minor
    /// version alone; servers send, and libpq expects, both.)
    pub version: u32,
    /// Names of the options that it does not know, as they stand on the wire: a 32-bit count, then strings.
    options: &'a [u8],
}

impl<'a> NegotiateProtocolVersion<'a> {
    /// The names of the options that the server does not know.
    pub fn options(&self) -> impl Iterator<Item = &'a [u8]> + 'a {
        let mut fields = cursor("NegotiateProtocolVersion", &self.options[4..]);
        std::iter::from_fn(move || fields.cstr().ok())
    }

    /// Writes the message with these names.
    pub fn write_options(version: u32, names: &[&[u8]], out: &mut impl BufMut) {
        let len = 8 + names.iter().map(|name| name.len() + 1).sum::<usize>();
        put_header(out, Self::TAG, len);
        out.put_u32(version);
        // As many as a startup packet held.
        out.put_u32(names.len() as u32);
        names.iter().for_each(|name| put_cstr(out, name));
    }
}

impl<'a> Wire<'a> for NegotiateProtocolVersion<'a> {
    const TAG: u8 = b'v';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("NegotiateProtocolVersion", body);
        let version = fields.u32()?;
        let options = fields.peek_rest();
        // The message's own length bounds the walk, whatever the count says.
        for _ in 0..fields.u32()? {
            fields.cstr()?;
        }
        fields.end()?;
        Ok(NegotiateProtocolVersion { version, options })
    }

    fn body_len(&self) -> usize {
        4 + self.options.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.version);
        out.put_slice(self.options);
    }
}

/// Somebody has notified a channel that the session listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification<'a> {
    /// The server process of the one who notified.
    pub process_id: u32,
    /// The channel.
    pub channel: &'a [u8],
    /// What was said.
    pub payload: &'a [u8],
}

impl<'a> Wire<'a> for Notification<'a> {
    const TAG: u8 = b'A';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("NotificationResponse", body);
        let (process_id, channel, payload) = (fields.u32()?, fields.cstr()?, fields.cstr()?);
        fields.end()?;
        Ok(Notification {
            process_id,
            channel,
            payload,
        })
    }

    fn body_len(&self) -> usize {
        4 + self.channel.len() + self.payload.len() + 2
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u32(self.process_id);
        put_cstr(out, self.channel);
        put_cstr(out, self.payload);
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
