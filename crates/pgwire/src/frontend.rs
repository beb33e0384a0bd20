//! What a client sends after its startup (section "Message Formats", marked F).

use bytes::BufMut;

use crate::cursor::Cursor;
use crate::wire::{Wire, put_cstr, put_header};
use crate::{Error, Message, Side};

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

/// Prepares a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// The statement's name, empty for the unnamed one.
    pub statement: &'a [u8],
    /// The text, in the client's encoding.
    pub text: &'a [u8],
    /// The parameter types as they stand on the wire: a 16-bit count, then that many OIDs.
    pub types: &'a [u8],
}

impl<'a> Parse<'a> {
    /// The `types` of a statement that leaves all its parameters' types to the server.
    pub const NO_TYPES: &'static [u8] = &[0, 0];

    /// The OIDs in `types`; 0 leaves a type to the server.
    pub fn type_oids(&self) -> impl ExactSizeIterator<Item = u32> + 'a {
        let (oids, _) = self.types.get(2..).unwrap_or_default().as_chunks::<4>();
        oids.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

impl<'a> Wire<'a> for Parse<'a> {
    const TAG: u8 = b'P';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("Parse", body);
        let (statement, text) = (fields.cstr()?, fields.cstr()?);
        let types = fields.peek_rest();
        let count = fields.u16()?;
        fields.bytes(usize::from(count) * 4)?;
        fields.end()?;
        Ok(Parse {
            statement,
            text,
            types,
        })
    }

    fn body_len(&self) -> usize {
        self.statement.len() + 1 + self.text.len() + 1 + self.types.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.statement);
        put_cstr(out, self.text);
        out.put_slice(self.types);
    }
}

/// Binds parameters to a prepared statement. Only the names are read: parameters stay as they came, and a body that is
/// only there in part (see [`crate::Part`]) can be parsed too, as long as it has the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name, empty for the unnamed one.
    pub portal: &'a [u8],
    /// The statement's name, empty for the unnamed one.
    pub statement: &'a [u8],
    /// Parameter formats, parameters and result formats, as they stand on the wire; see [`BindRest::parse`].
    pub rest: &'a [u8],
}

impl<'a> Bind<'a> {
    /// The `rest` of a Bind without parameters whose results are text.
    pub const NO_PARAMETERS: &'static [u8] = &[0; 6];

    /// Writes the message with a length that counts `missing` more bytes, which the caller sends behind it.
    pub fn write_first_part(&self, missing: u32, out: &mut impl BufMut) {
        put_header(out, Bind::TAG, self.body_len() + missing as usize);
        self.write_body(out);
    }
}

impl<'a> Wire<'a> for Bind<'a> {
    const TAG: u8 = b'B';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("Bind", body);
        let (portal, statement) = (fields.cstr()?, fields.cstr()?);
        Ok(Bind {
            portal,
            statement,
            rest: fields.rest(),
        })
    }

    fn body_len(&self) -> usize {
        self.portal.len() + 1 + self.statement.len() + 1 + self.rest.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.portal);
        put_cstr(out, self.statement);
        out.put_slice(self.rest);
    }
}

/// What stands behind the names in a Bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindRest<'a> {
    /// Format codes of the parameters, two bytes each: none (all text), one (for all), or one for each.
    pub parameter_formats: &'a [u8],
    /// The parameters, each a length (-1 for NULL) and that many bytes.
    pub parameters: &'a [u8],
    /// How many parameters there are.
    pub parameter_count: u16,
    /// Format codes of the result's columns, as `parameter_formats`.
    pub result_formats: &'a [u8],
}

impl<'a> BindRest<'a> {
    /// Reads the `rest` of a whole [`Bind`].
    pub fn parse(rest: &'a [u8]) -> Result<BindRest<'a>, Error> {
        let mut fields = cursor("Bind", rest);
        let count = fields.u16()?;
        let parameter_formats = fields.bytes(usize::from(count) * 2)?;
        let parameter_count = fields.u16()?;
        let start = fields.peek_rest();
        for _ in 0..parameter_count {
            take_value(&mut fields)?;
        }
        let parameters = &start[..start.len() - fields.peek_rest().len()];
        let count = fields.u16()?;
        let result_formats = fields.bytes(usize::from(count) * 2)?;
        fields.end()?;
        Ok(BindRest {
            parameter_formats,
            parameters,
            parameter_count,
            result_formats,
        })
    }

    /// The parameters in order, `None` for NULL.
    pub fn values(&self) -> impl Iterator<Item = Option<&'a [u8]>> + 'a {
        let mut fields = cursor("Bind", self.parameters);
        // `parse` has walked over all of them, so that none can fail here.
        (0..self.parameter_count).map_while(move |_| take_value(&mut fields).ok())
    }
}

fn take_value<'a>(fields: &mut Cursor<'a>) -> Result<Option<&'a [u8]>, Error> {
    match fields.u32()? {
        u32::MAX => Ok(None),
        len => fields.bytes(len as usize).map(Some),
    }
}

/// Whether a name is that of a prepared statement or of a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `S`
    Statement,
    /// `P`
    Portal,
}

impl Target {
    fn code(self) -> u8 {
        match self {
            Target::Statement => b'S',
            Target::Portal => b'P',
        }
    }
}

/// Asks for the description of a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// What `name` names.
    pub target: Target,
    /// The name, empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Wire<'a> for Describe<'a> {
    const TAG: u8 = b'D';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let (target, name) = target_and_name("Describe", body)?;
        Ok(Describe { target, name })
    }

    fn body_len(&self) -> usize {
        self.name.len() + 2
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u8(self.target.code());
        put_cstr(out, self.name);
    }
}

/// Closes a statement or portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// What `name` names.
    pub target: Target,
    /// The name, empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Wire<'a> for Close<'a> {
    const TAG: u8 = b'C';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let (target, name) = target_and_name("Close", body)?;
        Ok(Close { target, name })
    }

    fn body_len(&self) -> usize {
        self.name.len() + 2
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_u8(self.target.code());
        put_cstr(out, self.name);
    }
}

/// Runs a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// The portal's name, empty for the unnamed one.
    pub portal: &'a [u8],
    /// Rows to return at most, 0 for all.
    pub rows_max: u32,
}

impl<'a> Wire<'a> for Execute<'a> {
    const TAG: u8 = b'E';

    #[inline]
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("Execute", body);
        let (portal, rows_max) = (fields.cstr()?, fields.u32()?);
        fields.end()?;
        Ok(Execute { portal, rows_max })
    }

    fn body_len(&self) -> usize {
        self.portal.len() + 5
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.portal);
        out.put_u32(self.rows_max);
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

/// The answer to a request for a cleartext or md5 password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password<'a> {
    /// The password, or its md5 form.
    pub password: &'a [u8],
}

impl std::fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl<'a> Wire<'a> for Password<'a> {
    const TAG: u8 = b'p';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("PasswordMessage", body);
        let password = fields.cstr()?;
        fields.end()?;
        Ok(Password { password })
    }

    fn body_len(&self) -> usize {
        self.password.len() + 1
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.password);
    }
}

/// Chooses a SASL mechanism, usually with its first data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInitialResponse<'a> {
    /// The mechanism's name.
    pub mechanism: &'a [u8],
    /// The mechanism's first data, `None` when it sends none yet.
    pub data: Option<&'a [u8]>,
}

impl<'a> Wire<'a> for SaslInitialResponse<'a> {
    const TAG: u8 = b'p';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut fields = cursor("SASLInitialResponse", body);
        let mechanism = fields.cstr()?;
        let data = take_value(&mut fields)?;
        fields.end()?;
        Ok(SaslInitialResponse { mechanism, data })
    }

    fn body_len(&self) -> usize {
        self.mechanism.len() + 5 + self.data.map_or(0, <[u8]>::len)
    }

    fn write_body(&self, out: &mut impl BufMut) {
        put_cstr(out, self.mechanism);
        // Data come from a message or from our own SCRAM client: they are far below 4 GiB.
        out.put_u32(self.data.map_or(u32::MAX, |data| data.len() as u32));
        out.put_slice(self.data.unwrap_or_default());
    }
}

/// Further data of a SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslResponse<'a>(pub &'a [u8]);

impl<'a> Wire<'a> for SaslResponse<'a> {
    const TAG: u8 = b'p';

    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        Ok(SaslResponse(body))
    }

    fn body_len(&self) -> usize {
        self.0.len()
    }

    fn write_body(&self, out: &mut impl BufMut) {
        out.put_slice(self.0);
    }
}

fn target_and_name<'a>(message: &'static str, body: &'a [u8]) -> Result<(Target, &'a [u8]), Error> {
    let mut fields = cursor(message, body);
    let target = match fields.u8()? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        _ => return Err(fields.error("it names neither a statement nor a portal")),
    };
    let name = fields.cstr()?;
    fields.end()?;
    Ok((target, name))
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
