//! The look at the database before anything is served.
//!
//! A wrong password or an unknown database is a mistake in the configuration and always ends the start. A database that
//! cannot be reached ends it too, unless `postgres.required_at_start = false`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_pgproxy::{Config, DatabaseUrl, Mode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tracing::warn;

use super::workers::runtime;

/// Nobody wants to wait longer to be told that the address is wrong, whatever `connect_timeout` says.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What is wrong with the database.
#[derive(Debug)]
enum Fault {
    /// The configuration must be changed.
    Refused(String),
    /// It may come by itself.
    Unreachable(String),
}

/// Looks at the database once.
///
/// # Errors
/// One sentence that says why clients could not be served.
pub(super) fn check(config: &Config, required: bool) -> anyhow::Result<()> {
    let limit = config.connect_timeout.min(TIME_MAX);
    let runtime = runtime(1).context("No runtime could be started")?;
    let looked = runtime.block_on(async {
        let DatabaseUrl { host, port, .. } = &config.database;
        timeout(limit, look(config)).await.unwrap_or_else(|_| {
            Err(Fault::Unreachable(format!(
                "The database at {host}:{port} did not answer within {limit:?}"
            )))
        })
    });
    // A name that is still being looked up must not hold the exit up.
    runtime.shutdown_background();
    match looked {
        Ok(()) => Ok(()),
        Err(Fault::Refused(reason)) => bail!("{reason}."),
        Err(Fault::Unreachable(reason)) if required => {
            bail!("{reason}. (To start without it, set postgres.required_at_start = false.)")
        }
        Err(Fault::Unreachable(reason)) => {
            warn!(%reason, "Started without the database; clients get SQLSTATE 08001 until it is there.");
            Ok(())
        }
    }
}

async fn look(config: &Config) -> Result<(), Fault> {
    let DatabaseUrl {
        user,
        password,
        host,
        port,
        database,
    } = &config.database;
    // In observe mode clients bring their own password, so that ours may be missing without harm.
    if config.mode == Mode::Observe && password.is_none() {
        let connected = TcpStream::connect((host.as_str(), *port)).await;
        return connected.map(drop).map_err(|error| {
            Fault::Unreachable(format!(
                "The database at {host}:{port} could not be reached: {error}"
            ))
        });
    }
    let mut login = tokio_postgres::Config::new();
    login
        .host(host)
        .port(*port)
        .user(user)
        .dbname(database)
        .application_name("paceline");
    if let Some(password) = password {
        login.password(password);
    }
    let (client, connection) = login
        .connect(NoTls)
        .await
        .map_err(|error| fault(config, &error))?;
    drop(client);
    // With its client gone the connection says goodbye; how that goes is of no interest.
    let _ = connection.await;
    Ok(())
}

fn fault(config: &Config, error: &tokio_postgres::Error) -> Fault {
    let DatabaseUrl {
        user,
        password,
        host,
        port,
        database,
    } = &config.database;
    let place = format!("The database at {host}:{port}");
    if let Some(answer) = error.as_db_error() {
        let code = answer.code();
        let refused = |reason: String| Fault::Refused(format!("{place} {reason}"));
        return match *code {
            SqlState::INVALID_PASSWORD => {
                refused(format!("did not accept the password of user {user:?}"))
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => refused(format!(
                "did not let user {user:?} in: {}",
                answer.message()
            )),
            SqlState::INVALID_CATALOG_NAME => refused(format!("has no database {database:?}")),
            SqlState::INSUFFICIENT_PRIVILEGE => refused(format!(
                "does not let user {user:?} into {database:?}: {}",
                answer.message()
            )),
            // Starting up, shutting down, too many connections: these pass.
            _ => Fault::Unreachable(format!(
                "{place} refused the connection: {} ({})",
                answer.message(),
                code.code()
            )),
        };
    }
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    let reason = cause.map_or_else(|| error.to_string(), ToString::to_string);
    if reason.contains("password missing") || (password.is_none() && reason.contains("password")) {
        return Fault::Refused(format!(
            "{place} asks for the password of user {user:?}, and the URL has none"
        ));
    }
    Fault::Unreachable(format!("{place} could not be reached: {reason}"))
}
