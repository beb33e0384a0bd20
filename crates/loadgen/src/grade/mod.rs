//! Bronze, Silver, Gold: what a service may promise after what a load has shown.
//!
//! Each limit is judged by the interval's worse bound and not by what was measured: a grade is what
//! the load *proved*. A service may well be better than its grade; [`Grade::next`] says what is
//! missing, and whether it is the service or the proof.

mod criteria;
#[cfg(test)]
mod tests;
mod text;

use crate::bootstrap::Estimate;
use crate::{Intervals, Report};
use criteria::{CRITERIA, CRITICAL, Criterion};
use serde::Serialize;

/// What a load proved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Grade {
    /// The highest level all of whose measured criteria are proved; none below Bronze.
    pub level: Option<Level>,
    /// Whether everything that the level asks for was measured. Without a cache there is no hit
    /// rate, and the level speaks of the rest.
    pub complete: bool,
    /// Each criterion: what was measured and which level it reaches.
    pub criteria: Vec<Judged>,
    /// What the next level asks for beyond this; `None` at Gold.
    pub next: Option<Next>,
    /// Limits beyond which a service needs attention now, and certainly lies.
    pub critical: Vec<String>,
    /// Whether the generator itself was late, so that the latencies contain its delay.
    pub generator_late: bool,
}

/// A level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Bronze,
    Silver,
    Gold,
}

/// One criterion of a grade.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// `p95_ms`, `error_rate`, `hit_rate`, `availability` or `requests_per_s`.
    pub name: &'static str,
    /// What was measured; `None` when nothing was, or too little for an interval.
    pub measured: Option<Estimate>,
    /// What Bronze, Silver and Gold ask for.
    pub limits: [f64; 3],
    /// The highest level that its worse bound keeps.
    pub level: Option<Level>,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Next {
    /// The level above.
    pub level: Level,
    /// A sentence for each criterion that is not there yet.
    pub missing: Vec<String>,
}

/// What a grade is made of beside a load's report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The share of requests that a cache answered; `None` when there is no cache.
    pub hit_rate: Option<Estimate>,
    /// Instances of the service that shared the load: throughput is asked for by instance.
    pub instances: u32,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            hit_rate: None,
            instances: 1,
        }
    }
}

impl Grade {
    /// Grades a load.
    pub fn of(report: &Report, evidence: Evidence) -> Self {
        let graded = Graded {
            intervals: &report.intervals,
            evidence,
            requests: report.total.requests,
            offered: report.rate.map(|rate| rate / f64::from(evidence.instances)),
        };
        let mut grade = graded.grade();
        grade.generator_late = report.generator.is_late();
        grade
    }
}

/// What the criteria look at.
struct Graded<'r> {
    intervals: &'r Intervals,
    evidence: Evidence,
    requests: u64,
    /// Requests per second and instance that an open loop sent.
    offered: Option<f64>,
}

impl Graded<'_> {
    fn grade(&self) -> Grade {
        let criteria: Vec<Judged> = CRITERIA.iter().map(|c| self.judge(c)).collect();
        // Without a cache there is nothing to measure; anything else that is unknown is unproved.
        let counts = |judged: &&Judged| judged.name != "hit_rate" || judged.measured.is_some();
        let levels = criteria.iter().filter(counts).map(|judged| judged.level);
        let level = levels.min().flatten();
        let next = match level {
            None => Some(Level::Bronze),
            Some(Level::Bronze) => Some(Level::Silver),
            Some(Level::Silver) => Some(Level::Gold),
            Some(Level::Gold) => None,
        };
        let missing = |next: Level| {
            let pairs = CRITERIA.iter().zip(&criteria);
            let short =
                pairs.filter(move |(_, judged)| counts(judged) && judged.level < Some(next));
            short.map(move |(criterion, _)| criterion.missing(self, next))
        };
        Grade {
            level,
            complete: criteria.iter().all(|judged| judged.measured.is_some()),
            next: next.map(|next| Next {
                level: next,
                missing: missing(next).collect(),
            }),
            critical: CRITICAL.iter().filter_map(|c| c.sentence(self)).collect(),
            criteria,
            generator_late: false,
        }
    }

    fn judge(&self, criterion: &Criterion) -> Judged {
        let measured = (criterion.quantity.measured)(self);
        Judged {
            name: criterion.quantity.name,
            limits: criterion.limits,
            level: measured.and_then(|measured| criterion.level(&measured)),
            measured,
        }
    }
}
