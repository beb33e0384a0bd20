//! Findings: what is slow or will be, why, and what to do about it, each with evidence.
//!
//! One [`Rule`] is one file in `rules/`. It looks at what it [needs](Need): the traffic that an instance has seen, or what a
//! database says of itself. It says nothing unless it can name the subject, the evidence and the remedy.
//!
//! ```
//! use paceline_diagnose::{Material, Report, render_report};
//! use paceline_journal::{Config, Journal};
//!
//! let journal = Journal::new(Config::default());
//! let report = Report::of(&Material { journal: Some(&journal), ..Material::default() });
//! assert!(report.findings.is_empty());
//! println!("{}", render_report(&report, 100));
//! ```
#![warn(missing_docs)]

mod evidence;
mod finding;
mod id;
mod origin;
mod orm;
mod render;
mod report;
mod rule;
mod rules;
mod suppress;
mod texts;

pub use evidence::{Detail, Evidence};
pub use finding::{Effort, Finding, Gain, Remedy, Severity, Subject, SubjectKind, Verdict};
pub use render::{render_markdown, render_report, render_text, render_text_within};
pub use report::{Report, Unseen};
pub use rule::{Check, Material, Need, ProcessSeen, Rule};
pub use suppress::{Suppressed, Suppression};
pub use texts::{Text, Texts, Use};

/// All rules, in the order in which they are told.
pub fn rules() -> impl Iterator<Item = &'static Rule> + Clone {
    rules::all()
}
