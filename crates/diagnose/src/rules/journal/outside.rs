//! What the rules on time outside the database have in common: where in a request no statement runs for long.
//!
//! Looked at is the longest gap of each recent request: from its start, from the end of one statement to the next, or up to the
//! first byte of the answer. Many short gaps are round trips and the application's own work between them, which is another
//! matter (see N+1). One long gap is a call to somebody else, or work that could go elsewhere; from outside they look alike.

use std::collections::HashMap;
use std::time::Duration;

use paceline_journal::{Journal, RequestRecord};

use crate::finding::{Finding, Gain, Severity, Subject};
use crate::render::units::{count, figure};

const REQUESTS_MIN: usize = 5;
/// Less than that is what applications take.
const GAP_MS_MIN: f64 = 40.0;
/// From here on users wait for it alone.
const GAP_MS_HIGH: f64 = 500.0;
/// The gap's part of the request's time, up to the first byte of the answer.
const SHARE_MIN: f64 = 0.5;

/// The longest gap of a request.
struct Gap {
    ms: f64,
    /// Its part, 0 to 1, of the time to the first byte.
    share: f64,
    /// The statement before it, in a few words.
    after: Option<String>,
}

/// The routes on which half of the recent requests have a gap that is long and most of their time: but for a remedy.
pub(super) fn findings(
    rule: &'static str,
    journal: &Journal,
    concerns: fn(method: &str) -> bool,
) -> Vec<Finding> {
    let mut gaps: HashMap<String, Vec<Gap>> = HashMap::new();
    for summary in journal.recent() {
        let method = summary.route.split(' ').next().unwrap_or_default();
        if concerns(method)
            && let Some(request) = journal.request(&summary.id)
            && let Some(gap) = Gap::longest_of(&request)
        {
            gaps.entry(summary.route.to_string()).or_default().push(gap);
        }
    }
    let found = gaps.into_iter();
    let mut found: Vec<_> = found
        .filter_map(|(route, gaps)| finding(rule, route, gaps))
        .collect();
    found.sort_by(|one, two| one.id.cmp(&two.id));
    found
}

fn finding(rule: &str, route: String, mut gaps: Vec<Gap>) -> Option<Finding> {
    gaps.sort_by(|one, two| one.ms.total_cmp(&two.ms));
    let median = &gaps[gaps.len() / 2];
    let mut shares: Vec<f64> = gaps.iter().map(|gap| gap.share).collect();
    shares.sort_by(f64::total_cmp);
    let (gap_ms, share) = (median.ms, shares[shares.len() / 2]);
    if gaps.len() < REQUESTS_MIN || gap_ms < GAP_MS_MIN || share < SHARE_MIN {
        return None;
    }
    let severity = if gap_ms >= GAP_MS_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let gap = figure(gap_ms);
    let title = match mostly_after(&gaps) {
        Some(statement) => format!(
            "{route} waits {gap} ms for something that is not the database, after `{statement}`."
        ),
        // A connect, a pool of the application's own, or a body that comes slowly.
        None => format!(
            "{route} takes {gap} ms before its first statement: for a call, or for a connection of its own."
        ),
    };
    let seen = format!(
        "the longest time without a statement in half of {} recent requests, {:.0} % of the time to the first byte",
        count(gaps.len() as u64),
        share * 100.0
    );
    Some(
        Finding::new(rule, Subject::route(&*route), severity, title)
            .fact("requests", gaps.len())
            .fact("gap_p50_ms", gap_ms)
            .fact("gap_share", share)
            .fact("after", mostly_after(&gaps).unwrap_or_default())
            .detail("Seen", seen)
            .gain(Gain::text(format!(
                "up to {} ms per request",
                figure(gap_ms)
            ))),
    )
}

/// The statement that most of the gaps come after.
fn mostly_after(gaps: &[Gap]) -> Option<String> {
    let mut counts: HashMap<&Option<String>, usize> = HashMap::new();
    for gap in gaps {
        *counts.entry(&gap.after).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by(|one, two| (one.1, &two.0).cmp(&(two.1, &one.0)));
    most.and_then(|(after, _)| after.clone())
}

impl Gap {
    /// None where it is not known which statements are the request's, or when its answer began.
    fn longest_of(request: &RequestRecord) -> Option<Self> {
        let summary = &request.summary;
        let (from, to) = (summary.connected.unwrap_or_default(), summary.first_byte?);
        let is_whole = request.statements_unlisted == 0
            && summary.error.is_none()
            && request
                .statements
                .iter()
                .all(|statement| statement.attribution.is_exact());
        if !is_whole {
            return None;
        }
        let mut longest = (Duration::ZERO, None);
        let (mut reached, mut after) = (from, None);
        for statement in &request.statements {
            let began = statement.offset.saturating_sub(statement.queued).min(to);
            if began.saturating_sub(reached) > longest.0 {
                longest = (began - reached, after.clone());
            }
            let end = statement.offset + statement.duration.unwrap_or_default();
            if end >= reached {
                (reached, after) = (end, Some(statement.shape.summary.to_string()));
            }
        }
        if to.saturating_sub(reached) > longest.0 {
            longest = (to - reached, after);
        }
        let whole = to.saturating_sub(from).as_secs_f64();
        let gap = longest.0.as_secs_f64();
        Some(Self {
            ms: gap * 1_000.0,
            share: if whole > 0.0 { gap / whole } else { 0.0 },
            after: longest.1,
        })
    }
}
