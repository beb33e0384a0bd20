//! Rows as JSON.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;

/// What a job may ask for.
pub(crate) const SENIORITIES: [&str; 5] = ["intern", "junior", "mid", "senior", "lead"];

#[derive(Debug, Serialize)]
pub(crate) struct Job {
    pub(crate) id: i32,
    pub(crate) company_id: i32,
    pub(crate) location_id: i32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) seniority: String,
    pub(crate) remote: bool,
    pub(crate) salary_min: i32,
    pub(crate) salary_max: i32,
    /// Seconds since 1970.
    pub(crate) posted_at: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Company {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) website: String,
    pub(crate) about: String,
    pub(crate) employees: i32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Location {
    pub(crate) id: i32,
    pub(crate) city: String,
    pub(crate) country: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Skill {
    pub(crate) id: i32,
    pub(crate) name: String,
}

/// A job with all that a page shows of it.
#[derive(Debug, Serialize)]
pub(crate) struct Card {
    #[serde(flatten)]
    pub(crate) job: Job,
    pub(crate) company: Company,
    pub(crate) location: Location,
    pub(crate) skills: Vec<Skill>,
}

impl Job {
    pub(crate) fn from_row(row: &Row) -> Result<Job, tokio_postgres::Error> {
        let posted_at: SystemTime = row.try_get("posted_at")?;
        Ok(Job {
            id: row.try_get("id")?,
            company_id: row.try_get("company_id")?,
            location_id: row.try_get("location_id")?,
            title: row.try_get("title")?,
            description: row.try_get("description")?,
            seniority: row.try_get("seniority")?,
            remote: row.try_get("remote")?,
            salary_min: row.try_get("salary_min")?,
            salary_max: row.try_get("salary_max")?,
            posted_at: posted_at
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        })
    }

    pub(crate) async fn find(db: &Db, id: i32) -> Result<Job, ApiError> {
        let row = db
            .query_opt("SELECT * FROM jobs WHERE id = $1", &[(&id, Type::INT4)])
            .await?;
        Ok(Job::from_row(&row.ok_or(ApiError::NotFound("job"))?)?)
    }

    /// Loads what belongs to the job.
    pub(crate) async fn into_card(self, db: &Db) -> Result<Card, ApiError> {
        Ok(Card {
            company: Company::find(db, self.company_id).await?,
            location: Location::find(db, self.location_id).await?,
            skills: Skill::of_job(db, self.id).await?,
            job: self,
        })
    }
}

impl Company {
    pub(crate) async fn find(db: &Db, id: i32) -> Result<Company, ApiError> {
        let sql = "SELECT * FROM companies WHERE id = $1";
        let row = db.query_opt(sql, &[(&id, Type::INT4)]).await?;
        Ok(Company::from_row(
            &row.ok_or(ApiError::NotFound("company"))?,
        )?)
    }

    pub(crate) fn from_row(row: &Row) -> Result<Company, tokio_postgres::Error> {
        Ok(Company {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            website: row.try_get("website")?,
            about: row.try_get("about")?,
            employees: row.try_get("employees")?,
        })
    }
}

impl Location {
    pub(crate) async fn find(db: &Db, id: i32) -> Result<Location, ApiError> {
        let sql = "SELECT * FROM locations WHERE id = $1";
        let row = db.query_opt(sql, &[(&id, Type::INT4)]).await?;
        Ok(Location::from_row(
            &row.ok_or(ApiError::NotFound("location"))?,
        )?)
    }

    pub(crate) fn from_row(row: &Row) -> Result<Location, tokio_postgres::Error> {
        Ok(Location {
            id: row.try_get("id")?,
            city: row.try_get("city")?,
            country: row.try_get("country")?,
        })
    }
}

impl Skill {
    pub(crate) async fn of_job(db: &Db, job: i32) -> Result<Vec<Skill>, ApiError> {
        let sql = "SELECT skills.* FROM skills JOIN job_skills ON job_skills.skill_id = skills.id \
                   WHERE job_skills.job_id = $1 ORDER BY skills.name, skills.id";
        let rows = db.query(sql, &[(&job, Type::INT4)]).await?;
        let skill = |row: &Row| {
            Ok(Skill {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
            })
        };
        rows.iter().map(skill).collect()
    }
}
