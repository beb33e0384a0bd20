//! The findings of the running Paceline.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::house::Paceline;

/// A finding as the admin API tells it. What it does not name here is passed on as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Finding {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) route: Option<String>,
    pub(super) severity: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) evidence: Map<String, Value>,
    #[serde(default)]
    pub(super) remedy: Value,
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// The kind that the sample API is known to have.
pub(super) const N_PLUS_ONE: &str = "n-plus-one";

/// What this Paceline has found, the costliest first.
pub(super) fn fetch(paceline: &Paceline) -> anyhow::Result<Vec<Finding>> {
    read(paceline.admin_json("/api/v1/findings")?)
}

fn read(mut answer: Value) -> anyhow::Result<Vec<Finding>> {
    let list = match answer.get_mut("findings") {
        Some(list) => list.take(),
        None => answer,
    };
    serde_json::from_value(list).context("Paceline's findings have an unknown form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn findings_keep_what_they_do_not_name() {
        let finding = json!({
            "id": "n-plus-one:1", "kind": "n-plus-one", "route": "GET /jobs", "severity": "high",
            "title": "t", "evidence": {"per_request": 20.0}, "remedy": "r",
        });
        for answer in [json!([finding]), json!({"findings": [finding]})] {
            let findings = read(answer).unwrap();
            assert_eq!(findings[0].kind, N_PLUS_ONE);
            assert_eq!(serde_json::to_value(&findings[0]).unwrap(), finding);
        }
        assert!(read(json!({"error": 1})).is_err());
    }
}
