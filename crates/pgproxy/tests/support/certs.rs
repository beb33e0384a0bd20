//! Certificates that are made for a test, in a folder that goes with it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline_testkit::{PrivatePostgres, wait_until};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// An authority of our own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
    /// Its certificate, for those who shall believe it.
    pub(crate) file: PathBuf,
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a certificate says.
pub(crate) struct Names<'n> {
    pub(crate) common_name: &'n str,
    /// Host names and addresses.
    pub(crate) hosts: &'n [&'n str],
}

/// This machine, as tests call it.
pub(crate) const LOCAL: Names<'static> = Names {
    common_name: "here",
    hosts: &["localhost", "127.0.0.1"],
};

impl Authority {
    pub(crate) fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, folder.path().to_str().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let file = folder.path().join("ca.crt");
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority {
            issuer: Issuer::new(params, key),
            folder,
            file,
        }
    }

    /// A certificate of its own making, in files of this name.
    pub(crate) fn sign(&self, file: &str, names: Names<'_>) -> Pair {
        self.sign_until(file, names, 4096)
    }

    /// A certificate that was valid until some year.
    pub(crate) fn sign_until(&self, file: &str, names: Names<'_>, year: i32) -> Pair {
        let hosts: Vec<String> = names.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, names.common_name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(file, &certificate.pem(), &key)
    }

    /// A certificate that has signed itself, and was valid until some year.
    pub(crate) fn self_signed(&self, file: &str, names: Names<'_>, year: i32) -> Pair {
        let hosts: Vec<String> = names.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, names.common_name);
        // As `openssl req -x509` does.
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        self.write(file, &certificate.pem(), &key)
    }

    fn write(&self, file: &str, certificate: &str, key: &KeyPair) -> Pair {
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        let pair = Pair {
            certificate: path("crt"),
            key: path("key"),
        };
        fs::write(&pair.certificate, certificate).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o600)).unwrap();
        pair
    }
}

/// Has a server do TLS from now on.
pub(crate) fn encrypt(server: &PrivatePostgres, pair: &Pair, client_ca: Option<&Path>) {
    let data = server.data_folder();
    let owner = fs::metadata(&data).unwrap();
    let mut files = vec![
        (pair.certificate.as_path(), "server.crt"),
        (pair.key.as_path(), "server.key"),
    ];
    files.extend(client_ca.map(|ca| (ca, "root.crt")));
    for (from, to) in files {
        let to = data.join(to);
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let mut direct = super::direct(server);
    if client_ca.is_some() {
        direct.query("ALTER SYSTEM SET ssl_ca_file = 'root.crt'");
    }
    direct.query("ALTER SYSTEM SET ssl = on");
    direct.query("SELECT pg_reload_conf()");
    wait_until(Duration::from_secs(20), || direct.value("SHOW ssl") == "on");
    // The postmaster, which makes all others, has heard of it too.
    wait_until(Duration::from_secs(20), || answers_tls(server.port()));
}

fn answers_tls(port: u16) -> bool {
    let mut client = paceline_testkit::RawPg::connect(port);
    client.send(&paceline_testkit::frame::ssl_request());
    client.read_byte() == b'S'
}
