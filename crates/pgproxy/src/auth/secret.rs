//! What is known of a user's password.

use std::fmt;
use std::sync::{Arc, OnceLock};

use paceline_pgwire::auth::{Md5Hash, SALT_BYTES, Verifier};

use super::Credential;

/// See the module.
pub(crate) enum Secret {
    /// The password itself, and the verifier that is made from it when it is first wanted.
    Password {
        text: Arc<str>,
        verifier: OnceLock<Verifier>,
    },
    Scram(Verifier),
    Md5(Arc<Md5Hash>),
}

impl Secret {
    /// Reads it as it stands in a file or a table: a SCRAM verifier, an md5 hash, and anything else is the password itself.
    pub(crate) fn parse(text: &str) -> Self {
        if let Ok(verifier) = Verifier::parse(text) {
            Self::Scram(verifier)
        } else if let Ok(hash) = Md5Hash::parse(text) {
            Self::Md5(Arc::new(hash))
        } else {
            Self::password(text)
        }
    }

    /// A password, whatever it looks like.
    pub(super) fn password(text: &str) -> Self {
        Self::Password {
            text: text.into(),
            verifier: OnceLock::new(),
        }
    }

    /// The verifier to log in with, if it is known without work.
    pub(super) fn verifier(&self) -> Option<&Verifier> {
        match self {
            Self::Password { verifier, .. } => verifier.get(),
            Self::Scram(verifier) => Some(verifier),
            Self::Md5(_) => None,
        }
    }

    /// Makes the verifier. Takes milliseconds.
    pub(super) fn make_verifier(&self, salt: [u8; SALT_BYTES]) {
        if let Self::Password { text, verifier } = self {
            verifier.get_or_init(|| Verifier::from_password(text.as_bytes(), salt));
        }
    }

    /// The hash for the md5 method.
    pub(super) fn md5(&self, user: &str) -> Option<Md5Hash> {
        match self {
            Self::Password { text, .. } => {
                Some(Md5Hash::from_password(user.as_bytes(), text.as_bytes()))
            }
            Self::Md5(hash) => Some((**hash).clone()),
            Self::Scram(_) => None,
        }
    }

    /// What a server can be given without the client's help.
    pub(crate) fn credential(&self) -> Credential {
        match self {
            Self::Password { text, .. } => Credential::Password(Arc::clone(text)),
            Self::Md5(hash) => Credential::Md5(Arc::clone(hash)),
            Self::Scram(_) => Credential::None,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password(***)",
            Self::Scram(_) => "Scram(***)",
            Self::Md5(_) => "Md5(***)",
        })
    }
}
