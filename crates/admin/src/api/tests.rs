//! The JSON of requests and tables: names that programs rely on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart,
};
use paceline_sql::{Kind, Limits, Shape, Statements};
use serde_json::Value;

use super::{requests, tables};

fn names(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_request_and_its_tables_have_stable_names() {
    let journal = Journal::new(Config::default());
    let statements = Statements::new(Limits::default());
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let caller = paceline_journal::TraceParent::parse(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    );
    let load = journal.open_load(LoadStart {
        method: "GET",
        path: "/jobs/7",
        caller,
        now: start,
    });
    let id = load.request_id();
    let learnt = statements.learn("SELECT * FROM jobs WHERE id = 7").shape;
    let shape = Arc::new(Shape {
        kind: Kind::Select,
        ..(*learnt).clone()
    });
    let execution = journal.begin(StatementStart {
        connection: ConnectionId(9),
        shape: &shape,
        trace: Some(load.traceparent()),
        parameters: 255,
        values: paceline_sql::Values::default(),
        queued: Duration::from_millis(1),
        now: at(2),
    });
    execution.finish(
        StatementEnd {
            rows: 1,
            sqlstate: Some(*b"57014"),
        },
        at(5),
    );
    load.finish(
        Outcome {
            status: Some(500),
            error: None,
            response_bytes: 3,
            ..Outcome::default()
        },
        at(10),
    );

    let record = journal.request(&id).expect("a recent request");
    let json = serde_json::to_value(requests::Request::of(&record)).expect("JSON");
    let expected = "id route started_at duration_ms connected_ms first_byte_ms status error response_bytes \
                    caller_trace_id statements statements_shared database_ms database_exact_ms statement_list \
                    statements_unlisted";
    assert_eq!(names(&json), expected.split_ascii_whitespace().collect());
    assert_eq!(json["id"], id.to_string());
    assert_eq!(json["route"], "GET /jobs/{id}");
    assert_eq!(json["duration_ms"], 10.0);
    assert_eq!(json["caller_trace_id"], "0af7651916cd43dd8448eb211c80319c");
    let first = &json["statement_list"][0];
    let expected = "summary text connection attribution offset_ms queued_ms duration_ms ending sqlstate rows parameters";
    assert_eq!(names(first), expected.split_ascii_whitespace().collect());
    assert_eq!(
        (&first["attribution"], &first["ending"]),
        (&"tagged".into(), &"failed".into())
    );
    assert_eq!(
        (&first["sqlstate"], &first["parameters"]),
        (&"57014".into(), &"00000000000000ff".into())
    );
    assert_eq!(
        (&first["offset_ms"], &first["duration_ms"]),
        (&2.0.into(), &3.0.into())
    );

    let route = serde_json::to_value(tables::Route::of(&journal.routes()[0])).expect("JSON");
    assert_eq!(
        (&route["requests"], &route["errors"]),
        (&1.into(), &1.into())
    );
    assert_eq!(route["statuses"]["5xx"], 1);
    assert_eq!(route["latency_ms"]["count"], 1);
    assert_eq!(route["database_ms_total"], 3.0);
    assert_eq!(route["database_share"], 0.3);
    let shape = serde_json::to_value(tables::Shape::of(&journal.shapes()[0])).expect("JSON");
    let expected = "summary kind text executions errors lost rows time_ms queued_ms";
    assert_eq!(names(&shape), expected.split_ascii_whitespace().collect());
    assert_eq!(
        (&shape["kind"], &shape["errors"]),
        (&"select".into(), &1.into())
    );
}

#[test]
fn long_texts_are_cut_between_characters() {
    assert_eq!(tables::cut("é"), "é");
    let long = "é".repeat(5_000);
    let cut = tables::cut(&format!("x{long}"));
    assert!(cut.len() < 8_200 && cut.ends_with("é…"), "{}", cut.len());
}
