//! What is fuzzed: arbitrary histories of loads and executions, and the two parsers that peers reach. Shared by the
//! libFuzzer target and by a plain test.
//!
//! Each pair of bytes is an event and its operand. Whatever happens in whatever order, the sums add up, and nobody is charged
//! with more time than was worked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Execution, Journal, Load, LoadError, LoadStart, Outcome, StatementEnd,
    StatementStart, TraceParent,
};
use paceline_sql::{Limits, Shape, Statements};

/// Small limits, so that each of them is reached.
fn config() -> Config {
    Config {
        routes_max: 4,
        shapes_max: 3,
        pairs_max: 5,
        recent_requests_max: 6,
        recent_statements_max: 40,
        statements_per_request_max: 8,
        overlaps_max: 5,
        open_loads_max: 5,
        repeat_min: 3,
        ..Config::default()
    }
}

/// One history, and what must come of it.
struct History {
    journal: Arc<Journal>,
    shapes: Vec<Arc<Shape>>,
    now: Instant,
    loads: Vec<Load>,
    executions: Vec<(Execution, Instant)>,
    traces: Vec<TraceParent>,
    requests: u64,
    executed: u64,
    worked: Duration,
}

/// Plays one input.
pub(crate) fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        parse(text);
    }
    let mut history = History::new();
    for event in data.chunks_exact(2) {
        history.event(event[0], usize::from(event[1]));
    }
    history.end();
}

fn parse(text: &str) {
    if let Some(parent) = TraceParent::parse(text) {
        assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        assert_eq!(parent.to_string()[3..], text[3..55]);
    }
    let config = config();
    let now = config.anchor.instant;
    let journal = Journal::new(config);
    let load = journal.open_load(LoadStart {
        method: text,
        path: text,
        caller: None,
        now,
    });
    load.finish(
        Outcome {
            status: Some(200),
            ..Outcome::default()
        },
        now,
    );
    let route = &journal.routes()[0].route;
    assert!(route.len() <= 220 && !route.contains('?'), "{route}");
}

impl History {
    fn new() -> Self {
        let config = config();
        let now = config.anchor.instant;
        let statements = Statements::new(Limits::default());
        let shape = |number| {
            statements
                .learn(&format!("SELECT a{number} FROM t{number}"))
                .shape
        };
        Self {
            journal: Journal::new(config),
            shapes: (0..6).map(shape).collect(),
            now,
            loads: Vec::new(),
            executions: Vec::new(),
            traces: Vec::new(),
            requests: 0,
            executed: 0,
            worked: Duration::ZERO,
        }
    }

    fn event(&mut self, event: u8, operand: usize) {
        match event % 8 {
            0 => self.open(operand),
            1 | 2 if self.loads.is_empty() => {}
            1 => {
                let load = self.loads.swap_remove(operand % self.loads.len());
                load.upstream_connected(self.now);
                load.first_byte(self.now);
                let status = [200, 404, 500, 999][operand % 4];
                let error = LoadError::ALL.get(operand % 16).copied();
                let outcome = Outcome {
                    status: Some(status),
                    error,
                    response_bytes: 1,
                    ..Outcome::default()
                };
                load.finish(outcome, self.now);
            }
            2 => drop(self.loads.swap_remove(operand % self.loads.len())),
            3 | 4 => self.begin(operand),
            5 | 6 if self.executions.is_empty() => {}
            5 => self.finish(operand),
            6 => {
                let (execution, began) =
                    self.executions.swap_remove(operand % self.executions.len());
                self.worked += self.now - began;
                drop(execution);
            }
            _ => self.now += Duration::from_micros(operand as u64 * 10),
        }
    }

    fn open(&mut self, operand: usize) {
        let path = format!(
            "/{}/{operand}",
            ["a", "b", "c", "d", "e", "f", "g"][operand % 7]
        );
        let method = ["GET", "POST", "BREW"][operand % 3];
        let load = self.journal.open_load(LoadStart {
            method,
            path: &path,
            caller: None,
            now: self.now,
        });
        self.traces.push(load.traceparent());
        self.loads.push(load);
        self.requests += 1;
    }

    fn begin(&mut self, operand: usize) {
        let trace = match operand % 3 {
            0 => None,
            1 => self.traces.last().copied(),
            _ => self.traces.get(operand / 3).copied(),
        };
        let execution = self.journal.begin(StatementStart {
            connection: ConnectionId(operand as u64 % 3),
            shape: &self.shapes[operand / 8 % self.shapes.len()],
            trace,
            parameters: operand as u64 % 5,
            values: paceline_sql::Values::default(),
            queued: Duration::ZERO,
            now: self.now,
        });
        self.executions.push((execution, self.now));
        self.executed += 1;
    }

    fn finish(&mut self, operand: usize) {
        let (execution, began) = self.executions.swap_remove(operand % self.executions.len());
        self.worked += self.now - began;
        let sqlstate = operand.is_multiple_of(5).then_some(*b"40001");
        execution.finish(
            StatementEnd {
                rows: operand as u64,
                sqlstate,
            },
            self.now,
        );
    }

    fn end(mut self) {
        for load in self.loads.drain(..) {
            load.finish(Outcome::default(), self.now);
        }
        while !self.executions.is_empty() {
            self.finish(0);
        }
        self.check_sums();
        self.check_requests();
    }

    fn check_sums(&self) {
        let totals = self.journal.totals();
        assert_eq!((totals.loads_open, totals.loads_opened), (0, self.requests));
        assert_eq!(totals.executions, self.executed);
        let charged = totals.executions_tagged
            + totals.executions_exclusive
            + totals.executions_overlapping
            + totals.late;
        assert!(charged <= self.executed);

        let routes = self.journal.routes();
        assert!(routes.len() <= 5, "four slots and `other`");
        assert_eq!(
            routes.iter().map(|route| route.requests).sum::<u64>(),
            self.requests
        );
        for route in &routes {
            assert!(route.database_time_exact <= route.database_time);
            assert!((0.0..=1.0).contains(&route.exact_share()));
        }
        let time: Duration = routes.iter().map(|route| route.database_time).sum();
        assert!(
            time <= self.worked + Duration::from_micros(1),
            "{time:?} of {:?}",
            self.worked
        );
        let exact: u64 = routes.iter().map(|route| route.statements).sum();
        let shared: f64 = routes.iter().map(|route| route.statements_shared).sum();
        assert!(
            exact as f64 + shared <= self.executed as f64 + 1e-3,
            "{exact} and {shared}"
        );

        let shapes = self.journal.shapes();
        assert!(shapes.len() <= 4, "three slots and `other`");
        assert_eq!(
            shapes.iter().map(|shape| shape.executions).sum::<u64>(),
            self.executed
        );
    }

    fn check_requests(&self) {
        let recent = self.journal.recent();
        assert!(recent.len() <= 6);
        for summary in &recent {
            let record = self
                .journal
                .request(&summary.id)
                .expect("a recent request is kept");
            assert!(record.statements.len() <= 8 + 5);
            assert!(
                record
                    .statements
                    .is_sorted_by_key(|statement| statement.offset)
            );
        }
        let repetitions = self.journal.repetitions();
        assert!(repetitions.len() <= 5);
        for repetition in &repetitions {
            for run in [&repetition.varied, &repetition.identical] {
                assert!(run.time_spared <= run.time && run.time <= repetition.time);
                assert!(run.executions <= repetition.executions);
                assert_eq!(run.example.is_some(), run.requests > 0);
            }
        }
    }
}
