//! What was gained for each finding: by Paceline's fixes, or by what its remedy asks of the application and its schema.

use paceline_diagnose::{Finding, SubjectKind, Verdict};

use super::summary::{RouteSummary, Summary};

/// What the API written well leaves as it is: it keeps no answers.
const NOT_REMEDIED: [&str; 2] = ["worth-caching", "cached-in-vain"];

/// Who has mended what was found, and what tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gain<'a> {
    /// Paceline: a session of the application's is none of the server's any more.
    Fixes,
    /// The API written well, on this route (its place, and its numbers).
    Remedies(usize, &'a RouteSummary),
}

impl<'a> Gain<'a> {
    /// Nothing where nothing was measured that tells.
    pub(super) fn of(finding: &Finding, summary: &'a Summary) -> Option<Gain<'a>> {
        if finding.rule == "connect-per-request" {
            return Some(Gain::Fixes);
        }
        if finding.verdict != Verdict::Act || NOT_REMEDIED.contains(&&*finding.rule) {
            return None;
        }
        let routes = summary.routes.iter().enumerate();
        let mut routes = routes.filter(|_| finding.subject.kind == SubjectKind::Route);
        // A scenario may ask a route in several ways, each with a name of its own: `GET /jobs, crawlers`.
        let found = routes.find(|(_, route)| route.route == finding.subject.name)?;
        Some(Gain::Remedies(found.0, found.1))
    }

    /// In a line.
    pub(super) fn told(self, summary: &Summary) -> String {
        match self {
            Gain::Fixes => format!(
                "{} connections opened instead of {}, by pooling",
                summary.after.connections_opened, summary.before.connections_opened
            ),
            Gain::Remedies(_, route) => {
                let (without, with) = (&route.after, &route.remedied);
                let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
                format!(
                    "p50 {} → {} ms, p95 {} → {} ms, {:.1} → {:.1} statements per request",
                    ms(without.p50_ms),
                    ms(with.p50_ms),
                    ms(without.p95_ms),
                    ms(with.p95_ms),
                    without.statements_per_request,
                    with.statements_per_request
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::summary::tests::summary;
    use paceline_diagnose::{Severity, Subject};

    #[test]
    fn a_route_is_told_by_its_numbers_and_connections_by_their_count() {
        let summary = summary();
        let told = |finding: &Finding| {
            let gain = Gain::of(finding, &summary)?;
            Some(gain.told(&summary))
        };
        assert_eq!(
            told(&summary.findings[0]).as_deref(),
            Some("p50 20.0 → 5.0 ms, p95 40.0 → 10.0 ms, 61.0 → 2.0 statements per request")
        );
        let process = Subject::new(SubjectKind::Process, "the application");
        let connects = Finding::new("connect-per-request", process, Severity::High, "-");
        assert_eq!(
            told(&connects).as_deref(),
            Some("10 connections opened instead of 600, by pooling")
        );
        let other = Finding::new("errors", Subject::route("GET /other"), Severity::High, "-");
        assert_eq!(told(&other), None);
        let mut found = summary.findings[0].clone();
        found.verdict = Verdict::LeaveAlone;
        assert_eq!(told(&found), None);
        found.verdict = Verdict::Act;
        found.rule = "worth-caching".into();
        assert_eq!(told(&found), None);
    }
}
