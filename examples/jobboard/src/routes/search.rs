//! Search in titles.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;

#[derive(Debug, Deserialize)]
pub(crate) struct Terms {
    q: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Hit {
    id: i32,
    title: String,
    company: String,
    city: String,
}

/// `GET /search?q=`
pub(crate) async fn search(
    db: Db,
    terms: Result<Query<Terms>, QueryRejection>,
) -> Result<Json<Vec<Hit>>, ApiError> {
    let Query(Terms { q }) = terms?;
    if q.trim().len() < 2 {
        return Err(ApiError::BadRequest(
            "q must have two characters at least".to_owned(),
        ));
    }
    let escaped = q
        .trim()
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let pattern = format!("%{escaped}%");
    let rows = db
        .query(
            "SELECT jobs.*, companies.name AS company, locations.city FROM jobs \
             JOIN companies ON companies.id = jobs.company_id \
             JOIN locations ON locations.id = jobs.location_id \
             WHERE jobs.title ILIKE $1 ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT 20",
            &[(&pattern, Type::TEXT)],
        )
        .await?;
    let mut hits = Vec::new();
    for row in rows {
        hits.push(Hit {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            company: row.try_get("company")?,
            city: row.try_get("city")?,
        });
    }
    Ok(Json(hits))
}
