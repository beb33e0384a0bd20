//! The routes.

pub(crate) mod applications;
pub(crate) mod companies;
pub(crate) mod export;
pub(crate) mod jobs;
pub(crate) mod search;
pub(crate) mod stats;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, middleware};
use serde_json::json;

use crate::db::Database;
use crate::error::ApiError;

pub(crate) fn router(database: Database) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/jobs", get(jobs::list).post(jobs::create))
        .route("/jobs/{id}", get(jobs::show).patch(jobs::update))
        .route("/jobs/{id}/applications", post(applications::apply))
        .route("/companies/{id}", get(companies::show))
        .route("/search", get(search::search))
        .route("/stats", get(stats::stats))
        .route("/export", get(export::export))
        .fallback(|| async { ApiError::NotFound("route") })
        .layer(middleware::from_fn(method_not_allowed_as_json))
        .with_state(database)
}

pub(crate) async fn method_not_allowed_as_json(
    request: Request,
    next: middleware::Next,
) -> Response {
    let response = next.run(request).await;
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allow = response.headers().get("allow").cloned();
    let body = Json(json!({ "error": "method not allowed" }));
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, body).into_response();
    if let Some(allow) = allow {
        response.headers_mut().insert("allow", allow);
    }
    response
}
