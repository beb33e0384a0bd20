//! The flags that set configuration keys, shared by the commands that read a configuration.

use std::path::PathBuf;

use crate::config::{Flag, Sources};

/// What sets a key on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct Settings {
    /// The application to proxy to: switches the HTTP half on [key: gateway.upstream]
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The database to proxy to: switches the Postgres half on. Other users of this machine can read a command line;
    /// a password is better put into PACELINE__POSTGRES__URL or a file [key: postgres.url]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where HTTP clients connect [key: gateway.listen, default 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where database clients connect [key: postgres.listen, default 127.0.0.1:6432]
    #[arg(long, value_name = "ADDRESS:PORT")]
    postgres_listen: Option<String>,
    /// Where health, metrics and /api/v1 are served [key: admin.listen, default 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<String>,
    /// "observe" changes nothing but a trace header, "fix" pools connections [key: mode, default fix]
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// Worker threads [key: workers, default: the number of cores]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// error, warn, info, debug or trace [key: log.level, default info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// text or json [key: log.format, default text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any key of the configuration, such as postgres.pool_size=10; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

impl Settings {
    /// All sources of the configuration: this command line, the process's environment, and the file.
    pub(super) fn sources(self, file: Option<PathBuf>) -> Sources {
        let named = [
            ("--upstream", "gateway.upstream", self.upstream),
            ("--database", "postgres.url", self.database),
            ("--listen", "gateway.listen", self.listen),
            ("--postgres-listen", "postgres.listen", self.postgres_listen),
            ("--admin-listen", "admin.listen", self.admin_listen),
            ("--mode", "mode", self.mode),
            ("--workers", "workers", self.workers),
            ("--log-level", "log.level", self.log_level),
            ("--log-format", "log.format", self.log_format),
        ];
        let named = named.into_iter().filter_map(|(name, path, value)| {
            Some(Flag {
                name: name.to_owned(),
                path: path.to_owned(),
                value: value?,
            })
        });
        let set = self.set.into_iter().map(|(path, value)| Flag {
            name: format!("--set {path}"),
            path,
            value,
        });
        Sources {
            file,
            environment: std::env::vars_os().collect(),
            flags: set.chain(named).collect(),
            may_lack_secrets: false,
        }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("write it as KEY=VALUE, for instance postgres.pool_size=10".to_owned()),
    }
}
