//! Requests, one by one.

use paceline_journal::{
    Attribution, RequestRecord, RequestSummary, StatementEnding, StatementRecord,
};
use serde::Serialize;

use super::tables::cut;
use super::time::{ms, rfc3339};

#[derive(Serialize)]
pub(super) struct Summary {
    id: String,
    route: String,
    started_at: String,
    /// None when it was aborted.
    duration_ms: Option<f64>,
    connected_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    status: Option<u16>,
    error: Option<&'static str>,
    response_bytes: u64,
    /// The trace id that the caller sent.
    caller_trace_id: Option<String>,
    statements: u64,
    statements_shared: f64,
    database_ms: f64,
    database_exact_ms: f64,
}

impl Summary {
    pub(super) fn of(summary: &RequestSummary) -> Self {
        Self {
            id: summary.id.to_string(),
            route: summary.route.to_string(),
            started_at: rfc3339(summary.started_at),
            duration_ms: summary.duration.map(ms),
            connected_ms: summary.connected.map(ms),
            first_byte_ms: summary.first_byte.map(ms),
            status: summary.status,
            error: summary.error.map(paceline_journal::LoadError::as_str),
            response_bytes: summary.response_bytes,
            caller_trace_id: summary.caller.map(|caller| caller.trace_id.to_string()),
            statements: summary.statements,
            statements_shared: summary.statements_shared,
            database_ms: ms(summary.database_time),
            database_exact_ms: ms(summary.database_time_exact),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Request {
    #[serde(flatten)]
    summary: Summary,
    /// In the order in which they began.
    statement_list: Vec<Statement>,
    /// Executions that were charged, but are not in the list.
    statements_unlisted: u64,
}

impl Request {
    pub(super) fn of(record: &RequestRecord) -> Self {
        Self {
            summary: Summary::of(&record.summary),
            statement_list: record.statements.iter().map(Statement::of).collect(),
            statements_unlisted: record.statements_unlisted,
        }
    }
}

#[derive(Serialize)]
struct Statement {
    summary: String,
    text: String,
    connection: u64,
    /// How it came to be charged to this request: `tagged` and `exclusive` are exact.
    attribution: &'static str,
    /// From the request's start until it was sent to a server.
    offset_ms: f64,
    /// Waiting for a server connection before that.
    queued_ms: f64,
    duration_ms: Option<f64>,
    ending: &'static str,
    sqlstate: Option<String>,
    rows: u64,
    /// Equal for equal parameters and literals.
    parameters: String,
}

impl Statement {
    fn of(statement: &StatementRecord) -> Self {
        let (ending, sqlstate) = match statement.ending {
            StatementEnding::Unfinished => ("unfinished", None),
            StatementEnding::Done => ("done", None),
            StatementEnding::Failed(code) => ("failed", Some(code.escape_ascii().to_string())),
            StatementEnding::Lost => ("lost", None),
        };
        Self {
            summary: statement.shape.summary.to_string(),
            text: cut(&statement.shape.text),
            connection: statement.connection.0,
            attribution: match statement.attribution {
                Attribution::Tagged => "tagged",
                Attribution::Exclusive => "exclusive",
                Attribution::Shared => "shared",
            },
            offset_ms: ms(statement.offset),
            queued_ms: ms(statement.queued),
            duration_ms: statement.duration.map(ms),
            ending,
            sqlstate,
            rows: statement.rows,
            parameters: format!("{:016x}", statement.parameters),
        }
    }
}
