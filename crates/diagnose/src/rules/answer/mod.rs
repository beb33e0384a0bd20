//! Rules over what answers say of themselves: what travels that need not, and what need not be computed again.

mod cached_in_vain;
mod deep_nesting;
mod no_validators;
mod null_heavy;
mod numbers_as_strings;
mod uncompressed;
mod unpaginated;
mod worth_caching;

use paceline_journal::{Bodies, Journal, RouteSnapshot};

use crate::finding::Finding;
use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    worth_caching::RULE,
    cached_in_vain::RULE,
    no_validators::RULE,
    uncompressed::RULE,
    unpaginated::RULE,
    null_heavy::RULE,
    numbers_as_strings::RULE,
    deep_nesting::RULE,
];

/// Bodies that must have been looked at: one may be an exception.
const LOOKS_MIN: u64 = 3;

/// What a rule finds in each route; `other` is not one.
fn of_routes(journal: &Journal, look: impl Fn(&RouteSnapshot) -> Option<Finding>) -> Vec<Finding> {
    let routes = journal.routes();
    let named = routes.iter().filter(|route| route.route.contains(' '));
    named.filter_map(look).collect()
}

/// The bodies of a route, when enough were looked at.
fn bodies(route: &RouteSnapshot) -> Option<&Bodies> {
    let bodies = &route.answers.bodies;
    (bodies.looked_at >= LOOKS_MIN).then_some(bodies)
}

#[cfg(test)]
mod testing {
    use paceline_journal::{Answer, Content};
    use paceline_payload::Figures;

    use super::super::journal::scene::{Request, Scene};
    use crate::finding::Finding;
    use crate::report::Report;
    use crate::rule::{Material, Rule};

    /// What a rule finds after these requests.
    pub(super) fn look(rule: &Rule, requests: &[Request]) -> Vec<Finding> {
        let mut scene = Scene::new();
        requests.iter().for_each(|request| scene.request(request));
        let material = Material {
            journal: Some(&scene.journal),
            ..Material::default()
        };
        let findings = Report::of(&material).findings.into_iter();
        let found: Vec<_> = findings.filter(|one| one.rule == rule.name).collect();
        for finding in &found {
            assert!(finding.title.ends_with('.'), "{}", finding.title);
            assert!(
                finding.remedy.text.ends_with('.'),
                "{}",
                finding.remedy.text
            );
        }
        found
    }

    /// So many requests whose bodies are made of this.
    pub(super) fn bodies(rule: &Rule, count: usize, of: impl Fn(usize) -> Figures) -> usize {
        let requests: Vec<_> = (0..count)
            .map(|at| {
                let answer = Answer {
                    content: Content::Json,
                    json: Some(of(at)),
                    ..Answer::default()
                };
                Request::get("/a").sends(2_000).says(answer)
            })
            .collect();
        look(rule, &requests).len()
    }
}
