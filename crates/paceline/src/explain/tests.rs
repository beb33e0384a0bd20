use serde_json::json;

use super::*;

fn statement(summary: &str, offset_ms: f64, duration_ms: f64) -> serde_json::Value {
    json!({
        "summary": summary, "text": format!("{summary} WHERE id = $1"), "connection": 7, "attribution": "tagged",
        "offset_ms": offset_ms, "queued_ms": 0.0, "duration_ms": duration_ms, "ending": "done", "sqlstate": null,
        "rows": 1, "parameters": format!("{offset_ms}"),
    })
}

fn request(statements: Vec<serde_json::Value>) -> serde_json::Value {
    json!({
        "id": "60296f943bef7e821773a2e6cbd70b11", "route": "GET /jobs", "started_at": "2026-11-20T09:17:07.351Z",
        "duration_ms": 100.0, "connected_ms": 0.0, "first_byte_ms": 99.0, "status": 200, "error": null,
        "response_bytes": 829, "caller_trace_id": null, "statements": statements.len(), "statements_shared": 0.0,
        "database_ms": 40.0, "database_exact_ms": 40.0, "statement_list": statements, "statements_unlisted": 0,
    })
}

fn show(request: serde_json::Value, all: bool) -> String {
    let request: Request = serde_json::from_value(request).unwrap();
    render(&request, View { width: 102, all })
}

#[test]
fn a_request_is_shown_with_its_statements_where_they_ran() {
    let mut waited = statement("SELECT jobs", 20.0, 25.0);
    waited["queued_ms"] = json!(10.0);
    waited["rows"] = json!(20);
    let mut failed = statement("INSERT audit", 60.0, 10.0);
    failed["ending"] = json!("failed");
    failed["sqlstate"] = json!("23505");
    failed["rows"] = json!(0);
    let shown = show(request(vec![waited, failed]), false);
    let expected = "\
GET /jobs  200  100 ms  829 bytes  at 2026-11-20T09:17:07.351Z
request 60296f943bef7e821773a2e6cbd70b11

                               0 ms                              100 ms
request                        ████████████████████████████████████████ 100 ms
SELECT jobs                        ····██████████                       25.0 ms, 20 rows, waited 10.0 ms
INSERT audit                                           ████             10.0 ms, 0 rows, failed 23505

     35.0 ms   35 %  in the database: 2 statements
     10.0 ms   10 %  waiting for a server connection
     55.0 ms   55 %  elsewhere: the application, what else it calls, the network
Connected to the application after 0.00 ms, first statement after 10.0 ms, first byte of the answer after 99.0 ms.
";
    assert_eq!(shown, expected);
}

#[test]
fn what_runs_often_has_one_row_unless_all_are_asked_for() {
    let statements = (0..6).map(|at| statement("SELECT companies", f64::from(at) * 10.0, 5.0));
    let mut statements: Vec<_> = statements.collect();
    statements.insert(3, statement("SELECT jobs", 25.0, 5.0));
    let grouped = show(request(statements.clone()), false);
    assert!(
        grouped.contains("SELECT companies × 6           ██  ██  ██  ██  ██  ██"),
        "{grouped}"
    );
    assert!(grouped.contains("30.0 ms, 6 rows"), "{grouped}");
    assert!(
        grouped.contains("With different values each: `SELECT companies` 6 times."),
        "{grouped}"
    );
    assert!(!grouped.contains("`SELECT jobs`"), "{grouped}");
    let all = show(request(statements), true);
    assert_eq!(
        all.matches("    SELECT companies WHERE id = $1\n").count(),
        6,
        "{all}"
    );
}

#[test]
fn the_odd_ones_are_told_as_what_they_are() {
    let aborted = |change: fn(&mut serde_json::Value)| {
        let mut request = request(vec![statement("SELECT jobs", 10.0, 20.0)]);
        change(&mut request);
        show(request, false)
    };
    for (change, expected) in [
        (
            (|request| request["duration_ms"] = json!(null)) as fn(&mut serde_json::Value),
            "GET /jobs  200  aborted",
        ),
        (
            |request| (request["status"], request["error"]) = (json!(null), json!("timeout")),
            "GET /jobs  timeout  100 ms",
        ),
        (
            |request| request["statements_unlisted"] = json!(3),
            "… and 3 statements that the journal did not keep",
        ),
        (
            |request| request["caller_trace_id"] = json!("0af7"),
            "in the caller's trace 0af7",
        ),
        (
            |request| request["database_exact_ms"] = json!(10.0),
            "25 % of it is certainly this request's",
        ),
        (
            |request| request["statement_list"][0]["attribution"] = json!("shared"),
            "1 row, shared",
        ),
        (
            |request| request["statement_list"][0]["duration_ms"] = json!(null),
            "0.00 ms, 1 row",
        ),
        (|request| request["duration_ms"] = json!(0.0), "0.00 ms"),
    ] {
        let shown = aborted(change);
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn no_request_of_a_peer_makes_it_panic() {
    for (offset, duration, queued) in [(-5.0, 1e9, 1e9), (1e9, -3.0, -1.0), (0.0, 0.0, 0.0)] {
        let mut odd = statement(&"ü".repeat(80), offset, duration);
        odd["queued_ms"] = json!(queued);
        let mut odd = request(vec![odd]);
        for length in [json!(null), json!(0.0), json!(-1.0), json!(1e12)] {
            odd["duration_ms"] = length;
            let request: Request = serde_json::from_value(odd.clone()).unwrap();
            for width in [0, 40, 400] {
                assert!(!render(&request, View { width, all: false }).is_empty());
            }
        }
    }
}
