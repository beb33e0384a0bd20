//! What the two rules on repeated statements have in common: the evidence, and how it is told.

use std::fmt::Write as _;
use std::time::Duration;

use paceline_journal::{Journal, Repetition, Run};
use serde::{Deserialize, Serialize};

use super::{REQUESTS_MIN, average, is_the_applications};
use crate::evidence::{Detail, Evidence};
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::orm::{Task, advice, author};
use crate::render::units::{cut, figure, time};

/// Statements before a loop that its values may come from.
const EARLIER_MAX: usize = 8;

/// What to write instead of a loop.
pub(super) struct Remedy {
    pub(super) effort: Effort,
    pub(super) text: String,
    pub(super) statement: Option<String>,
}

/// Whether enough requests ran the statement with other values each time, and the application itself did.
pub(super) fn is_loop(repetition: &Repetition) -> bool {
    repetition.varied.requests >= REQUESTS_MIN && is_the_applications(&repetition.shape)
}

/// The finding of a loop.
pub(super) fn looped(
    rule: &str,
    evidence: RepetitionEvidence,
    remedy: Remedy,
    repetition: &Repetition,
) -> Finding {
    let title = title(&evidence, &repetition.route);
    let mut finding = evidence.finding(rule, title, repetition, &repetition.varied);
    let shape = &repetition.shape;
    let wrote = author(&shape.text);
    if let Some(text) = advice(wrote, Task::of(shape.kind, &shape.text)) {
        finding = finding.detail("ORM", text);
    }
    finding = finding.fact("orm", wrote.name());
    finding = finding.remedy(remedy.effort, remedy.text);
    finding.remedy.statement = remedy.statement;
    finding
}

fn title(evidence: &RepetitionEvidence, route: &str) -> String {
    let RepetitionEvidence {
        shape,
        executions_max,
        ..
    } = evidence;
    let executions = average(evidence.executions_per_request);
    let mut title = format!("{route} executes `{shape}` {executions} times per request");
    if executions != executions_max.to_string() {
        let _ = write!(title, " (up to {executions_max})");
    }
    title.push_str(", each time with other values");
    if let Some(before) = &evidence.before {
        let _ = write!(title, ", after `{}`", before.shape);
    }
    title.push('.');
    title
}

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
    /// The statements that ran before the first of them in the example, the last one first: its values may come from their
    /// rows.
    #[serde(default)]
    pub(super) earlier: Vec<EarlierStatement>,
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

/// A statement that ran before a loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EarlierStatement {
    /// In a few words.
    pub(crate) shape: String,
    /// With `$n` for its values.
    pub(crate) statement: String,
    /// Rows that it returned, in all its executions.
    pub(crate) rows: u64,
}

impl RepetitionEvidence {
    /// Of a loop, with what ran before it.
    pub(super) fn of_loop(
        journal: &Journal,
        repetition: &Repetition,
        batched_statement: Option<String>,
    ) -> Self {
        Self {
            earlier: earlier(journal, repetition).unwrap_or_default(),
            ..Self::new(repetition, &repetition.varied, batched_statement)
        }
    }

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
            earlier: Vec::new(),
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

/// What the example shows to have ended before the first execution of the loop began: statements that return rows, the last
/// one first.
fn earlier(journal: &Journal, repetition: &Repetition) -> Option<Vec<EarlierStatement>> {
    let request = journal.request(&repetition.varied.example?)?;
    let mut exact = request.statements.iter();
    let exact = exact.by_ref().filter(|one| one.attribution.is_exact());
    let before = exact.take_while(|one| one.shape.id != repetition.shape.id);
    let mut found: Vec<EarlierStatement> = Vec::new();
    for statement in before.filter(|one| one.rows > 0 && is_the_applications(&one.shape)) {
        let text = &*statement.shape.text;
        let known = found.iter().position(|one| one.statement == text);
        let so_far = known.map_or(0, |at| found.remove(at).rows);
        found.push(EarlierStatement {
            shape: statement.shape.summary.to_string(),
            statement: text.to_owned(),
            rows: so_far + statement.rows,
        });
    }
    found.reverse();
    found.truncate(EARLIER_MAX);
    Some(found)
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
