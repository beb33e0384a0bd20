//! A server that is reached over TLS offers to bind logins to its certificate. The client does not see that certificate, but
//! ours or none, so that the offer is not for it: libpq would even refuse to go on.

use paceline_pgwire::auth::SCRAM_SHA_256_PLUS;
use paceline_pgwire::backend::{Authentication, NegotiateProtocolVersion, SaslMechanisms};
use paceline_pgwire::{Limits, Piece, Reader, Wire};

/// Waits for the server's offer.
#[derive(Debug)]
pub(super) struct Offer {
    is_due: bool,
}

impl Offer {
    /// `is_due`: over a connection to the server that is encrypted.
    pub(super) fn new(is_due: bool) -> Self {
        Self { is_due }
    }

    /// What the client is to get in place of the first bytes of what the server has sent, and how many these are. `None`: they pass
    /// as they are.
    pub(super) fn replace(&mut self, limits: &Limits, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        if !self.is_due || bytes.is_empty() {
            return None;
        }
        let piece = match Reader::default().next(limits, bytes) {
            // Not whole yet: nothing passes meanwhile.
            Ok(None) => return Some((Vec::new(), 0)),
            Ok(Some(Piece::Message(message))) => message,
            // Whatever that is, it is no offer.
            Ok(Some(_)) | Err(_) => {
                self.is_due = false;
                return None;
            }
        };
        if piece.tag() == NegotiateProtocolVersion::TAG {
            return None;
        }
        self.is_due = false;
        let Ok(Authentication::Sasl(offered)) = Authentication::parse(piece.body()) else {
            return None;
        };
        if piece.tag() != Authentication::TAG
            || !offered
                .iter()
                .any(|name| name == SCRAM_SHA_256_PLUS.as_bytes())
        {
            return None;
        }
        let mut plain = Vec::new();
        Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256).write(&mut plain);
        Some((plain, piece.frame().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_offer_is_replaced() {
        let limits = Limits::backend();
        let (mut both, mut plain) = (Vec::new(), Vec::new());
        Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256_PLUS).write(&mut both);
        Authentication::Sasl(SaslMechanisms::SCRAM_SHA_256).write(&mut plain);
        let mut offer = Offer::new(true);
        assert_eq!(offer.replace(&limits, b""), None);
        for end in 1..both.len() {
            assert_eq!(offer.replace(&limits, &both[..end]), Some((Vec::new(), 0)));
        }
        assert_eq!(
            offer.replace(&limits, &both),
            Some((plain.clone(), both.len()))
        );
        assert_eq!(offer.replace(&limits, &both), None);
        for (is_due, bytes) in [
            (false, &both),
            (true, &plain),
            (true, &b"Z\0\0\0\x05I".to_vec()),
        ] {
            assert_eq!(Offer::new(is_due).replace(&limits, bytes), None);
        }
    }
}
