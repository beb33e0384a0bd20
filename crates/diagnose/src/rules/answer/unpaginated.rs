//! Unpaginated list: a route answers with all there is, and more as there is more.

use paceline_journal::{Journal, RouteSnapshot};
use paceline_sql::Kind;

use super::{bodies, of_routes};
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count};
use crate::rule::{Check, Rule};
use crate::rules::average;
use crate::rules::journal::is_bounded;

pub(super) const RULE: Rule = Rule {
    name: "unpaginated-list",
    about: "A route answers with a long list of no fixed length, and nobody asks for a page of it.",
    check: Check::Journal(findings),
};

/// Pages commonly have up to a hundred rows.
const LENGTH_MIN: u32 = 100;
/// A statement that returns fewer rows on average is not where a long list comes from.
const ROWS_MIN: f64 = 10.0;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, |route| finding(journal, route))
}

fn finding(journal: &Journal, route: &RouteSnapshot) -> Option<Finding> {
    let bodies = bodies(route)?;
    // Always the same length is a page, or a list that does not grow.
    let varies = bodies.list_min < bodies.list_max;
    let is_long = bodies.list_max > LENGTH_MIN;
    if !varies || !is_long || bodies.limited > 0 || is_bounded_below(journal, route) {
        return None;
    }
    let each = bodies.mean(bodies.bytes) as u64;
    let name = &route.route;
    let title = format!(
        "{name} answers with lists of up to {} elements, and has no pages.",
        count(bodies.list_max.into())
    );
    let seen = format!(
        "{} bodies looked at: {} to {} elements, {} on average, {} each; no parameter of the query limits them",
        count(bodies.looked_at),
        bodies.list_min,
        count(bodies.list_max.into()),
        average(bodies.mean(bodies.list_sum)),
        bytes(each)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
            .fact("bodies_looked_at", bodies.looked_at)
            .fact("elements_min", bodies.list_min)
            .fact("elements_max", bodies.list_max)
            .fact("elements_mean", bodies.mean(bodies.list_sum))
            .detail("Seen", seen)
            .remedy(
                Effort::Medium,
                "Answer with a page and a cursor for the next one (`?limit=50&after=…`), with a LIMIT in the statement, and a limit \
                 that clients cannot exceed. Whoever needs all of it gets a stream.",
            )
            .gain(Gain::text("an answer that stays as small as its page")),
    )
}

/// Whether all statements of the route that return rows by the dozen have a limit: then so has the list.
fn is_bounded_below(journal: &Journal, route: &RouteSnapshot) -> bool {
    let pairs = journal
        .repetitions()
        .into_iter()
        .filter(|pair| pair.route == route.route);
    let mut many = pairs
        .filter(|pair| {
            let shapes = journal.shapes();
            let known = shapes.iter().find(|one| one.shape.id == pair.shape.id);
            let rows = known.map_or(0.0, |one| one.rows as f64 / one.executions.max(1) as f64);
            pair.shape.kind == Kind::Select && rows >= ROWS_MIN
        })
        .peekable();
    many.peek().is_some() && many.all(|pair| is_bounded(&pair.shape.text))
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Answer, Content};
    use paceline_payload::Figures;

    use super::super::testing::look;
    use super::*;
    use crate::rules::journal::scene::Request;

    fn found(
        count: u32,
        is_limited: bool,
        statement: &'static str,
        rows: u64,
        length: impl Fn(u32) -> u32,
    ) -> usize {
        let requests: Vec<_> = (0..count)
            .map(|at| {
                let json = Some(Figures {
                    bytes: 9_000,
                    list_length: length(at),
                    ..Figures::default()
                });
                let answer = Answer {
                    content: Content::Json,
                    json,
                    is_limited,
                    ..Answer::default()
                };
                Request::get("/a")
                    .runs(statement, 1)
                    .rows(rows)
                    .says(answer)
            })
            .collect();
        look(&RULE, &requests).len()
    }

    #[test]
    fn fires_and_near_misses() {
        let (all, page) = (
            "SELECT a FROM t WHERE b = $1",
            "SELECT a FROM t WHERE b = $1 LIMIT 500",
        );
        let grows = |at: u32| 99 + at;
        assert_eq!(found(3, false, all, 100, grows), 1);
        let none = [
            ("two bodies", found(2, false, all, 100, |at| 100 + at)),
            ("a page is asked for", found(3, true, all, 100, grows)),
            ("short", found(3, false, all, 100, |at| 98 + at)),
            ("always the same", found(3, false, all, 100, |_| 300)),
            (
                "limited in the statement",
                found(3, false, page, 100, grows),
            ),
        ];
        assert!(none.iter().all(|(_, count)| *count == 0), "{none:?}");
        // The statement with the limit is not where the list comes from.
        assert_eq!(found(3, false, page, 9, grows), 1);
    }
}
