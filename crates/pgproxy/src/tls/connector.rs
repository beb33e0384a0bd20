//! TLS towards servers: what `sslmode` and its companions say, as libpq means them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientConfig, Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::Certificate;
use super::{ALPN, TlsError, pem, provider};
use crate::config::{Config, Database, RootCertificates, ServerTls, SslMode};
use crate::files::FileError;

/// What is made of the TLS options of all databases, each set of options once.
#[derive(Default)]
pub(crate) struct Connectors {
    known: Mutex<Known>,
}

type Known = HashMap<ServerTls, Arc<ClientConfig>>;

impl Connectors {
    /// What these options make, if that is known.
    pub(crate) fn known(&self, options: &ServerTls) -> Option<Arc<ClientConfig>> {
        self.lock().get(options).cloned()
    }

    /// What these options make. Reads the files of a database that is not configured any more and has clients still.
    pub(crate) fn get(&self, options: &ServerTls) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(known) = self.known(options) {
            return Ok(known);
        }
        let made = Arc::new(client_config(options)?);
        self.lock().insert(options.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// What the options of a configuration's databases make. Reads all files.
    pub(crate) fn read(config: &Config) -> Result<Known, TlsError> {
        let mut known = Known::new();
        for tls in config.databases.iter().filter_map(Database::tls) {
            if !known.contains_key(tls) {
                known.insert(tls.clone(), Arc::new(client_config(tls)?));
            }
        }
        Ok(known)
    }

    /// These are what is known from now on.
    pub(crate) fn exchange(&self, known: Known) {
        *self.lock() = known;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the files of a database's options.
pub(crate) fn client_config(options: &ServerTls) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let trusted = match &options.roots {
        RootCertificates::None => None,
        RootCertificates::System => Some(Trusted {
            store: system_roots()?,
            themselves: Vec::new(),
        }),
        RootCertificates::File(path) => {
            let (store, themselves) = pem::roots("sslrootcert", path)?;
            Some(Trusted { store, themselves })
        }
    };
    let verifier = Verifier {
        trusted,
        names_host: options.mode == SslMode::VerifyFull,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => {
            let (chain, key_der) = (
                pem::certificates("sslcert", certificate)?,
                pem::key("sslkey", key)?,
            );
            let built = builder.with_client_auth_cert(chain, key_der);
            built.map_err(|error| FileError::new("sslkey", key, error.to_string()))?
        }
        _ => builder.with_no_client_auth(),
    };
    // Postgres resumes no sessions.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        let reason = found.errors.first().map(ToString::to_string);
        return Err(TlsError::NoSystemRoots {
            reason: reason.unwrap_or_else(|| "there are none".to_owned()),
        });
    }
    Ok(store)
}

/// Who is believed.
#[derive(Debug)]
struct Trusted {
    store: RootCertStore,
    /// The certificates of the file. A server that shows one of them itself is believed as well: it signed itself.
    themselves: Vec<CertificateDer<'static>>,
}

/// Decides about a server's certificate.
#[derive(Debug)]
struct Verifier {
    /// `None`: whatever the server shows is taken. That it has the certificate's key is checked all the same, or binding a
    /// login to the certificate would be worth nothing.
    trusted: Option<Trusted>,
    names_host: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trusted) = &self.trusted {
            trusted.check(end_entity, intermediates, now, self.algorithms)?;
            if self.names_host {
                check_name(end_entity, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls13_signature(message, certificate, signed, &self.algorithms) {
            // Version 1, as `openssl x509 -req` made it for long: rustls wants nothing to do with it, but its key can be used.
            Err(Error::InvalidCertificate(_)) if self.trusted.is_none() => {
                let parsed = Certificate::parse(certificate);
                let parsed = parsed.ok_or(CertificateError::BadEncoding)?;
                let key = SubjectPublicKeyInfoDer::from(parsed.public_key);
                verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
            verified => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Trusted {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        if self.themselves.iter().any(|root| root == end_entity) {
            return check_time(end_entity, now);
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.store,
            intermediates,
            now,
            algorithms.all,
        )
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < *parsed.valid.start() {
        Err(CertificateError::NotValidYet.into())
    } else if now > *parsed.valid.end() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// A certificate that names no hosts in the modern way names one as its subject, as for libpq.
fn check_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let verified = ParsedCertificate::try_from(certificate)
        .and_then(|parsed| verify_server_name(&parsed, name));
    let Err(error) = verified else { return Ok(()) };
    let parsed = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    if parsed.has_alternative_names {
        return Err(error);
    }
    match parsed.common_name() {
        Some(common_name) if matches_host(common_name, &name.to_str()) => Ok(()),
        _ => Err(error),
    }
}

/// Whether a common name is this host: the same, or `*.` and its domain.
fn matches_host(common_name: &str, host: &str) -> bool {
    let (common_name, host) = (
        common_name.trim_end_matches('.'),
        host.trim_end_matches('.'),
    );
    match common_name.strip_prefix('*') {
        Some(domain) if domain.starts_with('.') && domain.len() > 1 => {
            let first_dot = host.find('.').filter(|at| *at > 0);
            first_dot.is_some_and(|at| host[at..].eq_ignore_ascii_case(domain))
        }
        Some(_) => false,
        None => common_name.eq_ignore_ascii_case(host),
    }
}

/// For the provider's type to be named in one place only.
pub(super) type Provider = Arc<CryptoProvider>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_name_is_a_host_or_one_level_of_a_domain() {
        for (common_name, host, expected) in [
            ("db.example.com", "db.example.com", true),
            ("DB.example.com", "db.EXAMPLE.com", true),
            ("db.example.com.", "db.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*", "db", false),
            ("*.", "db.", false),
            ("db*.example.com", "db1.example.com", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("", "db", false),
        ] {
            assert_eq!(
                matches_host(common_name, host),
                expected,
                "{common_name} {host}"
            );
        }
    }
}
