//! Many threads at once: nothing is lost, and nothing is counted twice.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::Scene;
use paceline_journal::{ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart};
use paceline_sql::Shape;

const THREADS: u64 = 4;
const REQUESTS: u64 = 3_000;

/// Each request runs five tagged executions, one untagged, one of an unknown load, and one that ends
/// too late; every hundredth is aborted, and so is its last execution.
fn worker(journal: &Arc<Journal>, shapes: &[Arc<Shape>], thread: u64) {
    let begin = |shape: &Arc<Shape>, trace, parameters| {
        journal.begin(StatementStart {
            connection: ConnectionId(thread),
            shape,
            trace,
            parameters,
            values: paceline_sql::Values::default(),
            queued: Duration::ZERO,
            now: Instant::now(),
        })
    };
    let end = StatementEnd {
        rows: 2,
        sqlstate: None,
    };
    let mut closed = None;
    for number in 0..REQUESTS {
        let path = format!("/{thread}/jobs/{number}");
        let load = journal.open_load(LoadStart {
            method: "GET",
            path: &path,
            caller: None,
            now: Instant::now(),
        });
        let trace = Some(load.traceparent());
        for parameters in 0..5 {
            begin(&shapes[0], trace, parameters).finish(end, Instant::now());
        }
        begin(&shapes[1], None, 0).finish(end, Instant::now());
        begin(&shapes[2], closed, 0).finish(end, Instant::now());
        let late = begin(&shapes[3], trace, 0);
        closed = trace;
        if number % 100 == 0 {
            drop(load);
            drop(late);
        } else {
            load.finish(
                Outcome {
                    status: Some(200),
                    ..Outcome::default()
                },
                Instant::now(),
            );
            late.finish(end, Instant::now());
        }
    }
}

#[test]
fn totals_add_up_under_threads() {
    let scene = Scene::new();
    let shapes = ["a", "b", "c", "d"].map(|table| scene.select(table));
    let journal = &scene.journal;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Somebody looks on all the while.
        let reader = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Acquire) {
                for recent in journal.recent().iter().take(3) {
                    let _ = journal.request(&recent.id);
                }
                let routes: u64 = journal.routes().iter().map(|route| route.requests).sum();
                assert!(routes <= THREADS * REQUESTS);
                assert!(journal.repetitions().len() <= 4 * 4);
                looks += 1;
            }
            looks
        });
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let shapes = &shapes;
                    move || worker(journal, shapes, thread)
                })
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        done.store(true, Ordering::Release);
        assert!(reader.join().unwrap() > 0);
    });
    check(journal);
}

fn check(journal: &Journal) {
    let totals = journal.totals();
    let requests = THREADS * REQUESTS;
    let aborted = requests / 100;
    assert_eq!(totals.loads_opened, requests);
    assert_eq!(
        (totals.loads_finished, totals.loads_aborted),
        (requests - aborted, aborted)
    );
    assert_eq!((totals.loads_open, totals.executions), (0, 8 * requests));
    assert_eq!(
        (totals.executions_tagged, totals.late),
        (5 * requests, requests)
    );
    assert_eq!(totals.executions_lost, aborted);
    let untagged = totals.executions_exclusive + totals.executions_overlapping;
    assert_eq!(
        untagged,
        2 * requests,
        "each ran while its thread's load was open"
    );
    assert_eq!(
        totals.unknown_traces,
        requests - THREADS,
        "the first of a thread has no trace"
    );

    let routes = journal.routes();
    assert_eq!(
        routes.iter().map(|route| route.requests).sum::<u64>(),
        requests
    );
    let exact: u64 = routes.iter().map(|route| route.statements).sum();
    let shared: f64 = routes.iter().map(|route| route.statements_shared).sum();
    assert_eq!(exact, 6 * requests + totals.executions_exclusive);
    assert!(
        (shared - totals.executions_overlapping as f64).abs() < 0.01,
        "{shared}"
    );
    let repetitions = journal.repetitions();
    let tagged: u64 = repetitions.iter().map(|pair| pair.varied.executions).sum();
    assert_eq!(tagged, 5 * requests);
    for shape in journal.shapes() {
        let finished = shape.executions - shape.lost;
        assert_eq!((shape.time.count(), shape.rows), (finished, 2 * finished));
    }
}
