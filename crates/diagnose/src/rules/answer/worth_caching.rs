//! Worth caching: a route computes the same answers again and again. Says also of costly routes why a cache would not help.

use std::collections::BTreeSet;

use paceline_journal::{Journal, Reuse, RouteSnapshot, TtlReuse};
use paceline_sql::Relation;

use super::of_routes;
use crate::finding::{Effort, Finding, Gain, Severity, Subject, Verdict};
use crate::render::units::{count, figure, percent, time};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "worth-caching",
    about: "A route computes the same answers again and again, and a shared cache would have had most of them.",
    check: Check::Journal(findings),
};

/// Fewer say little about how requests repeat.
const REQUESTS_MIN: u64 = 20;
/// What is quicker is hardly slower than a cache.
const EACH_MS_MIN: f64 = 5.0;
/// Below, the field says, a cache is not worth its complexity.
const RATE_MIN: f64 = 0.6;
/// Of credentials, cookies and answers that differ between clients: what is more than this is a habit.
const PART: f64 = 0.1;
/// Old answers that a cache without invalidation may give.
const STALE_MAX: f64 = 0.01;
/// Only of a route that takes so much of all time is it said that a cache would not help.
const TIME_SHARE_MIN: f64 = 0.1;

/// Why a cache would not help.
enum Against {
    Private,
    Personal(f64),
    Rate(f64),
    Changes(f64),
    Written(f64),
}

/// What is known of the tables that a route reads.
struct Tables {
    names: String,
    writes: u64,
}

fn findings(journal: &Journal) -> Vec<Finding> {
    let all_ms: f64 = journal.routes().iter().map(spent_ms).sum();
    of_routes(journal, |route| finding(journal, route, all_ms))
}

fn finding(journal: &Journal, route: &RouteSnapshot, all_ms: f64) -> Option<Finding> {
    let reuse = route.reuse.as_ref()?;
    let answers = &route.answers;
    let each_ms = spent_ms(route) / route.upstream.count().max(1) as f64;
    let says_so = answers.fresh * 2 >= answers.counted;
    if reuse.requests < REQUESTS_MIN || each_ms < EACH_MS_MIN || says_so {
        return None;
    }
    let tables = tables(journal, route);
    let best = best(reuse);
    match against(route, reuse, &best, &tables) {
        None => Some(worth(route, reuse, &best, &tables, each_ms)),
        Some(_) if spent_ms(route) < all_ms * TIME_SHARE_MIN => None,
        Some(reason) => Some(leave(route, reuse, &best, &reason)),
    }
}

/// The time to live with most answers that are right; of equal ones the shortest.
fn best(reuse: &Reuse) -> TtlReuse {
    let right = |one: &TtlReuse| one.hit_rate * (1.0 - one.stale.unwrap_or(0.0));
    let most = reuse.ttls.iter().map(right).fold(0.0, f64::max);
    let good = reuse.ttls.iter().find(|one| right(one) >= most * 0.98);
    *good.unwrap_or(&reuse.ttls[0])
}

fn against(
    route: &RouteSnapshot,
    reuse: &Reuse,
    best: &TtlReuse,
    tables: &Tables,
) -> Option<Against> {
    let answers = &route.answers;
    let part = |some: u64| some as f64 / answers.counted.max(1) as f64;
    if part(answers.private) > PART || part(answers.with_cookie) > PART {
        return Some(Against::Private);
    }
    if part(answers.credentialed) > PART {
        // Unless others have got the very same: then credentials only open the door.
        let others = reuse.other.identical_share();
        if reuse.other.compared < REQUESTS_MIN || others.is_none_or(|share| share < 1.0 - PART) {
            return Some(Against::Personal(part(answers.credentialed)));
        }
    }
    if best.hit_rate < RATE_MIN {
        return Some(Against::Rate(best.hit_rate));
    }
    match best.stale {
        Some(stale) if best.hit_rate * (1.0 - stale) < RATE_MIN => Some(Against::Changes(stale)),
        // Bodies that were compared say more than writes, which may have been to other rows.
        None if tables.writes > reuse.requests => Some(Against::Written(
            tables.writes as f64 / reuse.requests as f64,
        )),
        _ => None,
    }
}

fn worth(
    route: &RouteSnapshot,
    reuse: &Reuse,
    best: &TtlReuse,
    tables: &Tables,
    each_ms: f64,
) -> Finding {
    let right = best.hit_rate * (1.0 - best.stale.unwrap_or(0.0));
    let spared_ms = spent_ms(route) * right;
    let database_ms = route.database_time.as_secs_f64() * 1_000.0 * right;
    let per_s = database_ms / reuse.span.as_secs_f64().max(1.0);
    let severity = if each_ms >= 20.0 {
        Severity::Medium
    } else {
        Severity::Low
    };
    let (name, ttl) = (&route.route, figure_of(best));
    let title = format!(
        "A cache that keeps answers for {ttl} would have had {} of those of {name}.",
        percent(best.hit_rate)
    );
    let stale = match best.stale {
        Some(stale) => format!(
            "{} of these hits would have been out of date without invalidation",
            percent(stale)
        ),
        None => format!("answers could be up to {ttl} old; bodies were not compared"),
    };
    let seen = format!(
        "{} requests for {} different answers in {}, {} ms each",
        count(reuse.requests),
        figure_of_keys(reuse),
        time(reuse.span.as_secs_f64() * 1_000.0),
        figure(each_ms)
    );
    let mut finding = Finding::new(RULE.name, Subject::route(&**name), severity, title)
        .fact("requests", reuse.requests)
        .fact("keys", reuse.keys)
        .fact("ttl_s", best.ttl.as_secs())
        .fact("hit_rate", best.hit_rate)
        .fact("stale_share", best.stale)
        .fact("time_per_request_ms", each_ms)
        .fact("database_ms_spared_per_s", per_s)
        .fact("writes", tables.writes)
        .detail("Seen", seen)
        .detail("Staleness", stale)
        .remedy(Effort::Medium, remedy(&ttl, best, tables))
        .gain(Gain::time(
            spared_ms,
            format!(
                "{} so far; {} ms of database time per second",
                time(spared_ms),
                figure(per_s)
            ),
        ));
    if !tables.names.is_empty() {
        finding = finding.detail(
            "Reads",
            format!(
                "{}, written {} times meanwhile",
                tables.names,
                count(tables.writes)
            ),
        );
    }
    finding
}

fn remedy(ttl: &str, best: &TtlReuse, tables: &Tables) -> String {
    let until = match (
        &*tables.names,
        best.stale.is_some_and(|stale| stale <= STALE_MAX),
    ) {
        ("", true) => "The TTL alone will do.".to_owned(),
        ("", false) => "Invalidate when what it is made of changes.".to_owned(),
        (names, true) => {
            format!("The TTL alone will do; to be exact, invalidate when {names} are written.")
        }
        (names, false) => format!(
            "Invalidate when {names} are written, or put up with answers as old as the TTL."
        ),
    };
    format!(
        "Keep answers for {ttl} in the application's cache, or let a proxy or CDN do so with `Cache-Control: public, max-age={}` \
         and an ETag. {until}",
        best.ttl.as_secs()
    )
}

fn leave(route: &RouteSnapshot, reuse: &Reuse, best: &TtlReuse, reason: &Against) -> Finding {
    let name = &route.route;
    let why = match reason {
        Against::Private => "its answers say that they are one client's own".to_owned(),
        Against::Personal(share) => format!(
            "{} of its requests bear credentials, and nothing shows that others get the same",
            percent(*share)
        ),
        Against::Rate(rate) => format!("it would have had {} of its answers", percent(*rate)),
        Against::Changes(stale) => format!(
            "{} of its hits would have been out of date",
            percent(*stale)
        ),
        Against::Written(times) => format!(
            "what it reads is written {} times per request",
            figure(*times)
        ),
    };
    let title = format!("A shared cache before {name} would not help: {why}.");
    let finding = Finding::new(RULE.name, Subject::route(&**name), Severity::Low, title)
        .fact("requests", reuse.requests)
        .fact("keys", reuse.keys)
        .fact("hit_rate", best.hit_rate)
        .fact("stale_share", best.stale)
        .detail(
            "Seen",
            format!(
                "{} requests for {} different answers",
                count(reuse.requests),
                figure_of_keys(reuse)
            ),
        )
        .remedy(
            Effort::Medium,
            "Leave it uncached, and make the route itself quicker.",
        );
    Finding {
        verdict: Verdict::LeaveAlone,
        ..finding
    }
}

/// The application's own time, up to the first byte.
fn spent_ms(route: &RouteSnapshot) -> f64 {
    route.upstream.sum().as_secs_f64() * 1_000.0
}

fn figure_of(ttl: &TtlReuse) -> String {
    match ttl.ttl.as_secs() {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 3_600 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

fn figure_of_keys(reuse: &Reuse) -> String {
    let about = if reuse.sampled < 1.0 { "about " } else { "" };
    format!("{about}{}", count(reuse.keys as u64))
}

/// What the statements of a route read, and how often that was written, by whomever.
fn tables(journal: &Journal, route: &RouteSnapshot) -> Tables {
    let pairs = journal
        .repetitions()
        .into_iter()
        .filter(|pair| pair.route == route.route);
    let read: BTreeSet<Relation> = pairs.flat_map(|pair| pair.shape.reads.to_vec()).collect();
    let is_read = |written: &Relation| read.iter().any(|one| one.name == written.name);
    let shapes = journal.shapes();
    let writers = shapes
        .iter()
        .filter(|one| one.shape.writes.iter().any(is_read));
    let names: Vec<_> = read.iter().map(ToString::to_string).collect();
    Tables {
        names: names.join(", "),
        writes: writers.map(|one| one.executions).sum(),
    }
}

#[cfg(test)]
mod tests {
    use paceline_journal::{Answer, Ask, Keeping};

    use super::super::testing::look;
    use super::*;
    use crate::rules::journal::scene::Request;

    const READ: &str = "SELECT count(*) FROM jobs";
    const WRITE: &str = "UPDATE jobs SET title = $1";

    #[derive(Clone, Copy)]
    struct Asked {
        key: u64,
        asker: u64,
        body: Option<u64>,
    }

    const SAME: Asked = Asked {
        key: 1,
        asker: 1,
        body: Some(1),
    };

    /// Requests of 30 ms each, and what the rule says: the verdict, and a part of the title.
    fn found(
        count: u64,
        ms: u64,
        answer: Answer,
        ask: impl Fn(u64) -> Asked,
    ) -> Option<(Verdict, String)> {
        let requests: Vec<_> = (0..count).map(|at| get(ms, answer, ask(at))).collect();
        verdict(&requests)
    }

    fn get(ms: u64, answer: Answer, asked: Asked) -> Request {
        let Asked { key, asker, body } = asked;
        // Hashes are spread over all bits; these differ in the upper half at least.
        let ask = Some(Ask {
            key: key << 40,
            asker: asker << 40,
            body: body.map(|one| one << 40),
        });
        Request::get("/stats")
            .runs(READ, ms)
            .says(Answer { ask, ..answer })
    }

    fn verdict(requests: &[Request]) -> Option<(Verdict, String)> {
        let mut found = look(&RULE, requests);
        found.pop().map(|one| (one.verdict, one.title))
    }

    #[test]
    fn what_repeats_is_worth_caching() {
        let plain = Answer::default();
        let (verdict, title) = found(20, 30, plain, |_| SAME).unwrap();
        assert_eq!(
            (verdict, &*title),
            (
                Verdict::Act,
                "A cache that keeps answers for 5 s would have had 95 % of those of GET /stats."
            )
        );
        let silent: [(&str, Option<(Verdict, String)>); 3] = [
            ("nineteen", found(19, 30, plain, |_| SAME)),
            ("quick", found(50, 4, plain, |_| SAME)),
            (
                "it says so itself",
                found(
                    20,
                    30,
                    Answer {
                        keeping: Keeping::Fresh,
                        ..plain
                    },
                    |_| SAME,
                ),
            ),
        ];
        assert!(
            silent.iter().all(|(_, found)| found.is_none()),
            "{silent:?}"
        );
        // Credentials that open the door, and all get the same.
        let with = Answer {
            bears_credentials: true,
            ..plain
        };
        let all_alike = found(60, 30, with, |at| Asked { asker: at, ..SAME }).unwrap();
        assert_eq!(all_alike.0, Verdict::Act);
    }

    #[test]
    fn what_does_not_is_left_alone_with_the_reason() {
        let plain = Answer::default();
        let with = Answer {
            bears_credentials: true,
            ..plain
        };
        let own = |at: u64| Asked {
            key: 1,
            asker: at % 4,
            body: Some(at % 4),
        };
        for (reason, found) in [
            (
                "own",
                found(
                    40,
                    30,
                    Answer {
                        keeping: Keeping::Private,
                        ..plain
                    },
                    |_| SAME,
                ),
            ),
            (
                "own",
                found(
                    40,
                    30,
                    Answer {
                        sets_cookie: true,
                        ..plain
                    },
                    |_| SAME,
                ),
            ),
            ("credentials", found(40, 30, with, own)),
            ("credentials", found(40, 30, with, |_| SAME)),
            (
                "had 50 %",
                found(40, 30, plain, |at| Asked {
                    key: at / 2,
                    ..SAME
                }),
            ),
            (
                "out of date",
                found(40, 30, plain, |at| Asked {
                    body: Some(at),
                    ..SAME
                }),
            ),
        ] {
            let (verdict, title) = found.unwrap();
            assert_eq!(verdict, Verdict::LeaveAlone, "{title}");
            assert!(title.contains(reason), "{title}");
        }
    }

    #[test]
    fn writes_speak_where_bodies_do_not() {
        let unknown = Asked { body: None, ..SAME };
        let written = |times: u64, asked: Asked| {
            let write = Request::post("/jobs").runs(WRITE, 1);
            let one = |_| {
                [
                    vec![get(30, Answer::default(), asked)],
                    vec![write.clone(); times as usize],
                ]
                .concat()
            };
            verdict(&(0..20).flat_map(one).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(written(1, unknown).0, Verdict::Act);
        let (verdict, title) = written(2, unknown);
        assert_eq!(verdict, Verdict::LeaveAlone);
        assert!(title.contains("written 2.00 times per request"), "{title}");
        assert_eq!(written(2, SAME).0, Verdict::Act);
    }

    #[test]
    fn of_a_route_that_takes_little_time_nothing_is_said_against_it() {
        let each = |at: u64| get(30, Answer::default(), Asked { key: at, ..SAME });
        let mut requests: Vec<_> = (0..20).map(each).collect();
        assert!(verdict(&requests).is_some());
        requests.extend(vec![Request::post("/export").works_ms(3_000); 3]);
        assert_eq!(verdict(&requests), None);
    }

    #[test]
    fn it_names_what_to_invalidate_on_and_no_setting() {
        let found = look(&RULE, &vec![get(30, Answer::default(), SAME); 20]);
        let text = &found[0].remedy.text;
        assert!(
            text.contains("jobs") && text.contains("max-age=5") && !text.contains("paceline"),
            "{text}"
        );
        assert!(
            found[0]
                .gain
                .time_ms
                .is_some_and(|ms| (ms - 570.0).abs() < 30.0),
            "{:?}",
            found[0].gain
        );
    }
}
