//! A request as the admin port tells of it: `GET /api/v1/requests/{id}`.

use serde::Deserialize;

/// `GET /api/v1/requests`.
#[derive(Debug, Deserialize)]
pub(crate) struct Recent {
    pub(crate) requests: Vec<Candidate>,
}

/// One of the recent requests.
#[derive(Debug, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    /// None when it was aborted.
    pub(crate) duration_ms: Option<f64>,
}

/// A request with its statements. Times are milliseconds since its start.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) route: String,
    pub(crate) started_at: String,
    pub(crate) duration_ms: Option<f64>,
    pub(crate) connected_ms: Option<f64>,
    pub(crate) first_byte_ms: Option<f64>,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) response_bytes: u64,
    pub(crate) caller_trace_id: Option<String>,
    pub(crate) statements: u64,
    pub(crate) database_ms: f64,
    pub(crate) database_exact_ms: f64,
    pub(crate) statement_list: Vec<Statement>,
    pub(crate) statements_unlisted: u64,
}

/// One execution.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Statement {
    pub(crate) summary: String,
    pub(crate) text: String,
    pub(crate) attribution: String,
    pub(crate) offset_ms: f64,
    pub(crate) queued_ms: f64,
    /// None when nobody knows.
    pub(crate) duration_ms: Option<f64>,
    pub(crate) ending: String,
    pub(crate) sqlstate: Option<String>,
    pub(crate) rows: u64,
    pub(crate) parameters: String,
}

impl Request {
    /// How long it took; when it was aborted, up to the last that is known of it.
    pub(crate) fn length_ms(&self) -> f64 {
        let ends = self.statement_list.iter().map(Statement::end_ms);
        let known = [self.connected_ms, self.first_byte_ms];
        let last = || ends.chain(known.into_iter().flatten()).fold(0.0, f64::max);
        self.duration_ms.unwrap_or_else(last).max(0.0)
    }
}

impl Statement {
    pub(crate) fn end_ms(&self) -> f64 {
        self.offset_ms + self.duration_ms.unwrap_or(0.0)
    }

    pub(crate) fn is_exact(&self) -> bool {
        self.attribution != "shared"
    }
}
