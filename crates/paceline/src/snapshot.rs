//! What a database says of itself, read over a session of our own.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use paceline_catalogue::{Options, Snapshot};
use paceline_pgproxy::{DatabaseUrl, open_session};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::server::database::explain;

/// Opening the session, over all hosts of the URL.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// What the session calls itself.
const APPLICATION_NAME: &str = "paceline diagnose";

/// Reads it all within the time. Blocks: not for a thread that serves anybody.
///
/// # Errors
/// One sentence that says why there is nothing to read.
pub(crate) fn read(url: &DatabaseUrl, time_max: Duration) -> anyhow::Result<Snapshot> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("No runtime could be started")?;
    let read = runtime.block_on(async { timeout(time_max, ask(url.clone())).await });
    // A name that is still being looked up must not hold the exit up.
    runtime.shutdown_background();
    let Ok(snapshot) = read else {
        bail!("{url} was not read within {} s", time_max.as_secs());
    };
    snapshot
}

async fn ask(url: DatabaseUrl) -> anyhow::Result<Snapshot> {
    let opened = open_session(url.clone(), CONNECT_TIME_MAX).await;
    let stream = opened.map_err(|error| anyhow!("{}.", explain(&url, &error)))?;
    // The stream is encrypted, and logged in, where it has to be.
    let mut config = Config::new();
    config.user(&url.user).ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    let carried = tokio::spawn(connection);
    client
        .batch_execute(&format!("SET application_name = '{APPLICATION_NAME}'"))
        .await?;
    let snapshot = paceline_catalogue::read(&client, &Options::default()).await?;
    drop(client);
    // All is read; how the session ends changes nothing.
    let _ = carried.await;
    Ok(snapshot)
}
