//! A company and its jobs.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;
use crate::model::{Card, Company, Job};

#[derive(Debug, Serialize)]
pub(crate) struct Details {
    #[serde(flatten)]
    pub(crate) company: Company,
    pub(crate) jobs: Vec<Card>,
}

/// `GET /companies/{id}`
pub(crate) async fn show(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Json<Details>, ApiError> {
    let Path(id) = id?;
    let company = Company::find(&db, id).await?;
    let sql = "SELECT * FROM jobs WHERE company_id = $1 ORDER BY posted_at DESC, id DESC LIMIT 50";
    let mut jobs = Vec::new();
    for row in db.query(sql, &[(&id, Type::INT4)]).await? {
        jobs.push(Job::from_row(&row)?.into_card(&db).await?);
    }
    Ok(Json(Details { company, jobs }))
}
