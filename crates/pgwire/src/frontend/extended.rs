//! The extended query protocol (section "Extended Query").

use bytes::BufMut;

use super::{cursor, take_value};
use crate::Error;
use crate::wire::{Wire, put_cstr, put_header};

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
