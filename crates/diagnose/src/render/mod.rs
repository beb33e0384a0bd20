//! Reports as text for people.

mod markdown;
mod text;
pub(crate) mod units;

pub use markdown::render_markdown;
pub use text::{render_report, render_text, render_text_within};

use crate::finding::{Finding, Severity, Verdict};
use crate::report::Report;

/// How many there are, in one line: `12 findings: 1 high, 4 medium, 7 low.`
pub(crate) fn summary(findings: &[Finding]) -> String {
    let severities = [Severity::High, Severity::Medium, Severity::Low];
    let counts: Vec<_> = severities
        .iter()
        .filter_map(|severity| {
            let count = findings.iter().filter(|one| one.severity == *severity);
            let count = count.count();
            (count > 0).then(|| format!("{count} {severity}"))
        })
        .collect();
    match findings.len() {
        0 => "No findings.".to_owned(),
        1 => format!("1 finding: {}.", counts.join(", ")),
        count => format!("{count} findings: {}.", counts.join(", ")),
    }
}

/// `high`, or that there is nothing to do.
fn mark(finding: &Finding) -> &'static str {
    match finding.verdict {
        Verdict::Act => finding.severity.as_str(),
        Verdict::LeaveAlone => "leave it alone",
    }
}

/// A quick win in one line: what to do, and what it brings.
fn win(finding: &Finding) -> String {
    let what = finding.title.trim_end_matches('.');
    if finding.gain.text.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {}", finding.gain.text.trim_end_matches('.'))
    }
}

/// What the report does not tell of, a line each.
pub(crate) fn blind_spots(report: &Report) -> Vec<String> {
    let unseen = report.not_looked_at.iter().map(|unseen| {
        let (count, needs) = (unseen.rules.len(), unseen.needs.about());
        let rules = if count == 1 {
            "rule that needs"
        } else {
            "rules that need"
        };
        format!("{count} {rules} {needs}")
    });
    unseen.chain(report.not_read.iter().cloned()).collect()
}
