//! Numbers for the front page, half a minute old at most.

use std::time::{Duration, Instant};

use axum::Json;
use tokio::sync::Mutex;

use crate::error::ApiError;
use crate::routes::stats::{BY_SENIORITY, Stats, TOP_LOCATIONS};

use super::Db;
use super::pool::Connection;

const FRESH: Duration = Duration::from_secs(30);

/// The numbers, and when they were read. The lock is held while they are: nobody reads them twice.
pub(crate) type StatsCache = Mutex<Option<(Instant, Stats)>>;

/// `GET /stats`
pub(crate) async fn stats(db: Db) -> Result<Json<Stats>, ApiError> {
    let mut cached = db.shared.stats.lock().await;
    if let Some((read_at, stats)) = &*cached
        && read_at.elapsed() < FRESH
    {
        return Ok(Json(stats.clone()));
    }
    let stats = read(&db.connection().await?).await?;
    *cached = Some((Instant::now(), stats.clone()));
    Ok(Json(stats))
}

async fn read(connection: &Connection) -> Result<Stats, ApiError> {
    let counts = "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM companies), \
                  (SELECT count(*) FROM applications)";
    let (counts, seniorities, locations) = tokio::try_join!(
        connection.query(counts, &[]),
        connection.query(BY_SENIORITY, &[]),
        connection.query(TOP_LOCATIONS, &[]),
    )?;
    let counts = counts.first().ok_or(ApiError::Busy)?;
    Ok(Stats::from_rows(
        [counts.try_get(0)?, counts.try_get(1)?, counts.try_get(2)?],
        &seniorities,
        &locations,
    )?)
}
