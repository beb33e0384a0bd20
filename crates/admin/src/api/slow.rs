//! Statements that took long.

use paceline_pgproxy::SlowStatement;
use serde::Serialize;

use super::time::{ms, rfc3339};

/// One of them.
#[derive(Debug, Serialize)]
pub(super) struct Slow {
    at: String,
    text: String,
    summary: String,
    duration_ms: f64,
    queued_ms: f64,
    rows: u64,
    database: String,
    user: String,
    client: Option<String>,
    sqlstate: Option<String>,
    route: Option<String>,
    request: Option<String>,
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Vec<Option<String>>>,
}

impl Slow {
    pub(super) fn of(slow: SlowStatement) -> Self {
        let (request, route) = slow.request.unzip();
        let parameters = slow.parameters.map(|parameters| {
            let values = parameters.values();
            values.map(|value| value.map(str::to_owned)).collect()
        });
        Self {
            at: rfc3339(slow.at),
            text: slow.text,
            summary: slow.summary,
            duration_ms: ms(slow.duration),
            queued_ms: ms(slow.queued),
            rows: slow.rows,
            database: slow.database,
            user: slow.user,
            client: slow.client.map(|client| client.to_string()),
            sqlstate: slow.sqlstate,
            route,
            request,
            trace_id: slow.trace_id,
            parameters,
        }
    }
}
