//! `POST /api/v1/reload`: the configuration is read again.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use serde::Serialize;

use crate::Admin;
use crate::respond::{self, Answer};

pub(crate) const PATH: &str = "/api/v1/reload";

/// A page in the operator's browser may send a form here, but no header of its own without being asked first (CORS).
const HEADER: &str = "x-paceline";

/// The refusal, unless a program of the operator's asks.
pub(crate) fn refusal<B>(request: &Request<B>) -> Option<Answer> {
    if request.headers().contains_key(HEADER) {
        return None;
    }
    let detail = "Send the header X-Paceline with any value, which shows that no web page asks.";
    Some(respond::problem(StatusCode::FORBIDDEN, detail))
}

/// What has changed, or 422 with everything that is wrong.
pub(crate) async fn reload<B>(admin: &Arc<Admin>, request: &Request<B>) -> Answer {
    #[derive(Serialize)]
    struct Reloaded {
        ok: bool,
        changed: Vec<String>,
        need_restart: Vec<String>,
        problems: Vec<String>,
    }
    if *request.method() != Method::POST {
        return respond::method_not_allowed("POST");
    }
    if let Some(refusal) = refusal(request) {
        return refusal;
    }
    match admin.parts.control.reload().await {
        Ok(Ok(effect)) => {
            let reloaded = Reloaded {
                ok: true,
                changed: effect.changed,
                need_restart: effect.need_restart,
                problems: effect.warnings,
            };
            respond::json(StatusCode::OK, &reloaded)
        }
        Ok(Err(problems)) => {
            let refused = Reloaded {
                ok: false,
                changed: Vec::new(),
                need_restart: Vec::new(),
                problems,
            };
            respond::json(StatusCode::UNPROCESSABLE_ENTITY, &refused)
        }
        Err(busy) => {
            let detail = format!("The configuration was not read: {busy}.");
            respond::problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
        }
    }
}
