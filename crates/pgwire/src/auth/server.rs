//! The server's side of SCRAM-SHA-256 (RFC 5802, section 5): how a client proves itself to us. Works from a stored
//! verifier, so that a login costs a few HMACs and no key derivation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Mac;
use sha2::digest::CtOutput;
use sha2::{Digest, Sha256};

use super::verifier::{Verifier, hmac, mac};
use crate::{Error, Side};

/// Random bytes that an exchange needs.
pub const NONCE_BYTES: usize = 18;

/// One login. Feed it the client's two messages in order.
pub struct ScramServer {
    verifier: Verifier,
    /// Whether a right proof lets the client in; false for a user who does not exist.
    is_known: bool,
    nonce: String,
    /// `client-first-message-bare,server-first-message`, once these are known.
    exchanged: String,
    gs2_header: String,
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
        let (exchanged, gs2_header) = (String::new(), String::new());
        ScramServer {
            verifier,
            is_known,
            nonce,
            exchanged,
            gs2_header,
        }
    }

    /// Takes the client's first message (the data of its SASLInitialResponse) and gives the data of AuthenticationSASLContinue. The
    /// user's name within is ignored, as in Postgres: the one of the StartupMessage counts.
    pub fn first(&mut self, message: &[u8]) -> Result<String, Error> {
        let message = text(message)?;
        if !self.exchanged.is_empty() {
            return Err(malformed("the exchange has begun already"));
        }
        // gs2-header = gs2-cbind-flag "," [authzid] ","
        let mut parts = message.splitn(3, ',');
        let (flag, authzid, bare) = (parts.next(), parts.next(), parts.next());
        match flag {
            // `y`: the client could bind to the channel and believes that we cannot, which is so.
            Some("n" | "y") => {}
            Some(flag) if flag.starts_with("p=") => {
                return Err(malformed("it binds to a channel, which was not offered"));
            }
            _ => return Err(malformed("its channel binding flag is unknown")),
        }
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
        self.gs2_header = message[..message.len() - bare.len()].to_owned();
        self.exchanged = format!("{bare},{answer}");
        Ok(answer)
    }

    /// Takes the client's last message (its SASLResponse). When the client has proved that it knows the password, gives the
    /// data of AuthenticationSASLFinal, which proves the same of us.
    pub fn last(self, message: &[u8]) -> Result<String, Error> {
        if self.exchanged.is_empty() {
            return Err(malformed("the exchange has not begun"));
        }
        let message = text(message)?;
        let (without_proof, proof) = message
            .rsplit_once(",p=")
            .ok_or_else(|| malformed("it has no proof"))?;
        let mut parts = without_proof.split(',');
        let binding = parts.next().and_then(|part| part.strip_prefix("c="));
        if binding != Some(STANDARD.encode(&self.gs2_header).as_str()) {
            return Err(malformed("its channel binding has changed"));
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
    fn check(&self, without_proof: &str, proof: [u8; 32]) -> Result<String, Error> {
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
            Ok(format!("v={}", STANDARD.encode(signature)))
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
