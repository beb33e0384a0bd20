//! How the API says no.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    NotFound(&'static str),
    BadRequest(String),
    /// No connection, or no thread, was to be had in time.
    Busy,
    Database(tokio_postgres::Error),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            ApiError::NotFound(what) => (StatusCode::NOT_FOUND, format!("{what} not found")),
            ApiError::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            ApiError::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy, try again later".to_owned(),
            ),
            ApiError::Database(error) => {
                log(&error);
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal error".to_owned(),
                )
            }
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

impl From<tokio_postgres::Error> for ApiError {
    fn from(error: tokio_postgres::Error) -> Self {
        ApiError::Database(error)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::BadRequest(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        ApiError::BadRequest(rejection.body_text())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        ApiError::BadRequest(rejection.body_text())
    }
}

#[expect(clippy::print_stderr, reason = "the log of a small service")]
fn log(error: &tokio_postgres::Error) {
    match error.as_db_error() {
        Some(said) => eprintln!("database: {} ({})", said.message(), said.code().code()),
        None => eprintln!("database: {error}"),
    }
}
