//! The one error type of this crate, and whose fault each error is.

use crate::SqlState;

/// Who sent the bytes in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The application's side of the connection.
    Frontend,
    /// The database's side of the connection.
    Backend,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Side::Frontend => "client",
            Side::Backend => "server",
        })
    }
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client broke the protocol or could not prove who it is.
    Client,
    /// The database server broke the protocol or could not prove who it is.
    Server,
    /// What we were configured with cannot work: no password, a broken verifier, an unsupported method.
    Us,
}

/// Why bytes could not be understood, or an identity not be proved. None of these goes away by trying again on the same
/// connection: after any of them the stream is out of step, and the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No message of this side begins with this byte.
    #[error("the {side} sent a message of unknown type {}", printable(*tag))]
    UnknownTag {
        /// Who sent it.
        side: Side,
        /// The byte that should have been a message type.
        tag: u8,
    },
    /// The length word is below the four bytes that it counts itself, or above what this type may have.
    #[error(
        "the {side} sent a message of type {} with an invalid length of {length} bytes (at most {length_max} are \
         allowed)", printable(*tag)
    )]
    Length {
        /// Who sent it.
        side: Side,
        /// The message type, 0 for the untagged startup packet.
        tag: u8,
        /// The length word as sent; it counts itself but not the type byte.
        length: u32,
        /// The largest length word allowed for this type.
        length_max: u32,
    },
    /// The body of a message does not have the form that its type demands.
    #[error("the {side} sent a malformed {message} message: {problem}")]
    Malformed {
        /// Who sent it.
        side: Side,
        /// The message's name as the protocol has it.
        message: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A protocol whose major version is not 3.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")]
    Version {
        /// The major version asked for.
        major: u16,
        /// The minor version asked for.
        minor: u16,
    },
    /// The client did not prove that it knows the password. Says nothing of why, so that nothing is told to a guesser.
    #[error("password authentication failed")]
    WrongPassword,
    /// The server asked for a method that we do not speak.
    #[error("the server asks for {0} authentication, which is not supported")]
    UnsupportedMethod(&'static str),
    /// An exchange that is bound to the TLS channel, or should be, is not bound to ours: somebody may sit in between.
    #[error("the login is not bound to this TLS connection: {0}")]
    ChannelBinding(&'static str),
    /// The login must be bound to the TLS channel, and the server's way of asking does not do so.
    #[error(
        "the login must be bound to the TLS connection (channel_binding=require), and the server does not offer that"
    )]
    Unbound,
    /// The server asked for a method that the configuration does not allow.
    #[error("the server asks for {0} authentication, which require_auth does not name")]
    ForbiddenMethod(&'static str),
    /// The server asked for the password itself where others could read it.
    #[error(
        "the server asks for the password in the clear on an unencrypted connection; use TLS (sslmode) or \
         SCRAM, or allow it with require_auth=password in the URL"
    )]
    WouldTellPassword,
    /// The server asked for what only the password itself can answer.
    #[error(
        "the server's method needs the password itself, but only a hash of it is known here; let the server use the \
         method of that hash, or configure the password"
    )]
    NoClearPassword,
    /// The keys that we have belong to another verifier than the server's.
    #[error(
        "the server has another SCRAM verifier for this user than the one that its clients log in with; has the \
         password changed?"
    )]
    OtherVerifier,
    /// The server asked for a password and we have none.
    #[error("the server asks for a password, but none is configured")]
    NoPassword,
    /// The server refused or could not complete SCRAM, or did not prove that it knows the password itself.
    #[error("SCRAM authentication with the server failed: {0}")]
    Scram(&'static str),
    /// The server sent an authentication message that does not belong to the state of the exchange.
    #[error("the server sent {0} out of order during authentication")]
    OutOfOrder(&'static str),
    /// Parameters that no startup packet can hold.
    #[error("the startup packet cannot be sent: it has {0}")]
    Unsendable(&'static str),
    /// What is stored of a password has not the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, or `md5` and 32
    /// hexadecimal digits.
    #[error("what is stored of the password is invalid: {0}")]
    Verifier(&'static str),
}

impl Error {
    /// Whose fault this is.
    pub fn fault(&self) -> Fault {
        match self {
            Error::UnknownTag { side, .. }
            | Error::Length { side, .. }
            | Error::Malformed { side, .. } => match side {
                Side::Frontend => Fault::Client,
                Side::Backend => Fault::Server,
            },
            Error::Version { .. } | Error::WrongPassword | Error::ChannelBinding(_) => {
                Fault::Client
            }
            Error::Scram(_) | Error::OutOfOrder(_) => Fault::Server,
            Error::UnsupportedMethod(_)
            | Error::Unbound
            | Error::ForbiddenMethod(_)
            | Error::WouldTellPassword
            | Error::NoClearPassword
            | Error::OtherVerifier
            | Error::NoPassword
            | Error::Unsendable(_)
            | Error::Verifier(_) => Fault::Us,
        }
    }

    /// The SQLSTATE under which a client is told of this error.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Error::Version { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Error::WrongPassword => SqlState::INVALID_PASSWORD,
            Error::ChannelBinding(_) => SqlState::INVALID_AUTHORIZATION,
            _ => match self.fault() {
                Fault::Client => SqlState::PROTOCOL_VIOLATION,
                Fault::Server | Fault::Us => SqlState::CONNECTION_FAILURE,
            },
        }
    }
}

fn printable(tag: u8) -> String {
    if tag.is_ascii_graphic() {
        format!("'{}'", char::from(tag))
    } else {
        format!("0x{tag:02x}")
    }
}
