//! The server's side of SCRAM-SHA-256 (RFC 5802, section 5): how a client proves itself to us. Works from a stored
//! verifier, so that a login costs a few HMACs and no key derivation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use sha2::digest::CtOutput;
use sha2::{Digest, Sha256};

use super::binding::ChannelBinding;
use super::verifier::{ScramKeys, Verifier, hmac, mac};
use super::{NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};
use crate::backend::SaslMechanisms;
use crate::{Error, Side};

/// One login. Feed it the client's two messages in order.
pub struct ScramServer {
    verifier: Verifier,
    /// Whether a right proof lets the client in; false for a user who does not exist.
    is_known: bool,
    nonce: String,
    /// What the exchange can be bound to, if it is offered.
    binding: Option<ChannelBinding>,
    /// `client-first-message-bare,server-first-message`, once these are known.
    exchanged: String,
    /// The header of the client's first message, and the channel's data if it binds to it.
    bound: Vec<u8>,
}

/// A client has proved that it knows the password.
#[derive(Debug)]
pub struct Proved {
    /// The data of AuthenticationSASLFinal, which proves the same of us.
    pub answer: String,
    /// The client's keys, which let us log in wherever the same verifier is known, until the password changes.
    pub keys: ScramKeys,
}

impl std::fmt::Debug for ScramServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramServer(..)")
    }
}

impl ScramServer {
    /// Starts a login of a user with this verifier. The bytes must be random and used once.
    pub fn new(verifier: Verifier, random: [u8; NONCE_BYTES]) -> ScramServer {
        ScramServer::start(verifier, true, STANDARD.encode(random))
    }

    /// Starts a login that is going to fail, for a user who does not exist: see [`Verifier::mock`]. Its messages and its time
    /// do not tell it from a wrong password.
    pub fn doomed(verifier: Verifier, random: [u8; NONCE_BYTES]) -> ScramServer {
        ScramServer::start(verifier, false, STANDARD.encode(random))
    }

    pub(super) fn start(verifier: Verifier, is_known: bool, nonce: String) -> ScramServer {
        ScramServer {
            verifier,
            is_known,
            nonce,
            binding: None,
            exchanged: String::new(),
            bound: Vec::new(),
        }
    }

    /// Offers to bind the exchange to the channel that it runs in.
    pub fn over(self, binding: Option<ChannelBinding>) -> ScramServer {
        ScramServer { binding, ..self }
    }

    /// The mechanisms to offer.
    pub fn mechanisms(&self) -> SaslMechanisms<'static> {
        match self.binding {
            Some(_) => SaslMechanisms::SCRAM_SHA_256_PLUS,
            None => SaslMechanisms::SCRAM_SHA_256,
        }
    }

    /// Takes the mechanism that the client chose and its first message (both of its SASLInitialResponse), and gives the data of
    /// AuthenticationSASLContinue. The user's name within is ignored, as in Postgres: the one of the StartupMessage counts.
    pub fn first(&mut self, mechanism: &[u8], message: &[u8]) -> Result<String, Error> {
        let message = text(message)?;
        if !self.exchanged.is_empty() {
            return Err(malformed("the exchange has begun already"));
        }
        // gs2-header = gs2-cbind-flag "," [authzid] ","
        let mut parts = message.splitn(3, ',');
        let (flag, authzid, bare) = (parts.next(), parts.next(), parts.next());
        self.check_flag(mechanism, flag.unwrap_or_default())?;
        if authzid != Some("") {
            return Err(malformed("it asks for another identity"));
        }
        let bare = bare.ok_or_else(|| malformed("it is too short"))?;
        let client_nonce = client_nonce(bare)?;

        self.nonce.insert_str(0, client_nonce);
        let (salt, iterations) = (
            STANDARD.encode(&self.verifier.salt),
            self.verifier.iterations,
        );
        let answer = format!("r={},s={salt},i={iterations}", self.nonce);
        let header = &message.as_bytes()[..message.len() - bare.len()];
        self.bound.extend_from_slice(header);
        if let (Some(binding), b'p') = (&self.binding, header[0]) {
            self.bound.extend_from_slice(binding.data());
        }
        self.exchanged = format!("{bare},{answer}");
        Ok(answer)
    }

    /// Whether what the client does about the channel goes with what we have offered.
    fn check_flag(&self, mechanism: &[u8], flag: &str) -> Result<(), Error> {
        let is_bound = mechanism == SCRAM_SHA_256_PLUS.as_bytes() && self.binding.is_some();
        if !is_bound && mechanism != SCRAM_SHA_256.as_bytes() {
            return Err(malformed("it chose a mechanism that was not offered"));
        }
        match flag {
            "n" if !is_bound => Ok(()),
            "y" if self.binding.is_some() => Err(Error::ChannelBinding(
                "the client believes that it cannot be done here, but it was offered",
            )),
            // The client could bind to the channel and believes that we cannot, which is so.
            "y" => Ok(()),
            "p=tls-server-end-point" if is_bound => Ok(()),
            _ if flag.starts_with("p=") && is_bound => Err(malformed(
                "it binds to the channel in a way that is not known",
            )),
            _ if flag.starts_with("p=") => {
                Err(malformed("it binds to a channel, which was not offered"))
            }
            "n" => Err(malformed("it chose to bind to the channel and does not")),
            _ => Err(malformed("its channel binding flag is unknown")),
        }
    }

    /// Takes the client's last message (its SASLResponse).
    ///
    /// # Errors
    ///
    /// The client has not proved that it knows the password.
    pub fn last(self, message: &[u8]) -> Result<Proved, Error> {
        if self.exchanged.is_empty() {
            return Err(malformed("the exchange has not begun"));
        }
        let message = text(message)?;
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("it has no proof"))?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c="));
        if binding != Some(STANDARD.encode(&self.bound).as_str()) {
            return Err(match self.bound.first() {
                Some(b'p') => {
                    Error::ChannelBinding("the client sees another certificate than ours")
                }
                _ => malformed("its channel binding has changed"),
            });
        }
        if parts.next().and_then(|part| part.strip_prefix("r=")) != Some(self.nonce.as_str()) {
            return Err(malformed("its nonce is another"));
        }
        let proof: [u8; 32] = STANDARD
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed("its proof is not 32 bytes of base64"))?;
        self.check(without_proof, proof)
    }

    /// ClientKey = ClientProof XOR ClientSignature, and its hash must be StoredKey.
    fn check(self, without_proof: &str, proof: [u8; 32]) -> Result<Proved, Error> {
        let pieces = [self.exchanged.as_bytes(), b",", without_proof.as_bytes()];
        let mut client_key = hmac(&self.verifier.stored_key, &pieces);
        client_key
            .iter_mut()
            .zip(proof)
            .for_each(|(key, proof)| *key ^= proof);

        // `CtOutput` compares in constant time.
        let found = CtOutput::<Sha256>::new(Sha256::digest(client_key));
        let stored = CtOutput::<Sha256>::new(self.verifier.stored_key.into());
        let is_right = found == stored;
        let mut signature = mac(&self.verifier.server_key);
        pieces.iter().for_each(|piece| signature.update(piece));
        let signature = signature.finalize().into_bytes();
        if is_right & self.is_known {
            Ok(Proved {
                answer: format!("v={}", STANDARD.encode(signature)),
                keys: self.verifier.keys(client_key),
            })
        } else {
            Err(Error::WrongPassword)
        }
    }
}

/// The nonce in `n=user,r=nonce[,extensions]`.
fn client_nonce(bare: &str) -> Result<&str, Error> {
    let mut parts = bare.split(',');
    match parts.next() {
        Some(name) if name.starts_with("n=") => {}
        Some(part) if part.starts_with("m=") => {
            return Err(malformed("it demands an extension that is not known"));
        }
        _ => return Err(malformed("it has no user name")),
    }
    let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
    nonce
        .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| malformed("it has no nonce"))
}

fn text(message: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))
}

fn malformed(problem: &'static str) -> Error {
    Error::Malformed {
        side: Side::Frontend,
        message: "SCRAM",
        problem,
    }
}
