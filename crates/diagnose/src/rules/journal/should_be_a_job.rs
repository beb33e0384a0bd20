//! Should be a job: a route that changes something spends most of its time neither in the database nor in a queue for it, while
//! the client waits.

use paceline_journal::Journal;

use super::outside;
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "should-be-a-job",
    about: "A route that changes something spends most of its time outside the database, while the client waits.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    let found = outside::findings(RULE.name, journal, |method| {
        !matches!(method, "GET" | "HEAD")
    });
    let with_remedy = |finding: Finding| finding.remedy(Effort::Medium, REMEDY);
    found.into_iter().map(with_remedy).collect()
}

const REMEDY: &str = "Find out what it waits for. What the client need not wait for (mail, documents, calls to other services) can be a \
         background job: store it in the same transaction and answer with 202. Password hashing and the like belong on threads \
         of their own. `paceline explain` shows where in a request no statement runs.";

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    const TEXT: &str = "INSERT INTO t (a) VALUES ($1)";

    #[test]
    fn writes_that_wait_for_others_are_found_and_reads_are_not() {
        for (request, expected) in [
            (Request::post("/orders").runs(TEXT, 5).works_ms(60), 1),
            (Request::post("/orders").runs(TEXT, 5).works_ms(30), 0),
            (Request::post("/orders").runs(TEXT, 100).works_ms(60), 0),
            (Request::get("/orders").runs(TEXT, 5).works_ms(60), 0),
        ] {
            let mut scene = Scene::new();
            (0..10).for_each(|_| scene.request(&request));
            assert_eq!(findings(&scene.journal).len(), expected, "{request:?}");
        }
    }
}
