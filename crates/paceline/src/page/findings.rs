//! A finding in the report's form.

use paceline_diagnose::{Finding, Severity, Verdict};
use paceline_report as page;

/// As it was found; what its remedy gained is for whoever measured it.
pub(crate) fn finding(found: &Finding) -> page::Finding {
    let details = found.details.iter();
    page::Finding {
        id: found.id.clone(),
        rule: found.rule.clone(),
        severity: match (found.verdict, found.severity) {
            (Verdict::LeaveAlone, _) => None,
            (_, Severity::High) => Some(page::Severity::High),
            (_, Severity::Medium) => Some(page::Severity::Medium),
            (_, Severity::Low) => Some(page::Severity::Low),
        },
        title: found.title.clone(),
        evidence: details
            .map(|detail| page::Fact::new(&detail.label, &detail.text))
            .collect(),
        remedy: found.remedy.text.clone(),
        statement: found.remedy.statement.clone(),
        effort: found.effort.to_string(),
        expected: found.gain.text.clone(),
        gained: Vec::new(),
    }
}
