//! Jobs: list, show, create, update.

use std::fmt::Write as _;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::Deserialize;
use tokio_postgres::types::Type;

use crate::db::Parameter;
use crate::error::ApiError;
use crate::model::{Card, Job, Location, Skill};
use crate::routes::jobs::{Changes, Details, NewJob, PAGE_JOBS, Page, RANGE, check, page_offset};

use super::Db;
use super::cards::{JOB_COLUMNS, card_of, cards, skill};
use super::companies::company;
use super::pool::Connection;

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    page: Option<i64>,
    /// The last job of the page before: leads to any depth at the cost of the first page.
    before: Option<i32>,
    location: Option<String>,
    seniority: Option<String>,
    remote: Option<bool>,
    salary: Option<i32>,
}

/// `GET /jobs`: a page of jobs, the newest first. Pages by number count their offset in an index, before
/// any row is read.
pub(crate) async fn list(
    db: Db,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let Query(filter) = filter?;
    let page = filter.page.unwrap_or(1);
    let offset = page_offset(page)?;
    let (sql, parameters) = newest(&filter, &offset);
    let connection = db.connection().await?;
    let jobs = cards(&connection, &sql, &parameters).await?;
    Ok(Json(Page { page, jobs }))
}

/// The ids of a page. `salary_max > 0` is a constraint of the table.
fn newest<'f>(filter: &'f Filter, offset: &'f i64) -> (String, Vec<Parameter<'f>>) {
    let mut sql = String::from("SELECT id FROM jobs WHERE true");
    let mut parameters: Vec<Parameter<'f>> = Vec::new();
    if let Some(before) = &filter.before {
        parameters.push((before, Type::INT4));
        let mark = format!(
            "(SELECT posted_at, id FROM jobs WHERE id = ${})",
            parameters.len()
        );
        let _ = write!(sql, " AND (posted_at, id) < {mark}");
    }
    if let Some(location) = &filter.location {
        parameters.push((location, Type::TEXT));
        let found = format!(
            "SELECT id FROM locations WHERE city = ${}",
            parameters.len()
        );
        let _ = write!(sql, " AND location_id = ANY(ARRAY({found}))");
    }
    if let Some(seniority) = &filter.seniority {
        parameters.push((seniority, Type::TEXT));
        let _ = write!(sql, " AND seniority = ${}", parameters.len());
    }
    // Spelled out, so that the partial index serves.
    match filter.remote {
        Some(true) => sql.push_str(" AND remote"),
        Some(false) => sql.push_str(" AND NOT remote"),
        None => {}
    }
    if let Some(salary) = &filter.salary {
        parameters.push((salary, Type::INT4));
        let _ = write!(sql, " AND salary_min >= ${}", parameters.len());
    }
    parameters.push((&PAGE_JOBS, Type::INT8));
    let _ = write!(
        sql,
        " ORDER BY posted_at DESC, id DESC LIMIT ${}",
        parameters.len()
    );
    if *offset > 0 {
        parameters.push((offset, Type::INT8));
        let _ = write!(sql, " OFFSET ${}", parameters.len());
    }
    (sql, parameters)
}

/// `GET /jobs/{id}`
pub(crate) async fn show(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Json<Details>, ApiError> {
    let Path(id) = id?;
    let connection = db.connection().await?;
    let count = async {
        let sql = "SELECT count(*) FROM applications WHERE job_id = $1";
        let row = connection.query_opt(sql, &[(&id, Type::INT4)]).await?;
        Ok(row.ok_or(ApiError::Busy)?.try_get(0)?)
    };
    let (card, applications) = tokio::try_join!(card_of(&connection, id), count)?;
    Ok(Json(Details { card, applications }))
}

/// `POST /jobs`: what it needs is looked up at once, and written by one statement.
pub(crate) async fn create(
    db: Db,
    body: Result<Json<NewJob>, JsonRejection>,
) -> Result<(StatusCode, Json<Card>), ApiError> {
    let Json(new) = body?;
    check(&new.title, &new.seniority, new.salary_min, new.salary_max)?;
    let wanted: Vec<i32> = new.skills.iter().copied().collect();
    let connection = db.connection().await?;
    let (company, location, skills) = tokio::join!(
        company(&connection, new.company_id),
        location(&connection, new.location_id),
        skills(&connection, &wanted)
    );
    let (company, location, skills) = (company?, location?, skills?);
    if let Some(missing) = wanted
        .iter()
        .find(|id| skills.iter().all(|skill| skill.id != **id))
    {
        return Err(ApiError::BadRequest(format!("there is no skill {missing}")));
    }
    let job = insert(&connection, &new, &wanted).await?;
    let card = Card {
        job,
        company,
        location,
        skills,
    };
    Ok((StatusCode::CREATED, Json(card)))
}

async fn insert(connection: &Connection, new: &NewJob, skills: &[i32]) -> Result<Job, ApiError> {
    let sql = format!(
        "WITH created AS (INSERT INTO jobs (company_id, location_id, title, description, seniority, remote, \
         salary_min, salary_max) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *), \
         added AS (INSERT INTO job_skills (job_id, skill_id) SELECT created.id, unnest($9::int[]) FROM created) \
         SELECT {JOB_COLUMNS} FROM created AS jobs"
    );
    let parameters = [
        (&new.company_id as _, Type::INT4),
        (&new.location_id as _, Type::INT4),
        (&new.title as _, Type::TEXT),
        (&new.description as _, Type::TEXT),
        (&new.seniority as _, Type::TEXT),
        (&new.remote as _, Type::BOOL),
        (&new.salary_min as _, Type::INT4),
        (&new.salary_max as _, Type::INT4),
        (&skills as _, Type::INT4_ARRAY),
    ];
    let row = connection.query_opt(&sql, &parameters).await?;
    Ok(Job::from_row(&row.ok_or(ApiError::Busy)?)?)
}

async fn location(connection: &Connection, id: i32) -> Result<Location, ApiError> {
    let sql = "SELECT id, city, country FROM locations WHERE id = $1";
    let row = connection.query_opt(sql, &[(&id, Type::INT4)]).await?;
    Ok(Location::from_row(
        &row.ok_or(ApiError::NotFound("location"))?,
    )?)
}

async fn skills(connection: &Connection, ids: &[i32]) -> Result<Vec<Skill>, ApiError> {
    let sql = "SELECT id, name FROM skills WHERE id = ANY($1) ORDER BY name, id";
    let rows = connection.query(sql, &[(&ids, Type::INT4_ARRAY)]).await?;
    Ok(rows.iter().map(skill).collect::<Result<_, _>>()?)
}

/// `PATCH /jobs/{id}`: one statement sets what is to change, if the row then makes sense.
pub(crate) async fn update(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
    body: Result<Json<Changes>, JsonRejection>,
) -> Result<Json<Card>, ApiError> {
    let (Path(id), Json(changes)) = (id?, body?);
    let connection = db.connection().await?;
    if let Err(refusal) = changes.check_texts() {
        exists(&connection, id).await?;
        return Err(refusal);
    }
    let sql = "UPDATE jobs SET title = coalesce($2, title), description = coalesce($3, description), \
               seniority = coalesce($4, seniority), remote = coalesce($5, remote), \
               salary_min = coalesce($6, salary_min), salary_max = coalesce($7, salary_max) \
               WHERE id = $1 AND coalesce($6, salary_min) >= 0 AND coalesce($7, salary_max) > 0 \
               AND coalesce($7, salary_max) >= coalesce($6, salary_min) RETURNING id";
    let parameters = [
        (&id as _, Type::INT4),
        (&changes.title as _, Type::TEXT),
        (&changes.description as _, Type::TEXT),
        (&changes.seniority as _, Type::TEXT),
        (&changes.remote as _, Type::BOOL),
        (&changes.salary_min as _, Type::INT4),
        (&changes.salary_max as _, Type::INT4),
    ];
    if connection.query_opt(sql, &parameters).await?.is_none() {
        exists(&connection, id).await?;
        return Err(ApiError::BadRequest(RANGE.to_owned()));
    }
    Ok(Json(card_of(&connection, id).await?))
}

async fn exists(connection: &Connection, id: i32) -> Result<(), ApiError> {
    let sql = "SELECT id FROM jobs WHERE id = $1";
    let row = connection.query_opt(sql, &[(&id, Type::INT4)]).await?;
    row.map(drop).ok_or(ApiError::NotFound("job"))
}
