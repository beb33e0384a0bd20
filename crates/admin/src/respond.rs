//! Answers: JSON, text, and RFC 9457 problems. The only place that makes them.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// An answer of this server: whole, in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

/// `value` as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => answer(status, JSON, body),
        Err(error) => {
            tracing::error!(%error, "Could not write an answer as JSON.");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The answer could not be written as JSON.",
            )
        }
    }
}

/// Text of some content type.
pub(crate) fn text(content_type: &'static str, body: String) -> Answer {
    answer(StatusCode::OK, content_type, body.into_bytes())
}

/// An RFC 9457 problem: the status, its name, and one sentence of detail.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Answer {
    #[derive(Serialize)]
    struct Problem<'a> {
        title: &'a str,
        status: u16,
        detail: &'a str,
    }
    let title = status.canonical_reason().unwrap_or("Error");
    // Two texts and a number always serialise; an empty body would still bear the status.
    let body = serde_json::to_vec(&Problem {
        title,
        status: status.as_u16(),
        detail,
    });
    answer(status, PROBLEM, body.unwrap_or_default())
}

/// 405, for anything but these methods.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let detail = format!("Only {} is served here.", allowed.replace(", ", " and "));
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &detail);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Numbers of this moment: no browser or proxy may keep them.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    answer
}
