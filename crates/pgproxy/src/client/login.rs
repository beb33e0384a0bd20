//! How a client proves who it is, message by message.

use std::sync::Arc;

use paceline_pgwire::auth::{ChannelBinding, Md5Hash, ScramServer, Verifier};
use paceline_pgwire::backend::Authentication;
use paceline_pgwire::frontend::{Password, SaslInitialResponse, SaslResponse};
use paceline_pgwire::startup::PACKET_BYTES_MAX;
use paceline_pgwire::{Error, Limits, Message, Piece, Reader, Wire};

use super::startup::{Arrival, Failure};
use crate::auth::{Challenge, Claim, Credential, Identity, Secret};
use crate::error::Refusal;

impl Arrival {
    /// Talks until the client has proved who it is. AuthenticationOk is written then.
    pub(super) async fn log_in(
        &mut self,
        claim: Claim<'_>,
        binding: Option<ChannelBinding>,
    ) -> Result<Identity, Failure> {
        let proxy = Arc::clone(&self.worker.proxy);
        let challenge = proxy.authenticator.challenge(claim).await?;
        let proved = match challenge {
            Challenge::Never(refusal) => Err(refusal.into()),
            Challenge::Nothing(secret) => {
                Ok(secret.map_or(Credential::None, |secret| secret.credential()))
            }
            Challenge::Scram(verifier, secret) => {
                self.prove_by_scram(claim.user, verifier, secret, binding)
                    .await
            }
            Challenge::Md5(hash, secret) => self.prove_by_md5(claim.user, hash, secret).await,
            Challenge::Password(verifier, secret) => {
                self.prove_by_password(claim.user, verifier, secret).await
            }
        };
        match &proved {
            Ok(_) => proxy.authenticator.note_success(claim),
            Err(Failure::Refused(_)) => proxy.authenticator.note_failure(claim),
            Err(Failure::Gone) => {}
        }
        let credential = proved?;
        Authentication::Ok.write(self.outbox.buf());
        Ok(Identity {
            user: claim.user.to_owned(),
            credential,
        })
    }

    async fn prove_by_scram(
        &mut self,
        user: &str,
        verifier: Verifier,
        secret: Option<Arc<Secret>>,
        binding: Option<ChannelBinding>,
    ) -> Result<Credential, Failure> {
        let refused = |error: Error| Failure::from(refusal(user, &error));
        let nonce = self.worker.proxy.means.random.bytes();
        let nonce = nonce.map_err(|_| Failure::Gone)?;
        let scram = match &secret {
            Some(_) => ScramServer::new(verifier, nonce),
            None => ScramServer::doomed(verifier, nonce),
        };
        let mut scram = scram.over(binding);
        Authentication::Sasl(scram.mechanisms()).write(self.outbox.buf());
        let first = self.answer().await?;
        let first = SaslInitialResponse::parse(&first).map_err(refused)?;
        let data = first.data.unwrap_or_default();
        let answer = scram.first(first.mechanism, data).map_err(refused)?;
        Authentication::SaslContinue(answer.as_bytes()).write(self.outbox.buf());
        let last = self.answer().await?;
        let last = SaslResponse::parse(&last).map_err(refused)?;
        let proved = scram.last(last.0).map_err(refused)?;
        Authentication::SaslFinal(proved.answer.as_bytes()).write(self.outbox.buf());
        Ok(match secret.as_deref() {
            // Nothing is known but the verifier; for a server that has the same, this is enough.
            Some(Secret::Scram(_)) => Credential::Scram(Arc::new(proved.keys)),
            Some(secret) => secret.credential(),
            None => Credential::None,
        })
    }

    async fn prove_by_md5(
        &mut self,
        user: &str,
        hash: Md5Hash,
        secret: Option<Arc<Secret>>,
    ) -> Result<Credential, Failure> {
        let salt = self.worker.proxy.means.random.bytes();
        let salt = salt.map_err(|_| Failure::Gone)?;
        Authentication::Md5Password { salt }.write(self.outbox.buf());
        let answer = self.answer().await?;
        let answer = Password::parse(&answer).map_err(|error| refusal(user, &error))?;
        let is_right = hash.accepts(salt, answer.password);
        match secret {
            Some(secret) if is_right => Ok(secret.credential()),
            _ => Err(Refusal::wrong_password(user).into()),
        }
    }

    async fn prove_by_password(
        &mut self,
        user: &str,
        verifier: Verifier,
        secret: Option<Arc<Secret>>,
    ) -> Result<Credential, Failure> {
        Authentication::CleartextPassword.write(self.outbox.buf());
        let told = self.answer().await?;
        let told = Password::parse(&told).map_err(|error| refusal(user, &error))?;
        // Whoever it is, and whatever is known of them, the same work is done.
        let derivation = verifier.derivation(told.password);
        let hashing = &self.worker.proxy.means.hashing;
        let keys = hashing.run(move || derivation.run()).await;
        let keys = keys.map_err(|_| Failure::Gone)?;
        let fits = verifier.is_of(&keys);
        match secret.as_deref() {
            Some(Secret::Md5(hash))
                if **hash == Md5Hash::from_password(user.as_bytes(), told.password) =>
            {
                Ok(Credential::Md5(Arc::clone(hash)))
            }
            Some(Secret::Scram(_)) if fits => Ok(Credential::Scram(Arc::new(keys))),
            Some(secret @ Secret::Password { .. }) if fits => Ok(secret.credential()),
            _ => Err(Refusal::wrong_password(user).into()),
        }
    }

    /// Sends what was asked and reads the answer.
    async fn answer(&mut self) -> Result<Vec<u8>, Failure> {
        self.flush().await?;
        let limits = Limits::authentication();
        let (body, len) = loop {
            match Reader::default().next(&limits, self.inbox.bytes()) {
                Ok(Some(Piece::Message(message))) => break password(message)?,
                Ok(_) => self.fill(PACKET_BYTES_MAX).await?,
                Err(error) => return Err(Refusal::client_protocol(&error).into()),
            }
        };
        self.inbox.consume(len);
        Ok(body)
    }
}

/// The body of an authentication message, and the bytes of the message.
fn password(message: Message<'_>) -> Result<(Vec<u8>, usize), Failure> {
    match message.tag() {
        b'p' => Ok((message.body().to_vec(), message.frame().len())),
        _ => Err(Failure::Gone),
    }
}

fn refusal(user: &str, error: &Error) -> Refusal {
    match error {
        Error::WrongPassword => Refusal::wrong_password(user),
        error => Refusal::client_protocol(error),
    }
}
