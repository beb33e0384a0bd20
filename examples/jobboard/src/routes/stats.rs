//! Numbers for the front page.

use axum::Json;
use serde::Serialize;

use crate::db::Db;
use crate::error::ApiError;

#[derive(Debug, Serialize)]
pub(crate) struct Stats {
    jobs: i64,
    companies: i64,
    applications: i64,
    by_seniority: Vec<Seniority>,
    top_locations: Vec<TopLocation>,
}

#[derive(Debug, Serialize)]
struct Seniority {
    seniority: String,
    jobs: i64,
    salary_average: i32,
}

#[derive(Debug, Serialize)]
struct TopLocation {
    city: String,
    jobs: i64,
}

/// `GET /stats`
pub(crate) async fn stats(db: Db) -> Result<Json<Stats>, ApiError> {
    let count = async |sql| db.query_one(sql, &[]).await?.try_get(0);
    let jobs = count("SELECT count(*) FROM jobs").await?;
    let companies = count("SELECT count(*) FROM companies").await?;
    let applications = count("SELECT count(*) FROM applications").await?;
    let sql = "SELECT seniority, count(*), avg((salary_min + salary_max) / 2)::int FROM jobs \
               GROUP BY seniority ORDER BY seniority";
    let mut by_seniority = Vec::new();
    for row in db.query(sql, &[]).await? {
        by_seniority.push(Seniority {
            seniority: row.try_get(0)?,
            jobs: row.try_get(1)?,
            salary_average: row.try_get(2)?,
        });
    }
    let sql = "SELECT locations.city, count(*) FROM jobs \
               JOIN locations ON locations.id = jobs.location_id \
               GROUP BY locations.id, locations.city ORDER BY count(*) DESC, locations.id LIMIT 10";
    let mut top_locations = Vec::new();
    for row in db.query(sql, &[]).await? {
        top_locations.push(TopLocation {
            city: row.try_get(0)?,
            jobs: row.try_get(1)?,
        });
    }
    Ok(Json(Stats {
        jobs,
        companies,
        applications,
        by_seniority,
        top_locations,
    }))
}
