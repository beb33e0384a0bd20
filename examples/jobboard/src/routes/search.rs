//! Search in titles.

use axum::Json;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;

#[derive(Debug, Deserialize)]
pub(crate) struct Terms {
    q: String,
}

impl Terms {
    /// The pattern for LIKE, in which what was typed stands for itself.
    pub(crate) fn pattern(&self) -> Result<String, ApiError> {
        let q = self.q.trim();
        if q.len() < 2 {
            return Err(ApiError::BadRequest(
                "q must have two characters at least".to_owned(),
            ));
        }
        let escaped = q
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        Ok(format!("%{escaped}%"))
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Hit {
    id: i32,
    title: String,
    company: String,
    city: String,
}

impl Hit {
    pub(crate) fn from_row(row: &Row) -> Result<Hit, tokio_postgres::Error> {
        Ok(Hit {
            id: row.try_get("id")?,
            title: row.try_get("title")?,
            company: row.try_get("company")?,
            city: row.try_get("city")?,
        })
    }
}

/// `GET /search?q=`
pub(crate) async fn search(
    db: Db,
    terms: Result<Query<Terms>, QueryRejection>,
) -> Result<Json<Vec<Hit>>, ApiError> {
    let pattern = terms?.0.pattern()?;
    let rows = db
        .query(
            "SELECT jobs.*, companies.name AS company, locations.city FROM jobs \
             JOIN companies ON companies.id = jobs.company_id \
             JOIN locations ON locations.id = jobs.location_id \
             WHERE jobs.title ILIKE $1 ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT 20",
            &[(&pattern, Type::TEXT)],
        )
        .await?;
    let hits = rows.iter().map(Hit::from_row).collect::<Result<_, _>>()?;
    Ok(Json(hits))
}
