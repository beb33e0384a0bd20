//! TLS towards clients: the certificate that they get, and what is asked of theirs. Both can be exchanged at work.

use std::sync::{Arc, PoisonError, RwLock};

use paceline_pgwire::auth::ChannelBinding;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::certificate::Certificate;
use super::{ALPN, TlsError, pem, provider};
use crate::config::{ClientTls, ClientTlsMode};
use crate::files::FileError;

/// What is in force. Connections that are there keep what they began with.
pub(crate) struct Acceptor {
    current: RwLock<Arc<Accepting>>,
}

/// How clients are encrypted.
pub(crate) struct Accepting {
    /// What this was read from.
    told: ClientTls,
    /// `None`: clients that ask for TLS are told that there is none.
    pub(crate) config: Option<Arc<ServerConfig>>,
    /// What a client's login can be bound to.
    pub(crate) binding: Option<ChannelBinding>,
}

impl Accepting {
    /// Whether clients in the clear are refused.
    pub(crate) fn is_required(&self) -> bool {
        matches!(
            self.told.mode,
            ClientTlsMode::Require | ClientTlsMode::VerifyCa
        )
    }

    fn read(told: &ClientTls) -> Result<Self, TlsError> {
        let told = told.clone();
        let (Some(certificate), Some(key)) = (&told.certificate, &told.key) else {
            check_without_certificate(&told)?;
            return Ok(Self {
                told,
                config: None,
                binding: None,
            });
        };
        let (chain, key_der) = (
            pem::certificates("tls_certificate", certificate)?,
            pem::key("tls_key", key)?,
        );
        let parsed = Certificate::parse(&chain[0]);
        let parsed = parsed.ok_or_else(|| {
            FileError::new("tls_certificate", certificate, "it cannot be understood")
        })?;
        let binding = parsed.channel_binding(&chain[0]);
        let provider = provider();
        let verifier = match &told.client_ca {
            None if told.mode == ClientTlsMode::VerifyCa => return Err(TlsError::NoClientCa),
            None => WebPkiClientVerifier::no_client_auth(),
            Some(path) => {
                let (roots, _) = pem::roots("tls_client_ca", path)?;
                let roots = Arc::new(roots);
                let mut builder =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                if told.mode != ClientTlsMode::VerifyCa {
                    builder = builder.allow_unauthenticated();
                }
                let built = builder.build();
                built.map_err(|error| FileError::new("tls_client_ca", path, error.to_string()))?
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key_der)
            .map_err(|error| FileError::new("tls_key", key, error.to_string()))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // libpq resumes no sessions; tickets would be bytes that nobody reads.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let config = (told.mode != ClientTlsMode::Disable).then(|| Arc::new(config));
        Ok(Self {
            told,
            config,
            binding,
        })
    }
}

fn check_without_certificate(told: &ClientTls) -> Result<(), TlsError> {
    if told.certificate.is_some() != told.key.is_some() {
        return Err(TlsError::HalfCertificate);
    }
    match told.mode {
        ClientTlsMode::Require | ClientTlsMode::VerifyCa => Err(TlsError::NoCertificate),
        ClientTlsMode::Disable | ClientTlsMode::Allow => Ok(()),
    }
}

impl Acceptor {
    /// Reads the files.
    pub(crate) fn new(told: &ClientTls) -> Result<Self, TlsError> {
        Ok(Self {
            current: RwLock::new(Arc::new(Accepting::read(told)?)),
        })
    }

    /// Reads the files, again or others. When something is wrong with them, all stays as it was.
    pub(crate) fn reload(&self, told: &ClientTls) -> Result<(), TlsError> {
        let new = Arc::new(Accepting::read(told)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<Accepting> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}
