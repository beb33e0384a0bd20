//! The configuration while it is read, and the whole that it becomes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline_gateway::Upstream;
use paceline_pgproxy::{Database, DatabaseUrl};
use paceline_sql::TrustedFunction;

use super::problem::{Origin, Problem};
use super::{Origins, keys};

/// What `paceline run` needs to know: the parts' own configurations, and what concerns the whole process.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) mode: Mode,
    pub(crate) workers: usize,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) gateway: Option<paceline_gateway::Config>,
    pub(crate) postgres: Option<paceline_pgproxy::Config>,
    pub(crate) database_required_at_start: bool,
    pub(crate) trusted_functions: Vec<TrustedFunction>,
    pub(crate) journal: paceline_journal::Config,
    pub(crate) admin: AdminConfig,
    pub(crate) log: LogConfig,
}

/// How far Paceline goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Observe,
    Fix,
}

impl Mode {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Fix => "fix",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct AdminConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) allow_remote: bool,
    pub(crate) allowed_hosts: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct LogConfig {
    pub(crate) level: tracing::Level,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// All keys' values, before they are compared with each other. Its default is the default of every key.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) mode: Mode,
    pub(super) workers: usize,
    pub(super) drain_delay: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) upstream: Option<Upstream>,
    pub(super) gateway: paceline_gateway::Config,
    pub(super) database: Option<DatabaseUrl>,
    pub(super) database_file: Option<PathBuf>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) database_required_at_start: bool,
    pub(super) trusted_functions: Vec<TrustedFunction>,
    pub(super) postgres: paceline_pgproxy::Config,
    pub(super) journal: paceline_journal::Config,
    pub(super) admin: AdminConfig,
    pub(super) log: LogConfig,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            mode: Mode::Fix,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
            upstream: None,
            gateway: paceline_gateway::Config::default(),
            database: None,
            database_file: None,
            password_file: None,
            database_required_at_start: true,
            trusted_functions: Vec::new(),
            postgres: paceline_pgproxy::Config::default(),
            journal: paceline_journal::Config::default(),
            admin: AdminConfig {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
                allow_remote: false,
                allowed_hosts: Vec::new(),
            },
            log: LogConfig {
                level: tracing::Level::INFO,
                format: LogFormat::Text,
            },
        }
    }
}

impl Draft {
    /// Reads the files that are named, compares what belongs together, and composes the parts' configurations. None
    /// when there is nothing to run.
    pub(super) fn compose(
        mut self,
        origins: &Origins,
        may_lack_secrets: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Config> {
        let mut check = Check {
            origins,
            may_lack_secrets,
            problems,
        };
        let wanted = [
            self.upstream.is_some(),
            self.database.is_some() || self.database_file.is_some(),
        ];
        let failed_before =
            check.failed_on(&["gateway.upstream", "postgres.url", "postgres.url_file"]);
        check.nothing_to_run(wanted, failed_before);
        if !failed_before {
            check.idle_sections(wanted);
        }
        self.read_secrets(&mut check);
        check.listeners(&self, wanted);
        check.loops(&self);
        check.exposure(&self);
        let observe = self.mode == Mode::Observe;
        let gateway = self.upstream.map(|upstream| paceline_gateway::Config {
            upstream,
            observe,
            ..self.gateway
        });
        let postgres = self.database.map(|database| paceline_pgproxy::Config {
            databases: vec![Database::new(database)],
            workers: self.workers,
            mode: match self.mode {
                Mode::Observe => paceline_pgproxy::Mode::Observe,
                Mode::Fix => paceline_pgproxy::Mode::Transaction,
            },
            ..self.postgres
        });
        (gateway.is_some() || postgres.is_some()).then_some(Config {
            mode: self.mode,
            workers: self.workers,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            gateway,
            postgres,
            database_required_at_start: self.database_required_at_start,
            trusted_functions: self.trusted_functions,
            journal: self.journal,
            admin: self.admin,
            log: self.log,
        })
    }

    /// Takes the URL and the password from the files that are named.
    fn read_secrets(&mut self, check: &mut Check<'_>) {
        if let Some(path) = &self.database_file {
            let (url, file) = (check.rank("postgres.url"), check.rank("postgres.url_file"));
            if url == file {
                check.error(
                    "postgres.url_file",
                    "there is postgres.url too: give one of them",
                );
            } else if file > url {
                let read = check.secret("postgres.url_file", path);
                match read.map(|secret| secret.map(|text| keys::database_url(&text))) {
                    Some(Secret::Known(Ok(database))) => self.database = Some(database),
                    Some(Secret::Known(Err(reason))) => check.error(
                        "postgres.url_file",
                        format!("{reason}; expected {} in the file", keys::DATABASE_FORM),
                    ),
                    Some(Secret::Elsewhere) => self.database = Some(self.some_database()),
                    None => {}
                }
            }
        }
        let Some(path) = &self.password_file else {
            return;
        };
        let key = "postgres.password_file";
        match (check.secret(key, path), &mut self.database) {
            (Some(_), Some(database)) if database.password.is_some() => {
                check.error(key, "the URL has a password too: give one of them");
            }
            (Some(Secret::Known(password)), Some(database)) => database.password = Some(password),
            _ => {}
        }
    }

    /// Stands for the database whose URL cannot be read here, so that everything else can be checked.
    fn some_database(&self) -> DatabaseUrl {
        DatabaseUrl {
            host: "database.invalid".to_owned(),
            password: self.password_file.is_none().then(String::new),
            ..DatabaseUrl::default()
        }
    }
}

/// What a secret's file holds.
enum Secret<T> {
    Known(T),
    /// It cannot be read here, and need not be.
    Elsewhere,
}

impl<T> Secret<T> {
    fn map<U>(self, of: impl FnOnce(T) -> U) -> Secret<U> {
        match self {
            Self::Known(secret) => Secret::Known(of(secret)),
            Self::Elsewhere => Secret::Elsewhere,
        }
    }
}

/// The checks that concern more than one key.
struct Check<'a> {
    origins: &'a Origins,
    may_lack_secrets: bool,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// How strong the source of a key's value is.
    fn rank(&self, key: &str) -> u8 {
        match self.origin(key) {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment { .. } => 2,
            Origin::Flag { .. } => 3,
        }
    }

    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::error(self.origin(key), Some(key), message));
    }

    /// The contents of a small file without the newline at its end. None: it was complained about.
    fn secret(&mut self, key: &str, path: &Path) -> Option<Secret<String>> {
        let shown = path.display();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if self.may_lack_secrets => {
                let message = format!("{shown} could not be read here: {error}");
                let problem = Problem::warning(self.origin(key), key, message);
                self.problems
                    .push(problem.hint("`paceline run` needs it, and checks what is in it"));
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
    fn failed_on(&self, keys: &[&str]) -> bool {
        self.problems.iter().any(|problem| {
            problem
                .key
                .as_deref()
                .is_some_and(|key| keys.contains(&key))
        })
    }

    fn nothing_to_run(&mut self, wanted: [bool; 2], failed_before: bool) {
        if wanted == [false, false] && !failed_before {
            let message =
                "neither gateway.upstream nor postgres.url is set, so there is nothing to run";
            let hint = "Give --upstream http://127.0.0.1:3000, --database postgres://…, or both";
            self.problems
                .push(Problem::error(Origin::Default, None, message).hint(hint));
        }
    }

    /// Keys that were set in a section whose half does not run: most likely its main key was forgotten.
    fn idle_sections(&mut self, [gateway, postgres]: [bool; 2]) {
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

    fn listeners(&mut self, draft: &Draft, [gateway, postgres]: [bool; 2]) {
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
    fn loops(&mut self, draft: &Draft) {
        if let Some(upstream) = &draft.upstream
            && reaches(upstream.host(), upstream.port(), draft.gateway.listen)
        {
            self.error(
                "gateway.upstream",
                "it is gateway.listen itself: requests would run in a circle",
            );
        }
        if let Some(database) = &draft.database
            && reaches(&database.host, database.port, draft.postgres.listen)
        {
            self.error(
                "postgres.url",
                "it is postgres.listen itself: connections would run in a circle",
            );
        }
    }

    fn exposure(&mut self, draft: &Draft) {
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
            && draft.password_file.is_none();
        if open {
            let message =
                "the database's URL has no password, so anybody could connect from other machines";
            let problem = Problem::error(
                self.origin("postgres.listen"),
                Some("postgres.listen"),
                message,
            );
            self.problems
                .push(problem.hint("Listen on loopback, or give the URL a password"));
        }
    }
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
