//! Limits that a load must keep, such as `p95<200ms` or `GET /jobs:error_rate<0.1%`.

mod k6;
mod metric;
mod ratio;

use crate::{Block, Error, Estimate, Report, Scenario};
use metric::{Metric, NAMES};
use serde::Serialize;

/// A limit that a report must keep: `[ROUTE:]METRIC OPERATOR VALUE`, or as k6 spells it:
/// `http_req_duration: p(95)<200`, with `http_req_duration{name:ROUTE}` for one route.
///
/// | metric | value |
/// |---|---|
/// | `p50` (any percentile), `avg`, `min`, `max` | a time: `200ms`, `1.5s`, `800us`; a bare number is milliseconds |
/// | `error_rate` | `0.1%`, or the fraction `0.001` |
/// | `requests_per_s`, `requests`, `errors`, `dropped` | a number |
///
/// A number followed by `x` limits a ratio, of the second of two servers to the first: `p95<1.1x`.
///
/// The operators are `<`, `<=`, `>`, `>=`, `==` and `!=`. With a route's name and a colon before
/// it, it speaks of that route alone, else of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    text: String,
    route: Option<String>,
    metric: Metric,
    operator: Operator,
    limit: f64,
    /// Whether the limit is one of the ratio of two servers.
    is_ratio: bool,
}

/// Whether a report kept a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The threshold as it was given.
    pub threshold: String,
    /// What was measured: milliseconds, a fraction, or a number. `None` when there is nothing to
    /// measure it by, which fails the threshold: silence is no proof.
    pub actual: Option<f64>,
    /// What the number is: `ms`, `requests/s`, `fraction`, `ratio`, or empty for a plain count.
    pub unit: &'static str,
    /// Where a ratio lies with 95 % confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Estimate>,
    /// Whether it was kept.
    pub passed: bool,
}

impl Verdict {
    /// What was measured, as people read it: `96.8 ms`, `0.050%`, `120.0 requests/s`, `3`.
    pub fn measured(&self) -> String {
        match (self.actual, self.unit) {
            (None, _) => "nothing measured".to_owned(),
            (Some(actual), "fraction") => format!("{:.3}%", actual * 100.0),
            (Some(actual), "ratio") => match self.interval {
                Some(Estimate { low, high, .. }) => {
                    format!("{actual:.3} ×, {low:.3} to {high:.3}")
                }
                None => format!("{actual:.3} ×"),
            },
            (Some(actual), "") => format!("{actual}"),
            (Some(actual), unit) => format!("{actual:.1} {unit}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Threshold {
    /// Reads a threshold.
    ///
    /// # Errors
    /// [`Error::Threshold`] saying what it lacks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Threshold {
            text: text.to_owned(),
            reason,
        };
        let k6 = k6::split(text).transpose().map_err(refuse)?;
        let (route, expression) = match (&k6, text.rsplit_once(':')) {
            (Some(parts), _) => (parts.route.clone(), parts.expression),
            (None, Some((route, expression))) => (Some(route.trim().to_owned()), expression),
            (None, None) => (None, text),
        };
        let (at, sign, operator) = OPERATORS
            .iter()
            .filter_map(|(sign, operator)| expression.find(sign).map(|at| (at, *sign, *operator)))
            .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())))
            .ok_or_else(|| refuse("it compares nothing; write for example p95<200ms".to_owned()))?;
        let name = expression[..at].trim();
        let metric = match &k6 {
            Some(parts) => parts.metric(name),
            None => Metric::named(name)
                .ok_or_else(|| format!("there is no metric \"{name}\"; there are {NAMES}")),
        };
        let metric = metric.map_err(refuse)?;
        let value = expression[at + sign.len()..].trim();
        let ratio = ratio::read(value, metric).transpose().map_err(refuse)?;
        let limit = match ratio {
            Some(limit) => limit,
            None => metric.read(value).map_err(refuse)?,
        };
        Ok(Self {
            text: text.to_owned(),
            route,
            metric,
            operator,
            limit,
            is_ratio: ratio.is_some(),
        })
    }

    /// Refuses a threshold that names a route which the scenario lacks, before any load is sent.
    ///
    /// # Errors
    /// [`Error::Threshold`] with the routes that there are.
    pub fn check(&self, scenario: &Scenario) -> Result<(), Error> {
        let Some(route) = &self.route else {
            return Ok(());
        };
        if scenario.routes().iter().any(|known| known.name() == route) {
            return Ok(());
        }
        let known: Vec<&str> = scenario.routes().iter().map(|r| r.name()).collect();
        let reason = format!(
            "there is no route \"{route}\"; there are {}",
            known.join(", ")
        );
        Err(Error::Threshold {
            text: self.text.clone(),
            reason,
        })
    }

    /// Judges a report.
    pub fn judge(&self, report: &Report) -> Verdict {
        let row = match &self.route {
            Some(route) => report.route(route),
            None => Some(&report.total),
        };
        let actual = row
            .filter(|row| row.requests > 0)
            .and_then(|row| self.metric.of(row, report));
        let passed = actual.is_some_and(|actual| self.operator.holds(actual, self.limit));
        Verdict {
            threshold: self.text.clone(),
            actual,
            unit: self.metric.unit(),
            interval: None,
            passed,
        }
    }
}

/// As an objective of a capacity: judged by an interval.
impl Threshold {
    /// Refuses what has no interval.
    pub(crate) fn check_objective(&self) -> Result<(), Error> {
        let refuse = |reason: &str| {
            Err(Error::Threshold {
                text: self.text.clone(),
                reason: reason.to_owned(),
            })
        };
        if self.is_ratio {
            return refuse("an objective is no ratio: there is only one server");
        }
        if self.route.is_some() {
            return refuse("an objective of a capacity speaks of the whole, not of one route");
        }
        if !matches!(self.operator, Operator::Less | Operator::LessOrEqual) {
            return refuse("an objective is an upper limit, such as p95<200ms");
        }
        if self.limit <= 0.0 || self.metric.requests_needed(self.limit).is_none() {
            return refuse("an objective is a percentile, avg or error_rate above 0");
        }
        Ok(())
    }

    /// How many requests it takes to judge it.
    pub(crate) fn requests_needed(&self) -> u64 {
        self.metric.requests_needed(self.limit).unwrap_or(0)
    }

    pub(crate) fn estimate(&self, blocks: &[Block], seed: u64) -> Option<Estimate> {
        self.metric.estimate(blocks, seed)
    }

    /// Whether an upper limit is certainly kept or certainly missed.
    pub(crate) fn keeps(&self, measured: &Estimate) -> Option<bool> {
        if self.operator.holds(measured.high, self.limit) {
            Some(true)
        } else if !self.operator.holds(measured.low, self.limit) {
            Some(false)
        } else {
            None
        }
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Operator {
    fn holds(self, actual: f64, limit: f64) -> bool {
        match self {
            Self::Less => actual < limit,
            Self::LessOrEqual => actual <= limit,
            Self::Greater => actual > limit,
            Self::GreaterOrEqual => actual >= limit,
            Self::Equal => actual == limit,
            Self::NotEqual => actual != limit,
        }
    }
}

#[cfg(test)]
mod tests;
