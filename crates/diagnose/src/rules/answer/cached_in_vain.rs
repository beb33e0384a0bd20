//! Cached in vain: a cache between us and the application says that it seldom has what is asked for.

use paceline_journal::{Journal, RouteSnapshot};

use super::of_routes;
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, percent};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "cached-in-vain",
    about: "A cache behind the gateway seldom has what is asked for.",
    check: Check::Journal(findings),
};

/// A cache begins empty.
const ANSWERS_MIN: u64 = 50;
/// Below, the field says, something must be done.
const RATE_MIN: f64 = 0.6;
/// Below, the look-ups hardly pay for themselves.
const RATE_VAIN: f64 = 0.1;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let (hits, misses) = (route.answers.cached, route.answers.not_cached);
    let answers = hits + misses;
    let rate = hits as f64 / answers.max(1) as f64;
    if answers < ANSWERS_MIN || rate >= RATE_MIN {
        return None;
    }
    let name = &route.route;
    let title = format!(
        "Of the answers of {name}, a cache behind the gateway had {}.",
        percent(rate)
    );
    let remedy = if rate < RATE_VAIN {
        "Take the route out of that cache, or find out why it keeps nothing: `Set-Cookie`, `Vary`, or parameters in the key that \
         do not change the answer, such as those of campaigns."
    } else {
        "Keep answers for longer and invalidate them when they change; take parameters out of the key that do not change the \
         answer, sort the others, and narrow `Vary`. If keys hardly repeat, leave the route uncached."
    };
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("hits", hits)
            .fact("misses", misses)
            .fact("hit_rate", rate)
            .detail(
                "Seen",
                format!(
                    "{} hits and {} misses, by Cache-Status, X-Cache or Age",
                    count(hits),
                    count(misses)
                ),
            )
            .remedy(Effort::Medium, remedy)
            .gain(Gain::text(format!("up to {} misses so far", count(misses)))),
    )
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Answer, Ask};

    use super::super::testing::look;
    use super::*;
    use crate::rules::journal::scene::Request;

    fn found(hits: usize, misses: usize, says: bool) -> Vec<Finding> {
        let request = |was_hit: bool| {
            let ask = Some(Ask {
                key: 1,
                asker: 1,
                body: None,
            });
            Request::get("/a").says(Answer {
                ask,
                was_cached: says.then_some(was_hit),
                ..Answer::default()
            })
        };
        look(
            &RULE,
            &[vec![request(true); hits], vec![request(false); misses]].concat(),
        )
    }

    #[test]
    fn fires_and_near_misses() {
        assert_eq!(found(29, 21, true).len(), 1);
        assert!(
            found(4, 46, true)[0]
                .remedy
                .text
                .starts_with("Take the route out")
        );
        assert!(
            found(5, 45, true)[0]
                .remedy
                .text
                .starts_with("Keep answers")
        );
        for (hits, misses, says) in [(30, 20, true), (20, 29, true), (0, 60, false)] {
            assert_eq!(found(hits, misses, says), [], "{hits} of {}", hits + misses);
        }
    }
}
