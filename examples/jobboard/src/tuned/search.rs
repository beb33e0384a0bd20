//! Search in titles, by their trigrams.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use tokio_postgres::types::Type;

use crate::error::ApiError;
use crate::routes::search::{Hit, Terms};

use super::Db;

/// `GET /search?q=`
pub(crate) async fn search(
    db: Db,
    terms: Result<Query<Terms>, QueryRejection>,
) -> Result<Json<Vec<Hit>>, ApiError> {
    let pattern = terms?.0.pattern()?;
    let connection = db.connection().await?;
    let sql = "SELECT jobs.id, jobs.title, companies.name AS company, locations.city FROM jobs \
               JOIN companies ON companies.id = jobs.company_id \
               JOIN locations ON locations.id = jobs.location_id \
               WHERE jobs.title ILIKE $1 ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT 20";
    let rows = connection.query(sql, &[(&pattern, Type::TEXT)]).await?;
    let hits = rows.iter().map(Hit::from_row).collect::<Result<_, _>>()?;
    Ok(Json(hits))
}
