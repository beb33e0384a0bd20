//! Requests by script, for the tests of rules over the traffic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Answer, Config, ConnectionId, Journal, LoadError, LoadStart, Outcome, StatementEnd,
    StatementStart, TraceParent,
};
use paceline_sql::{Limits, Statements, Values};

/// A journal, and the time.
pub(in crate::rules) struct Scene {
    pub(in crate::rules) journal: Arc<Journal>,
    statements: Statements,
    now: Instant,
    connection: u64,
}

/// One request, as it goes.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Request {
    method: &'static str,
    path: &'static str,
    works_ms: u64,
    times: u64,
    works_after_ms: u64,
    runs: Option<(&'static str, u64)>,
    rows: u64,
    is_shared: bool,
    outcome: Outcome,
}

impl Scene {
    pub(in crate::rules) fn new() -> Self {
        let config = Config::default();
        let now = config.anchor.instant;
        Self {
            journal: Journal::new(config),
            statements: Statements::new(Limits::default()),
            now,
            connection: 1,
        }
    }

    /// On which connection statements run from now on.
    pub(in crate::rules) fn on(&mut self, connection: u64) {
        self.connection = connection;
    }

    /// Plays a request.
    pub(in crate::rules) fn request(&mut self, request: &Request) {
        let start = |path| LoadStart {
            method: request.method,
            path,
            caller: None,
            now: self.now,
        };
        let load = self.journal.open_load(start(request.path));
        let other = request
            .is_shared
            .then(|| self.journal.open_load(start("/other")));
        load.upstream_connected(self.now);
        for _ in 0..request.times {
            self.now += Duration::from_millis(request.works_ms);
            let trace = (!request.is_shared).then(|| load.traceparent());
            self.run(request, trace);
        }
        self.now += Duration::from_millis(request.works_after_ms);
        load.first_byte(self.now);
        load.finish(request.outcome, self.now);
        if let Some(other) = other {
            other.finish(Outcome::default(), self.now);
        }
    }

    fn run(&mut self, request: &Request, trace: Option<TraceParent>) {
        let Some((text, ms)) = request.runs else {
            return;
        };
        let statement = self.statements.learn(text);
        let execution = self.journal.begin(StatementStart {
            connection: ConnectionId(self.connection),
            shape: &statement.shape,
            trace,
            parameters: 0,
            values: Values::default(),
            queued: Duration::ZERO,
            now: self.now,
        });
        self.now += Duration::from_millis(ms);
        let end = StatementEnd {
            rows: request.rows,
            sqlstate: None,
        };
        execution.finish(end, self.now);
    }
}

impl Request {
    pub(in crate::rules) fn get(path: &'static str) -> Self {
        let outcome = Outcome {
            status: Some(200),
            ..Outcome::default()
        };
        Self {
            method: "GET",
            path,
            works_ms: 0,
            times: 1,
            works_after_ms: 0,
            runs: None,
            rows: 1,
            is_shared: false,
            outcome,
        }
    }

    pub(in crate::rules) fn post(path: &'static str) -> Self {
        Self {
            method: "POST",
            ..Self::get(path)
        }
    }

    /// It takes so long before its statement.
    pub(in crate::rules) fn works_ms(mut self, ms: u64) -> Self {
        self.works_ms = ms;
        self
    }

    /// It does all that so many times.
    pub(in crate::rules) fn again(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// It takes so long behind its statement.
    pub(in crate::rules) fn works_after_ms(mut self, ms: u64) -> Self {
        self.works_after_ms = ms;
        self
    }

    /// It runs this statement, for so many milliseconds.
    pub(in crate::rules) fn runs(mut self, text: &'static str, ms: u64) -> Self {
        self.runs = Some((text, ms));
        self
    }

    /// Its statement returns so many rows.
    pub(in crate::rules) fn rows(mut self, rows: u64) -> Self {
        self.rows = rows;
        self
    }

    /// Its statement says not whose it is, and another request is open.
    pub(in crate::rules) fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    pub(in crate::rules) fn answers(mut self, status: u16) -> Self {
        self.outcome.status = Some(status);
        self
    }

    pub(in crate::rules) fn fails(mut self, error: LoadError) -> Self {
        (self.outcome.status, self.outcome.error) = (None, Some(error));
        self
    }

    /// The gateway sees this of its answer.
    pub(in crate::rules) fn says(mut self, answer: Answer) -> Self {
        self.outcome.answer = answer;
        self
    }

    pub(in crate::rules) fn sends(mut self, bytes: u64) -> Self {
        self.outcome.response_bytes = bytes;
        self
    }
}
