//! Findings: what is slow, why, and what to do about it, each with evidence.
//!
//! One rule is one file in `rules/`. A rule reads the [`Journal`] and says nothing unless it can name
//! the route, the statement, the time that is lost, and the remedy.
//!
//! ```
//! use paceline_journal::{Config, Journal};
//!
//! let journal = Journal::new(Config::default());
//! let findings = paceline_diagnose::findings(&journal);
//! assert!(findings.is_empty());
//! println!("{}", paceline_diagnose::render_text(&findings));
//! ```
#![warn(missing_docs)]

mod finding;
mod render;
mod rules;

pub use finding::{
    Effort, Evidence, Finding, FindingKind, PrecedingStatement, RepetitionEvidence, Severity,
};
pub use render::{render_text, render_text_within};

use paceline_journal::Journal;

/// All findings, the one that costs most time first.
pub fn findings(journal: &Journal) -> Vec<Finding> {
    let mut findings: Vec<_> = rules::ALL.iter().flat_map(|rule| rule(journal)).collect();
    findings.sort_by(|one, two| {
        let by_time = two.time_lost_ms.total_cmp(&one.time_lost_ms);
        by_time.then_with(|| one.id.cmp(&two.id))
    });
    findings
}
