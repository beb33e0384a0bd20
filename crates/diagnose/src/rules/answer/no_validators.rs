//! No validators: clients ask again for what they have, and nothing in the answer lets them ask whether it has changed.

use paceline_journal::{Journal, RouteSnapshot};

use super::of_routes;
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count, percent};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "no-validators",
    about: "Clients get the same bytes again, since answers have neither ETag nor Last-Modified.",
    check: Check::Journal(findings),
};

const ANSWERS_MIN: u64 = 10;
/// Fewer may be chance.
const IDENTICAL_MIN: u64 = 5;
/// Below, what clients ask for again has mostly changed, and validators would not spare it.
const SHARE_MIN: f64 = 0.1;
/// An answer without a body is as long as its head, some 200 bytes.
const BYTES_MIN: u64 = 1_024;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let (answers, same) = (&route.answers, route.reuse.as_ref()?.same);
    let share = same.identical_share()?;
    let each = same.identical_bytes / same.identical.max(1);
    let is_silent = answers.validated * 10 < answers.counted;
    let is_repeated = same.identical >= IDENTICAL_MIN && share >= SHARE_MIN && each >= BYTES_MIN;
    if answers.counted < ANSWERS_MIN || !is_silent || !is_repeated {
        return None;
    }
    let name = &route.route;
    let title = format!(
        "{name} sends clients the very same answer again ({} of what they ask for again), and has no ETag.",
        percent(share)
    );
    let seen = format!(
        "{} of {} answers compared were byte for byte what the same client had; {}",
        count(same.identical),
        count(same.compared),
        bytes(same.identical_bytes)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("answers", answers.counted)
            .fact("compared", same.compared)
            .fact("identical", same.identical)
            .fact("identical_bytes", same.identical_bytes)
            .detail("Seen", seen)
            .remedy(
                Effort::Small,
                "Send an `ETag` (a version column, or a hash of the body) with `Cache-Control: no-cache`, and answer 304 when \
                 `If-None-Match` names it. A tag that is known without reading all rows spares the work as well as the bytes.",
            )
            .gain(Gain::bytes(same.identical_bytes, format!("up to {} so far", bytes(same.identical_bytes)))),
    )
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Answer, Ask};

    use super::super::testing::look;
    use super::*;
    use crate::rules::journal::scene::Request;

    /// Twenty requests: key, asker and body of each.
    fn found(size: u64, has_validator: bool, ask: impl Fn(u64) -> [u64; 3]) -> usize {
        let requests: Vec<_> = (0..20)
            .map(|at| {
                let [key, asker, body] = ask(at).map(|number| number << 40);
                let ask = Some(Ask {
                    key,
                    asker,
                    body: Some(body),
                });
                Request::get("/a").sends(size).says(Answer {
                    ask,
                    has_validator,
                    ..Answer::default()
                })
            })
            .collect();
        look(&RULE, &requests).len()
    }

    #[test]
    fn fires_and_near_misses() {
        assert_eq!(found(1_024, false, |_| [1, 1, 1]), 1);
        // Two of three are the same.
        assert_eq!(found(1_024, false, |at| [1, 1, at / 3]), 1);
        // Two clients, each with an answer of his own.
        assert_eq!(found(1_024, false, |at| [1, at % 2, at % 2]), 1);
        let none: [(&str, usize); 6] = [
            ("with a validator", found(1_024, true, |_| [1, 1, 1])),
            ("short", found(1_023, false, |_| [1, 1, 1])),
            ("each another", found(1_024, false, |at| [at, 1, at])),
            ("always changed", found(1_024, false, |at| [1, 1, at])),
            (
                "never the same client",
                found(1_024, false, |at| [1, at, 1]),
            ),
            (
                "four times",
                found(1_024, false, |at| [1, 1, if at < 5 { 0 } else { at }]),
            ),
        ];
        assert!(none.iter().all(|(_, count)| *count == 0), "{none:?}");
    }
}
