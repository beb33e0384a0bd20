//! What there is to find in a database.

use std::time::Duration;

use anyhow::anyhow;
use paceline_diagnose::{Material, Report};
use paceline_pgproxy::DatabaseUrl;

use crate::snapshot;

/// All of it. Each single question is bounded by the server.
const TIME_MAX: Duration = Duration::from_secs(120);

/// Reads what the database says of itself, and has the rules look at it.
pub(super) fn look(url: &str) -> anyhow::Result<Report> {
    let url = DatabaseUrl::parse(url).map_err(|error| anyhow!("--database: {error}"))?;
    let snapshot = snapshot::read(&url, TIME_MAX)?;
    Ok(Report::of(&Material {
        database: Some(&snapshot),
        ..Material::default()
    }))
}
