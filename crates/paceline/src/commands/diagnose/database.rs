//! What a database says of itself.

use std::time::Duration;

use anyhow::anyhow;
use paceline_catalogue::Snapshot;
use paceline_pgproxy::DatabaseUrl;

use crate::snapshot;

/// All of it. Each single question is bounded by the server.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Reads all that the rules look at.
pub(super) fn read(url: &str) -> anyhow::Result<Snapshot> {
    let url = DatabaseUrl::parse(url).map_err(|error| anyhow!("--database: {error}"))?;
    snapshot::read(&url, TIME_MAX)
}
