//! Binding a SCRAM exchange to the TLS channel that it runs in (RFC 5802, section 6; RFC 5929, section 4): both sides prove
//! that they see the same server certificate, so that nobody sits in between with another one.

use std::fmt;

/// The `tls-server-end-point` data of a channel: the hash of the server's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding(Box<[u8]>);

impl ChannelBinding {
    /// The one type that Postgres knows, as it stands in the header of an exchange that is bound.
    pub(super) const HEADER: &'static str = "p=tls-server-end-point,,";

    /// From the hash of the certificate, made with the hash of its signature, or SHA-256 where that is MD5 or SHA-1.
    pub fn from_certificate_hash(hash: &[u8]) -> ChannelBinding {
        ChannelBinding(hash.into())
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding(..)")
    }
}

/// What a client knows of the channel to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Channel {
    /// Nothing that an exchange could be bound to.
    #[default]
    Unbindable,
    /// It can be bound, and is if the server can do so too.
    Bindable(ChannelBinding),
    /// It must be bound.
    Bound(ChannelBinding),
}

impl Channel {
    pub(super) fn binding(&self) -> Option<&ChannelBinding> {
        match self {
            Channel::Unbindable => None,
            Channel::Bindable(binding) | Channel::Bound(binding) => Some(binding),
        }
    }
}
