//! What routes repeat, and the other sums per route and per request.

mod common;

use std::time::Duration;

use common::Scene;
use paceline_journal::{
    Config, ConnectionId, LoadError, LoadStart, Outcome, Repetition, StatementEnd, StatementEnding,
    StatementStart, TraceParent,
};
use paceline_sql::Kind;

/// Lets one request of `/jobs` run a list of statements, given by table and parameters. A table
/// with a `!` is written; `BEGIN` is itself.
fn request(scene: &mut Scene, statements: &[(&str, u64)]) {
    let load = scene.open("GET", "/jobs");
    for (table, parameters) in statements {
        let shape = match table.strip_suffix('!') {
            Some(table) => scene.update(table),
            None if *table == "BEGIN" => scene.shape("BEGIN", Kind::Transaction, &[], &[]),
            None => scene.select(table),
        };
        scene.run(&load, &shape, *parameters);
    }
    scene.finish(load, 200);
}

fn repetition(scene: &Scene, table: &str) -> Repetition {
    let id = scene.select(table).id;
    let mut all = scene.journal.repetitions().into_iter();
    all.find(|repetition| repetition.shape.id == id)
        .expect("the route ran the shape")
}

fn times(
    table: &'static str,
    parameters: impl IntoIterator<Item = u64>,
) -> Vec<(&'static str, u64)> {
    parameters
        .into_iter()
        .map(|parameters| (table, parameters))
        .collect()
}

#[test]
fn repetitions_are_told_apart_by_their_parameters() {
    // What was run, then how many executions count as varied and as identical.
    type Row = (&'static str, Vec<(&'static str, u64)>, u64, u64);
    let rows: &[Row] = &[
        ("five distinct", times("c", 0..5), 5, 0),
        ("four distinct", times("c", 0..4), 0, 0),
        ("five in two sets", times("c", [1, 1, 1, 2, 2]), 0, 0),
        ("five of the same", times("c", [1; 5]), 0, 5),
        (
            "five of the same and some others",
            times("c", [1, 2, 1, 3, 1, 4, 1, 1]),
            0,
            5,
        ),
        (
            "twice five of the same",
            times("c", [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]),
            0,
            10,
        ),
        (
            "many, among them the same",
            times("c", [1, 1, 1, 1, 1, 2, 3, 4, 5]),
            9,
            0,
        ),
        (
            "with gaps",
            [times("c", 0..3), times("x", [7]), times("c", 3..6)].concat(),
            6,
            0,
        ),
        (
            "read again after writes",
            vec![
                ("c", 1),
                ("c!", 0),
                ("c", 1),
                ("c", 1),
                ("c!", 0),
                ("c", 1),
                ("c", 1),
            ],
            0,
            0,
        ),
        (
            "a write elsewhere does not matter",
            vec![
                ("c", 1),
                ("x!", 0),
                ("c", 1),
                ("c", 1),
                ("x!", 0),
                ("c", 1),
                ("c", 1),
            ],
            0,
            5,
        ),
        (
            "five before a write count, those after do not",
            [times("c", [1; 5]), times("c!", [0]), times("c", [1; 2])].concat(),
            0,
            5,
        ),
    ];
    for (what, statements, varied, identical) in rows {
        let mut scene = Scene::new();
        request(&mut scene, statements);
        let found = repetition(&scene, "c");
        assert_eq!(found.varied.executions, *varied, "{what}");
        assert_eq!(found.identical.executions, *identical, "{what}");
        assert_eq!(found.varied.requests, u64::from(*varied > 0), "{what}");
        assert_eq!(
            found.identical.requests,
            u64::from(*identical > 0),
            "{what}"
        );
        let all = statements.iter().filter(|(table, _)| *table == "c").count() as u64;
        assert_eq!(found.executions, all, "{what}");
    }
}

#[test]
fn runs_add_up_over_requests() {
    let mut scene = Scene::new();
    for rows in [5, 20, 10, 2] {
        request(
            &mut scene,
            &[vec![("BEGIN", 0), ("jobs", 0)], times("c", 0..rows)].concat(),
        );
    }
    let found = repetition(&scene, "c");
    assert_eq!((found.requests, found.executions), (4, 37));
    assert_eq!(found.time, Duration::from_millis(37));
    let run = &found.varied;
    assert_eq!(
        (run.requests, run.executions, run.executions_max),
        (3, 35, 20)
    );
    assert_eq!(run.time, Duration::from_millis(35));
    assert_eq!(
        run.time_spared,
        Duration::from_millis(32),
        "all but one of each request"
    );
    assert_eq!(run.distinct_max, 20);
    let before = run.before.as_ref().unwrap();
    assert_eq!(
        (before.shape.id, before.requests),
        (scene.select("jobs").id, 3)
    );
    // The example is the request with the most of them.
    let example = scene.journal.request(&run.example.unwrap()).unwrap();
    assert_eq!(example.summary.statements, 22);
    assert_eq!(
        (found.route_requests, found.route_time),
        (4, Duration::from_millis(45))
    );
    assert!((found.exact_share - 1.0).abs() < 1e-9);
    assert_eq!(repetition(&scene, "jobs").varied.requests, 0);
}

#[test]
fn identical_runs_spare_all_but_one_of_each_set() {
    let mut scene = Scene::new();
    request(&mut scene, &times("c", [1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 9]));
    let run = repetition(&scene, "c").identical;
    assert_eq!((run.executions, run.distinct_max), (10, 2));
    assert_eq!(
        (run.time, run.time_spared),
        (Duration::from_millis(10), Duration::from_millis(8))
    );
}

#[test]
fn the_time_of_rereads_after_a_write_is_not_lost() {
    let mut scene = Scene::new();
    request(
        &mut scene,
        &[times("c", [1; 5]), times("c!", [0]), times("c", [1; 2])].concat(),
    );
    let run = repetition(&scene, "c").identical;
    let close = |time: Duration, millis: f64| (time.as_secs_f64() * 1e3 - millis).abs() < 1e-3;
    assert!(
        close(run.time, 5.0) && close(run.time_spared, 4.0),
        "{run:?}"
    );
}

#[test]
fn the_statement_before_is_not_part_of_a_loop_itself() {
    let mut scene = Scene::new();
    // Two statements per row, in turn, after a list: both come after the list.
    let rows = (0..6).flat_map(|row| [("company", row), ("skills", row)]);
    request(&mut scene, &[vec![("jobs", 0)], rows.collect()].concat());
    for table in ["company", "skills"] {
        let before = repetition(&scene, table).varied.before.unwrap();
        assert_eq!(before.shape.id, scene.select("jobs").id, "{table}");
        assert_eq!(before.rows, 1);
    }
}

#[test]
fn overlapping_requests_do_not_look_like_one_that_repeats() {
    let mut scene = Scene::new();
    let shape = scene.select("jobs");
    let loads: Vec<_> = (0..8).map(|_| scene.open("GET", "/jobs/1")).collect();
    for number in 0..8 {
        let execution = scene.begin(&shape, None, number);
        scene.wait(1);
        scene.end(execution);
    }
    loads.into_iter().for_each(|load| scene.finish(load, 200));
    let runs: u64 = scene
        .journal
        .repetitions()
        .iter()
        .map(|pair| pair.varied.requests)
        .sum();
    assert_eq!(runs, 0);
    assert!(scene.journal.routes()[0].exact_share() < 1e-9);
}

#[test]
fn an_execution_that_lost_its_exclusiveness_is_taken_back() {
    let mut scene = Scene::new();
    let shape = scene.select("jobs");
    let load = scene.open("GET", "/jobs");
    for number in 0..5 {
        let execution = scene.begin(&shape, None, number);
        scene.wait(1);
        // A second request comes and goes during the last one.
        if number == 4 {
            let other = scene.open("GET", "/other");
            scene.finish(other, 200);
        }
        scene.end(execution);
    }
    scene.finish(load, 200);
    let found = repetition(&scene, "jobs");
    assert_eq!((found.executions, found.varied.requests), (4, 0));
}

#[test]
fn examples_outlive_the_ring() {
    let mut scene = Scene::with(Config {
        recent_requests_max: 2,
        ..Config::default()
    });
    request(&mut scene, &times("c", 0..9));
    for _ in 0..10 {
        request(&mut scene, &times("c", 0..6));
    }
    let run = repetition(&scene, "c").varied;
    let example = scene.journal.request(&run.example.unwrap()).unwrap();
    assert_eq!(example.statements.len(), 9);
    assert!(
        scene
            .journal
            .recent()
            .iter()
            .all(|recent| recent.id != example.summary.id)
    );
}

#[test]
fn requests_are_measured_from_open_to_first_byte_to_finish() {
    let mut scene = Scene::new();
    let caller = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let load = scene.journal.open_load(LoadStart {
        method: "POST",
        path: "/jobs/7?notify=1",
        caller,
        now: scene.now,
    });
    let id = load.request_id();
    scene.wait(2);
    load.upstream_connected(scene.now);
    scene.wait(10);
    load.first_byte(scene.now);
    scene.wait(100);
    let outcome = Outcome {
        status: Some(201),
        error: None,
        response_bytes: 77,
        ..Outcome::default()
    };
    load.finish(outcome, scene.now);
    let millis = Duration::from_millis;
    let summary = scene.journal.request(&id).unwrap().summary;
    assert_eq!(&*summary.route, "POST /jobs/{id}");
    assert_eq!(
        (summary.connected, summary.first_byte),
        (Some(millis(2)), Some(millis(12)))
    );
    assert_eq!(
        (summary.duration, summary.status),
        (Some(millis(112)), Some(201))
    );
    assert_eq!((summary.caller, summary.response_bytes), (caller, 77));
    let route = &scene.journal.routes()[0];
    assert_eq!(route.method_and_template(), ("POST", "/jobs/{id}"));
    let sums = [&route.latency, &route.first_byte, &route.upstream].map(|all| all.sum());
    assert_eq!(sums, [millis(112), millis(12), millis(10)]);
}

#[test]
fn errors_are_counted_by_kind_and_by_whose_fault_they_are() {
    let scene = Scene::new();
    let rows = [
        (Some(200), None),
        (Some(404), None),
        (Some(500), None),
        (Some(502), Some(LoadError::Unreachable)),
        (Some(504), Some(LoadError::ResponseTimeout)),
        (Some(200), Some(LoadError::BodyTimeout)),
        (None, Some(LoadError::ClientGone)),
        (Some(999), None),
    ];
    for (status, error) in rows {
        let load = scene.open("GET", "/jobs");
        load.finish(
            Outcome {
                status,
                error,
                response_bytes: 0,
                ..Outcome::default()
            },
            scene.now,
        );
    }
    drop(scene.open("GET", "/jobs"));
    let route = &scene.journal.routes()[0];
    assert_eq!(route.requests, 9);
    assert_eq!(route.errors, 4);
    assert_eq!(route.status_classes, [3, 0, 2, 0, 1, 3]);
    for (error, count) in LoadError::ALL.iter().zip([1, 0, 1, 1, 0, 0, 1, 1]) {
        assert_eq!(route.errors_of(*error), count, "{error}");
    }
    assert_eq!(
        route.latency.count(),
        8,
        "how long the aborted one took is not known"
    );
    assert_eq!(scene.journal.totals().loads_aborted, 1);
}

#[test]
fn statements_are_recorded_with_all_that_is_known() {
    let mut scene = Scene::new();
    let shape = scene.select("jobs");
    let load = scene.open("GET", "/jobs");
    scene.wait(3);
    let execution = scene.journal.begin(StatementStart {
        connection: ConnectionId(42),
        shape: &shape,
        trace: Some(load.traceparent()),
        parameters: 9,
        values: paceline_sql::Values::default(),
        queued: Duration::from_millis(2),
        now: scene.now,
    });
    scene.wait(4);
    execution.finish(
        StatementEnd {
            rows: 6,
            sqlstate: Some(*b"40001"),
        },
        scene.now,
    );
    let id = load.request_id();
    scene.finish(load, 500);
    let record = scene.journal.request(&id).unwrap();
    let statement = &record.statements[0];
    assert_eq!(
        (statement.connection, statement.parameters),
        (ConnectionId(42), 9)
    );
    assert_eq!(statement.offset, Duration::from_millis(3));
    assert_eq!(statement.queued, Duration::from_millis(2));
    assert_eq!(statement.duration, Some(Duration::from_millis(4)));
    assert_eq!(
        (statement.rows, statement.ending),
        (6, StatementEnding::Failed(*b"40001"))
    );
    let known = &scene.journal.shapes()[0];
    assert_eq!(
        (known.executions, known.errors, known.lost, known.rows),
        (1, 1, 0, 6)
    );
    assert_eq!(known.queued.sum(), Duration::from_millis(2));
}
