//! What a server sends between the startup packet and its first ReadyForQuery.

use bytes::BufMut;

use super::cursor;
use crate::Error;
use crate::cursor::Cursor;
use crate::startup::SECRET_BYTES_MAX;
use crate::wire::{Wire, put_cstr, put_header};

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
    /// What is offered in the clear.
    pub const SCRAM_SHA_256: SaslMechanisms<'static> = SaslMechanisms(b"SCRAM-SHA-256\0\0");
    /// What is offered over TLS, the better one first.
    pub const SCRAM_SHA_256_PLUS: SaslMechanisms<'static> =
        SaslMechanisms(b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0");

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
