//! Jobs with all that a page shows of them: two statements, however many jobs there are.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::db::Parameter;
use crate::error::ApiError;
use crate::model::{Card, Company, Job, Location, Skill};

use super::pool::Connection;

/// What a job's row has, named.
pub(crate) const JOB_COLUMNS: &str = "jobs.id, jobs.company_id, jobs.location_id, jobs.title, \
     jobs.description, jobs.seniority, jobs.remote, jobs.salary_min, jobs.salary_max, jobs.posted_at";

/// The cards of the jobs whose ids a subquery gives, the newest first.
pub(crate) async fn cards(
    connection: &Connection,
    ids: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Card>, ApiError> {
    let sql = format!(
        "SELECT {JOB_COLUMNS}, companies.name AS company_name, companies.website, companies.about, \
         companies.employees, locations.city, locations.country FROM ({ids}) AS page \
         JOIN jobs ON jobs.id = page.id \
         JOIN companies ON companies.id = jobs.company_id \
         JOIN locations ON locations.id = jobs.location_id \
         ORDER BY jobs.posted_at DESC, jobs.id DESC"
    );
    let rows = connection.query(&sql, parameters).await?;
    let mut cards: Vec<Card> = rows.iter().map(card).collect::<Result<_, _>>()?;
    add_skills(connection, &mut cards).await?;
    Ok(cards)
}

/// The card of one job.
pub(crate) async fn card_of(connection: &Connection, id: i32) -> Result<Card, ApiError> {
    let cards = cards(connection, "SELECT $1::int AS id", &[(&id, Type::INT4)]).await?;
    cards.into_iter().next().ok_or(ApiError::NotFound("job"))
}

async fn add_skills(connection: &Connection, cards: &mut [Card]) -> Result<(), ApiError> {
    if cards.is_empty() {
        return Ok(());
    }
    let jobs: Vec<i32> = cards.iter().map(|card| card.job.id).collect();
    let sql = "SELECT job_skills.job_id, skills.id, skills.name FROM job_skills \
               JOIN skills ON skills.id = job_skills.skill_id \
               WHERE job_skills.job_id = ANY($1) ORDER BY skills.name, skills.id";
    let mut skills: HashMap<i32, Vec<Skill>> = HashMap::new();
    for row in connection.query(sql, &[(&jobs, Type::INT4_ARRAY)]).await? {
        let of_job = skills.entry(row.try_get("job_id")?).or_default();
        of_job.push(skill(&row)?);
    }
    for card in cards {
        card.skills = skills.remove(&card.job.id).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn skill(row: &Row) -> Result<Skill, tokio_postgres::Error> {
    Ok(Skill {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
    })
}

fn card(row: &Row) -> Result<Card, tokio_postgres::Error> {
    let job = Job::from_row(row)?;
    let company = Company {
        id: job.company_id,
        name: row.try_get("company_name")?,
        website: row.try_get("website")?,
        about: row.try_get("about")?,
        employees: row.try_get("employees")?,
    };
    let location = Location {
        id: job.location_id,
        city: row.try_get("city")?,
        country: row.try_get("country")?,
    };
    Ok(Card {
        job,
        company,
        location,
        skills: Vec::new(),
    })
}
