//! What is predicted of a cache before a route, against caches to which the same requests are played.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::{
    Answer, Ask, Config, Content, Journal, LoadStart, Outcome, Reuse, RouteSnapshot, TTLS,
};

/// By how much a prediction may miss: eight requests of a hundred, where a thousand of many keys are followed.
const TOLERANCE: f64 = 0.08;

/// One request: when, for which key, by whom, and which version of the body he gets.
#[derive(Debug, Clone, Copy)]
struct Request {
    at: Duration,
    key: u64,
    asker: u64,
    version: u64,
}

/// A hash as the gateway would make it.
fn hash(number: u64) -> u64 {
    let mut number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn play(journal: &Arc<Journal>, start: Instant, path: &str, requests: &[Request]) -> u64 {
    let mut limit = u64::MAX;
    for request in requests {
        let now = start + request.at;
        let load = journal.open_load(LoadStart {
            method: "GET",
            path,
            caller: None,
            now,
        });
        let ask = Ask {
            key: hash(request.key),
            asker: hash(request.asker),
            body: Some(hash(request.key << 20 | request.version)),
        };
        let answer = Answer {
            content: Content::Json,
            ask: Some(ask),
            ..Answer::default()
        };
        let outcome = Outcome {
            status: Some(200),
            response_bytes: 2_000,
            answer,
            ..Outcome::default()
        };
        limit = load.finish(outcome, now);
    }
    limit
}

fn route(journal: &Journal, path: &str) -> RouteSnapshot {
    let name = format!("GET {path}");
    journal
        .routes()
        .into_iter()
        .find(|route| *route.route == *name)
        .unwrap()
}

fn predicted(requests: &[Request]) -> Reuse {
    let config = Config::default();
    let start = config.anchor.instant;
    let journal = Journal::new(config);
    play(&journal, start, "/jobs", requests);
    route(&journal, "/jobs").reuse.unwrap()
}

/// A cache with a TTL, and room for so many entries, of which the one that was used longest ago goes first.
struct Cache {
    ttl: Duration,
    room: usize,
    entries: HashMap<u64, (Duration, u64, u64)>,
    by_use: BTreeMap<u64, u64>,
    uses: u64,
}

impl Cache {
    /// Hits, and how many of them were another version than the application's, as parts of all requests and of the hits.
    fn measure(ttl: Duration, requests: &[Request]) -> (f64, f64) {
        let mut cache = Cache {
            ttl,
            room: 100_000,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        };
        let (mut hits, mut stale) = (0, 0);
        for request in requests {
            if let Some(version) = cache.get(request) {
                hits += 1;
                stale += u64::from(version != request.version);
            }
        }
        (
            hits as f64 / requests.len() as f64,
            stale as f64 / (hits as f64).max(1.0),
        )
    }

    fn get(&mut self, request: &Request) -> Option<u64> {
        self.uses += 1;
        let found = self
            .entries
            .get_mut(&request.key)
            .and_then(|(filled, version, used)| {
                self.by_use.remove(used);
                *used = self.uses;
                (request.at - *filled < self.ttl).then_some(*version)
            });
        self.by_use.insert(self.uses, request.key);
        if found.is_none() {
            self.entries
                .insert(request.key, (request.at, request.version, self.uses));
            if self.entries.len() > self.room {
                let (_, oldest) = self.by_use.pop_first().unwrap();
                self.entries.remove(&oldest);
            }
        }
        found
    }
}

/// Requests that come at random, so many per second, for keys by the law of Zipf with this exponent; 0: all alike.
fn zipf(seed: u64, count: usize, per_second: f64, keys: usize, exponent: f64) -> Vec<Request> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut sum = 0.0;
    let cumulative: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        })
        .collect();
    let mut at = 0.0;
    (0..count)
        .map(|_| {
            at -= random.f64().max(f64::MIN_POSITIVE).ln() / per_second;
            let drawn = random.f64() * sum;
            Request {
                at: Duration::from_secs_f64(at),
                key: seed << 32 | cumulative.partition_point(|one| *one < drawn) as u64,
                asker: 1,
                version: 0,
            }
        })
        .collect()
}

#[test]
fn the_hit_rate_is_that_of_a_cache_to_which_the_same_requests_are_played() {
    // Requests, per second, keys, exponent. The first three fit the table, of the others a part of the keys is followed.
    let rows = [
        (500, 2.0, 1, 0.0),
        (5_000, 20.0, 100, 0.9),
        (20_000, 50.0, 500, 0.0),
        (50_000, 100.0, 20_000, 0.7),
        (50_000, 100.0, 20_000, 0.9),
        (50_000, 100.0, 20_000, 1.1),
        (50_000, 500.0, 5_000, 0.0),
        (50_000, 10.0, 100_000, 0.0),
    ];
    let mut worst: f64 = 0.0;
    for (count, per_second, keys, exponent) in rows {
        for seed in 1..=3 {
            let requests = zipf(seed, count, per_second, keys, exponent);
            let reuse = predicted(&requests);
            assert_eq!(reuse.sampled < 1.0, keys > 1_024, "{keys} keys");
            let distinct: std::collections::HashSet<_> =
                requests.iter().map(|one| one.key).collect();
            let keys_off = reuse.keys / distinct.len() as f64;
            assert!(
                (0.85..1.15).contains(&keys_off),
                "{} of {}",
                reuse.keys,
                distinct.len()
            );
            for (ttl, told) in TTLS.into_iter().zip(reuse.ttls) {
                let (measured, _) = Cache::measure(ttl, &requests);
                let off = (told.hit_rate - measured).abs();
                worst = worst.max(off);
                assert!(
                    off <= TOLERANCE && told.ttl == ttl,
                    "{count} requests, {keys} keys, exponent {exponent}, seed {seed}, {ttl:?}: predicted {:.3}, measured {measured:.3}",
                    told.hit_rate
                );
            }
        }
    }
    println!("off by {worst:.3} at most");
}

#[test]
fn how_often_an_old_answer_would_be_given_is_known_from_the_bodies() {
    for (changes_every_s, keys) in [(10.0, 100), (120.0, 100), (30.0, 5_000)] {
        let mut requests = zipf(1, 40_000, 100.0, keys, 0.8);
        for request in &mut requests {
            request.version = (request.at.as_secs_f64() / changes_every_s) as u64;
        }
        let reuse = predicted(&requests);
        for (ttl, told) in TTLS.into_iter().zip(reuse.ttls) {
            let (_, measured) = Cache::measure(ttl, &requests);
            let off = (told.stale.unwrap() - measured).abs();
            assert!(
                off <= TOLERANCE,
                "{ttl:?}: {:?}, measured {measured}",
                told.stale
            );
        }
    }
}

#[test]
fn answers_are_compared_for_the_same_client_and_for_another() {
    let request = |at: u64, asker, version| Request {
        at: Duration::from_secs(at),
        key: 1,
        asker,
        version,
    };
    // What each asker gets is his own.
    let own: Vec<_> = (0..40).map(|at| request(at, at % 4, at % 4)).collect();
    let reuse = predicted(&own);
    assert_eq!((reuse.same.compared, reuse.same.identical), (36, 36));
    assert_eq!(reuse.same.identical_bytes, 36 * 2_000);
    assert_eq!((reuse.other.compared, reuse.other.identical), (39, 0));
    // All get the same, which changes twice.
    let common: Vec<_> = (0..40).map(|at| request(at, at % 4, at / 15)).collect();
    let reuse = predicted(&common);
    assert_eq!((reuse.again.compared, reuse.again.identical), (39, 37));
    assert_eq!((reuse.other.compared, reuse.other.identical), (39, 37));
    // Five who take turns are more than are remembered.
    let many: Vec<_> = (0..40).map(|at| request(at, at % 5, 0)).collect();
    assert_eq!(predicted(&many).same.compared, 0);
}

#[test]
fn a_million_keys_stay_within_bounds_and_displace_nobody() {
    let config = Config {
        keys_max: 1_110,
        ..Config::default()
    };
    let start = config.anchor.instant;
    let journal = Journal::new(config);
    let known = zipf(1, 2_000, 50.0, 50, 0.5);
    assert_eq!(play(&journal, start, "/jobs", &known), u64::MAX);
    // Each with another query: one route, ever new keys.
    let limit = play(
        &journal,
        start,
        "/flood",
        &zipf(2, 200_000, 1_000.0, 1_000_000, 0.0),
    );
    assert!(limit < u64::MAX / 100, "{limit}");
    let flood = route(&journal, "/flood").reuse.unwrap();
    assert!(flood.sampled < 0.01, "{flood:?}");
    assert!(
        flood.ttls.iter().all(|one| one.hit_rate < 0.15),
        "{flood:?}"
    );
    // Where there is no room, fewer keys are followed, and those that were still are.
    play(&journal, start, "/late", &zipf(3, 2_000, 50.0, 200, 0.0));
    let late = route(&journal, "/late").reuse.unwrap();
    assert!(
        late.sampled < 0.9 && late.ttls[3].hit_rate > 0.8,
        "{late:?}"
    );
    let before = route(&journal, "/jobs").reuse.unwrap();
    play(&journal, start + Duration::from_secs(40), "/jobs", &known);
    let after = route(&journal, "/jobs").reuse.unwrap();
    assert_eq!((after.keys, after.sampled), (before.keys, 1.0));
}

#[test]
fn only_whole_answers_to_get_count() {
    let config = Config::default();
    let start = config.anchor.instant;
    let journal = Journal::new(config);
    let ask = Some(Ask {
        key: 1,
        asker: 1,
        body: Some(1),
    });
    let answer = Answer {
        ask,
        has_validator: true,
        content: Content::Json,
        takes_encoding: true,
        ..Answer::default()
    };
    let rows = [
        (Some(200), None, answer),
        (Some(304), None, answer),
        (Some(500), None, answer),
        (
            Some(200),
            Some(paceline_journal::LoadError::UpstreamBroken),
            answer,
        ),
        (
            Some(200),
            None,
            Answer {
                ask: None,
                ..answer
            },
        ),
        (
            Some(200),
            None,
            Answer {
                is_encoded: true,
                ..answer
            },
        ),
        (
            Some(200),
            None,
            Answer {
                forbids_change: true,
                ..answer
            },
        ),
        (
            Some(200),
            None,
            Answer {
                content: Content::Other,
                ..answer
            },
        ),
    ];
    for (status, error, answer) in rows {
        let load = journal.open_load(LoadStart {
            method: "GET",
            path: "/jobs",
            caller: None,
            now: start,
        });
        load.finish(
            Outcome {
                status,
                error,
                response_bytes: 1_024,
                answer,
            },
            start,
        );
    }
    let route = route(&journal, "/jobs");
    assert_eq!((route.answers.counted, route.answers.validated), (4, 4));
    // The first, the one with 304 and that with 500, and the one that is no GET.
    assert_eq!((route.answers.plain, route.answers.plain_bytes), (4, 4_096));
    assert_eq!(route.reuse.unwrap().requests, 5);
}
