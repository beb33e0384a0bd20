//! What is wrong with a configuration, as far as that can be told without a database.

use std::path::Path;

use crate::auth::{self, Users};
use crate::config::{AuthMethod, Config, Database, Mode};
use crate::error::Error;
use crate::files::{FileError, warn_if_readable_by_others};
use crate::tls::{self, TlsError};

/// Why the files that a configuration names will not do.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The setting to blame.
    pub setting: &'static str,
    /// The database of whose URL it is a part.
    pub database: Option<String>,
    /// What is wrong, with the file that it is wrong with.
    pub reason: String,
    /// Whether there is no more to it than a file that cannot be read: on another machine it may be there.
    pub is_unreadable: bool,
}

impl Config {
    /// Reads all files that are named, as [`Proxy::new`](crate::Proxy::new) and [`Proxy::reload`](crate::Proxy::reload) will.
    pub fn flaws(&self) -> Vec<Flaw> {
        let files = [Users::read(self).err(), auth::looker(self).err()];
        let files = files.into_iter().flatten();
        let mut flaws: Vec<_> = files.map(|error| Flaw::of_file(&error)).collect();
        let client_tls = tls::Acceptor::new(&self.client_tls).err();
        flaws.extend(client_tls.map(|error| Flaw::of_tls(&error)));
        for database in &self.databases {
            if let Some(Err(error)) = database.tls().map(tls::client_config) {
                flaws.push(Flaw {
                    database: Some(database.name.clone()),
                    reason: error.to_string(),
                    ..Flaw::of_tls(&error)
                });
            }
        }
        flaws
    }

    /// What can be told without reading anything.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.databases.is_empty() {
            return Err(Error::NoDatabase);
        }
        let twice = |database: &&Database| {
            let same = |other: &&Database| other.name == database.name;
            self.databases.iter().filter(same).count() > 1
        };
        if let Some(database) = self.databases.iter().find(twice) {
            let name = database.name.clone();
            return Err(Error::DatabaseTwice { name });
        }
        let has_no_password = |database: &Database| database.url.password.is_none();
        if self.databases.iter().any(has_no_password)
            && self.is_open()
            && self.mode == Mode::Transaction
            && !self.listen.ip().is_loopback()
        {
            return Err(Error::OpenToAll {
                listen: self.listen,
            });
        }
        let numbers = [
            ("opening_max", self.opening_max),
            ("instances", self.instances),
            ("clients_max", self.clients_max),
            ("workers", self.workers),
            ("prepared_statements_max", self.prepared_statements_max),
            ("statement_bytes_max", self.statement_bytes_max),
        ];
        match numbers.into_iter().find(|(_, number)| *number == 0) {
            Some((setting, _)) => Err(Error::Zero { setting }),
            None if self.statement_memory_max / 3 < self.statement_bytes_max => {
                let least = self.statement_bytes_max.saturating_mul(3);
                Err(Error::StatementMemory { least })
            }
            None => Ok(()),
        }
    }

    /// Says what may be meant, and should not be overlooked.
    pub(crate) fn warn(&self) {
        let is_trusting = self.client_auth.method == AuthMethod::Trust;
        if is_trusting && !self.listen.ip().is_loopback() {
            let listen = self.listen;
            tracing::warn!(%listen, "auth_method is trust: whoever reaches this port is any user that it names.");
        }
        self.secret_files().for_each(warn_if_readable_by_others);
    }

    /// The files that nobody else should be able to read.
    fn secret_files(&self) -> impl Iterator<Item = &Path> {
        let own = [
            self.client_tls.key.as_deref(),
            self.client_auth.userlist.as_deref(),
            self.client_auth.query.password_file.as_deref(),
        ];
        let databases = self.databases.iter();
        let of_urls = databases.map(|database| database.url.tls.key.as_deref());
        own.into_iter().chain(of_urls).flatten()
    }
}

impl Flaw {
    fn of_file(error: &FileError) -> Self {
        Self {
            setting: error.setting,
            database: None,
            reason: format!("{}: {}", error.path.display(), error.reason),
            is_unreadable: error.is_unreadable,
        }
    }

    fn of_tls(error: &TlsError) -> Self {
        let setting = match error {
            TlsError::File(error) => return Self::of_file(error),
            TlsError::HalfCertificate => "tls_certificate",
            TlsError::NoClientCa => "tls_client_ca",
            TlsError::NoSystemRoots { .. } => "sslrootcert",
            TlsError::NoCertificate | TlsError::Setup(_) => "tls_mode",
        };
        Self {
            setting,
            database: None,
            reason: error.to_string(),
            is_unreadable: matches!(error, TlsError::NoSystemRoots { .. }),
        }
    }
}
