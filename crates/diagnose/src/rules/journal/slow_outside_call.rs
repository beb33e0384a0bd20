//! Slow outside call: a route that only reads spends most of its time neither in the database nor in a queue for it.

use paceline_journal::Journal;

use super::outside;
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "slow-outside-call",
    about: "A route that only reads spends most of its time outside the database.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    let found = outside::findings(RULE.name, journal, |method| {
        matches!(method, "GET" | "HEAD")
    });
    let with_remedy = |finding: Finding| finding.remedy(Effort::Medium, REMEDY);
    found.into_iter().map(with_remedy).collect()
}

const REMEDY: &str = "Find out what it waits for: calls to other services (run those that do not depend on each other side by side, cache \
         answers, set a time-out), or CPU (a large answer to build, a hash, a template). `paceline explain` shows where in a \
         request no statement runs.";

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;
    use crate::finding::Severity;

    const TEXT: &str = "SELECT a FROM t WHERE id = $1";

    fn found(count: usize, request: &Request) -> Vec<Finding> {
        let mut scene = Scene::new();
        (0..count).for_each(|_| scene.request(request));
        findings(&scene.journal)
    }

    #[test]
    fn time_that_is_not_the_databases_is_found() {
        let request = Request::get("/report").runs(TEXT, 5).works_ms(60);
        assert_eq!(found(10, &request)[0].severity, Severity::Medium);
        let slow = found(10, &Request::get("/report").works_ms(600));
        assert_eq!(slow[0].severity, Severity::High);
        for (count, request) in [
            (4, Request::get("/a").works_ms(60)),
            (10, Request::post("/a").works_ms(60)),
            // As much, but a little between each two statements.
            (10, Request::get("/a").runs(TEXT, 2).works_ms(20).again(10)),
            (10, Request::get("/a").runs(TEXT, 5).works_ms(30)),
            (10, Request::get("/a").runs(TEXT, 70).works_ms(60)),
            (10, Request::get("/a").runs(TEXT, 600)),
        ] {
            assert_eq!(found(count, &request), [], "{request:?}");
        }
    }

    #[test]
    fn it_is_told_after_which_statement() {
        let request = Request::get("/a").runs(TEXT, 2).works_after_ms(80);
        let title = &found(10, &request)[0].title;
        assert!(
            title.contains("waits 80.0 ms") && title.contains("after `SELECT t`"),
            "{title}"
        );
        let title = &found(10, &Request::get("/a").works_ms(80).runs(TEXT, 2))[0].title;
        assert!(title.contains("before its first statement"), "{title}");
    }

    #[test]
    fn where_the_databases_time_is_a_guess_nothing_is_said() {
        let request = Request::get("/a").runs(TEXT, 50).works_ms(60);
        assert_eq!(found(10, &request).len(), 1);
        assert_eq!(found(10, &request.shared()), []);
    }
}
