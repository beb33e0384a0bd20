//! Who may come in.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use paceline_pgwire::auth::{NONCE_BYTES, SALT_BYTES, ScramServer, Verifier};
use paceline_pgwire::backend::{Authentication, SaslMechanisms};
use paceline_pgwire::frontend::{SaslInitialResponse, SaslResponse};
use paceline_pgwire::{Error, Wire};

use crate::config::DatabaseUrl;
use crate::error::Refusal;
use crate::random::Random;

/// Anybody can fail to log in as often as they like: more than that is not logged.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Checks clients against the user and password of the database URL.
pub(crate) struct Authenticator {
    user: String,
    /// `None`: no password is asked for.
    verifier: Option<Verifier>,
    /// Gives users who do not exist a salt that stays the same.
    mock_secret: [u8; 32],
    last_warning: Mutex<Option<Instant>>,
}

/// One login under way. Feed it the client's answers until it says yes or no.
pub(crate) struct Login {
    scram: Option<ScramServer>,
    user: String,
    has_begun: bool,
}

/// What a message of the client led to.
pub(crate) enum Verdict {
    /// A request was written: the client's next message answers it.
    GoesOn(Login),
    /// AuthenticationOk was written.
    Welcome,
    No(Refusal),
}

impl Authenticator {
    /// Derives the verifier, which takes some milliseconds of CPU.
    pub(crate) fn new(database: &DatabaseUrl, random: &Random) -> std::io::Result<Self> {
        let salt: [u8; SALT_BYTES] = random.bytes()?;
        let password = database.password.as_deref();
        let verifier = password.map(|password| Verifier::from_password(password.as_bytes(), salt));
        Ok(Self {
            user: database.user.clone(),
            verifier,
            mock_secret: random.bytes()?,
            last_warning: Mutex::default(),
        })
    }

    /// A client was refused. It must not learn which users there are; whoever reads the log may, and is often looking for just
    /// that.
    pub(crate) fn note_refusal(&self, user: &str, peer: SocketAddr) {
        if user == self.user || !self.may_warn(Instant::now()) {
            return;
        }
        tracing::warn!(
            ?user,
            configured = self.user,
            %peer,
            "A client was refused, because clients log in with the user of postgres.url."
        );
    }

    fn may_warn(&self, now: Instant) -> bool {
        let mut last = self
            .last_warning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.saturating_duration_since(last) >= WARNING_INTERVAL);
        if may {
            *last = Some(now);
        }
        may
    }

    /// A client says who it is.
    pub(crate) fn begin(&self, user: &str, random: &Random, out: &mut Vec<u8>) -> Verdict {
        let is_known = user == self.user;
        let Some(verifier) = &self.verifier else {
            if !is_known {
                return Verdict::No(Refusal::unknown_user(user));
            }
            Authentication::Ok.write(out);
            return Verdict::Welcome;
        };
        let Ok(nonce) = random.bytes::<NONCE_BYTES>() else {
            return Verdict::No(Refusal::wrong_password(user));
        };
        let scram = if is_known {
            ScramServer::new(verifier.clone(), nonce)
        } else {
            ScramServer::doomed(Verifier::mock(&self.mock_secret, user.as_bytes()), nonce)
        };
        Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256).write(out);
        Verdict::GoesOn(Login {
            scram: Some(scram),
            user: user.to_owned(),
            has_begun: false,
        })
    }
}

impl Login {
    /// Takes the body of a client's authentication message.
    pub(crate) fn step(mut self, body: &[u8], out: &mut Vec<u8>) -> Verdict {
        match self.try_step(body, out) {
            Ok(true) => Verdict::Welcome,
            Ok(false) => Verdict::GoesOn(self),
            Err(Error::WrongPassword) => Verdict::No(Refusal::wrong_password(&self.user)),
            Err(error) => Verdict::No(Refusal::client_protocol(&error)),
        }
    }

    fn try_step(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
        if !self.has_begun {
            self.has_begun = true;
            let first = SaslInitialResponse::parse(body)?;
            let scram = self.scram.as_mut().ok_or(Error::WrongPassword)?;
            let answer = scram.first(first.mechanism, first.data.unwrap_or_default())?;
            Authentication::SaslContinue(answer.as_bytes()).write(out);
            return Ok(false);
        }
        let scram = self.scram.take().ok_or(Error::WrongPassword)?;
        let answer = scram.last(SaslResponse::parse(body)?.0)?.answer;
        Authentication::SaslFinal(answer.as_bytes()).write(out);
        Authentication::Ok.write(out);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_fill_no_log() {
        let random = Random::open().unwrap();
        let authenticator = Authenticator::new(&DatabaseUrl::default(), &random).unwrap();
        let start = Instant::now();
        let warned = [0, 1, 9_999, 10_000, 10_001, 20_000]
            .map(|ms| authenticator.may_warn(start + Duration::from_millis(ms)));
        assert_eq!(warned, [true, false, false, true, false, true]);
    }
}
