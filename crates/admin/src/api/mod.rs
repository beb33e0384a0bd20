//! `/api/v1`: what the journal and the halves know, as JSON.
//!
//! Fields are only ever added. Units stand last in names; a percentile that nothing was measured for is `null`.

mod parts;
pub(crate) mod probe;
mod query;
mod requests;
mod slow;
mod tables;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use probe::Probing;
pub use time::rfc3339;

use std::cmp::Reverse;
use std::str::FromStr as _;
use std::sync::Arc;

use http::StatusCode;
use paceline_diagnose::{Material, Report};
use paceline_journal::{Journal, RequestId};
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::Admin;
use crate::respond::{self, Answer};

/// Requests that are listed when nothing is said, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 10_000;

pub(crate) fn status(admin: &Admin) -> Answer {
    ok(&parts::Status::of(admin))
}

/// Routes, those first on which most time was spent.
pub(crate) fn routes(admin: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Routes {
        routes: Vec<tables::Route>,
    }
    let mut routes = admin.parts.journal.routes();
    routes.sort_by_key(|route| Reverse(route.latency.sum()));
    ok(&Routes {
        routes: routes.iter().map(tables::Route::of).collect(),
    })
}

/// Query shapes, those first on which most time was spent.
pub(crate) fn shapes(admin: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Shapes {
        shapes: Vec<tables::Shape>,
    }
    let mut shapes = admin.parts.journal.shapes();
    shapes.sort_by_key(|shape| Reverse(shape.time.sum()));
    ok(&Shapes {
        shapes: shapes.iter().map(tables::Shape::of).collect(),
    })
}

/// The last statements that took long, newest first.
pub(crate) fn slow(admin: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Slow {
        statements: Vec<slow::Slow>,
    }
    let proxy = admin.parts.proxy.iter();
    let statements = proxy.flat_map(|(proxy, _)| proxy.slow_statements());
    ok(&Slow {
        statements: statements.map(slow::Slow::of).collect(),
    })
}

/// Findings, in the order in which they are worth being looked at.
pub(crate) async fn findings(admin: &Arc<Admin>) -> Answer {
    match look(admin, Arc::clone(&admin.parts.journal)).await {
        Ok(report) => ok(&report),
        Err(refusal) => refusal,
    }
}

/// Has the rules look at this traffic, and at the database.
async fn look(admin: &Arc<Admin>, journal: Arc<Journal>) -> Result<Report, Answer> {
    let (snapshot, gap) = match &admin.parts.database {
        Some(database) => match database.look().await {
            Ok(snapshot) => (Some(snapshot), None),
            Err(reason) => (None, Some(format!("the database: {reason}"))),
        },
        None => (None, None),
    };
    let parts = Arc::clone(admin);
    // Health is asked on this thread too, and a large catalogue takes a while to look through.
    let looked = spawn_blocking(move || {
        let parts = &parts.parts;
        let material = Material {
            journal: Some(&journal),
            database: snapshot.as_deref(),
            ..Material::default()
        };
        let mut report = Report::of(&material);
        report.not_read.extend(gap);
        report.without(&parts.suppressions)
    });
    looked.await.map_err(|error| {
        tracing::error!(%error, "A rule has failed.");
        let detail = "A rule has failed; the log says which.";
        respond::problem(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

/// Recent requests, newest first; `limit` and `route` narrow them.
pub(crate) fn requests(admin: &Admin, query: &str) -> Answer {
    #[derive(Serialize)]
    struct Requests {
        requests: Vec<requests::Summary>,
    }
    let (limit, route) = match query::limit_and_route(query, LIMIT_DEFAULT, LIMIT_MAX) {
        Ok(wishes) => wishes,
        Err(reason) => return respond::problem(StatusCode::BAD_REQUEST, &reason),
    };
    let recent = admin.parts.journal.recent();
    let wanted = recent.iter().filter(|summary| {
        route
            .as_deref()
            .is_none_or(|route| route == &*summary.route)
    });
    ok(&Requests {
        requests: wanted.take(limit).map(requests::Summary::of).collect(),
    })
}

/// One request with its statements.
pub(crate) fn request(admin: &Admin, id: &str) -> Answer {
    let id = match RequestId::from_str(id) {
        Ok(id) => id,
        Err(error) => return respond::problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match admin.parts.journal.request(&id) {
        Some(record) => ok(&requests::Request::of(&record)),
        None => {
            let detail =
                "No such request is remembered; only recent ones and those of findings are.";
            respond::problem(StatusCode::NOT_FOUND, detail)
        }
    }
}

/// The pools of server connections; none without the Postgres half.
pub(crate) fn pools(admin: &Admin) -> Answer {
    #[derive(Serialize)]
    struct Pools {
        pools: Vec<tables::Pool>,
    }
    let pools = admin
        .parts
        .proxy
        .as_ref()
        .map(|(proxy, _)| proxy.pools())
        .unwrap_or_default();
    ok(&Pools {
        pools: pools.iter().map(tables::Pool::of).collect(),
    })
}

fn ok(value: &impl Serialize) -> Answer {
    respond::json(StatusCode::OK, value)
}
