//! The console: a database of its own name on the port for clients, in which Paceline is looked at and told what to do. It
//! speaks PgBouncer's words, so that the tools for that work here too.
//!
//! | file | what |
//! |---|---|
//! | `command.rs` | a text becomes a command |
//! | `show.rs` | what can be looked at |
//! | `sockets.rs` | of that, who is connected |
//! | `stats.rs` | of that, what was done so far |
//! | `act.rs` | what can be told |
//! | `errors.rs` | what it says when something cannot be |
//! | `talk.rs` | the messages of one session |
//! | `table.rs` | rows on the wire |

mod act;
mod command;
mod errors;
mod show;
mod sockets;
mod stats;
mod table;
mod talk;

pub(crate) use talk::run;

use crate::config::Config;
use crate::error::Refusal;

/// The databases that are the console, unless there are databases of these names.
const NAMES: &[&str] = &["paceline", "pgbouncer"];
/// What `SHOW VERSION` says.
const VERSION: &str = concat!("Paceline ", env!("CARGO_PKG_VERSION"));
/// What libraries take for the version of a server.
const SERVER_VERSION: &str = concat!("16.0 (Paceline ", env!("CARGO_PKG_VERSION"), ")");

/// What somebody may do at the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Everything.
    All,
    /// `SHOW`.
    Show,
}

/// Whether a client that asks for this database means the console.
pub(crate) fn is_meant(config: &Config, database: &str) -> bool {
    let is_database = config.databases.iter().any(|found| found.name == database);
    NAMES.contains(&database) && !is_database
}

/// What this user may do.
///
/// # Errors
///
/// Nothing.
pub(crate) fn rights(config: &Config, user: &str) -> Result<Rights, Refusal> {
    let is_in = |users: &[String]| users.iter().any(|name| name == user);
    let is_owner = config.console_users.is_empty() && config.main_url().user == user;
    if is_owner || is_in(&config.console_users) {
        Ok(Rights::All)
    } else if is_in(&config.console_stats_users) {
        Ok(Rights::Show)
    } else {
        Err(Refusal::no_console_user(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Database, DatabaseUrl};

    #[test]
    fn the_console_gives_way_to_a_database_of_its_name() {
        let mut config = Config::default();
        assert!(is_meant(&config, "paceline") && is_meant(&config, "pgbouncer"));
        assert!(!is_meant(&config, "postgres"));
        config.databases.push(Database {
            name: "paceline".to_owned(),
            ..Database::default()
        });
        assert!(!is_meant(&config, "paceline") && is_meant(&config, "pgbouncer"));
    }

    #[test]
    fn who_may_do_what() {
        let url = DatabaseUrl::parse("postgres://app@h/app").unwrap();
        let mut config = Config {
            databases: vec![Database::new(url)],
            console_stats_users: vec!["monitor".to_owned()],
            ..Config::default()
        };
        assert_eq!(rights(&config, "app"), Ok(Rights::All));
        assert_eq!(rights(&config, "monitor"), Ok(Rights::Show));
        assert!(rights(&config, "other").is_err());
        config.console_users = vec!["admin".to_owned()];
        assert_eq!(rights(&config, "admin"), Ok(Rights::All));
        assert!(rights(&config, "app").is_err(), "others were named");
    }
}
