//! What a client sends before its first tagged message, and what it is told in return (sections "Start-up", "Canceling
//! Requests in Progress", "SSL Session Encryption" and "GSSAPI Session Encryption").

use bytes::BufMut;

use crate::backend::NegotiateProtocolVersion;
use crate::cursor::Cursor;
use crate::wire::put_cstr;
use crate::{Error, Side};

/// A startup packet may have this many bytes, as in Postgres: 10,000 and a length word.
pub const PACKET_BYTES_MAX: usize = 10_004;
/// The secret of a CancelRequest may have this many bytes (protocol 3.2; 3.0 has always four).
pub const SECRET_BYTES_MAX: usize = 256;
/// The answer to SSLRequest and GSSENCRequest that means no: the client goes on in the clear, or leaves.
pub const REFUSE_ENCRYPTION: u8 = b'N';
/// The answer to SSLRequest that means yes: the client's handshake follows.
pub const ACCEPT_ENCRYPTION: u8 = b'S';

const CODE_SSL: u32 = 80_877_103;
const CODE_GSS: u32 = 80_877_104;
const CODE_CANCEL: u32 = 80_877_102;
/// Major 3, minor 0: what we speak with both sides.
const VERSION_3_0: u32 = 3 << 16;

/// The first packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The client would like TLS.
    SslRequest,
    /// The client would like GSSAPI encryption.
    GssEncRequest,
    /// The client wants another connection's statement cancelled.
    CancelRequest(CancelRequest<'a>),
    /// The client wants a session.
    Startup(Startup<'a>),
}

impl<'a> Packet<'a> {
    /// The packet at the start of `buf` and its bytes in all, `None` while it is incomplete.
    pub fn parse(buf: &'a [u8]) -> Result<Option<(Packet<'a>, usize)>, Error> {
        let Some((head, _)) = buf.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*head);
        let len = length as usize;
        if !(8..=PACKET_BYTES_MAX).contains(&len) {
            let length_max = PACKET_BYTES_MAX as u32;
            return Err(Error::Length {
                side: Side::Frontend,
                tag: 0,
                length,
                length_max,
            });
        }
        let Some(packet) = buf.get(4..len) else {
            return Ok(None);
        };
        let mut fields = Cursor::new(Side::Frontend, "StartupMessage", packet);
        let code = fields.u32()?;
        let packet = match code {
            CODE_SSL => fields.end().map(|()| Packet::SslRequest)?,
            CODE_GSS => fields.end().map(|()| Packet::GssEncRequest)?,
            CODE_CANCEL => Packet::CancelRequest(CancelRequest::parse(fields.rest())?),
            _ if code >> 16 == 3 => Packet::Startup(Startup::parse(code, fields)?),
            _ => {
                let (major, minor) = ((code >> 16) as u16, code as u16);
                return Err(Error::Version { major, minor });
            }
        };
        Ok(Some((packet, len)))
    }

    /// Writes the packet.
    pub fn write(&self, out: &mut impl BufMut) {
        match self {
            Packet::SslRequest => put_packet(out, CODE_SSL, &[]),
            Packet::GssEncRequest => put_packet(out, CODE_GSS, &[]),
            Packet::CancelRequest(request) => request.write(out),
            Packet::Startup(startup) => put_packet(out, startup.version, startup.body),
        }
    }
}

/// Asks the server to cancel what a backend is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelRequest<'a> {
    /// The backend, as its BackendKeyData said.
    pub process_id: u32,
    /// The secret that came with it.
    pub secret: &'a [u8],
}

impl std::fmt::Debug for CancelRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelRequest")
            .field("process_id", &self.process_id)
            .finish_non_exhaustive()
    }
}

impl<'a> CancelRequest<'a> {
    /// Writes the packet.
    pub fn write(&self, out: &mut impl BufMut) {
        // The secret comes from a message that was bounded when it was parsed.
        out.put_u32(12 + self.secret.len() as u32);
        out.put_u32(CODE_CANCEL);
        out.put_u32(self.process_id);
        out.put_slice(self.secret);
    }

    fn parse(body: &'a [u8]) -> Result<CancelRequest<'a>, Error> {
        let mut fields = Cursor::new(Side::Frontend, "CancelRequest", body);
        let process_id = fields.u32()?;
        if !(4..=SECRET_BYTES_MAX).contains(&fields.peek_rest().len()) {
            return Err(fields.error("its secret is too short or too long"));
        }
        Ok(CancelRequest {
            process_id,
            secret: fields.rest(),
        })
    }
}

/// Asks for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Startup<'a> {
    version: u32,
    /// Names and values, each closed by a zero, and a zero at the end.
    body: &'a [u8],
}

impl<'a> Startup<'a> {
    /// The minor version that the client asks for; the major one is 3.
    pub fn minor_version(&self) -> u16 {
        self.version as u16
    }

    /// The parameters in order, those of protocol extensions (`_pq_.`) among them.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + 'a {
        let mut fields = Cursor::new(Side::Frontend, "StartupMessage", self.body);
        std::iter::from_fn(move || match fields.cstr() {
            Ok(name) if !name.is_empty() => Some((name, fields.cstr().ok()?)),
            _ => None,
        })
    }

    /// The last value that was given for this name, as in Postgres.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.parameters()
            .filter(|(found, _)| *found == name.as_bytes())
            .last()
            .map(|(_, value)| value)
    }

    /// The user, which must be given.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.get("user").filter(|user| !user.is_empty())
    }

    /// The database, by default that of the user's name.
    pub fn database(&self) -> Option<&'a [u8]> {
        self.get("database")
            .filter(|name| !name.is_empty())
            .or_else(|| self.user())
    }

    /// Writes what the client must be told when it asks for more than protocol 3.0: a newer minor version, or options of
    /// the protocol that we do not know. To be sent before the authentication request. Says whether it wrote anything.
    pub fn negotiate(&self, out: &mut impl BufMut) -> bool {
        let unknown: Vec<&[u8]> = self
            .parameters()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with(b"_pq_."))
            .collect();
        let is_needed = self.minor_version() > 0 || !unknown.is_empty();
        if is_needed {
            NegotiateProtocolVersion::write_options(VERSION_3_0, &unknown, out);
        }
        is_needed
    }

    fn parse(version: u32, fields: Cursor<'a>) -> Result<Startup<'a>, Error> {
        let body = fields.peek_rest();
        let mut fields = fields;
        while !fields.cstr()?.is_empty() {
            fields.cstr()?;
        }
        fields.end()?;
        Ok(Startup { version, body })
    }
}

/// Writes a StartupMessage of protocol 3.0. Fails when the packet would be too long for a server, or a text has a zero
/// inside.
pub fn write_startup<'p>(
    parameters: impl IntoIterator<Item = (&'p [u8], &'p [u8])>,
    out: &mut impl BufMut,
) -> Result<(), Error> {
    let mut body = Vec::with_capacity(128);
    for (name, value) in parameters {
        if name.is_empty() || name.contains(&0) || value.contains(&0) {
            return Err(Error::Unsendable("an empty name or a zero byte in it"));
        }
        put_cstr(&mut body, name);
        put_cstr(&mut body, value);
    }
    body.push(0);
    if body.len() + 8 > PACKET_BYTES_MAX {
        return Err(Error::Unsendable("more than 10,000 bytes of parameters"));
    }
    put_packet(out, VERSION_3_0, &body);
    Ok(())
}

fn put_packet(out: &mut impl BufMut, code: u32, body: &[u8]) {
    // At most PACKET_BYTES_MAX: a body is one that was parsed or checked.
    out.put_u32(8 + body.len() as u32);
    out.put_u32(code);
    out.put_slice(body);
}
