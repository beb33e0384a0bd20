//! Applying for a job.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;

use crate::db::Db;
use crate::error::ApiError;
use crate::model::Job;
use crate::{mail, password};

#[derive(Debug, Deserialize)]
pub(crate) struct NewApplication {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
    #[serde(default)]
    pub(crate) letter: String,
}

impl NewApplication {
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.email.contains('@') && !self.name.trim().is_empty() {
            return Ok(());
        }
        let message = "name and email must be given";
        Err(ApiError::BadRequest(message.to_owned()))
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Application {
    pub(crate) id: i32,
    pub(crate) job_id: i32,
    pub(crate) user_id: i32,
}

/// `POST /jobs/{id}/applications`: applies, and makes an account for whoever has none.
pub(crate) async fn apply(
    db: Db,
    id: Result<Path<i32>, PathRejection>,
    body: Result<Json<NewApplication>, JsonRejection>,
) -> Result<(StatusCode, Json<Application>), ApiError> {
    let (Path(id), Json(new)) = (id?, body?);
    new.check()?;
    let job = Job::find(&db, id).await?;
    let sql = "SELECT * FROM users WHERE email = $1 ORDER BY id LIMIT 1";
    let user_id: i32 = match db.query_opt(sql, &[(&new.email, Type::TEXT)]).await? {
        Some(user) => user.try_get("id")?,
        None => create_user(&db, &new).await?,
    };
    let sql = "INSERT INTO applications (job_id, user_id, letter) VALUES ($1, $2, $3) RETURNING id";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] = [
        (&id, Type::INT4),
        (&user_id, Type::INT4),
        (&new.letter, Type::TEXT),
    ];
    let application_id: i32 = db.query_one(sql, &parameters).await?.try_get("id")?;
    mail::send(job.company_id, application_id).await;
    let application = Application {
        id: application_id,
        job_id: id,
        user_id,
    };
    Ok((StatusCode::CREATED, Json(application)))
}

async fn create_user(db: &Db, new: &NewApplication) -> Result<i32, ApiError> {
    let hash = password::hash(&new.password, &new.email);
    let sql = "INSERT INTO users (name, email, password_hash) VALUES ($1, $2, $3) RETURNING id";
    let row = db
        .query_one(
            sql,
            &[
                (&new.name, Type::TEXT),
                (&new.email, Type::TEXT),
                (&hash, Type::TEXT),
            ],
        )
        .await?;
    Ok(row.try_get("id")?)
}
