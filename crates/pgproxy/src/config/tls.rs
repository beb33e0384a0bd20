//! TLS, as both sides are told.

use std::path::PathBuf;

/// Whether connections to a server are encrypted, and what its certificate must be (`sslmode`, as libpq has it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub enum SslMode {
    /// Never.
    Disable,
    /// In the clear, unless the server refuses that.
    Allow,
    /// Encrypted, unless the server refuses that.
    #[default]
    Prefer,
    /// Encrypted, with whomever; with `sslrootcert`, as [`SslMode::VerifyCa`].
    Require,
    /// Encrypted, and the certificate is signed by one that is trusted.
    VerifyCa,
    /// Encrypted, the certificate is signed by one that is trusted, and it names the host.
    VerifyFull,
}

/// Which certificates vouch for a server's (`sslrootcert`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum RootCertificates {
    /// None: whatever the server shows is taken.
    #[default]
    None,
    /// Those that the system trusts.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// Whether logins are bound to the TLS connection (`channel_binding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelBindingMode {
    /// Never.
    Disable,
    /// Where both sides can.
    #[default]
    Prefer,
    /// Always; the login fails where that cannot be.
    Require,
}

/// How connections to a server are made: what stands behind the `?` of its URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ServerTls {
    /// Whether they are encrypted.
    pub mode: SslMode,
    /// Who vouches for the server.
    pub roots: RootCertificates,
    /// The certificate that we show, with those that lead to its root (PEM).
    pub certificate: Option<PathBuf>,
    /// Its key (PEM, without a passphrase).
    pub key: Option<PathBuf>,
    /// The handshake begins at once, without asking in the clear (Postgres 17).
    pub is_direct: bool,
    /// Whether logins are bound to the connection.
    pub channel_binding: ChannelBindingMode,
    /// The only methods that the server may use to let us in; empty: all, the password in the clear only over TLS.
    pub require_auth: Vec<ServerMethod>,
}

/// A way in which a server lets us in (`require_auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerMethod {
    /// The password itself.
    Password,
    /// md5.
    Md5,
    /// SCRAM-SHA-256, bound to the channel or not.
    Scram,
    /// Nothing is asked.
    None,
}

/// The options as they are read, before they are compared with each other.
#[derive(Default)]
pub(super) struct Options {
    tls: ServerTls,
    mode: Option<SslMode>,
}

impl Options {
    /// Takes one option. Says what is wrong with it.
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        let unknown = |choices: &str| Err(format!("{name} is one of {choices}, not '{value}'"));
        match name {
            "sslmode" => match ssl_mode(&value) {
                Some(mode) => self.mode = Some(mode),
                None => return unknown("disable, allow, prefer, require, verify-ca, verify-full"),
            },
            "sslrootcert" if value == "system" => self.tls.roots = RootCertificates::System,
            "sslrootcert" => self.tls.roots = RootCertificates::File(value.into()),
            "sslcert" => self.tls.certificate = Some(value.into()),
            "sslkey" => self.tls.key = Some(value.into()),
            "sslnegotiation" => match value.as_str() {
                "postgres" => self.tls.is_direct = false,
                "direct" => self.tls.is_direct = true,
                _ => return unknown("postgres, direct"),
            },
            "channel_binding" => {
                self.tls.channel_binding = match value.as_str() {
                    "disable" => ChannelBindingMode::Disable,
                    "prefer" => ChannelBindingMode::Prefer,
                    "require" => ChannelBindingMode::Require,
                    _ => return unknown("disable, prefer, require"),
                }
            }
            "require_auth" => {
                for word in value.split(',') {
                    match server_method(word) {
                        Some(method) => self.tls.require_auth.push(method),
                        None => return unknown("password, md5, scram-sha-256, none"),
                    }
                }
            }
            _ => return Err(format!("the option '{name}' is not supported")),
        }
        Ok(())
    }

    /// All options together. Says what is wrong with them.
    pub(super) fn finish(self) -> Result<ServerTls, String> {
        let Self { mut tls, mode } = self;
        // What trusts the system's certificates trusts half the world, so that the host's name must decide.
        tls.mode = match (mode, &tls.roots) {
            (None, RootCertificates::System) => SslMode::VerifyFull,
            (Some(mode), RootCertificates::System) if mode != SslMode::VerifyFull => {
                return Err("sslrootcert=system needs sslmode=verify-full".to_owned());
            }
            (mode, _) => mode.unwrap_or_default(),
        };
        if tls.mode >= SslMode::VerifyCa && tls.roots == RootCertificates::None {
            return Err(
                "sslmode=verify-ca and verify-full need sslrootcert: a file, or system".to_owned(),
            );
        }
        if tls.is_direct && tls.mode < SslMode::Require {
            return Err(
                "sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".to_owned(),
            );
        }
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("sslcert and sslkey go together".to_owned());
        }
        if tls.channel_binding == ChannelBindingMode::Require && tls.mode == SslMode::Disable {
            return Err("channel_binding=require needs TLS, and sslmode is disable".to_owned());
        }
        Ok(tls)
    }
}

fn ssl_mode(word: &str) -> Option<SslMode> {
    Some(match word {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => return None,
    })
}

fn server_method(word: &str) -> Option<ServerMethod> {
    Some(match word.trim() {
        "password" => ServerMethod::Password,
        "md5" => ServerMethod::Md5,
        "scram-sha-256" => ServerMethod::Scram,
        "none" => ServerMethod::None,
        _ => return None,
    })
}

/// Whether clients are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientTlsMode {
    /// Never, whether there is a certificate or not.
    Disable,
    /// As they like.
    #[default]
    Allow,
    /// All of them; others are refused.
    Require,
    /// All of them, and each must show a certificate that [`ClientTls::client_ca`] vouches for.
    VerifyCa,
}

/// What clients get when they ask for TLS.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTls {
    /// The certificate, with those that lead to its root (PEM). Without one there is no TLS.
    pub certificate: Option<PathBuf>,
    /// Its key (PEM, without a passphrase).
    pub key: Option<PathBuf>,
    /// Whether they must.
    pub mode: ClientTlsMode,
    /// The certificates that vouch for those of clients (PEM). With it, clients are asked for theirs.
    pub client_ca: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<ServerTls, String> {
        let mut options = Options::default();
        for (name, value) in query.split('&').filter_map(|option| option.split_once('=')) {
            options.set(name, value.to_owned())?;
        }
        options.finish()
    }

    #[test]
    fn options_mean_what_they_mean_to_libpq() {
        assert_eq!(read("").unwrap().mode, SslMode::Prefer);
        let system = read("sslrootcert=system").unwrap();
        assert_eq!(system.mode, SslMode::VerifyFull);
        let all = "sslmode=verify-ca&sslrootcert=/ca&sslcert=/c&sslkey=/k&sslnegotiation=direct\
                   &channel_binding=require&require_auth=scram-sha-256,none";
        let expected = ServerTls {
            mode: SslMode::VerifyCa,
            roots: RootCertificates::File("/ca".into()),
            certificate: Some("/c".into()),
            key: Some("/k".into()),
            is_direct: true,
            channel_binding: ChannelBindingMode::Require,
            require_auth: vec![ServerMethod::Scram, ServerMethod::None],
        };
        assert_eq!(read(all), Ok(expected));
    }

    #[test]
    fn options_that_cannot_be_meant_are_refused() {
        for (query, part) in [
            ("sslmode=on", "not 'on'"),
            ("sslmode=require&sslrootcert=system", "verify-full"),
            ("sslmode=verify-full", "sslrootcert"),
            ("sslnegotiation=direct", "sslmode=require"),
            ("sslnegotiation=later", "not 'later'"),
            ("sslcert=/c", "go together"),
            ("channel_binding=require&sslmode=disable", "TLS"),
            ("channel_binding=yes", "not 'yes'"),
            ("require_auth=gss", "not 'gss'"),
            ("application_name=x", "'application_name' is not supported"),
        ] {
            let error = read(query).unwrap_err();
            assert!(error.contains(part), "{query}: {error}");
        }
    }
}
