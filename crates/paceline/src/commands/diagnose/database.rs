//! What there is to find in a database.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use paceline_catalogue::{Options, Snapshot};
use paceline_diagnose::{Material, Report};
use paceline_pgproxy::{DatabaseUrl, open_session};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::server::database::explain;

/// Opening the session, over all hosts of the URL.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// All of it. Each single question is bounded by the server.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Reads what the database says of itself, and has the rules look at it.
pub(super) fn look(url: &str) -> anyhow::Result<Report> {
    let url = DatabaseUrl::parse(url).map_err(|error| anyhow!("--database: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("No runtime could be started")?;
    let read = runtime.block_on(async { timeout(TIME_MAX, read(url.clone())).await });
    // A name that is still being looked up must not hold the exit up.
    runtime.shutdown_background();
    let Ok(snapshot) = read else {
        bail!("{url} was not read within {} s", TIME_MAX.as_secs());
    };
    Ok(Report::of(&Material {
        database: Some(&snapshot?),
        ..Material::default()
    }))
}

async fn read(url: DatabaseUrl) -> anyhow::Result<Snapshot> {
    let opened = open_session(url.clone(), CONNECT_TIME_MAX).await;
    let stream = opened.map_err(|error| anyhow!("{}.", explain(&url, &error)))?;
    // The stream is encrypted, and logged in, where it has to be.
    let mut config = Config::new();
    config.user(&url.user).ssl_mode(SslMode::Disable);
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    let carried = tokio::spawn(connection);
    client
        .batch_execute("SET application_name = 'paceline diagnose'")
        .await?;
    let snapshot = paceline_catalogue::read(&client, &Options::default()).await?;
    drop(client);
    // All is read; how the session ends changes nothing.
    let _ = carried.await;
    Ok(snapshot)
}
