//! Numbers for the front page.

use axum::Json;
use serde::Serialize;
use tokio_postgres::Row;

use crate::db::Db;
use crate::error::ApiError;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Stats {
    jobs: i64,
    companies: i64,
    applications: i64,
    by_seniority: Vec<Seniority>,
    top_locations: Vec<TopLocation>,
}

#[derive(Debug, Clone, Serialize)]
struct Seniority {
    seniority: String,
    jobs: i64,
    salary_average: i32,
}

#[derive(Debug, Clone, Serialize)]
struct TopLocation {
    city: String,
    jobs: i64,
}

pub(crate) const BY_SENIORITY: &str = "SELECT seniority, count(*), \
    avg((salary_min + salary_max) / 2)::int FROM jobs GROUP BY seniority ORDER BY seniority";
pub(crate) const TOP_LOCATIONS: &str = "SELECT locations.city, count(*) FROM jobs \
    JOIN locations ON locations.id = jobs.location_id \
    GROUP BY locations.id, locations.city ORDER BY count(*) DESC, locations.id LIMIT 10";

/// `GET /stats`
pub(crate) async fn stats(db: Db) -> Result<Json<Stats>, ApiError> {
    let count = async |sql| db.query_one(sql, &[]).await?.try_get(0);
    let counts = [
        count("SELECT count(*) FROM jobs").await?,
        count("SELECT count(*) FROM companies").await?,
        count("SELECT count(*) FROM applications").await?,
    ];
    let seniorities = db.query(BY_SENIORITY, &[]).await?;
    let locations = db.query(TOP_LOCATIONS, &[]).await?;
    Ok(Json(Stats::from_rows(counts, &seniorities, &locations)?))
}

impl Stats {
    /// From the numbers of jobs, companies and applications, and the rows of the two statements.
    pub(crate) fn from_rows(
        [jobs, companies, applications]: [i64; 3],
        seniorities: &[Row],
        locations: &[Row],
    ) -> Result<Self, tokio_postgres::Error> {
        let seniority = |row: &Row| {
            Ok(Seniority {
                seniority: row.try_get(0)?,
                jobs: row.try_get(1)?,
                salary_average: row.try_get(2)?,
            })
        };
        let location = |row: &Row| {
            Ok(TopLocation {
                city: row.try_get(0)?,
                jobs: row.try_get(1)?,
            })
        };
        Ok(Stats {
            jobs,
            companies,
            applications,
            by_seniority: seniorities
                .iter()
                .map(seniority)
                .collect::<Result<_, _>>()?,
            top_locations: locations.iter().map(location).collect::<Result<_, _>>()?,
        })
    }
}
