//! A company and its jobs.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use tokio_postgres::types::Type;

use crate::error::ApiError;
use crate::model::Company;
use crate::routes::companies::Details;

use super::Db;
use super::cards::cards;
use super::pool::Connection;

/// `GET /companies/{id}`
pub(crate) async fn show(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Json<Details>, ApiError> {
    let Path(id) = id?;
    let connection = db.connection().await?;
    let newest =
        "SELECT id FROM jobs WHERE company_id = $1 ORDER BY posted_at DESC, id DESC LIMIT 50";
    let parameters = [(&id as _, Type::INT4)];
    let (company, jobs) = tokio::try_join!(
        company(&connection, id),
        cards(&connection, newest, &parameters)
    )?;
    Ok(Json(Details { company, jobs }))
}

pub(crate) async fn company(connection: &Connection, id: i32) -> Result<Company, ApiError> {
    let sql = "SELECT id, name, website, about, employees FROM companies WHERE id = $1";
    let row = connection.query_opt(sql, &[(&id, Type::INT4)]).await?;
    Ok(Company::from_row(
        &row.ok_or(ApiError::NotFound("company"))?,
    )?)
}
