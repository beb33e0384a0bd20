//! What the demo found out, as a value: `--json` prints it, the tables show it.

use std::time::Duration;

use paceline_diagnose::Finding;
use paceline_loadgen::{Evidence, Grade, Percentiles, Row};
use serde::Serialize;

use super::answers::Comparison;
use super::findings;
use super::measure::Measured;

/// The whole result.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Requests per second at which before, observe and after were measured.
    pub(super) rate: f64,
    pub(super) before: Side,
    /// Through Paceline with everything off: what observing costs.
    pub(super) observe: Side,
    pub(super) after: Side,
    /// The same API written well, as the findings ask for, through Paceline with its fixes on.
    pub(super) remedied: Side,
    pub(super) routes: Vec<RouteSummary>,
    pub(super) findings: Vec<Finding>,
    pub(super) answers: Answers,
    pub(super) verdict: String,
}

/// One measurement of all routes together.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Side {
    #[serde(flatten)]
    pub(super) load: Numbers,
    pub(super) connections_opened: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capacity_rps: Option<f64>,
    /// Requests sent while connections and statements were counted, warm-up included.
    pub(super) requests_sent: u64,
    /// CPU time of Paceline for each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paceline_cpu_us_per_request: Option<f64>,
    /// How late the load generator itself was.
    pub(super) schedule_lag_p99_ms: Option<f64>,
    /// What the load proved.
    pub(super) grade: Grade,
}

/// One route.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RouteSummary {
    pub(super) route: String,
    pub(super) before: Numbers,
    pub(super) after: Numbers,
    pub(super) remedied: Numbers,
}

/// What is told alike of a route and of the whole.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Numbers {
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) requests_per_s: f64,
    pub(super) error_rate: f64,
    pub(super) statements_per_request: f64,
    /// Requests that were measured.
    pub(super) requests: u64,
}

/// Whether the answers stayed the same.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Answers {
    pub(super) compared: usize,
    pub(super) different: Vec<String>,
}

impl Summary {
    /// Whether the demo showed what it should.
    pub(super) fn is_good(&self) -> bool {
        self.answers.different.is_empty() && self.has_known_finding()
    }

    /// Whether the N+1 that the sample API has was found.
    pub(super) fn has_known_finding(&self) -> bool {
        self.findings.iter().any(findings::is_known)
    }
}

impl Side {
    pub(super) fn new(measured: &Measured, paceline_cpu: Option<Duration>) -> Side {
        let generator = &measured.report.generator;
        let sent = generator.requests_sent.max(1) as f64;
        Side {
            load: Numbers::new(
                &measured.report.total,
                measured.database.statements as f64 / sent,
            ),
            connections_opened: measured.database.sessions,
            capacity_rps: None,
            requests_sent: generator.requests_sent,
            paceline_cpu_us_per_request: paceline_cpu.map(|time| time.as_secs_f64() * 1e6 / sent),
            schedule_lag_p99_ms: generator.schedule_lag_p99_ms,
            grade: Grade::of(&measured.report, Evidence::default()),
        }
    }
}

impl Numbers {
    pub(super) fn new(row: &Row, statements_per_request: f64) -> Numbers {
        let Percentiles {
            p50_ms,
            p95_ms,
            p99_ms,
            ..
        } = row.latency;
        Numbers {
            p50_ms,
            p95_ms,
            p99_ms,
            requests_per_s: row.requests_per_s,
            error_rate: row.error_rate,
            statements_per_request,
            requests: row.requests,
        }
    }
}

impl From<Comparison> for Answers {
    fn from(comparison: Comparison) -> Answers {
        Answers {
            compared: comparison.compared,
            different: comparison.differences,
        }
    }
}

/// The routes of before, after and remedied, with their statements per request.
pub(super) fn routes(sides: [(&Measured, &[f64]); 3]) -> Vec<RouteSummary> {
    let names = sides[0].0.report.routes.iter().map(|row| &row.route);
    let routes = names.enumerate().map(|(index, route)| {
        let [before, after, remedied] = sides.map(|(measured, statements)| {
            Numbers::new(&measured.report.routes[index], statements[index])
        });
        RouteSummary {
            route: route.clone(),
            before,
            after,
            remedied,
        }
    });
    routes.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::demo::findings::tests::finding;
    use crate::demo::jobboard::ROUTE_N_PLUS_ONE;
    use paceline_loadgen::{Level, Next};

    /// A grade that lacks one thing.
    fn grade(level: Option<Level>, next: Level) -> Grade {
        Grade {
            level,
            complete: true,
            criteria: Vec::new(),
            next: Some(Next {
                level: next,
                missing: vec![format!("p95: too high for {next}")],
            }),
            critical: Vec::new(),
            generator_late: false,
        }
    }

    /// What a demo could find out.
    pub(in crate::demo) fn summary() -> Summary {
        let numbers = |ms: f64| Numbers {
            p50_ms: Some(ms),
            p95_ms: Some(2.0 * ms),
            p99_ms: Some(3.0 * ms),
            requests_per_s: 60.0,
            error_rate: 0.0,
            statements_per_request: 61.0,
            requests: 1000,
        };
        let side = |ms: f64, connections_opened: i64, capacity_rps: Option<f64>| Side {
            load: numbers(ms),
            connections_opened,
            capacity_rps,
            requests_sent: 600,
            paceline_cpu_us_per_request: capacity_rps.is_none().then_some(250.0),
            schedule_lag_p99_ms: Some(0.1),
            grade: grade(None, Level::Bronze),
        };
        let finding = finding("n-plus-one", ROUTE_N_PLUS_ONE);
        Summary {
            rate: 60.0,
            before: side(40.0, 600, Some(100.0)),
            observe: side(45.0, 600, None),
            after: side(20.0, 10, Some(200.0)),
            remedied: Side {
                grade: grade(Some(Level::Bronze), Level::Silver),
                ..side(5.0, 10, None)
            },
            routes: vec![RouteSummary {
                route: ROUTE_N_PLUS_ONE.to_owned(),
                before: numbers(40.0),
                after: numbers(20.0),
                remedied: Numbers {
                    statements_per_request: 2.0,
                    ..numbers(5.0)
                },
            }],
            findings: vec![serde_json::from_value(finding).unwrap()],
            answers: Answers {
                compared: 210,
                different: Vec::new(),
            },
            verdict: "the verdict".to_owned(),
        }
    }

    #[test]
    fn the_json_has_the_agreed_shape() {
        let json = serde_json::to_value(summary()).unwrap();
        for key in [
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "requests_per_s",
            "error_rate",
            "statements_per_request",
            "connections_opened",
            "capacity_rps",
        ] {
            assert!(
                json["before"][key].is_number() && json["after"][key].is_number(),
                "{key}"
            );
        }
        assert_eq!(json["routes"][0]["route"], "GET /jobs");
        assert_eq!(json["routes"][0]["after"]["p50_ms"], 20.0);
        assert_eq!(json["routes"][0]["remedied"]["p50_ms"], 5.0);
        assert_eq!(json["before"]["grade"]["level"], serde_json::Value::Null);
        assert_eq!(json["remedied"]["grade"]["level"], "bronze");
        assert_eq!(
            json["findings"][0]["evidence"]["executions_per_request"],
            20.0
        );
    }

    #[test]
    fn a_missing_finding_or_a_different_answer_fails() {
        assert!(summary().is_good());
        let mut missing = summary();
        missing.findings[0].subject.name = "GET /jobs/{id}".to_owned();
        assert!(!missing.is_good());
        let mut different = summary();
        different
            .answers
            .different
            .push("GET /jobs: status".to_owned());
        assert!(!different.is_good());
    }
}
