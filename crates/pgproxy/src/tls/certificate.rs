//! What we need to know of an X.509 certificate (RFC 5280) beyond what rustls looks at: its subject's name, how it was
//! signed, when it is valid, its key.
//!
//! Who a certificate belongs to is decided by rustls or by comparing it whole; nothing here makes one trusted.

use paceline_pgwire::auth::ChannelBinding;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// The parts of a certificate, as they stand in it.
pub(super) struct Certificate<'a> {
    subject: &'a [u8],
    /// The contents of its AlgorithmIdentifier.
    signature_algorithm: &'a [u8],
    /// SubjectPublicKeyInfo, tag and length included.
    pub(super) public_key: &'a [u8],
    /// Seconds since 1970.
    pub(super) valid: std::ops::RangeInclusive<i64>,
    /// It names hosts the modern way, so that the subject's name is none.
    pub(super) has_alternative_names: bool,
}

const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

impl<'a> Certificate<'a> {
    /// `None` for what is no certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(Der(der).take(SEQUENCE)?);
        let mut fields = Der(outer.take(SEQUENCE)?);
        let signature_algorithm = outer.take(SEQUENCE)?;
        fields.skip_if(CONTEXT_0)?; // version
        fields.take(INTEGER)?; // serial number
        fields.take(SEQUENCE)?; // signature algorithm
        fields.take(SEQUENCE)?; // issuer
        let mut validity = Der(fields.take(SEQUENCE)?);
        let (from, to) = (validity.time()?, validity.time()?);
        let subject = fields.take(SEQUENCE)?;
        let before = fields.0;
        fields.take(SEQUENCE)?;
        let public_key = &before[..before.len() - fields.0.len()];
        Some(Self {
            subject,
            signature_algorithm,
            public_key,
            valid: from..=to,
            has_alternative_names: has_alternative_names(fields),
        })
    }

    /// The subject's common name. Two of them are none.
    pub(super) fn common_name(&self) -> Option<&'a str> {
        let (mut names, mut found) = (Der(self.subject), None);
        while !names.0.is_empty() {
            let mut set = Der(names.take(SET)?);
            while !set.0.is_empty() {
                let mut pair = Der(set.take(SEQUENCE)?);
                if pair.take(OBJECT_ID)? == COMMON_NAME {
                    let (tag, value) = pair.next()?;
                    let text = matches!(tag, UTF8 | PRINTABLE | IA5)
                        .then(|| std::str::from_utf8(value).ok())??;
                    if found.replace(text).is_some() || text.contains('\0') {
                        return None;
                    }
                }
            }
        }
        found
    }

    /// The hash of the certificate that a login can be bound to (RFC 5929, section 4.1). None where the signature has no
    /// hash of its own (Ed25519), for which the RFC knows no answer.
    pub(super) fn channel_binding(&self, der: &[u8]) -> Option<ChannelBinding> {
        let hash = match self.signature_hash()? {
            Hash::Sha224 => Sha224::digest(der).to_vec(),
            Hash::Sha256 => Sha256::digest(der).to_vec(),
            Hash::Sha384 => Sha384::digest(der).to_vec(),
            Hash::Sha512 => Sha512::digest(der).to_vec(),
        };
        Some(ChannelBinding::from_certificate_hash(&hash))
    }

    fn signature_hash(&self) -> Option<Hash> {
        let mut identifier = Der(self.signature_algorithm);
        match identifier.take(OBJECT_ID)? {
            // 1.2.840.113549.1.1: RSA
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, kind] => match kind {
                4 | 5 | 11 => Some(Hash::Sha256),
                10 => pss_hash(identifier),
                12 => Some(Hash::Sha384),
                13 => Some(Hash::Sha512),
                14 => Some(Hash::Sha224),
                _ => None,
            },
            // 1.2.840.10045.4: ECDSA
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => Some(Hash::Sha256),
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, kind] => match kind {
                1 => Some(Hash::Sha224),
                2 => Some(Hash::Sha256),
                3 => Some(Hash::Sha384),
                4 => Some(Hash::Sha512),
                _ => None,
            },
            _ => None,
        }
    }
}

enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// RSASSA-PSS names its hash among its parameters (RFC 4055, section 3.1); without one it is SHA-1.
fn pss_hash(mut identifier: Der<'_>) -> Option<Hash> {
    let mut parameters = Der(identifier.take(SEQUENCE)?);
    let Some((CONTEXT_0, hash)) = parameters.next() else {
        return Some(Hash::Sha256);
    };
    let mut hash = Der(Der(hash).take(SEQUENCE)?);
    match hash.take(OBJECT_ID)? {
        // 2.16.840.1.101.3.4.2
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, kind] => match kind {
            1 => Some(Hash::Sha256),
            2 => Some(Hash::Sha384),
            3 => Some(Hash::Sha512),
            4 => Some(Hash::Sha224),
            _ => None,
        },
        // SHA-1
        [0x2b, 0x0e, 0x03, 0x02, 0x1a] => Some(Hash::Sha256),
        _ => None,
    }
}

fn has_alternative_names(mut rest: Der<'_>) -> bool {
    while let Some((tag, value)) = rest.next() {
        if tag != CONTEXT_3 {
            continue;
        }
        let Some(mut extensions) = Der(value).take(SEQUENCE).map(Der) else {
            return false;
        };
        while let Some(extension) = extensions.take(SEQUENCE) {
            if Der(extension).take(OBJECT_ID) == Some(ALTERNATIVE_NAMES) {
                return true;
            }
        }
    }
    false
}

/// Reads DER, value by value.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let len = bytes
                    .iter()
                    .fold(0, |len, &byte| len << 8 | usize::from(byte));
                (len, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn take(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next()
            .and_then(|(tag, value)| (tag == wanted).then_some(value))
    }

    fn skip_if(&mut self, wanted: u8) -> Option<()> {
        if self.0.first() == Some(&wanted) {
            self.next()?;
        }
        Some(())
    }

    /// A time in seconds since 1970.
    fn time(&mut self) -> Option<i64> {
        let (tag, value) = self.next()?;
        let digits = value.strip_suffix(b"Z")?;
        let (year, rest) = match tag {
            UTC_TIME => {
                let (year, rest) = (number(digits.get(..2)?)?, &digits[2..]);
                // RFC 5280, section 4.1.2.5.1.
                (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
            }
            GENERALIZED_TIME => (number(digits.get(..4)?)?, &digits[4..]),
            _ => return None,
        };
        if rest.len() != 10 {
            return None;
        }
        let mut parts = rest.chunks_exact(2).map(number);
        let mut part = || parts.next().flatten();
        let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests;
