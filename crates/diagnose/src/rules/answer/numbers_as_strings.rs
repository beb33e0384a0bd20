//! Numbers as strings: quantities in quotes, which every client must parse again.

use paceline_journal::{Journal, RouteSnapshot};

use super::{bodies, of_routes};
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::count;
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "numbers-as-strings",
    about: "Members of a route's answers are always numbers, written as text.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let bodies = bodies(route)?;
    // Most bodies say so: in one list text may look like numbers by chance.
    if bodies.numeric * 2 < bodies.looked_at || bodies.fields_numeric_max == 0 {
        return None;
    }
    let name = &route.route;
    let members = match bodies.fields_numeric_max {
        1 => "a member that is".to_owned(),
        several => format!("{several} members that are"),
    };
    let title = format!("{name} sends {members} always a number, as text.");
    let seen = format!(
        "{} of {} bodies looked at, {} values; identifiers, values of one length and amounts with fixed decimals are not counted",
        count(bodies.numeric),
        count(bodies.looked_at),
        count(bodies.numeric_strings)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("bodies_looked_at", bodies.looked_at)
            .fact("bodies_with_numbers", bodies.numeric)
            .fact("fields_numeric", bodies.fields_numeric_max)
            .fact("values", bodies.numeric_strings)
            .detail("Seen", seen)
            .remedy(
                Effort::Small,
                "Send quantities as JSON numbers. Where an exact decimal is meant to stay text, suppress this with that reason.",
            )
            .gain(Gain::text("clients need not parse twice, and cannot sort 10 before 9")),
    )
}

#[cfg(test)]
mod tests {
    use paceline_payload::Figures;

    use super::super::testing::bodies;
    use super::*;

    #[test]
    fn fires_and_near_misses() {
        let numeric = Figures {
            bytes: 2_000,
            fields: 9,
            fields_numeric: 2,
            numeric_strings: 20,
            ..Figures::default()
        };
        let none = Figures {
            fields_numeric: 0,
            numeric_strings: 0,
            ..numeric
        };
        assert_eq!(bodies(&RULE, 3, |_| numeric), 1);
        assert_eq!(
            bodies(&RULE, 4, |at| if at % 2 == 0 { numeric } else { none }),
            1
        );
        assert_eq!(bodies(&RULE, 2, |_| numeric), 0);
        assert_eq!(
            bodies(&RULE, 5, |at| if at % 2 == 1 { numeric } else { none }),
            0
        );
        assert_eq!(bodies(&RULE, 5, |_| none), 0);
    }
}
