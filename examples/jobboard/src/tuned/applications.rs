//! Applying for a job.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use tokio_postgres::types::Type;

use crate::error::ApiError;
use crate::routes::applications::{Application, NewApplication};

use super::Db;
use super::pool::Connection;

/// `POST /jobs/{id}/applications`: applies, and makes an account for whoever has none. Hashing and
/// mailing hold no connection.
pub(crate) async fn apply(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
    body: Result<Json<NewApplication>, JsonRejection>,
) -> Result<(StatusCode, Json<Application>), ApiError> {
    let (Path(id), Json(new)) = (id?, body?);
    new.check()?;
    let (company, user) = {
        let connection = db.connection().await?;
        tokio::try_join!(
            company_of(&connection, id),
            find_user(&connection, &new.email)
        )?
    };
    let user_id = match user {
        Some(user) => user,
        None => create_user(&db, &new).await?,
    };
    let sql = "INSERT INTO applications (job_id, user_id, letter) VALUES ($1, $2, $3) RETURNING id";
    let parameters = [
        (&id as _, Type::INT4),
        (&user_id as _, Type::INT4),
        (&new.letter as _, Type::TEXT),
    ];
    let row = db.connection().await?.query_opt(sql, &parameters).await?;
    let application_id = row.ok_or(ApiError::Busy)?.try_get("id")?;
    db.shared.background.mail(company, application_id).await;
    let application = Application {
        id: application_id,
        job_id: id,
        user_id,
    };
    Ok((StatusCode::CREATED, Json(application)))
}

async fn company_of(connection: &Connection, job: i32) -> Result<i32, ApiError> {
    let sql = "SELECT company_id FROM jobs WHERE id = $1";
    let row = connection.query_opt(sql, &[(&job, Type::INT4)]).await?;
    Ok(row
        .ok_or(ApiError::NotFound("job"))?
        .try_get("company_id")?)
}

async fn find_user(connection: &Connection, email: &str) -> Result<Option<i32>, ApiError> {
    let sql = "SELECT id FROM users WHERE email = $1";
    let row = connection.query_opt(sql, &[(&email, Type::TEXT)]).await?;
    Ok(row.map(|row| row.try_get("id")).transpose()?)
}

/// Of two who come at once with one address, the second finds the first one's account.
async fn create_user(db: &Db, new: &NewApplication) -> Result<i32, ApiError> {
    let hashed = db
        .shared
        .background
        .hash(new.password.clone(), new.email.clone());
    let hash = hashed.await?;
    let sql = "INSERT INTO users (name, email, password_hash) VALUES ($1, $2, $3) \
               ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id";
    let parameters = [
        (&new.name as _, Type::TEXT),
        (&new.email as _, Type::TEXT),
        (&hash as _, Type::TEXT),
    ];
    let row = db.connection().await?.query_opt(sql, &parameters).await?;
    Ok(row.ok_or(ApiError::Busy)?.try_get("id")?)
}
