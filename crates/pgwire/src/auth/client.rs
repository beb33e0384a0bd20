//! The client's side of authentication: our side of a server connection.

use bytes::BufMut;

use super::binding::Channel;
use super::md5::Md5Hash;
use super::scram::{self, Challenged, Derivation, First, Gs2};
use super::verifier::ScramKeys;
use super::{NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::backend::{Authentication, SaslMechanisms};
use crate::frontend::{Password, SaslInitialResponse, SaslResponse};
use crate::{Error, Wire};

/// What an authentication message led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An answer was written: send it.
    Answered,
    /// Nothing is to be sent; the next authentication message follows.
    Waiting,
    /// The answer needs keys, which take a while: to be given to [`ClientAuth::derived`].
    Derive(Derivation),
    /// The server has let us in. It sends its settings, then ReadyForQuery.
    Done,
}

/// What we can prove to a server that we know.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// Nothing.
    None,
    /// The password.
    Password(&'a [u8]),
    /// The keys of SCRAM, for a server that has the verifier that they belong to. Nothing else can be done with them.
    Scram(&'a ScramKeys),
    /// What Postgres stores for md5. Nothing else can be done with it.
    Md5(&'a Md5Hash),
}

/// Answers a server's authentication messages until it lets us in or fails. With SCRAM the server must prove in turn that it
/// knows the password before we believe its AuthenticationOk.
pub struct ClientAuth<'a> {
    user: &'a [u8],
    credential: Credential<'a>,
    channel: &'a Channel,
    may_tell_password: bool,
    nonce: [u8; NONCE_BYTES],
    state: State,
}

enum State {
    Start,
    /// The password has been sent, in the clear or as md5.
    PasswordSent,
    ScramFirst(First),
    ScramKeys(Challenged),
    ScramLast(scram::Last),
    ScramProved,
    Ended,
}

impl<'a> ClientAuth<'a> {
    /// Starts with who we are. The nonce must be random and used once.
    pub fn new(
        user: &'a [u8],
        credential: Credential<'a>,
        nonce: [u8; NONCE_BYTES],
    ) -> ClientAuth<'a> {
        ClientAuth {
            user,
            credential,
            channel: &Channel::Unbindable,
            may_tell_password: false,
            nonce,
            state: State::Start,
        }
    }

    /// Over a channel that an exchange can be bound to.
    pub fn over(self, channel: &'a Channel) -> ClientAuth<'a> {
        ClientAuth { channel, ..self }
    }

    /// Whether the server may have the password itself, in the clear: only where nobody else can read it.
    pub fn may_tell_password(self, may: bool) -> ClientAuth<'a> {
        ClientAuth {
            may_tell_password: may,
            ..self
        }
    }

    /// Whether the server has asked for anything yet.
    pub fn has_begun(&self) -> bool {
        !matches!(self.state, State::Start)
    }

    /// Takes one authentication message and writes the answer, if there is one.
    pub fn step(
        &mut self,
        request: Authentication<'_>,
        out: &mut impl BufMut,
    ) -> Result<Progress, Error> {
        // An error leaves `Ended` behind, from which no message leads on.
        let state = std::mem::replace(&mut self.state, State::Ended);
        let (state, progress) = match (request, state) {
            (Authentication::Ok, State::ScramProved) => (State::Ended, Progress::Done),
            // Trust, a certificate or the peer's uid: the server asks nothing.
            (Authentication::Ok, State::Start | State::PasswordSent) => {
                self.check_bound()?;
                (State::Ended, Progress::Done)
            }
            (Authentication::CleartextPassword, State::Start) => {
                self.check_bound()?;
                let password = self.password()?;
                if !self.may_tell_password {
                    return Err(Error::WouldTellPassword);
                }
                Password { password }.write(out);
                (State::PasswordSent, Progress::Answered)
            }
            (Authentication::Md5Password { salt }, State::Start) => {
                self.check_bound()?;
                let answer = match self.credential {
                    Credential::Md5(hash) => hash.answer(salt),
                    _ => Md5Hash::from_password(self.user, self.password()?).answer(salt),
                };
                let password = answer.as_bytes();
                Password { password }.write(out);
                (State::PasswordSent, Progress::Answered)
            }
            (Authentication::Sasl(offered), State::Start) => {
                (self.begin_scram(offered, out)?, Progress::Answered)
            }
            (Authentication::SaslContinue(data), State::ScramFirst(first)) => {
                self.answer_challenge(first.challenged(data)?, out)?
            }
            (Authentication::SaslFinal(data), State::ScramLast(last)) => {
                last.finish(data)?;
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

    /// Goes on with the keys that [`Progress::Derive`] asked for: writes the answer.
    pub fn derived(&mut self, keys: &ScramKeys, out: &mut impl BufMut) -> Result<Progress, Error> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::ScramKeys(challenged) => {
                let (last, message) = challenged.prove(keys)?;
                SaslResponse(message.as_bytes()).write(out);
                self.state = State::ScramLast(last);
                Ok(Progress::Answered)
            }
            _ => Err(Error::OutOfOrder("no request for keys")),
        }
    }

    fn begin_scram(
        &self,
        offered: SaslMechanisms<'_>,
        out: &mut impl BufMut,
    ) -> Result<State, Error> {
        match self.credential {
            Credential::Scram(_) => {}
            _ => drop(self.password()?),
        }
        let offers = |mechanism: &str| offered.iter().any(|name| name == mechanism.as_bytes());
        let (gs2, mechanism) = match self.channel.binding() {
            Some(binding) if offers(SCRAM_SHA_256_PLUS) => {
                (Gs2::Bound(binding), SCRAM_SHA_256_PLUS)
            }
            binding => {
                self.check_bound()?;
                let gs2 = binding.map_or(Gs2::Unbindable, |_| Gs2::Refused);
                (gs2, SCRAM_SHA_256)
            }
        };
        if !offers(mechanism) {
            return Err(Error::UnsupportedMethod("an unknown SASL"));
        }
        let (first, message) = First::new(gs2, self.nonce);
        SaslInitialResponse {
            mechanism: mechanism.as_bytes(),
            data: Some(message.as_bytes()),
        }
        .write(out);
        Ok(State::ScramFirst(first))
    }

    fn answer_challenge(
        &self,
        challenged: Challenged,
        out: &mut impl BufMut,
    ) -> Result<(State, Progress), Error> {
        if let Credential::Scram(keys) = self.credential {
            let (last, message) = challenged.prove(keys)?;
            SaslResponse(message.as_bytes()).write(out);
            return Ok((State::ScramLast(last), Progress::Answered));
        }
        let derivation = challenged.derivation(self.password()?);
        Ok((State::ScramKeys(challenged), Progress::Derive(derivation)))
    }

    /// Fails where the channel must be bound: what is under way would not do so.
    fn check_bound(&self) -> Result<(), Error> {
        match self.channel {
            Channel::Bound(_) => Err(Error::Unbound),
            Channel::Unbindable | Channel::Bindable(_) => Ok(()),
        }
    }

    fn password(&self) -> Result<&'a [u8], Error> {
        match self.credential {
            // A zero would end the field early; Postgres knows no such passwords.
            Credential::Password(password) if !password.contains(&0) => Ok(password),
            Credential::None | Credential::Password(_) => Err(Error::NoPassword),
            Credential::Scram(_) | Credential::Md5(_) => Err(Error::NoClearPassword),
        }
    }
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
