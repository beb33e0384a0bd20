//! Null-heavy answer: much of what travels is names without a value.

use paceline_journal::{Journal, RouteSnapshot};

use super::{bodies, of_routes};
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count, percent};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "null-heavy",
    about: "A large part of a route's members are null or empty.",
    check: Check::Journal(findings),
};

/// One in four: tables have optional columns, and a few nulls are cheaper than two forms of an answer.
const MEMBERS_MIN: f64 = 0.25;
/// Names without a value are short; below, leaving them out would not be noticed.
const BYTES_SHARE_MIN: f64 = 0.05;
const BYTES_MIN: f64 = 1_024.0;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let bodies = bodies(route)?;
    let each = bodies.mean(bodies.bytes);
    let idle = bodies.null_bytes + bodies.empty_bytes;
    let members = (bodies.nulls + bodies.empties) as f64 / bodies.members.max(1) as f64;
    let share = idle as f64 / bodies.bytes.max(1) as f64;
    if members < MEMBERS_MIN || share < BYTES_SHARE_MIN || each < BYTES_MIN {
        return None;
    }
    let spared = (route.response_bytes as f64 * share) as u64;
    let name = &route.route;
    let title = format!(
        "{} of the members that {name} sends are null or empty.",
        percent(members.min(1.0))
    );
    let seen = format!(
        "{} bodies looked at: {} nulls, {} empty values, {} of the bytes; up to {} of {} names always null",
        count(bodies.looked_at),
        count(bodies.nulls),
        count(bodies.empties),
        percent(share),
        bodies.fields_null_max,
        bodies.fields_max
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("bodies_looked_at", bodies.looked_at)
            .fact("members", bodies.members)
            .fact("nulls", bodies.nulls)
            .fact("empties", bodies.empties)
            .fact("bytes_share", share)
            .fact("fields_always_null", bodies.fields_null_max)
            .detail("Seen", seen)
            .remedy(
                Effort::Small,
                "Leave out members without a value (serialisers have a switch for it), and columns that nobody fills. Clients that \
                 tell absent from null must be asked first.",
            )
            .gain(Gain::bytes(spared, format!("about {} so far, before compression", bytes(spared)))),
    )
}

#[cfg(test)]
mod tests {
    use paceline_payload::Figures;

    use super::super::testing::bodies;
    use super::*;

    #[test]
    fn fires_and_near_misses() {
        let heavy = Figures {
            bytes: 2_000,
            members: 100,
            nulls: 20,
            null_bytes: 80,
            empties: 5,
            empty_bytes: 20,
            ..Figures::default()
        };
        let rows = [
            ("heavy", 3, heavy, 1),
            ("two bodies", 2, heavy, 0),
            ("fewer nulls", 3, Figures { nulls: 19, ..heavy }, 0),
            (
                "short names",
                3,
                Figures {
                    null_bytes: 79,
                    ..heavy
                },
                0,
            ),
            (
                "short",
                3,
                Figures {
                    bytes: 1_023,
                    ..heavy
                },
                0,
            ),
            (
                "a list of nothing",
                3,
                Figures {
                    members: 0,
                    nulls: 0,
                    empties: 0,
                    ..heavy
                },
                0,
            ),
        ];
        for (what, count, figures, expected) in rows {
            assert_eq!(bodies(&RULE, count, |_| figures), expected, "{what}");
        }
    }
}
