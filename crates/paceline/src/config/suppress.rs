//! `[[diagnose.suppress]]`: what must be said of each.

use paceline_diagnose::Suppression;

use super::Origins;
use super::problem::{Origin, Problem};
use super::rows::path_of;

/// The path of the array.
pub(super) const SUPPRESS: &str = "diagnose.suppress";

/// Complains about rows that hold for nothing, or do not say why.
pub(super) fn check(rows: &[Suppression], origins: &Origins, problems: &mut Vec<Problem>) {
    for (number, row) in rows.iter().enumerate() {
        let path = |key: &str| path_of(SUPPRESS, number, key);
        let keys = ["id", "rule", "subject", "reason"];
        let failed = problems.iter().any(|problem| {
            let key = problem.key.as_deref().unwrap_or_default();
            keys.iter().any(|name| key == path(name))
        });
        let origin = keys.iter().find_map(|key| origins.get(&path(key)));
        let origin = origin.cloned().unwrap_or(Origin::Default);
        let mut complain = |key: &str, message: &str| {
            let problem = Problem::error(origin.clone(), Some(&path(key)), message);
            problems.push(problem);
        };
        if failed {
            continue;
        }
        if row.reason.is_empty() {
            complain("reason", "say why these findings are not to be reported");
        }
        if row.id.is_none() && row.rule.is_none() && row.subject.is_none() {
            complain("id", "give an id, a rule or a subject");
        }
    }
}
