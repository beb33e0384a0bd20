//! The checks that concern more than one key.

use std::net::SocketAddr;
use std::path::Path;

use paceline_pgproxy::AuthMethod;

use super::Origins;
use super::database::{DATABASES, DatabaseDraft};
use super::draft::{Draft, Mode};
use super::problem::{Origin, Problem};
use super::rows::path_of;

/// What a file is for that is not on this machine.
const NEEDED: &str = "`paceline run` needs it, and checks what is in it";

/// What a secret's file holds.
pub(super) enum Secret<T> {
    Known(T),
    /// It cannot be read here, and need not be.
    Elsewhere,
}

impl<T> Secret<T> {
    pub(super) fn map<U>(self, of: impl FnOnce(T) -> U) -> Secret<U> {
        match self {
            Self::Known(secret) => Secret::Known(of(secret)),
            Self::Elsewhere => Secret::Elsewhere,
        }
    }
}

/// The checks that concern more than one key.
pub(super) struct Check<'a> {
    origins: &'a Origins,
    may_lack_secrets: bool,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        origins: &'a Origins,
        may_lack_secrets: bool,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        Self {
            origins,
            may_lack_secrets,
            problems,
        }
    }

    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// How strong the source of a key's value is.
    pub(super) fn rank(&self, key: &str) -> u8 {
        match self.origin(key) {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment { .. } => 2,
            Origin::Flag { .. } => 3,
        }
    }

    pub(super) fn error(&mut self, key: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::error(self.origin(key), Some(key), message));
    }

    /// The contents of a small file without the newline at its end. None: it was complained about.
    pub(super) fn secret(&mut self, key: &str, path: &Path) -> Option<Secret<String>> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if self.may_lack_secrets => {
                let message = format!("{shown} could not be read here: {error}");
                let problem = Problem::warning(self.origin(key), key, message);
                self.problems.push(problem.hint(NEEDED));
                return Some(Secret::Elsewhere);
            }
            Err(error) => {
                self.error(key, format!("{shown} could not be read: {error}"));
                return None;
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.contains('\n') {
            self.error(key, format!("{shown} must hold one line and nothing else"));
            return None;
        }
        Some(Secret::Known(secret.to_owned()))
    }

    /// Whether a value of one of the keys was refused, so that its absence is no news.
    pub(super) fn failed_on(&self, keys: &[&str]) -> bool {
        self.problems.iter().any(|problem| {
            problem
                .key
                .as_deref()
                .is_some_and(|key| keys.contains(&key))
        })
    }

    pub(super) fn nothing_to_run(&mut self, wanted: [bool; 2], failed_before: bool) {
        if wanted == [false, false] && !failed_before {
            let message =
                "neither gateway.upstream nor postgres.url is set, so there is nothing to run";
            let hint = "Give --upstream http://127.0.0.1:3000, --database postgres://…, or both";
            self.problems
                .push(Problem::error(Origin::Default, None, message).hint(hint));
        }
    }

    /// Keys that were set in a section whose half does not run: most likely its main key was forgotten.
    pub(super) fn idle_sections(&mut self, [gateway, postgres]: [bool; 2]) {
        for (section, runs, switch) in [
            ("gateway", gateway, "gateway.upstream"),
            ("postgres", postgres, "postgres.url"),
        ] {
            let set = self
                .origins
                .iter()
                .find(|(key, _)| key.split('.').next() == Some(section));
            if let (false, Some((key, origin))) = (runs, set) {
                let message = format!("it has no effect, because {switch} is not set");
                self.problems
                    .push(Problem::warning(origin.clone(), key, message));
            }
        }
    }

    pub(super) fn listeners(&mut self, draft: &Draft, [gateway, postgres]: [bool; 2]) {
        let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
        for (key, address, runs) in [
            ("gateway.listen", draft.gateway.listen, gateway),
            ("postgres.listen", draft.postgres.listen, postgres),
            ("admin.listen", draft.admin.listen, true),
        ] {
            if !runs {
                continue;
            }
            if let Some((other, _)) = taken.iter().find(|(_, taken)| collide(*taken, address)) {
                // Whichever was written is to blame, rather than a default that it ran into.
                let (blamed, other) = if self.rank(key) == 0 && self.rank(other) > 0 {
                    (*other, key)
                } else {
                    (key, *other)
                };
                self.error(
                    blamed,
                    format!("{other} listens on port {} too", address.port()),
                );
            }
            taken.push((key, address));
        }
    }

    /// Paceline in front of itself would be a very good load generator.
    pub(super) fn loops(&mut self, draft: &Draft) {
        if let Some(upstream) = &draft.upstream
            && reaches(upstream.host(), upstream.port(), draft.gateway.listen)
        {
            self.error(
                "gateway.upstream",
                "it is gateway.listen itself: requests would run in a circle",
            );
        }
        let main = draft
            .database
            .iter()
            .map(|url| ("postgres.url".to_owned(), url));
        let rows = draft
            .databases
            .iter()
            .enumerate()
            .filter_map(|(number, row)| {
                let url = row.url.as_ref()?;
                Some((path_of(DATABASES, number, "url"), url))
            });
        for (key, url) in main.chain(rows) {
            if reaches(&url.host, url.port, draft.postgres.listen) {
                self.error(
                    &key,
                    "it is postgres.listen itself: connections would run in a circle",
                );
            }
        }
    }

    /// Reads the files that the Postgres half will read.
    pub(super) fn files(&mut self, draft: &Draft, postgres: &paceline_pgproxy::Config) {
        for flaw in postgres.flaws() {
            let key = match &flaw.database {
                None => format!("postgres.{}", flaw.setting),
                Some(name) => self.url_key(draft, name),
            };
            if flaw.is_unreadable && self.may_lack_secrets {
                let problem = Problem::warning(self.origin(&key), &key, flaw.reason);
                self.problems.push(problem.hint(NEEDED));
            } else {
                self.error(&key, flaw.reason);
            }
        }
    }

    /// The key that says where a database is.
    fn url_key(&self, draft: &Draft, name: &str) -> String {
        let is_it = |row: &DatabaseDraft| row.database.name == name;
        let row = draft.databases.iter().position(is_it);
        let path = |key| match row {
            Some(number) => path_of(DATABASES, number, key),
            None => format!("postgres.{key}"),
        };
        let (url, url_file) = (path("url"), path("url_file"));
        if self.rank(&url) >= self.rank(&url_file) {
            url
        } else {
            url_file
        }
    }

    pub(super) fn exposure(&mut self, draft: &Draft) {
        if !draft.admin.listen.ip().is_loopback() && !draft.admin.allow_remote {
            let message =
                "the admin port has no authentication and is reachable from other machines";
            let problem = Problem::warning(self.origin("admin.listen"), "admin.listen", message);
            self.problems
                .push(problem.hint("Set admin.allow_remote = true if that is meant"));
        }
        let open = draft.mode == Mode::Fix
            && !draft.postgres.listen.ip().is_loopback()
            && draft
                .database
                .as_ref()
                .is_some_and(|database| database.password.is_none())
            && draft.password_file.is_none()
            && !knows_users(draft);
        if open {
            let message =
                "the database's URL has no password, so anybody could connect from other machines";
            let problem = Problem::error(
                self.origin("postgres.listen"),
                Some("postgres.listen"),
                message,
            );
            self.problems
                .push(problem.hint("Listen on loopback, give the URL a password, or name users"));
        }
    }
}

/// Whether there is anything that clients have to prove, whatever the URLs say.
fn knows_users(draft: &Draft) -> bool {
    let auth = &draft.postgres.client_auth;
    auth.method == AuthMethod::Cert
        || auth.userlist.is_some()
        || !auth.query.user.is_empty()
        || draft
            .users
            .iter()
            .any(|row| row.user.password.is_some() || row.password_file.is_some())
}

/// Whether two listeners would fight for a port. Port 0 is a new one each time.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_host =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && same_host
}

/// Whether connecting to `host:port` from this machine ends at the listener.
fn reaches(host: &str, port: u16, listener: SocketAddr) -> bool {
    let local = match host.parse::<std::net::IpAddr>() {
        Ok(ip) => ip == listener.ip() || (ip.is_loopback() && listener.ip().is_unspecified()),
        Err(_) => {
            host == "localhost" && (listener.ip().is_loopback() || listener.ip().is_unspecified())
        }
    };
    port != 0 && port == listener.port() && local
}
