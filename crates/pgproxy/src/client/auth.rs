//! Who may come in.

use paceline_pgwire::auth::{NONCE_BYTES, SALT_BYTES, ScramServer, Verifier};
use paceline_pgwire::backend::{Authentication, SaslMechanisms};
use paceline_pgwire::frontend::{SaslInitialResponse, SaslResponse};
use paceline_pgwire::{Error, Wire};

use crate::config::DatabaseUrl;
use crate::error::Refusal;
use crate::random::Random;

/// Checks clients against the user and password of the database URL.
pub(crate) struct Authenticator {
    user: String,
    /// `None`: no password is asked for.
    verifier: Option<Verifier>,
    /// Gives users who do not exist a salt that stays the same.
    mock_secret: [u8; 32],
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
        })
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
            if first.mechanism != paceline_pgwire::auth::SCRAM_SHA_256.as_bytes() {
                return Err(Error::WrongPassword);
            }
            let scram = self.scram.as_mut().ok_or(Error::WrongPassword)?;
            let answer = scram.first(first.data.unwrap_or_default())?;
            Authentication::SaslContinue(answer.as_bytes()).write(out);
            return Ok(false);
        }
        let scram = self.scram.take().ok_or(Error::WrongPassword)?;
        let answer = scram.last(SaslResponse::parse(body)?.0)?;
        Authentication::SaslFinal(answer.as_bytes()).write(out);
        Authentication::Ok.write(out);
        Ok(true)
    }
}
