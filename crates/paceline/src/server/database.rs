//! The look at the database before anything is served.
//!
//! A wrong password or an unknown database is a mistake in the configuration and always ends the start. A database that
//! cannot be reached ends it too, unless `postgres.required_at_start = false`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_pgproxy::{DatabaseUrl, Proxy, Unavailable};
use tokio::time::timeout;
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

/// Looks at the database once. What it opens for that is the pool's first connection.
///
/// # Errors
/// One sentence that says why clients could not be served.
pub(super) fn check(proxy: &Proxy, required: bool) -> anyhow::Result<()> {
    let limit = proxy.config().connect_timeout.min(TIME_MAX);
    let runtime = runtime(1).context("No runtime could be started")?;
    let looked = runtime.block_on(async {
        let config = proxy.config();
        let DatabaseUrl { host, port, .. } = config.main_url();
        match timeout(limit, proxy.check()).await {
            Ok(looked) => looked.map_err(|error| fault(config.main_url(), &error)),
            Err(_) => Err(Fault::Unreachable(format!(
                "The database at {host}:{port} did not answer within {limit:?}"
            ))),
        }
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

/// In one sentence without its full stop, why there is no session.
pub(crate) fn explain(database: &DatabaseUrl, error: &Unavailable) -> String {
    match fault(database, error) {
        Fault::Refused(reason) | Fault::Unreachable(reason) => reason,
    }
}

fn fault(database: &DatabaseUrl, error: &Unavailable) -> Fault {
    let DatabaseUrl {
        user,
        host,
        port,
        database,
        ..
    } = database;
    let place = format!("The database at {host}:{port}");
    if error.asks_for_password() {
        return Fault::Refused(format!(
            "{place} asks for the password of user {user:?}, and the URL has none"
        ));
    }
    match error {
        Unavailable::Refused {
            sqlstate, message, ..
        } => {
            let refused = |reason: String| Fault::Refused(format!("{place} {reason}"));
            match sqlstate.as_str() {
                "28P01" => refused(format!("did not accept the password of user {user:?}")),
                "28000" => refused(format!("did not let user {user:?} in: {message}")),
                "3D000" => refused(format!("has no database {database:?}")),
                "42501" => refused(format!(
                    "does not let user {user:?} into {database:?}: {message}"
                )),
                // Starting up, shutting down, too many connections: these pass.
                _ => Fault::Unreachable(format!(
                    "{place} refused the connection: {message} ({sqlstate})"
                )),
            }
        }
        Unavailable::Connect { source, .. } => {
            Fault::Unreachable(format!("{place} could not be reached: {source}"))
        }
        error => Fault::Unreachable(format!("{place} could not be used: {error}")),
    }
}
