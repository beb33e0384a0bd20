//! Which path is answered by what.

use std::sync::Arc;

use http::{Request, StatusCode};

use crate::respond::{self, Answer};
use crate::{Admin, api, health, metrics};

const INDEX: &str = "\
Paceline, admin port

/livez                    200 while the process serves
/readyz                   200 when traffic can pass, else 503 with the reasons
/metrics                  OpenMetrics
/api/v1/status            the process: version, mode, uptime, totals
/api/v1/routes            requests, latency, errors and database time of each route
/api/v1/shapes            executions and time of each query shape
/api/v1/findings          what is slow, why, and what to do about it, the costliest first
/api/v1/requests          recent requests, newest first (?limit=50&route=GET%20/jobs)
/api/v1/requests/{id}     one of them with its statements
/api/v1/pools             server connections and who waits for them
/api/v1/slow              the last statements that took longer than log.slow_query
/api/v1/probe             POST with the header X-Paceline: findings of one caller's requests alone
/api/v1/reload            POST with the header X-Paceline: read the configuration again
";

/// Answers one GET or HEAD.
pub(crate) async fn route<B>(admin: &Arc<Admin>, request: &Request<B>) -> Answer {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    match path {
        "/" => respond::text(respond::TEXT, INDEX.to_owned()),
        "/livez" => health::livez(admin),
        "/readyz" => health::readyz(admin).await,
        "/metrics" => metrics::metrics(admin, request.headers()),
        "/api/v1/status" => api::status(admin),
        "/api/v1/routes" => api::routes(admin),
        "/api/v1/shapes" => api::shapes(admin),
        "/api/v1/findings" => api::findings(admin).await,
        "/api/v1/requests" => api::requests(admin, query),
        "/api/v1/pools" => api::pools(admin),
        "/api/v1/slow" => api::slow(admin),
        _ => match path.strip_prefix("/api/v1/requests/") {
            Some(id) => api::request(admin, id),
            None => respond::problem(
                StatusCode::NOT_FOUND,
                "Nothing is served at this path; / says what is.",
            ),
        },
    }
}
