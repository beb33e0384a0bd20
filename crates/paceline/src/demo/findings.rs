//! The findings of the running Paceline.

use anyhow::Context as _;
use paceline_diagnose::Finding;
use serde::Deserialize;
use serde_json::Value;

use super::house::Paceline;
use super::jobboard::ROUTE_N_PLUS_ONE;

#[derive(Deserialize)]
struct Answer {
    findings: Vec<Finding>,
}

/// What this Paceline has found, the costliest first.
pub(super) fn fetch(paceline: &Paceline) -> anyhow::Result<Vec<Finding>> {
    read(paceline.admin_json("/api/v1/findings")?)
}

/// Whether this is the one that the sample API is known to have.
pub(super) fn is_known(finding: &Finding) -> bool {
    finding.rule == "n-plus-one" && finding.subject.name == ROUTE_N_PLUS_ONE
}

fn read(answer: Value) -> anyhow::Result<Vec<Finding>> {
    let answer: Answer =
        serde_json::from_value(answer).context("Paceline's findings have an unknown form")?;
    Ok(answer.findings)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// A finding as the admin API tells it.
    pub(in crate::demo) fn finding(rule: &str, route: &str) -> Value {
        json!({
            "id": "id", "rule": rule, "subject": {"kind": "route", "name": route}, "severity": "high",
            "verdict": "act", "details": [],
            "title": "GET /jobs executes one statement twenty times.",
            "evidence": {
                "shape": "SELECT companies", "statement": "SELECT * FROM companies WHERE id = $1",
                "requests": 10, "route_requests": 10, "executions_per_request": 20.0,
                "executions_max": 20, "distinct_parameters_max": 20, "time_per_request_ms": 5.0,
                "time_lost_per_request_ms": 4.5, "time_share": 0.4, "before": null,
                "batched_statement": null, "example_request": null, "exact_share": 1.0
            },
            "remedy": {"text": "write one", "statement": null}, "effort": "small", "time_lost_ms": 45.0,
            "gain": {"text": "", "time_ms": null, "bytes": null}
        })
    }

    #[test]
    fn findings_are_read_and_told_as_they_came() {
        let list = finding("n-plus-one", "GET /jobs");
        let other = finding("redundant-queries", "GET /jobs");
        let findings = read(json!({"findings": [list, other]})).unwrap();
        assert_eq!(
            serde_json::to_value(&findings).unwrap(),
            json!([list, other])
        );
        assert_eq!(findings.iter().filter(|f| is_known(f)).count(), 1);
        assert!(read(json!({"error": 1})).is_err());
    }
}
