//! Certificates and keys in PEM files.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

/// A file of certificates is small; nobody means to have us read a gigabyte.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The certificates of a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| malformed(path, &error))?;
    if certificates.is_empty() {
        let reason = "there is no certificate in it (PEM, BEGIN CERTIFICATE)".to_owned();
        return Err(TlsError::file(path, reason));
    }
    Ok(certificates)
}

/// The private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read(path)?;
    warn_if_readable_by_others(path);
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        PemError::NoItemsFound => {
            let reason = "there is no private key in it (PEM, without a passphrase)".to_owned();
            TlsError::file(path, reason)
        }
        error => malformed(path, &error),
    })
}

/// The certificates of a file, as those that vouch for others.
pub(super) fn roots(
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let (certificates, mut store) = (certificates(path)?, RootCertStore::empty());
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|error| TlsError::file(path, error.to_string()))?;
    }
    Ok((store, certificates))
}

/// A file with a secret that others can read as well is worth a word. As for Postgres, the group of a file of root's may.
pub(crate) fn warn_if_readable_by_others(path: &Path) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let forbidden = if metadata.uid() == 0 { 0o007 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        let mode = format!("{:o}", metadata.mode() & 0o777);
        tracing::warn!(path = %path.display(), mode, "Others can read this file, which holds a secret: chmod 600.");
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut text = Vec::new();
    let read = File::open(path)
        .and_then(|file| io::copy(&mut io::Read::take(file, FILE_BYTES_MAX), &mut text));
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(TlsError::file(
            path,
            format!("it could not be read: {error}"),
        )),
    }
}

fn malformed(path: &Path, error: &PemError) -> TlsError {
    TlsError::file(path, format!("it is not a PEM file: {error}"))
}
