//! What the tests of the journal share: a clock that they turn, and statements.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Config, ConnectionId, Execution, Journal, Load, LoadStart, Outcome, StatementEnd,
    StatementStart, TraceParent,
};
use paceline_sql::{Kind, Limits, Relation, Shape, Statements};

/// A journal, the time, and the statements of one test.
pub struct Scene {
    pub journal: Arc<Journal>,
    pub now: Instant,
    statements: Statements,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let now = config.anchor.instant;
        let limits = Limits {
            shapes_max: 1 << 20,
            entries_max: 1 << 20,
            ..Limits::default()
        };
        Self {
            journal: Journal::new(config),
            now,
            statements: Statements::new(limits),
        }
    }

    pub fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// A shape with an id of its own that reads a table.
    pub fn select(&self, table: &str) -> Arc<Shape> {
        self.shape(
            &format!("SELECT * FROM {table} WHERE id = $1"),
            Kind::Select,
            &[table],
            &[],
        )
    }

    /// A shape with an id of its own that writes a table.
    pub fn update(&self, table: &str) -> Arc<Shape> {
        let text = format!("UPDATE {table} SET a = $1 WHERE id = $2");
        self.shape(&text, Kind::Update, &[table], &[table])
    }

    pub fn shape(&self, text: &str, kind: Kind, reads: &[&str], writes: &[&str]) -> Arc<Shape> {
        let relations = |names: &[&str]| {
            let relation = |name: &&str| Relation {
                schema: None,
                name: (*name).into(),
            };
            names.iter().map(relation).collect::<Box<[_]>>()
        };
        let learnt = self.statements.learn(text).shape;
        Arc::new(Shape {
            text: text.into(),
            summary: text.split(" WHERE").next().unwrap_or(text).into(),
            kind,
            reads: relations(reads),
            writes: relations(writes),
            hidden_writes: false,
            ..(*learnt).clone()
        })
    }

    pub fn open(&self, method: &str, path: &str) -> Load {
        self.journal.open_load(LoadStart {
            method,
            path,
            caller: None,
            now: self.now,
        })
    }

    pub fn finish(&self, load: Load, status: u16) {
        load.finish(
            Outcome {
                status: Some(status),
                ..Outcome::default()
            },
            self.now,
        );
    }

    pub fn begin(
        &self,
        shape: &Arc<Shape>,
        trace: Option<TraceParent>,
        parameters: u64,
    ) -> Execution {
        self.journal.begin(StatementStart {
            connection: ConnectionId(1),
            shape,
            trace,
            parameters,
            values: paceline_sql::Values::default(),
            queued: Duration::ZERO,
            now: self.now,
        })
    }

    pub fn end(&self, execution: Execution) {
        execution.finish(
            StatementEnd {
                rows: 1,
                sqlstate: None,
            },
            self.now,
        );
    }

    /// One execution of a millisecond, tagged.
    pub fn run(&mut self, load: &Load, shape: &Arc<Shape>, parameters: u64) {
        let execution = self.begin(shape, Some(load.traceparent()), parameters);
        self.wait(1);
        self.end(execution);
    }
}
