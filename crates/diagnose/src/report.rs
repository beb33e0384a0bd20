//! All that a look has brought: findings, what was suppressed, and what was not looked at.

use std::cmp::Ordering;

use paceline_catalogue::Snapshot;
use serde::{Deserialize, Serialize};

use crate::finding::{Effort, Finding, Severity, Verdict};
use crate::origin;
use crate::render;
use crate::rule::{Material, Need};
use crate::rules;
use crate::suppress::{self, Suppressed, Suppression};
use crate::texts::Texts;

/// Quick wins that are named at the end.
const QUICK_WINS_MAX: usize = 10;

/// What a look has brought. Its fields are those of the JSON form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The one that costs most time first.
    pub findings: Vec<Finding>,
    /// Ids of those findings whose remedy is small work, the one with the largest gain first.
    #[serde(default)]
    pub quick_wins: Vec<String>,
    /// Found, and not reported because somebody said so.
    #[serde(default)]
    pub suppressed: Vec<Suppressed>,
    /// Rules that could not look.
    #[serde(default)]
    pub not_looked_at: Vec<Unseen>,
    /// What of the database could not be read, and why.
    #[serde(default)]
    pub not_read: Vec<String>,
}

/// Rules that could not look, for the same reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unseen {
    /// What they need.
    pub needs: Need,
    /// Their names.
    pub rules: Vec<String>,
}

impl Report {
    /// Has all rules look.
    pub fn of(material: &Material<'_>) -> Self {
        let mut report = Self::default();
        let texts = Texts::of(material);
        for rule in rules::all() {
            match rule.look(material, &texts) {
                Ok(findings) => report.findings.extend(findings),
                Err(needs) => report.miss(needs, rule.name),
            }
        }
        let gaps = material.database.into_iter().flat_map(|one| &one.gaps);
        let gaps = gaps.map(|gap| format!("{}: {}", gap.what, gap.reason));
        report.not_read.extend(gaps);
        match material.database {
            Some(database) => report.explained_by(database),
            None => report.sorted(),
        }
    }

    /// With what the database knows of findings in the traffic: where the values of a loop come from, and the types of arrays.
    #[must_use]
    pub fn explained_by(mut self, database: &Snapshot) -> Self {
        for finding in &mut self.findings {
            origin::explain(finding, database);
        }
        self.sorted()
    }

    /// This and another report: what either found, and what neither could look at.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        let both = |unseen: &mut Unseen| {
            let missing = |rule: &String| {
                other
                    .not_looked_at
                    .iter()
                    .any(|one| one.rules.contains(rule))
            };
            unseen.rules.retain(missing);
            !unseen.rules.is_empty()
        };
        self.not_looked_at.retain_mut(both);
        for finding in other.findings {
            if self.findings.iter().all(|known| known.id != finding.id) {
                self.findings.push(finding);
            }
        }
        self.suppressed.extend(other.suppressed);
        for gap in other.not_read {
            if !self.not_read.contains(&gap) {
                self.not_read.push(gap);
            }
        }
        self.sorted()
    }

    /// Without what nobody wants to see, which is listed with its reason instead.
    #[must_use]
    pub fn without(mut self, suppressions: &[Suppression]) -> Self {
        let suppressed = suppress::take(&mut self.findings, suppressions);
        self.suppressed.extend(suppressed);
        self.sorted()
    }

    /// Whether there is something to do that is at least so severe.
    pub fn reaches(&self, limit: Severity) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|one| one.verdict == Verdict::Act && one.severity >= limit)
    }

    /// The quick wins with their place among the findings, counted from 1.
    pub fn quick_wins(&self) -> impl Iterator<Item = (usize, &Finding)> {
        self.quick_wins.iter().filter_map(|id| {
            let at = self.findings.iter().position(|one| one.id == *id)?;
            Some((at + 1, &self.findings[at]))
        })
    }

    /// How many findings there are, in one line: `12 findings: 1 high, 4 medium, 7 low.`
    pub fn summary(&self) -> String {
        render::summary(&self.findings)
    }

    /// What it does not tell of, a line each: rules that could not look, and what could not be read.
    pub fn blind_spots(&self) -> Vec<String> {
        render::blind_spots(self)
    }

    fn miss(&mut self, needs: Need, rule: &str) {
        match self.not_looked_at.iter_mut().find(|one| one.needs == needs) {
            Some(unseen) => unseen.rules.push(rule.to_owned()),
            None => self.not_looked_at.push(Unseen {
                needs,
                rules: vec![rule.to_owned()],
            }),
        }
    }

    fn sorted(mut self) -> Self {
        self.findings.sort_by(by_time_lost);
        let mut wins: Vec<_> = self
            .findings
            .iter()
            .filter(|one| one.verdict == Verdict::Act && one.effort == Effort::Small)
            .collect();
        wins.sort_by(|one, two| by_gain(one, two));
        let wins = wins.into_iter().take(QUICK_WINS_MAX);
        self.quick_wins = wins.map(|one| one.id.clone()).collect();
        self
    }
}

/// The costliest first; what costs no time yet, by what it will.
pub(crate) fn by_time_lost(one: &Finding, two: &Finding) -> Ordering {
    let by_time = two.time_lost_ms.total_cmp(&one.time_lost_ms);
    by_time
        .then_with(|| two.severity.cmp(&one.severity))
        .then_with(|| two.gain.bytes.cmp(&one.gain.bytes))
        .then_with(|| one.id.cmp(&two.id))
}

/// Most time saved first, then the most severe, then most bytes freed.
fn by_gain(one: &Finding, two: &Finding) -> Ordering {
    let time = |finding: &Finding| finding.gain.time_ms.unwrap_or(0.0);
    let by_time = time(two).total_cmp(&time(one));
    by_time.then_with(|| by_time_lost(one, two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Gain, Subject};

    fn finding(name: &str, severity: Severity, time_lost_ms: f64) -> Finding {
        let finding = Finding::new("rule", Subject::table(name), severity, name);
        Finding {
            time_lost_ms,
            ..finding.remedy(Effort::Small, "-")
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        let report = Report {
            findings,
            ..Report::default()
        };
        report.sorted()
    }

    fn names(report: &Report) -> Vec<&str> {
        report.findings.iter().map(|one| &*one.title).collect()
    }

    #[test]
    fn the_costliest_comes_first_and_then_the_most_severe() {
        let report = report(vec![
            finding("risk", Severity::High, 0.0),
            finding("cheap", Severity::Low, 0.0),
            finding("slow", Severity::Low, 5.0),
            finding("slower", Severity::Medium, 50.0),
        ]);
        assert_eq!(names(&report), ["slower", "slow", "risk", "cheap"]);
    }

    #[test]
    fn quick_wins_are_small_work_by_gain() {
        let mut large = finding("large work", Severity::High, 90.0);
        large.effort = Effort::Large;
        let mut alone = finding("leave it", Severity::High, 80.0);
        alone.verdict = Verdict::LeaveAlone;
        let gains =
            |name: &str, ms: f64| finding(name, Severity::Low, 0.0).gain(Gain::time(ms, ""));
        let report = report(vec![
            large,
            alone,
            gains("one", 1.0),
            gains("two", 2.0),
            finding("risk", Severity::High, 0.0),
        ]);
        let wins: Vec<_> = report.quick_wins().map(|(_, one)| &*one.title).collect();
        assert_eq!(wins, ["two", "one", "risk"]);
        let places: Vec<_> = report.quick_wins().map(|(at, _)| at).collect();
        assert!(
            places
                .iter()
                .zip(&wins)
                .all(|(at, name)| names(&report)[at - 1] == *name)
        );
    }

    #[test]
    fn nothing_to_do_fails_no_gate() {
        let mut alone = finding("leave it", Severity::High, 1.0);
        alone.verdict = Verdict::LeaveAlone;
        let report = report(vec![alone, finding("low", Severity::Low, 0.0)]);
        assert!(report.reaches(Severity::Low) && !report.reaches(Severity::Medium));
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let report = Report::of(&Material::default());
        let seen: usize = report.not_looked_at.iter().map(|one| one.rules.len()).sum();
        assert_eq!(seen, rules::all().count());
        assert!(report.findings.is_empty());
    }

    #[test]
    fn two_reports_miss_only_what_both_miss() {
        let unseen = |needs, rules: &[&str]| Unseen {
            needs,
            rules: rules.iter().map(ToString::to_string).collect(),
        };
        let mut one = report(vec![finding("a", Severity::Low, 1.0)]);
        one.not_looked_at = vec![
            unseen(Need::Database, &["x", "y"]),
            unseen(Need::Statements, &["s"]),
        ];
        let mut two = report(vec![
            finding("a", Severity::Low, 1.0),
            finding("b", Severity::Low, 2.0),
        ]);
        two.not_looked_at = vec![
            unseen(Need::Journal, &["j"]),
            unseen(Need::Statements, &["s"]),
        ];
        one.not_read = vec!["sizes".to_owned()];
        two.not_read = vec!["sizes".to_owned(), "locks".to_owned()];
        let both = one.with(two);
        assert_eq!(names(&both), ["b", "a"]);
        assert_eq!(both.not_read, ["sizes", "locks"]);
        assert_eq!(both.not_looked_at, [unseen(Need::Statements, &["s"])]);
        assert_eq!(both.quick_wins.len(), 2);
    }

    #[test]
    fn suppressed_findings_are_listed_and_fail_no_gate() {
        let suppression = Suppression {
            subject: Some("a*".to_owned()),
            reason: "known".to_owned(),
            ..Suppression::default()
        };
        let report = report(vec![
            finding("a", Severity::High, 1.0),
            finding("b", Severity::Low, 1.0),
        ]);
        let report = report.without(&[suppression]);
        assert_eq!(names(&report), ["b"]);
        assert_eq!(report.quick_wins.len(), 1);
        assert_eq!(report.suppressed[0].reason, "known");
        assert!(!report.reaches(Severity::Medium));
    }
}
