//! TLS (rustls), on both sides.
//!
//! - [`acceptor`]: towards clients. - [`connector`]: towards servers.
//! - [`handshake`]: until both sides agree; the cryptography of it runs on other threads.
//! - [`stream`]: from then on.

mod acceptor;
mod certificate;
mod connector;
mod handshake;
mod pem;
mod stream;

use std::sync::Arc;

use paceline_pgwire::auth::ChannelBinding;
use rustls::pki_types::CertificateDer;

use crate::files::FileError;

pub(crate) use acceptor::{Accepting, Acceptor};
pub(crate) use connector::{Connectors, client_config};
pub(crate) use handshake::handshake;
pub(crate) use stream::TlsStream;

/// The protocol's name in a handshake: keeps a connection that was meant for another kind of server from being used here.
pub(crate) const ALPN: &[u8] = b"postgresql";

/// Why TLS cannot be had with these settings.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A certificate without its key, or a key without its certificate.
    #[error("tls_certificate and tls_key go together: set both")]
    HalfCertificate,
    /// TLS is demanded, and there is no certificate to do it with.
    #[error("tls_mode demands TLS, and there is no tls_certificate")]
    NoCertificate,
    /// Certificates of clients are demanded, and there is none to check them with.
    #[error(
        "tls_mode = \"verify-ca\" needs tls_client_ca, which vouches for the clients' certificates"
    )]
    NoClientCa,
    /// `sslrootcert=system` found nothing.
    #[error("no certificates that the system trusts were found: {reason}")]
    NoSystemRoots {
        /// What the system says.
        reason: String,
    },
    /// The library refuses.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

fn provider() -> connector::Provider {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a login over a connection with this certificate of the server's can be bound to.
pub(crate) fn channel_binding(certificate: &CertificateDer<'_>) -> Option<ChannelBinding> {
    certificate::Certificate::parse(certificate)?.channel_binding(certificate)
}

/// Whom a client's certificate names. It was checked in the handshake.
pub(crate) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = certificate::Certificate::parse(certificate)?;
    parsed.common_name().map(ToOwned::to_owned)
}
