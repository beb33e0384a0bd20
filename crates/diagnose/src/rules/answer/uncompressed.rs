//! Uncompressed answer: clients take compressed answers, and text goes to them as it is.

use paceline_journal::{Journal, RouteSnapshot};

use super::of_routes;
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "uncompressed-answer",
    about: "Answers of text go out uncompressed to clients that take them compressed.",
    check: Check::Journal(findings),
};

/// Fewer may be an exception.
const ANSWERS_MIN: u64 = 5;
/// These take 80 ms at 10 Mbit/s.
const BYTES_MEDIUM: u64 = 100 * 1024;
/// What gzip commonly saves of JSON and HTML; of short answers a little less.
const SAVED: f64 = 0.7;

fn findings(journal: &Journal) -> Vec<Finding> {
    of_routes(journal, finding)
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let (answers, all) = (route.answers.plain, route.answers.plain_bytes);
    if answers < ANSWERS_MIN {
        return None;
    }
    let each = all / answers;
    let severity = if each >= BYTES_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let saved = (all as f64 * SAVED) as u64;
    let name = &route.route;
    let title = format!(
        "{name} sends {} of text uncompressed to clients that take gzip or better.",
        bytes(each)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), severity, title)
            .fact("answers", answers)
            .fact("bytes_per_answer", each)
            .fact("saved_bytes_estimated", saved)
            .detail("Seen", format!("{} answers of 1 KiB or more, {} in all", count(answers), bytes(all)))
            .remedy(
                Effort::Small,
                "Compress in the application's framework (one middleware) or in the proxy before it: zstd, br or gzip at a middle \
                 level, from 1 KiB on, with `Vary: Accept-Encoding`.",
            )
            .gain(Gain::bytes(saved, format!("about {} fewer so far, if gzip saves 70 %", bytes(saved)))),
    )
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Answer, Content};

    use super::super::testing::look;
    use super::*;
    use crate::rules::journal::scene::Request;

    #[test]
    fn fires_and_near_misses() {
        let plain = Answer {
            content: Content::Json,
            takes_encoding: true,
            ..Answer::default()
        };
        let rows = [
            ("JSON", plain, 1_024, 5, Some(Severity::Low)),
            (
                "HTML",
                Answer {
                    content: Content::Text,
                    ..plain
                },
                1_024,
                5,
                Some(Severity::Low),
            ),
            ("large", plain, BYTES_MEDIUM, 5, Some(Severity::Medium)),
            ("four", plain, 1_024, 4, None),
            ("short", plain, 1_023, 5, None),
            (
                "compressed",
                Answer {
                    is_encoded: true,
                    ..plain
                },
                1_024,
                5,
                None,
            ),
            (
                "clients that do not ask",
                Answer {
                    takes_encoding: false,
                    ..plain
                },
                1_024,
                5,
                None,
            ),
            (
                "an image",
                Answer {
                    content: Content::Other,
                    ..plain
                },
                1_024,
                5,
                None,
            ),
            (
                "events",
                Answer {
                    content: Content::Events,
                    ..plain
                },
                1_024,
                5,
                None,
            ),
            (
                "no-transform",
                Answer {
                    forbids_change: true,
                    ..plain
                },
                1_024,
                5,
                None,
            ),
        ];
        for (what, answer, size, times, expected) in rows {
            let requests = vec![Request::get("/a").sends(size).says(answer); times];
            let found = look(&RULE, &requests);
            assert_eq!(found.first().map(|one| one.severity), expected, "{what}");
        }
        let found = look(
            &RULE,
            &vec![Request::get("/a").sends(10_000).says(plain); 10],
        );
        assert_eq!(found[0].gain.bytes, Some(70_000));
    }
}
