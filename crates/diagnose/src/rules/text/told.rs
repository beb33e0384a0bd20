//! What findings about statements have in common: the route in which it is executed, its cost, and what is told of it.

use crate::finding::{Finding, Severity, Subject, SubjectKind};
use crate::render::units::{count, cut, time};
use crate::rules::average;
use crate::texts::{Text, Use};

/// Routes that are named.
const ROUTES_MAX: usize = 5;

/// A finding that may be the same as another one.
pub(super) struct Candidate {
    /// What makes it the same.
    pub(super) key: String,
    pub(super) finding: Finding,
}

/// What one statement costs.
pub(super) struct Cost<'t> {
    text: &'t Text,
    /// The route that is told of.
    main: Option<&'t Use>,
    pub(super) severity: Severity,
}

impl<'t> Cost<'t> {
    /// Its severity is by the part of it that could be spared, on the route that spends most time in it.
    pub(super) fn of(text: &'t Text, spared: f64) -> Self {
        Self::new(text, text.uses.first(), spared)
    }

    /// On one of its routes.
    pub(super) fn in_route(text: &'t Text, usage: &'t Use, spared: f64) -> Self {
        Self::new(text, Some(usage), spared)
    }

    fn new(text: &'t Text, main: Option<&'t Use>, spared: f64) -> Self {
        let (share, per_request_ms) = match main {
            Some(one) => (
                one.time_ms / one.route_time_ms.max(one.time_ms).max(f64::MIN_POSITIVE),
                one.time_ms / one.requests.max(1) as f64,
            ),
            None => (0.0, text.mean_ms()),
        };
        let per_request = std::time::Duration::from_secs_f64(per_request_ms * spared / 1_000.0);
        let mut severity = Severity::of(share * spared, per_request);
        // However large its part is: nobody waits for less than five milliseconds.
        if per_request.as_secs_f64() < 0.005 {
            severity = severity.min(Severity::Medium);
        }
        Self {
            text,
            main,
            severity,
        }
    }

    /// Its route, or itself.
    pub(super) fn subject(&self) -> Subject {
        match self.main {
            Some(one) => Subject::route(&*one.route),
            None => Subject::new(SubjectKind::Statement, &*self.text.shape.summary),
        }
    }

    /// `` `SELECT jobs` `` or `` GET /jobs executes `SELECT jobs` ``, to begin a sentence with.
    pub(super) fn who(&self) -> String {
        let summary = &self.text.shape.summary;
        match self.main {
            Some(one) => format!("{} executes `{summary}`, which", one.route),
            None => format!("`{summary}`"),
        }
    }

    /// Adds what was seen of it.
    pub(super) fn told(&self, finding: Finding) -> Finding {
        let text = self.text;
        let seen = format!(
            "{} executions, {} in all, {} rows each",
            count(text.executions),
            time(text.time_ms),
            average(text.mean_rows())
        );
        let mut finding = finding
            .fact("statement", &*text.shape.text)
            .fact("executions", text.executions)
            .fact("time_ms", text.time_ms)
            .fact("mean_ms", text.mean_ms())
            .fact("rows_per_execution", text.mean_rows())
            .detail("Seen", seen)
            .detail("Statement", cut(&text.shape.text));
        if text.uses.len() > 1 {
            let routes = text.uses.iter().take(ROUTES_MAX).map(|one| &*one.route);
            let mut told = routes.collect::<Vec<_>>().join(", ");
            if text.uses.len() > ROUTES_MAX {
                told.push_str(", …");
            }
            finding = finding.detail("Routes", told);
        }
        finding
    }
}

/// One finding for all that are the same: the one that costs most, and the time of all.
pub(super) fn once(candidates: Vec<Candidate>) -> Vec<Finding> {
    let mut kept: Vec<(Candidate, u64)> = Vec::new();
    for candidate in candidates {
        let known = kept.iter_mut().find(|(one, _)| one.key == candidate.key);
        let Some((one, others)) = known else {
            kept.push((candidate, 0));
            continue;
        };
        *others += 1;
        let time_ms = one.finding.time_lost_ms + candidate.finding.time_lost_ms;
        if candidate.finding.severity > one.finding.severity {
            one.finding = candidate.finding;
        }
        one.finding.time_lost_ms = time_ms;
    }
    let kept = kept.into_iter();
    kept.map(|(candidate, others)| {
        let Candidate { key, finding } = candidate;
        let finding = finding.told_apart_by("", &key);
        if others == 0 {
            return finding;
        }
        let also = format!("{} more with the same fault", count(others));
        let mut finding = finding.fact("statements", others + 1).detail("Also", also);
        if let Some(ms) = &mut finding.gain.time_ms {
            *ms = ms.max(finding.time_lost_ms);
        }
        finding
    })
    .collect()
}
