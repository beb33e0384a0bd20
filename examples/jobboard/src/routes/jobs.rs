//! Jobs: list, show, create, update.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::db::{Db, Parameter};
use crate::error::ApiError;
use crate::model::{Card, Company, Job, Location, SENIORITIES, Skill};

pub(crate) const PAGE_JOBS: i64 = 20;
const PAGE_MAX: i64 = 10_000;
pub(crate) const RANGE: &str = "salary_min and salary_max must be a range above zero";

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    page: Option<i64>,
    location: Option<String>,
    seniority: Option<String>,
    remote: Option<bool>,
    salary: Option<i32>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub(crate) page: i64,
    pub(crate) jobs: Vec<Card>,
}

/// `GET /jobs`: a page of jobs, the newest first.
pub(crate) async fn list(
    db: Db,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Page>, ApiError> {
    let Query(filter) = filter?;
    let page = filter.page.unwrap_or(1);
    let offset = page_offset(page)?;
    let mut sql = String::from("SELECT * FROM jobs WHERE salary_max > 0");
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    if let Some(location) = &filter.location {
        parameters.push((location, Type::TEXT));
        let _ = write!(
            sql,
            " AND location_id IN (SELECT id FROM locations WHERE city = ${})",
            parameters.len()
        );
    }
    if let Some(seniority) = &filter.seniority {
        parameters.push((seniority, Type::TEXT));
        let _ = write!(sql, " AND seniority = ${}", parameters.len());
    }
    if let Some(remote) = &filter.remote {
        parameters.push((remote, Type::BOOL));
        let _ = write!(sql, " AND remote = ${}", parameters.len());
    }
    if let Some(salary) = &filter.salary {
        parameters.push((salary, Type::INT4));
        let _ = write!(sql, " AND salary_min >= ${}", parameters.len());
    }
    parameters.push((&PAGE_JOBS, Type::INT8));
    parameters.push((&offset, Type::INT8));
    let count = parameters.len();
    let _ = write!(
        sql,
        " ORDER BY posted_at DESC, id DESC LIMIT ${} OFFSET ${count}",
        count - 1
    );

    let mut jobs = Vec::new();
    for row in db.query(&sql, &parameters).await? {
        jobs.push(Job::from_row(&row)?.into_card(&db).await?);
    }
    Ok(Json(Page { page, jobs }))
}

#[derive(Debug, Serialize)]
pub(crate) struct Details {
    #[serde(flatten)]
    pub(crate) card: Card,
    pub(crate) applications: i64,
}

/// `GET /jobs/{id}`
pub(crate) async fn show(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
) -> Result<Json<Details>, ApiError> {
    let Path(id) = id?;
    let card = Job::find(&db, id).await?.into_card(&db).await?;
    let sql = "SELECT count(*) FROM applications WHERE job_id = $1";
    let applications = db.query_one(sql, &[(&id, Type::INT4)]).await?.try_get(0)?;
    Ok(Json(Details { card, applications }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct NewJob {
    pub(crate) company_id: i32,
    pub(crate) location_id: i32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) seniority: String,
    #[serde(default)]
    pub(crate) remote: bool,
    pub(crate) salary_min: i32,
    pub(crate) salary_max: i32,
    #[serde(default)]
    pub(crate) skills: BTreeSet<i32>,
}

/// `POST /jobs`
pub(crate) async fn create(
    db: Db,
    body: Result<Json<NewJob>, JsonRejection>,
) -> Result<(StatusCode, Json<Card>), ApiError> {
    let Json(new) = body?;
    check(&new.title, &new.seniority, new.salary_min, new.salary_max)?;
    db.begin().await?;
    let company = Company::find(&db, new.company_id).await?;
    let location = Location::find(&db, new.location_id).await?;
    let row = db
        .query_one(
            "INSERT INTO jobs (company_id, location_id, title, description, seniority, remote, \
             salary_min, salary_max) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING *",
            &[
                (&new.company_id, Type::INT4),
                (&new.location_id, Type::INT4),
                (&new.title, Type::TEXT),
                (&new.description, Type::TEXT),
                (&new.seniority, Type::TEXT),
                (&new.remote, Type::BOOL),
                (&new.salary_min, Type::INT4),
                (&new.salary_max, Type::INT4),
            ],
        )
        .await?;
    let job = Job::from_row(&row)?;
    for skill in &new.skills {
        let sql = "SELECT * FROM skills WHERE id = $1";
        if db.query_opt(sql, &[(skill, Type::INT4)]).await?.is_none() {
            return Err(ApiError::BadRequest(format!("there is no skill {skill}")));
        }
        let sql = "INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2)";
        db.execute(sql, &[(&job.id, Type::INT4), (skill, Type::INT4)])
            .await?;
    }
    db.commit().await?;
    let skills = Skill::of_job(&db, job.id).await?;
    Ok((
        StatusCode::CREATED,
        Json(Card {
            job,
            company,
            location,
            skills,
        }),
    ))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Changes {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) seniority: Option<String>,
    pub(crate) remote: Option<bool>,
    pub(crate) salary_min: Option<i32>,
    pub(crate) salary_max: Option<i32>,
}

impl Changes {
    /// Whether the texts that are given may be.
    pub(crate) fn check_texts(&self) -> Result<(), ApiError> {
        check(
            self.title.as_deref().unwrap_or("unchanged"),
            self.seniority.as_deref().unwrap_or(SENIORITIES[0]),
            1,
            1,
        )
    }
}

/// `PATCH /jobs/{id}`
pub(crate) async fn update(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
    body: Result<Json<Changes>, JsonRejection>,
) -> Result<Json<Card>, ApiError> {
    let (Path(id), Json(changes)) = (id?, body?);
    db.begin().await?;
    let mut job = Job::find(&db, id).await?;
    job.title = changes.title.unwrap_or(job.title);
    job.description = changes.description.unwrap_or(job.description);
    job.seniority = changes.seniority.unwrap_or(job.seniority);
    job.remote = changes.remote.unwrap_or(job.remote);
    job.salary_min = changes.salary_min.unwrap_or(job.salary_min);
    job.salary_max = changes.salary_max.unwrap_or(job.salary_max);
    check(&job.title, &job.seniority, job.salary_min, job.salary_max)?;
    db.execute(
        "UPDATE jobs SET title = $2, description = $3, seniority = $4, remote = $5, \
         salary_min = $6, salary_max = $7 WHERE id = $1",
        &[
            (&id, Type::INT4),
            (&job.title, Type::TEXT),
            (&job.description, Type::TEXT),
            (&job.seniority, Type::TEXT),
            (&job.remote, Type::BOOL),
            (&job.salary_min, Type::INT4),
            (&job.salary_max, Type::INT4),
        ],
    )
    .await?;
    db.commit().await?;
    Ok(Json(job.into_card(&db).await?))
}

/// How many jobs come before a page.
pub(crate) fn page_offset(page: i64) -> Result<i64, ApiError> {
    if !(1..=PAGE_MAX).contains(&page) {
        return Err(ApiError::BadRequest(format!(
            "page must be between 1 and {PAGE_MAX}"
        )));
    }
    Ok((page - 1) * PAGE_JOBS)
}

/// Whether a job may be like this.
pub(crate) fn check(
    title: &str,
    seniority: &str,
    minimum: i32,
    maximum: i32,
) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::BadRequest(message.to_owned()));
    if title.trim().is_empty() {
        return refuse("title must not be empty");
    }
    if !SENIORITIES.contains(&seniority) {
        return refuse("seniority must be intern, junior, mid, senior or lead");
    }
    if minimum < 0 || maximum <= 0 || maximum < minimum {
        return refuse(RANGE);
    }
    Ok(())
}
