//! What a client has proved, and what a server is given.

use std::fmt;
use std::sync::Arc;

use paceline_pgwire::auth::{self, Md5Hash, ScramKeys};

/// Who a client is, as it has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: String,
    /// For servers that know the same user.
    pub(crate) credential: Credential,
}

/// What we can prove to a server that we know.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) enum Credential {
    #[default]
    None,
    Password(Arc<str>),
    /// What a login has left: good for a server that has the same verifier.
    Scram(Arc<ScramKeys>),
    Md5(Arc<Md5Hash>),
}

impl Credential {
    pub(crate) fn of_password(password: Option<&str>) -> Self {
        password.map_or(Self::None, |password| Self::Password(password.into()))
    }

    /// The same, for the protocol.
    pub(crate) fn borrow(&self) -> auth::Credential<'_> {
        match self {
            Self::None => auth::Credential::None,
            Self::Password(password) => auth::Credential::Password(password.as_bytes()),
            Self::Scram(keys) => auth::Credential::Scram(keys),
            Self::Md5(hash) => auth::Credential::Md5(hash),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(***)",
            Self::Scram(_) => "Scram(***)",
            Self::Md5(_) => "Md5(***)",
        })
    }
}
