use serde_json::json;

use super::*;
use crate::top::snapshot::{Pools, Routes, Shapes};

/// After so many seconds, with so many requests for `/jobs` of 10 ms each, and so many errors of `/stats`.
pub(crate) fn snapshot(uptime_s: f64, requests: u64, errors: u64) -> Snapshot {
    let times = |count: u64, each: f64| json!({ "count": count, "p50": each, "p95": each, "p99": each, "max": each, "total": count as f64 * each });
    let route = |name: &str, count: u64, errors: u64, each: f64| {
        json!({
            "route": name, "requests": count, "errors": errors, "latency_ms": times(count, each),
            "database_ms_total": count as f64 * each / 4.0, "statements": 3 * count, "statements_shared": 0.0,
        })
    };
    let status = json!({
        "version": "1.2.3", "mode": "fix", "started_at": "2026-11-20T09:00:00.000Z", "uptime_s": uptime_s,
        "memory_bytes": 12 << 20, "cpu_s": uptime_s / 10.0,
    });
    let routes = json!({ "routes": [route("GET /stats", 10 + errors, errors, 500.0), route("GET /jobs", requests, 0, 10.0)] });
    let shapes = json!({ "shapes": [{
        "summary": "SELECT jobs", "text": "SELECT * FROM jobs WHERE id = $1", "executions": requests, "errors": 0,
        "rows": 20 * requests, "time_ms": times(requests, 2.0),
    }] });
    let pools = json!({ "pools": [{
        "database": "app", "user": "api", "connections_max": 20, "connections_idle": 1, "connections_used": 2,
        "connections_pinned": 0, "clients_waiting": 0, "longest_wait_ms": null, "connects_total": 3,
        "wait_timeouts_total": 0, "wait_ms": times(0, 0.0),
    }] });
    let Routes { routes } = serde_json::from_value(routes).unwrap();
    let Shapes { shapes } = serde_json::from_value(shapes).unwrap();
    let Pools { pools } = serde_json::from_value(pools).unwrap();
    Snapshot {
        status: serde_json::from_value(status).unwrap(),
        routes,
        shapes,
        pools,
    }
}

fn names(model: &Model) -> Vec<String> {
    model.lines().into_iter().map(|line| line.name).collect()
}

#[test]
fn the_first_answer_is_about_all_the_time_and_the_next_about_the_interval() {
    let mut model = Model::new(View::Routes, Sort::Time);
    assert!(model.lines().is_empty());
    model.update(Ok(snapshot(100.0, 200, 0)));
    assert!(model.is_since_start());
    assert_eq!(names(&model), ["GET /stats", "GET /jobs"]);
    model.update(Ok(snapshot(102.0, 300, 0)));
    let lines = model.lines();
    // 100 requests of 10 ms each in 2 s; nobody asked for the other.
    assert_eq!(lines[0].name, "GET /jobs");
    assert_eq!(
        (lines[0].busy, lines[0].share, lines[0].per_second),
        (0.5, 1.0, 50.0)
    );
    assert_eq!((lines[0].database_share, lines[0].each), (Some(0.25), 3.0));
    assert_eq!(
        (lines[1].busy, lines[1].per_second, lines[1].p99_ms),
        (0.0, 0.0, Some(500.0))
    );
    assert!((model.cpu_share().unwrap() - 0.1).abs() < 1e-9);
    model.show(View::Shapes);
    let line = &model.lines()[0];
    assert_eq!(
        (line.per_second, line.each, line.database_share),
        (50.0, 20.0, None)
    );
}

#[test]
fn any_order_can_be_had() {
    let mut model = Model::new(View::Routes, Sort::Time);
    model.update(Ok(snapshot(100.0, 200, 0)));
    model.update(Ok(snapshot(102.0, 300, 1)));
    for expected in [
        // 500 ms against 1 s, 100 against 1, 500 ms against 10, one against none.
        "GET /jobs",
        "GET /jobs",
        "GET /stats",
        "GET /stats",
        "GET /jobs",
    ] {
        assert_eq!(names(&model)[0], expected, "by {}", model.sort.name());
        model.sort_next();
    }
}

#[test]
fn a_restart_begins_anew() {
    let mut model = Model::new(View::Routes, Sort::Time);
    model.update(Ok(snapshot(100.0, 200, 0)));
    let mut after = snapshot(4.0, 20, 0);
    after.status.started_at = "2026-11-20T10:00:00.000Z".to_owned();
    model.update(Ok(after));
    assert!(model.is_since_start());
    assert_eq!(model.lines()[1].per_second, 5.0);
}

#[test]
fn while_it_is_paused_nothing_changes_and_trouble_is_told_until_it_is_over() {
    let mut model = Model::new(View::Routes, Sort::Time);
    model.update(Ok(snapshot(100.0, 200, 0)));
    model.is_paused = true;
    model.update(Ok(snapshot(102.0, 300, 0)));
    assert!(model.is_since_start());
    model.is_paused = false;
    model.update(Err(anyhow::anyhow!("no")));
    assert_eq!(model.trouble.as_deref(), Some("no"));
    assert_eq!(names(&model).len(), 2);
    model.update(Ok(snapshot(104.0, 400, 0)));
    assert_eq!((model.trouble.as_deref(), model.interval_s()), (None, 4.0));
}

#[test]
fn the_selection_stays_within_the_list() {
    let mut model = Model::new(View::Routes, Sort::Time);
    model.select(5);
    assert_eq!(model.selected, 0);
    model.update(Ok(snapshot(100.0, 200, 0)));
    for (by, expected) in [(1, 1), (1, 1), (isize::MAX, 1), (-1, 0), (isize::MIN, 0)] {
        model.select(by);
        assert_eq!(model.selected, expected, "{by}");
    }
    model.select(1);
    model.turn(2);
    assert_eq!((model.view, model.selected), (View::Pools, 0));
    model.turn(1);
    assert_eq!(model.view, View::Routes);
}
