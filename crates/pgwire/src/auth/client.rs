//! The client's side of authentication: our side of a server connection.

use bytes::BufMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use super::SCRAM_SHA_256;
use crate::backend::Authentication;
use crate::frontend::{Password, SaslInitialResponse, SaslResponse};
use crate::{Error, Wire};

/// What an authentication message led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// An answer was written: send it.
    Answered,
    /// Nothing is to be sent; the next authentication message follows.
    Waiting,
    /// The server has let us in. It sends its settings, then ReadyForQuery.
    Done,
}

/// Answers a server's authentication messages until it lets us in or fails. With SCRAM the server must prove in turn that it
/// knows the password before we believe its AuthenticationOk.
pub struct ClientAuth<'a> {
    user: &'a [u8],
    password: Option<&'a [u8]>,
    state: State,
}

enum State {
    Start,
    /// The password has been sent, in the clear or as md5.
    PasswordSent,
    ScramFirst(Box<ScramSha256>),
    ScramLast(Box<ScramSha256>),
    ScramProved,
    Ended,
}

impl<'a> ClientAuth<'a> {
    /// Starts with who we are. The SCRAM nonce is drawn by `postgres-protocol` from the thread's secure generator.
    pub fn new(user: &'a [u8], password: Option<&'a [u8]>) -> ClientAuth<'a> {
        ClientAuth {
            user,
            password,
            state: State::Start,
        }
    }

    /// Takes one authentication message and writes the answer, if there is one. SCRAM derives its keys here: about 2 ms of
    /// CPU, once for each server connection.
    pub fn step(
        &mut self,
        request: Authentication<'_>,
        out: &mut impl BufMut,
    ) -> Result<Progress, Error> {
        // An error leaves `Ended` behind, from which no message leads on.
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, progress) = match (request, state) {
            // Trust, a certificate or the peer's uid: the server asks nothing.
            (Authentication::Ok, State::Start | State::PasswordSent | State::ScramProved) => {
                (State::Ended, Progress::Done)
            }
            (Authentication::CleartextPassword, State::Start) => {
                Password {
                    password: self.password()?,
                }
                .write(out);
                (State::PasswordSent, Progress::Answered)
            }
            (Authentication::Md5Password { salt }, State::Start) => {
                let hash = md5_hash(self.user, self.password()?, salt);
                Password {
                    password: hash.as_bytes(),
                }
                .write(out);
                (State::PasswordSent, Progress::Answered)
            }
            (Authentication::Sasl(offered), State::Start) => {
                if !offered.iter().any(|name| name == SCRAM_SHA_256.as_bytes()) {
                    return Err(Error::UnsupportedMethod("an unknown SASL"));
                }
                let scram = ScramSha256::new(self.password()?, ChannelBinding::unsupported());
                let mechanism = SCRAM_SHA_256.as_bytes();
                SaslInitialResponse {
                    mechanism,
                    data: Some(scram.message()),
                }
                .write(out);
                (State::ScramFirst(Box::new(scram)), Progress::Answered)
            }
            (Authentication::SaslContinue(data), State::ScramFirst(mut scram)) => {
                scram.update(data).map_err(scram_error)?;
                SaslResponse(scram.message()).write(out);
                (State::ScramLast(scram), Progress::Answered)
            }
            (Authentication::SaslFinal(data), State::ScramLast(mut scram)) => {
                scram.finish(data).map_err(scram_error)?;
                (State::ScramProved, Progress::Waiting)
            }
            (Authentication::Other { code, .. }, _) => {
                return Err(Error::UnsupportedMethod(method_name(code)));
            }
            (request, _) => return Err(Error::OutOfOrder(message_name(request))),
        };
        self.state = state;
        Ok(progress)
    }

    fn password(&self) -> Result<&'a [u8], Error> {
        // A zero would end the field early; Postgres knows no such passwords.
        self.password
            .filter(|password| !password.contains(&0))
            .ok_or(Error::NoPassword)
    }
}

fn scram_error(error: std::io::Error) -> Error {
    Error::Scram(error.to_string())
}

fn method_name(code: u32) -> &'static str {
    match code {
        2 => "Kerberos 5",
        6 => "SCM credentials",
        7 | 8 => "GSSAPI",
        9 => "SSPI",
        _ => "an unknown kind of",
    }
}

fn message_name(request: Authentication<'_>) -> &'static str {
    match request {
        Authentication::Ok => "AuthenticationOk",
        Authentication::CleartextPassword => "AuthenticationCleartextPassword",
        Authentication::Md5Password { .. } => "AuthenticationMD5Password",
        Authentication::Sasl(_) => "AuthenticationSASL",
        Authentication::SaslContinue(_) => "AuthenticationSASLContinue",
        Authentication::SaslFinal(_) => "AuthenticationSASLFinal",
        Authentication::Other { .. } => "an authentication request",
    }
}
