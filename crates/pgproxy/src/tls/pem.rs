//! Certificates and keys in PEM files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files::{FileError, read};

/// The certificates of a file, at least one.
pub(super) fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = read(setting, path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| malformed(setting, path, &error))?;
    if certificates.is_empty() {
        let reason = "there is no certificate in it (PEM, BEGIN CERTIFICATE)";
        return Err(FileError::new(setting, path, reason));
    }
    Ok(certificates)
}

/// The private key of a file.
pub(super) fn key(setting: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(setting, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound => {
            let reason = "there is no private key in it (PEM, without a passphrase)";
            FileError::new(setting, path, reason)
        }
        error => malformed(setting, path, &error),
    })
}

/// The certificates of a file, as those that vouch for others.
pub(super) fn roots(
    setting: &'static str,
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), FileError> {
    let (certificates, mut store) = (certificates(setting, path)?, RootCertStore::empty());
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|error| FileError::new(setting, path, error.to_string()))?;
    }
    Ok((store, certificates))
}

fn malformed(setting: &'static str, path: &Path, error: &PemError) -> FileError {
    FileError::new(setting, path, format!("it is not a PEM file: {error}"))
}
