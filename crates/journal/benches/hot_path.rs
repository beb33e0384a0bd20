//! What the journal costs on the hot path, in nanoseconds per call pair.
//!
//! `cargo bench -p paceline-journal` prints the median and the spread of several rounds. The budget of
//! an untagged execution without open loads is 150 ns; it allocates nothing.

#![allow(clippy::print_stdout, missing_docs, reason = "a benchmark prints")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart, TraceParent,
};
use paceline_sql::{Limits, Shape, Statements};

const ROUNDS: usize = 15;
const CALLS: u32 = 100_000;

fn main() {
    let journal = Journal::new(Config::default());
    let statements = Statements::new(Limits::default());
    let shape = statements
        .learn("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
        .shape;
    let open = |path: &str, now| {
        journal.open_load(LoadStart {
            method: "GET",
            path,
            caller: None,
            now,
        })
    };

    let start = Instant::now();
    measure("execution, no load open", || {
        execute(&journal, &shape, None, start)
    });
    let unknown = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    measure("execution, unknown trace", || {
        execute(&journal, &shape, unknown, start)
    });
    measure("load without executions", || {
        open("/jobs/1234", start).finish(Outcome::default(), start + Duration::from_millis(1));
    });
    measure("load with 10 tagged executions", || {
        let load = open("/jobs/1234", start);
        for _ in 0..10 {
            execute(&journal, &shape, Some(load.traceparent()), start);
        }
        load.finish(Outcome::default(), start + Duration::from_millis(1));
    });
    let loads: Vec<_> = (0..64).map(|_| open("/jobs/1234", start)).collect();
    measure("execution, untagged, 64 loads open", || {
        execute(&journal, &shape, None, start)
    });
    drop(loads);
    threads(&journal, &shape, start);
    parse();
}

fn execute(journal: &Arc<Journal>, shape: &Arc<Shape>, trace: Option<TraceParent>, now: Instant) {
    let execution = journal.begin(black_box(StatementStart {
        connection: ConnectionId(1),
        shape,
        trace,
        parameters: 7,
        values: paceline_sql::Values::default(),
        queued: Duration::ZERO,
        now,
    }));
    let end = StatementEnd {
        rows: 1,
        sqlstate: None,
    };
    execution.finish(black_box(end), now + Duration::from_micros(130));
}

fn threads(journal: &Arc<Journal>, shape: &Arc<Shape>, now: Instant) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..CALLS).for_each(|_| execute(journal, shape, None, now)));
        }
    });
    let nanos = began.elapsed().as_nanos() as f64 / f64::from(CALLS);
    println!(
        "{:<40} {nanos:>8.0} ns on each of {threads} threads",
        "execution, one shape, all threads"
    );
}

fn parse() {
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    measure("traceparent, parse", || {
        black_box(TraceParent::parse(black_box(text)));
    });
}

fn measure(name: &str, mut call: impl FnMut()) {
    (0..CALLS / 10).for_each(|_| call());
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            (0..CALLS / 10).for_each(|_| call());
            began.elapsed().as_nanos() as f64 / f64::from(CALLS / 10)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (median, low, high) = (rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
    println!("{name:<40} {median:>8.0} ns ({low:.0} to {high:.0})");
}
