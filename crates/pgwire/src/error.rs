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
    /// The server asked for a password and we have none.
    #[error("the server asks for a password, but none is configured")]
    NoPassword,
    /// The server refused or could not complete SCRAM, or did not prove that it knows the password itself.
    #[error("SCRAM authentication with the server failed: {0}")]
    Scram(String),
    /// The server sent an authentication message that does not belong to the state of the exchange.
    #[error("the server sent {0} out of order during authentication")]
    OutOfOrder(&'static str),
    /// Parameters that no startup packet can hold.
    #[error("the startup packet cannot be sent: it has {0}")]
    Unsendable(&'static str),
    /// A stored SCRAM verifier that has not the form `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    #[error("the stored SCRAM verifier is invalid: {0}")]
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
            Error::Version { .. } | Error::WrongPassword => Fault::Client,
            Error::Scram(_) | Error::OutOfOrder(_) => Fault::Server,
            Error::UnsupportedMethod(_)
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
