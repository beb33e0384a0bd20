//! What a finding is.

use std::fmt;
use std::time::Duration;

use paceline_journal::{Repetition, Run};
use serde::{Deserialize, Serialize};

/// One thing that costs time, with evidence and remedy. Its fields are those of the JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The same for the same finding in every run: kind, route, statement, and a digest of both.
    pub id: String,
    /// Which rule found it.
    pub kind: FindingKind,
    /// Method and template, `GET /jobs/{id}`.
    pub route: String,
    /// How much it matters.
    pub severity: Severity,
    /// One sentence that says it all.
    pub title: String,
    /// The numbers behind it.
    pub evidence: Evidence,
    /// What to do, in a sentence or two.
    pub remedy: String,
    /// How much work that is.
    pub effort: Effort,
    /// The time that the remedy would have saved so far, over all requests.
    pub time_lost_ms: f64,
}

/// The rules, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// One statement per row, where one for all rows would do.
    NPlusOne,
    /// The same question asked again within one request.
    RedundantQueries,
}

impl FindingKind {
    /// The name in JSON: `n-plus-one`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NPlusOne => "n-plus-one",
            Self::RedundantQueries => "redundant-queries",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a finding matters: by its share of the route's time, and by the time per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Less than the others.
    Low,
    /// At least a tenth of the route's time, or 20 ms per request.
    Medium,
    /// At least three tenths of the route's time, or 100 ms per request.
    High,
}

impl Severity {
    /// The name in JSON: `high`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    pub(crate) fn of(time_share: f64, per_request: Duration) -> Self {
        if time_share >= 0.3 || per_request >= Duration::from_millis(100) {
            Self::High
        } else if time_share >= 0.1 || per_request >= Duration::from_millis(20) {
            Self::Medium
        } else {
            Self::Low
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much work a remedy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// One place, an hour: the statement to write is known.
    Small,
    /// A few places, or a statement that must be thought out.
    Medium,
}

impl Effort {
    /// The name in JSON: `small`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The numbers behind a finding; each sort of rule has its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Evidence {
    /// A statement is executed again and again within a request.
    Repetition(RepetitionEvidence),
}

/// A statement is executed again and again within a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepetitionEvidence {
    /// The statement in a few words, `SELECT companies`.
    pub shape: String,
    /// The statement with `$n` for its values.
    pub statement: String,
    /// Requests in which it was seen.
    pub requests: u64,
    /// Requests of the route in all.
    pub route_requests: u64,
    /// Repeated executions per such request, on average.
    pub executions_per_request: f64,
    /// The most in one request.
    pub executions_max: u64,
    /// Most distinct parameter sets in one request, counted up to 64.
    pub distinct_parameters_max: u64,
    /// Database time of the repeated executions per such request.
    pub time_per_request_ms: f64,
    /// The part of it that the remedy saves. Round trips between application and database come on top.
    pub time_lost_per_request_ms: f64,
    /// All time lost as a part (0 to 1) of all the route's time.
    pub time_share: f64,
    /// The statement that mostly went before the first of them.
    pub before: Option<PrecedingStatement>,
    /// The statement to write instead, when there is one that is sure to mean the same.
    pub batched_statement: Option<String>,
    /// A request that shows it.
    pub example_request: Option<String>,
    /// What part (0 to 1) of the route's database time is attributed exactly.
    pub exact_share: f64,
}

/// The statement before a run of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrecedingStatement {
    /// In a few words.
    pub shape: String,
    /// With `$n` for its values.
    pub statement: String,
    /// Before how many of the runs it went.
    pub requests: u64,
    /// Rows that it returned, on average.
    pub rows: f64,
}

impl RepetitionEvidence {
    pub(crate) fn new(
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

    pub(crate) fn severity(&self) -> Severity {
        let per_request = Duration::from_secs_f64(self.time_lost_per_request_ms / 1_000.0);
        Severity::of(self.time_share, per_request)
    }
}

/// Kind, route and statement in letters, figures and dashes, and a digest that tells apart what the
/// letters do not. Does not depend on the process.
pub(crate) fn stable_id(kind: FindingKind, repetition: &Repetition) -> String {
    let parts = [
        repetition.route.as_bytes(),
        b"\0",
        repetition.shape.text.as_bytes(),
    ];
    let digest = fnv1a(parts.into_iter().flatten());
    let digest = (digest >> 32) as u32 ^ digest as u32;
    let (route, shape) = (slug(&repetition.route), slug(&repetition.shape.summary));
    format!("{kind}.{route}.{shape}.{digest:08x}")
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    // Statements that run side by side can take longer than their request.
    (part.as_secs_f64() / whole.as_secs_f64()).min(1.0)
}

/// Lower-case letters and figures; any run of others is one dash; at most 40 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if slug.len() >= 40 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// FNV-1a, 64 bits: small, and the same in every version of every program.
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_readable_and_plain() {
        let rows = [
            ("GET /jobs/{id}", "get-jobs-id"),
            (
                "SELECT public.jobs, companies",
                "select-public-jobs-companies",
            ),
            ("GET /", "get"),
            ("  ", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(slug(text), expected);
        }
        assert!(slug(&"x".repeat(100)).len() <= 40);
    }

    #[test]
    fn severity_follows_share_and_time() {
        let rows = [
            (0.0, 5, Severity::Low),
            (0.1, 5, Severity::Medium),
            (0.0, 20, Severity::Medium),
            (0.3, 1, Severity::High),
            (0.01, 100, Severity::High),
        ];
        for (share, millis, expected) in rows {
            assert_eq!(Severity::of(share, Duration::from_millis(millis)), expected);
        }
    }
}
