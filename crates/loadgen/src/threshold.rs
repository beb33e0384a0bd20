//! Limits that a load must keep, such as `p95<200ms` or `GET /jobs:error_rate<0.1%`.

use crate::{Error, Report, Row, Scenario};
use serde::Serialize;

/// A limit that a report must keep: `[ROUTE:]METRIC OPERATOR VALUE`.
///
/// | metric | value |
/// |---|---|
/// | `p50`, `p90`, `p95`, `p99`, `p99.9`, `max` | a time: `200ms`, `1.5s`, `800us`; a bare number is milliseconds |
/// | `error_rate` | `0.1%`, or the fraction `0.001` |
/// | `requests_per_s`, `requests`, `errors`, `dropped` | a number |
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
}

/// Whether a report kept a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The threshold as it was given.
    pub threshold: String,
    /// What was measured: milliseconds, a fraction, or a number. `None` when there is nothing to
    /// measure it by, which fails the threshold: silence is no proof.
    pub actual: Option<f64>,
    /// What the number is: `ms`, `requests/s`, `fraction`, or empty for a plain count.
    pub unit: &'static str,
    /// Whether it was kept.
    pub passed: bool,
}

impl Verdict {
    /// What was measured, as people read it: `96.8 ms`, `0.050%`, `120.0 requests/s`, `3`.
    pub fn measured(&self) -> String {
        match (self.actual, self.unit) {
            (None, _) => "nothing measured".to_owned(),
            (Some(actual), "fraction") => format!("{:.3}%", actual * 100.0),
            (Some(actual), "") => format!("{actual}"),
            (Some(actual), unit) => format!("{actual:.1} {unit}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Metric {
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
    ErrorRate,
    RequestsPerSecond,
    Requests,
    Errors,
    Dropped,
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

const METRICS: [(&str, Metric); 11] = [
    ("p50", Metric::P50),
    ("p90", Metric::P90),
    ("p95", Metric::P95),
    ("p99", Metric::P99),
    ("p99.9", Metric::P999),
    ("max", Metric::Max),
    ("error_rate", Metric::ErrorRate),
    ("requests_per_s", Metric::RequestsPerSecond),
    ("requests", Metric::Requests),
    ("errors", Metric::Errors),
    ("dropped", Metric::Dropped),
];

/// Longer ones first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
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
        let (route, expression) = match text.rsplit_once(':') {
            Some((route, expression)) => (Some(route.trim().to_owned()), expression),
            None => (None, text),
        };
        let (at, sign, operator) = OPERATORS
            .iter()
            .filter_map(|(sign, operator)| expression.find(sign).map(|at| (at, *sign, *operator)))
            .min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())))
            .ok_or_else(|| refuse("it compares nothing; write for example p95<200ms".to_owned()))?;
        let name = expression[..at].trim();
        let metric = METRICS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, metric)| *metric);
        let metric = metric.ok_or_else(|| {
            let known: Vec<&str> = METRICS.iter().map(|(known, _)| *known).collect();
            refuse(format!(
                "there is no metric \"{name}\"; there are {}",
                known.join(", ")
            ))
        })?;
        let limit = metric
            .read(expression[at + sign.len()..].trim())
            .map_err(refuse)?;
        Ok(Self {
            text: text.to_owned(),
            route,
            metric,
            operator,
            limit,
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
            .and_then(|row| self.metric.of(row));
        let passed = actual.is_some_and(|actual| self.operator.holds(actual, self.limit));
        Verdict {
            threshold: self.text.clone(),
            actual,
            unit: self.metric.unit(),
            passed,
        }
    }
}

impl std::str::FromStr for Threshold {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Metric {
    fn of(self, row: &Row) -> Option<f64> {
        match self {
            Self::P50 => row.latency.p50_ms,
            Self::P90 => row.latency.p90_ms,
            Self::P95 => row.latency.p95_ms,
            Self::P99 => row.latency.p99_ms,
            Self::P999 => row.latency.p999_ms,
            Self::Max => row.latency.max_ms,
            Self::ErrorRate => Some(row.error_rate),
            Self::RequestsPerSecond => Some(row.requests_per_s),
            Self::Requests => Some(row.requests as f64),
            Self::Errors => Some(row.errors.count() as f64),
            Self::Dropped => Some(row.dropped as f64),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 | Self::Max => "ms",
            Self::ErrorRate => "fraction",
            Self::RequestsPerSecond => "requests/s",
            Self::Requests | Self::Errors | Self::Dropped => "",
        }
    }

    fn read(self, text: &str) -> Result<f64, String> {
        let (units, otherwise): (&[(&str, f64)], &str) = match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 | Self::Max => (
                &[("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("s", 1000.0)],
                "a time such as 200ms",
            ),
            Self::ErrorRate => (&[("%", 0.01)], "a share such as 0.1%"),
            _ => (&[], "a plain number"),
        };
        let unit = units
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (number, factor) = unit.unwrap_or((text, 1.0));
        match number.trim_end().parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(value * factor),
            _ => Err(format!("\"{text}\" is not {otherwise}")),
        }
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
mod tests {
    use super::*;
    use crate::{Errors, Generator, Mode, Percentiles};

    #[test]
    fn judges_reports() {
        let check = |text: &str, expected: (Option<f64>, bool)| {
            let verdict = Threshold::parse(text).unwrap().judge(&report());
            assert_eq!((verdict.actual, verdict.passed), expected, "{text}");
        };
        check("p95<200ms", (Some(150.0), true));
        check("p95<150ms", (Some(150.0), false));
        check("p95<=150ms", (Some(150.0), true));
        check("p95 < 0.2s", (Some(150.0), true));
        check("p95<150001us", (Some(150.0), true));
        check("p95<100", (Some(150.0), false));
        check("p99.9>=1s", (Some(1000.0), true));
        check("max<1s", (None, false));
        check("error_rate<1%", (Some(0.01), false));
        check("error_rate<=0.01", (Some(0.01), true));
        check("requests_per_s>100", (Some(120.0), true));
        check("errors==1", (Some(1.0), true));
        check("dropped!=0", (Some(0.0), false));
        check("GET /jobs:p95<200ms", (Some(250.0), false));
        check("GET /jobs : p50 < 11ms", (Some(10.0), true));
        check("GET /a:b:p50<11ms", (Some(10.0), true));
        // A route that was never asked proves nothing.
        check("idle:error_rate<1%", (None, false));
    }

    #[test]
    fn what_was_measured_has_a_unit() {
        let check = |text: &str, expected: &str| {
            let verdict = Threshold::parse(text).unwrap().judge(&report());
            assert_eq!(verdict.measured(), expected, "{text}");
        };
        check("p95<200ms", "150.0 ms");
        check("error_rate<1%", "1.000%");
        check("requests_per_s>100", "120.0 requests/s");
        check("errors==1", "1");
        check("max<1s", "nothing measured");
    }

    #[test]
    fn refuses_nonsense() {
        let check = |text: &str, part: &str| {
            let error = Threshold::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("p95", "compares nothing");
        check("p96<1ms", "no metric \"p96\"");
        check("p95<", "200ms");
        check("p95<fast", "200ms");
        check("p95<10%", "200ms");
        check("error_rate<1ms", "0.1%");
        check("requests_per_s>-1", "plain number");
        check("p95<NaN", "200ms");
        check("p95<>3ms", "200ms");
    }

    #[test]
    fn knows_the_scenarios_routes() {
        let scenario =
            Scenario::from_toml("[[route]]\nname = 'GET /jobs'\npath = '/jobs'").unwrap();
        let check = |text: &str| Threshold::parse(text).unwrap().check(&scenario);
        assert!(check("p95<1ms").is_ok() && check("GET /jobs:p95<1ms").is_ok());
        let error = check("GET /job:p95<1ms").unwrap_err().to_string();
        assert!(error.contains("there are GET /jobs"), "{error}");
    }

    fn report() -> Report {
        let row = |route: &str, p95_ms: f64, requests: u64| Row {
            route: route.to_owned(),
            requests,
            requests_per_s: 120.0,
            latency: Percentiles {
                p50_ms: Some(10.0),
                p95_ms: Some(p95_ms),
                p999_ms: Some(1000.0),
                ..Percentiles::default()
            },
            service: Percentiles::default(),
            error_rate: 0.01,
            errors: Errors {
                timeout: 1,
                ..Errors::default()
            },
            dropped: 0,
            response_bytes: 0,
        };
        Report {
            mode: Mode::OpenLoop,
            rate: Some(120.0),
            connections: None,
            duration_s: 1.0,
            cancelled: false,
            seed: 1,
            total: row("total", 150.0, 100),
            routes: vec![
                row("GET /jobs", 250.0, 10),
                row("GET /a:b", 1.0, 90),
                row("idle", 0.0, 0),
            ],
            generator: Generator::default(),
        }
    }
}
