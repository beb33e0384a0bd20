//! What a client answers to authentication requests; all of it has the type `p`.

use bytes::BufMut;

use super::{cursor, take_value};
use crate::Error;
use crate::wire::{Wire, put_cstr};

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
