//! Deep nesting: answers whose values stand deep inside of each other.

use paceline_journal::{Journal, RouteSnapshot};

use super::{bodies, of_routes};
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::count;
use crate::rule::{Check, Rule};
use crate::rules::average;

pub(super) const RULE: Rule = Rule {
    name: "deep-nesting",
    about: "A route's answers are nested deeply.",
    check: Check::Journal(findings),
};

/// Three connections in the style of Relay in each other are eleven levels, which is a style. Beyond, a tree is sent as a tree.
const DEPTH_MIN: f64 = 12.0;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let bodies = bodies(route)?;
    let depth = bodies.mean(bodies.depth_sum);
    if depth < DEPTH_MIN {
        return None;
    }
    let name = &route.route;
    let title = format!(
        "{name} answers with {} levels of nesting.",
        bodies.depth_max
    );
    let seen = format!(
        "{} bodies looked at, {} levels on average",
        count(bodies.looked_at),
        average(depth)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("bodies_looked_at", bodies.looked_at)
            .fact("depth_mean", depth)
            .fact("depth_max", bodies.depth_max)
            .detail("Seen", seen)
            .remedy(
                Effort::Medium,
                "Send a flat list whose rows name their `parent`, and leave out levels that hold one member only (`data`, `node`).",
            )
            .gain(Gain::text("simpler clients, and parsers that limit depth stay content")),
    )
}

#[cfg(test)]
mod tests {
    use paceline_payload::Figures;

    use super::super::testing::bodies;
    use super::*;

    #[test]
    fn fires_and_near_misses() {
        let of = |depth| Figures {
            bytes: 2_000,
            depth,
            ..Figures::default()
        };
        assert_eq!(bodies(&RULE, 3, |_| of(12)), 1);
        assert_eq!(bodies(&RULE, 2, |_| of(12)), 0);
        assert_eq!(bodies(&RULE, 3, |_| of(11)), 0);
        // One deep comment in a thread.
        assert_eq!(bodies(&RULE, 5, |at| of(if at == 0 { 27 } else { 4 })), 0);
    }
}
