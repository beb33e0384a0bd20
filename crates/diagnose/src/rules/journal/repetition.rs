//! What the two rules on repeated statements have in common: the evidence, and how it is told.

use std::fmt::Write as _;
use std::time::Duration;

use paceline_journal::{Repetition, Run};
use serde::{Deserialize, Serialize};

use crate::evidence::{Detail, Evidence};
use crate::finding::{Finding, Gain, Severity, Subject};
use crate::render::units::{cut, figure, time};

/// A statement is executed again and again within a request. Its fields are those of the evidence in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RepetitionEvidence {
    /// The statement in a few words, `SELECT companies`.
    pub(super) shape: String,
    /// The statement with `$n` for its values.
    pub(super) statement: String,
    /// Requests in which it was seen.
    pub(super) requests: u64,
    /// Requests of the route in all.
    pub(super) route_requests: u64,
    /// Repeated executions per such request, on average.
    pub(super) executions_per_request: f64,
    /// The most in one request.
    pub(super) executions_max: u64,
    /// Most distinct parameter sets in one request, counted up to 64.
    pub(super) distinct_parameters_max: u64,
    /// Database time of the repeated executions per such request.
    pub(super) time_per_request_ms: f64,
    /// The part of it that the remedy saves. Round trips between application and database come on top.
    pub(super) time_lost_per_request_ms: f64,
    /// All time lost as a part (0 to 1) of all the route's time.
    pub(super) time_share: f64,
    /// The statement that mostly went before the first of them.
    pub(super) before: Option<PrecedingStatement>,
    /// The statement to write instead, when there is one that is sure to mean the same.
    pub(super) batched_statement: Option<String>,
    /// A request that shows it.
    pub(super) example_request: Option<String>,
    /// What part (0 to 1) of the route's database time is attributed exactly.
    pub(super) exact_share: f64,
}

/// The statement before a run of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PrecedingStatement {
    /// In a few words.
    pub(super) shape: String,
    /// With `$n` for its values.
    pub(super) statement: String,
    /// Before how many of the runs it went.
    pub(super) requests: u64,
    /// Rows that it returned, on average.
    pub(super) rows: f64,
}

impl RepetitionEvidence {
    pub(super) fn new(
        repetition: &Repetition,
        run: &Run,
        batched_statement: Option<String>,
    ) -> Self {
        let per_request = |time: Duration| millis(time) / run.requests.max(1) as f64;
        let before = run.before.as_ref().map(|before| PrecedingStatement {
            shape: before.shape.summary.to_string(),
            statement: before.shape.text.to_string(),
            requests: before.requests,
            rows: before.rows as f64 / before.requests.max(1) as f64,
        });
        Self {
            shape: repetition.shape.summary.to_string(),
            statement: repetition.shape.text.to_string(),
            requests: run.requests,
            route_requests: repetition.route_requests,
            executions_per_request: run.executions as f64 / run.requests.max(1) as f64,
            executions_max: run.executions_max,
            distinct_parameters_max: run.distinct_max,
            time_per_request_ms: per_request(run.time),
            time_lost_per_request_ms: per_request(run.time_spared),
            time_share: share(run.time_spared, repetition.route_time),
            before,
            batched_statement,
            example_request: run.example.map(|id| id.to_string()),
            exact_share: repetition.exact_share,
        }
    }

    /// The finding, but for its remedy.
    pub(super) fn finding(
        &self,
        rule: &str,
        title: String,
        repetition: &Repetition,
        run: &Run,
    ) -> Finding {
        let time_lost_ms = millis(run.time_spared);
        let per_request = Duration::from_secs_f64(self.time_lost_per_request_ms / 1_000.0);
        let severity = Severity::of(self.time_share, per_request);
        let subject = Subject::route(&*repetition.route);
        let saved = format!("{} of database time so far", time(time_lost_ms));
        let finding = Finding::new(rule, subject, severity, title)
            .told_apart_by(&self.shape, &self.statement)
            .gain(Gain::time(time_lost_ms, saved));
        Finding {
            evidence: Evidence::of(self),
            details: self.details(time_lost_ms),
            time_lost_ms,
            ..finding
        }
    }

    fn details(&self, time_lost_ms: f64) -> Vec<Detail> {
        let lost = format!(
            "{} ms of database time per request, {:.0} % of the route's time; {} so far",
            figure(self.time_lost_per_request_ms),
            self.time_share * 100.0,
            time(time_lost_ms),
        );
        let mut details = vec![
            Detail::new("Lost", lost),
            Detail::new("Seen", self.seen()),
            Detail::new("Statement", cut(&self.statement)),
        ];
        if let Some(before) = &self.before {
            let (statement, rows) = (cut(&before.statement), figure(before.rows));
            let text = format!("{statement} ({rows} rows on average)");
            details.push(Detail::new("After", text));
        }
        if let Some(example) = &self.example_request {
            details.push(Detail::new("Example", format!("request {example}")));
        }
        details
    }

    fn seen(&self) -> String {
        let mut seen = format!(
            "in {} of {} requests, at most {} executions",
            self.requests, self.route_requests, self.executions_max
        );
        if self.distinct_parameters_max > 1 {
            let _ = write!(
                seen,
                ", {} distinct sets of values",
                self.distinct_parameters_max
            );
        }
        let exact = self.exact_share * 100.0;
        let _ = write!(seen, "; {exact:.0} % attributed exactly");
        seen
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    // Statements that run side by side can take longer than their request.
    (part.as_secs_f64() / whole.as_secs_f64()).min(1.0)
}
