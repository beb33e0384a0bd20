//! The configuration while it is read, and the whole that it becomes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use paceline_diagnose::Suppression;
use paceline_gateway::Upstream;
use paceline_pgproxy::DatabaseUrl;
use paceline_sql::TrustedFunction;

use super::Origins;
use super::check::Check;
use super::database::{self, DatabaseDraft, LookDraft, UserDraft};
use super::problem::Problem;

/// What `paceline run` needs to know: the parts' own configurations, and what concerns the whole process.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) mode: Mode,
    pub(crate) workers: usize,
    pub(crate) drain_delay: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) control_socket: Option<PathBuf>,
    pub(crate) handover_timeout: Duration,
    pub(crate) gateway: Option<paceline_gateway::Config>,
    pub(crate) postgres: Option<paceline_pgproxy::Config>,
    pub(crate) database_required_at_start: bool,
    pub(crate) trusted_functions: Vec<TrustedFunction>,
    pub(crate) journal: paceline_journal::Config,
    pub(crate) suppressions: Vec<Suppression>,
    /// Where findings are looked for beside the traffic.
    pub(crate) database_looked_at: Option<DatabaseUrl>,
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
    pub(super) control_socket: Option<PathBuf>,
    pub(super) handover_timeout: Duration,
    pub(super) upstream: Option<Upstream>,
    pub(super) gateway: paceline_gateway::Config,
    pub(super) database: Option<DatabaseUrl>,
    pub(super) database_file: Option<PathBuf>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) databases: Vec<DatabaseDraft>,
    pub(super) users: Vec<UserDraft>,
    pub(super) database_required_at_start: bool,
    pub(super) trusted_functions: Vec<TrustedFunction>,
    pub(super) postgres: paceline_pgproxy::Config,
    pub(super) journal: paceline_journal::Config,
    pub(super) suppressions: Vec<Suppression>,
    pub(super) look: LookDraft,
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
            control_socket: None,
            handover_timeout: Duration::from_secs(3600),
            upstream: None,
            gateway: paceline_gateway::Config::default(),
            database: None,
            database_file: None,
            password_file: None,
            databases: Vec::new(),
            users: Vec::new(),
            database_required_at_start: true,
            trusted_functions: Vec::new(),
            postgres: paceline_pgproxy::Config::default(),
            journal: paceline_journal::Config::default(),
            suppressions: Vec::new(),
            look: LookDraft::default(),
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
        let mut check = Check::new(origins, may_lack_secrets, problems);
        let wanted = [
            self.upstream.is_some(),
            self.database.is_some() || self.database_file.is_some() || !self.databases.is_empty(),
        ];
        let failed_before =
            check.failed_on(&["gateway.upstream", "postgres.url", "postgres.url_file"]);
        check.nothing_to_run(wanted, failed_before);
        if !failed_before {
            check.idle_sections(wanted);
        }
        database::read_main(&mut self, &mut check);
        check.listeners(&self, wanted);
        check.loops(&self);
        check.exposure(&self);
        let observe = self.mode == Mode::Observe;
        let databases = database::all(&self, &mut check);
        let database_looked_at = database::looked_at(&self, &databases, &mut check);
        let users = database::users(&self, &mut check);
        let postgres = (!databases.is_empty()).then(|| paceline_pgproxy::Config {
            databases,
            users,
            workers: self.workers,
            mode: match self.mode {
                Mode::Observe => paceline_pgproxy::Mode::Observe,
                Mode::Fix => paceline_pgproxy::Mode::Transaction,
            },
            ..self.postgres.clone()
        });
        if let Some(postgres) = &postgres {
            check.files(&self, postgres);
        }
        let gateway = self.upstream.map(|upstream| paceline_gateway::Config {
            upstream,
            observe,
            ..self.gateway
        });
        (gateway.is_some() || postgres.is_some()).then_some(Config {
            mode: self.mode,
            workers: self.workers,
            drain_delay: self.drain_delay,
            drain_timeout: self.drain_timeout,
            control_socket: self.control_socket,
            handover_timeout: self.handover_timeout,
            gateway,
            postgres,
            database_required_at_start: self.database_required_at_start,
            trusted_functions: self.trusted_functions,
            journal: self.journal,
            suppressions: self.suppressions,
            database_looked_at,
            admin: self.admin,
            log: self.log,
        })
    }
}
