//! The same API, written well: what `FAULTS.md` lists is mended here. It wants a database that was
//! seeded with `--tuned`.

mod applications;
mod background;
mod cards;
mod companies;
mod export;
mod jobs;
mod pack;
mod pool;
mod search;
mod stats;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Router, middleware};

use crate::db::{Database, traceparent_of};
use crate::error::ApiError;
use crate::routes::method_not_allowed_as_json;
use background::Background;
use pool::{Connection, Pool};
use stats::StatsCache;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Shared {
    pool: Arc<Pool>,
    background: Arc<Background>,
    stats: Arc<StatsCache>,
}

pub(crate) fn router(database: Database) -> Router {
    let shared = Shared {
        pool: Pool::new(database),
        background: Arc::new(Background::start()),
        stats: Arc::default(),
    };
    Router::new()
        .route("/jobs", get(jobs::list).post(jobs::create))
        .route("/jobs/{id}", get(jobs::show).patch(jobs::update))
        .route("/companies/{id}", get(companies::show))
        .route("/search", get(search::search))
        .route("/stats", get(stats::stats))
        .route("/export", get(export::export))
        .layer(middleware::from_fn(pack::pack))
        .route("/jobs/{id}/applications", post(applications::apply))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(|| async { ApiError::NotFound("route") })
        .layer(middleware::from_fn(method_not_allowed_as_json))
        .with_state(shared)
}

/// The way to a connection, for a request that may need one. None is held until it is asked for.
pub(crate) struct Db {
    shared: Shared,
    traceparent: Option<String>,
}

impl Db {
    async fn connection(&self) -> Result<Connection, ApiError> {
        self.shared.pool.check_out(self.traceparent.clone()).await
    }
}

impl FromRequestParts<Shared> for Db {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        shared: &Shared,
    ) -> Result<Self, Self::Rejection> {
        Ok(Db {
            shared: shared.clone(),
            traceparent: traceparent_of(parts),
        })
    }
}
