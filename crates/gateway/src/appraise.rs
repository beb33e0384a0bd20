//! What the journal is told of an answer beyond its status: what its head says, and what its body is made of.
//!
//! Heads are read in the one pass over the fields that is made anyway. Of bodies some are looked at while they pass, which holds
//! nothing up and keeps nothing: the first few of a route and then one in [`LOOK_EVERY`], and only as many bytes a second as
//! [`LOOK_BYTES_PER_S`] allows, so that what it costs does not depend on the traffic. The same goes for hashing bodies.

use std::cell::Cell;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, Method};
use paceline_journal::{Answer, Ask, Content};
use paceline_payload::{Digest, Look};

use crate::said::{Said, limits};
use crate::stages::Hop;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Places for what is known per route; two routes may share one, and are looked at a little less then.
const PLACES: usize = 512;
/// Bodies of a route that are looked at before it is one in so many.
const LOOKS_FIRST: u32 = 8;
const LOOK_EVERY: u32 = 64;
/// Per worker: at some four nanoseconds a byte (`cargo bench -p paceline-payload`), about one percent of its time.
const LOOK_BYTES_PER_S: u64 = 2 << 20;
/// At some 0.3 nanoseconds a byte, half of that.
const DIGEST_BYTES_PER_S: u64 = 16 << 20;
/// A larger body is not hashed to its end.
const DIGEST_BYTES_MAX: u64 = 1 << 20;

/// Decides, on one worker, what is looked at.
#[derive(Debug)]
pub(crate) struct Appraiser {
    seed: u64,
    places: Box<[Cell<Place>]>,
    looks: Budget,
    digests: Budget,
}

/// What is known of a route.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Up to which key the journal follows its requests.
    keys_limit: u64,
    /// Answers that could have been looked at.
    answers: u32,
}

/// One request's answer, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Appraisal {
    answer: Answer,
    place: usize,
    digest: Option<Digest>,
    look: Option<Box<Look>>,
    bytes: u64,
}

/// Bytes that may be read now, and how many more each second.
#[derive(Debug)]
struct Budget {
    left: Cell<u64>,
    filled_at: Cell<Option<Instant>>,
    per_s: u64,
}

/// What is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// Path and query.
    pub(crate) target: &'a str,
    /// The name of the route.
    pub(crate) route: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) said: &'a Said,
    pub(crate) hop: &'a Hop,
}

impl Appraiser {
    /// Workers of one gateway share the seed, so that their hashes can be compared.
    pub(crate) fn new(seed: u64) -> Self {
        let place = Place {
            keys_limit: u64::MAX,
            answers: 0,
        };
        Self {
            seed,
            places: vec![Cell::new(place); PLACES].into(),
            looks: Budget::new(LOOK_BYTES_PER_S),
            digests: Budget::new(DIGEST_BYTES_PER_S),
        }
    }

    /// Begins with what the request says.
    pub(crate) fn asked(&self, asked: &Asked<'_>) -> Appraisal {
        let place = self.hash(|digest| digest.write(asked.route.as_bytes())) as usize % PLACES;
        let mut appraisal = Appraisal {
            place,
            ..Appraisal::default()
        };
        appraisal.answer.takes_encoding = asked.said.takes_encoding;
        appraisal.answer.bears_credentials = asked.said.bears_credentials;
        if asked.method == Method::GET {
            let key = self.hash(|digest| {
                digest.write(&[u8::from(asked.said.takes_encoding)]);
                digest.write(asked.target.as_bytes());
            });
            let is_followed = key <= self.places[place].get().keys_limit;
            let asker = if is_followed {
                self.hash(|digest| asked.identify(digest))
            } else {
                0
            };
            appraisal.answer.ask = Some(Ask {
                key,
                asker,
                body: None,
            });
        }
        appraisal
    }

    /// Goes on with what the head of the answer says, and decides what becomes of the body. `query` is the request's.
    pub(crate) fn answered(
        &self,
        appraisal: &mut Appraisal,
        said: &Said,
        status: u16,
        query: impl FnOnce() -> bool,
        now: Instant,
    ) {
        let answer = &mut appraisal.answer;
        answer.content = said.content;
        answer.is_encoded = said.is_encoded;
        answer.forbids_change = said.forbids_change;
        answer.has_validator = said.has_validator;
        answer.keeping = said.keeping;
        answer.sets_cookie = said.sets_cookie;
        answer.was_cached = said.was_cached;
        let place = &self.places[appraisal.place];
        let Place {
            keys_limit,
            answers,
        } = place.get();
        let is_followed = answer.ask.is_some_and(|ask| ask.key <= keys_limit);
        if status == 200 && is_followed && self.digests.is_left(now) {
            appraisal.digest = Some(Digest::new(self.seed));
        }
        if said.content != Content::Json || said.is_encoded || !(200..300).contains(&status) {
            return;
        }
        let answers_before = answers;
        place.set(Place {
            keys_limit,
            answers: answers.wrapping_add(1),
        });
        let is_due = answers_before < LOOKS_FIRST || answers_before.is_multiple_of(LOOK_EVERY);
        if is_due && self.looks.is_left(now) {
            answer.is_limited = query();
            appraisal.look = Some(Box::default());
        }
    }

    /// A piece of the body passes.
    pub(crate) fn passes(&self, appraisal: &mut Appraisal, bytes: &[u8]) {
        if let Some(digest) = &mut appraisal.digest {
            appraisal.bytes += bytes.len() as u64;
            if appraisal.bytes > DIGEST_BYTES_MAX {
                appraisal.digest = None;
            } else {
                self.digests.spend(bytes.len());
                digest.write(bytes);
            }
        }
        if let Some(look) = &mut appraisal.look
            && !look.is_over()
        {
            self.looks.spend(bytes.len());
            look.push(bytes);
        }
    }

    /// What there is to say about an answer that has ended whole.
    pub(crate) fn ended(&self, appraisal: &mut Appraisal) -> Answer {
        let mut answer = appraisal.answer;
        answer.json = appraisal.look.take().and_then(|look| look.figures());
        if let (Some(ask), Some(digest)) = (&mut answer.ask, appraisal.digest.take()) {
            ask.body = Some(digest.get());
        }
        answer
    }

    /// The journal says up to which key it follows the route's requests.
    pub(crate) fn limit_keys(&self, appraisal: &Appraisal, keys_limit: u64) {
        let place = &self.places[appraisal.place];
        let known = place.get();
        place.set(Place {
            keys_limit,
            ..known
        });
    }

    fn hash(&self, write: impl FnOnce(&mut Digest)) -> u64 {
        let mut digest = Digest::new(self.seed);
        write(&mut digest);
        digest.get()
    }
}

impl Asked<'_> {
    /// The credentials; without any, what can be known of a client.
    fn identify(&self, digest: &mut Digest) {
        let mut add = |name: &HeaderName| {
            for value in self.headers.get_all(name) {
                digest.part(value.as_bytes());
            }
        };
        if self.said.bears_credentials {
            add(&AUTHORIZATION);
            add(&COOKIE);
            return;
        }
        add(&X_FORWARDED_FOR);
        add(&USER_AGENT);
        digest.part(self.hop.address());
    }
}

/// Whether the query of a target asks for a page.
pub(crate) fn is_limited(query: Option<&str>) -> bool {
    query.is_some_and(|query| limits(query.as_bytes()))
}

impl Budget {
    fn new(per_s: u64) -> Self {
        Self {
            left: Cell::new(per_s),
            filled_at: Cell::new(None),
            per_s,
        }
    }

    /// Whether there is any. The last body may take more than there is, which the next ones wait for.
    fn is_left(&self, now: Instant) -> bool {
        let filled_at = self.filled_at.get().unwrap_or(now);
        let passed = now
            .saturating_duration_since(filled_at)
            .min(Duration::from_secs(1));
        let more = passed.as_micros() as u64 * self.per_s / 1_000_000;
        if more > 0 || self.filled_at.get().is_none() {
            self.filled_at.set(Some(now));
            self.left.set((self.left.get() + more).min(self.per_s));
        }
        self.left.get() > 0
    }

    fn spend(&self, bytes: usize) {
        self.left.set(self.left.get().saturating_sub(bytes as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back() {
        let (budget, start) = (Budget::new(1_000), Instant::now());
        assert!(budget.is_left(start));
        budget.spend(1_500);
        assert!(!budget.is_left(start));
        assert!(!budget.is_left(start + Duration::from_micros(900)));
        assert!(budget.is_left(start + Duration::from_millis(100)));
        budget.spend(99);
        assert!(budget.is_left(start + Duration::from_millis(100)));
        budget.spend(1);
        assert!(!budget.is_left(start + Duration::from_millis(100)));
        // An hour fills it once.
        assert!(budget.is_left(start + Duration::from_secs(3_600)));
        budget.spend(1_000);
        assert!(!budget.is_left(start + Duration::from_secs(3_600)));
    }

    /// Whether each of so many answers of a route is looked at, when they come all at once.
    fn looked_at(count: usize, bytes: &[u8]) -> Vec<usize> {
        let (appraiser, now) = (Appraiser::new(1), Instant::now());
        let said = Said {
            content: Content::Json,
            ..Said::default()
        };
        let one = |_: &usize| {
            let mut appraisal = Appraisal::default();
            appraiser.answered(&mut appraisal, &said, 200, || false, now);
            appraiser.passes(&mut appraisal, bytes);
            appraiser.ended(&mut appraisal).json.is_some()
        };
        (0..count).filter(one).collect()
    }

    #[test]
    fn the_first_and_then_one_in_many_is_looked_at_within_the_budget() {
        assert_eq!(
            looked_at(200, b"[]"),
            [0, 1, 2, 3, 4, 5, 6, 7, 64, 128, 192]
        );
        let mut large = vec![b' '; 1 << 20];
        large[0] = b'1';
        assert_eq!(looked_at(200, &large), [0, 1]);
    }

    #[test]
    fn what_is_not_json_or_compressed_is_not_looked_at() {
        let (appraiser, now) = (Appraiser::new(1), Instant::now());
        let json = Said {
            content: Content::Json,
            ..Said::default()
        };
        for (said, status, expected) in [
            (json, 200, true),
            (json, 201, true),
            (json, 404, false),
            (
                Said {
                    is_encoded: true,
                    ..json
                },
                200,
                false,
            ),
            (
                Said {
                    content: Content::Text,
                    ..json
                },
                200,
                false,
            ),
        ] {
            let mut appraisal = Appraisal::default();
            appraiser.answered(&mut appraisal, &said, status, || true, now);
            assert_eq!(appraisal.look.is_some(), expected, "{said:?} {status}");
            assert_eq!(appraisal.answer.is_limited, expected);
        }
    }

    #[test]
    fn bodies_of_followed_keys_are_hashed_up_to_a_size() {
        let (appraiser, now) = (Appraiser::new(1), Instant::now());
        let body = |keys_limit, bytes: usize| {
            let mut appraisal = Appraisal::default();
            appraiser.limit_keys(&appraisal, keys_limit);
            appraisal.answer.ask = Some(Ask {
                key: 7,
                asker: 1,
                body: None,
            });
            appraiser.answered(&mut appraisal, &Said::default(), 200, || false, now);
            appraiser.passes(&mut appraisal, &vec![b'x'; bytes]);
            appraiser.ended(&mut appraisal).ask.and_then(|ask| ask.body)
        };
        assert!(body(7, 10).is_some());
        assert_eq!(body(7, 10), body(8, 10));
        assert_ne!(body(7, 10), body(7, 11));
        assert_eq!(body(6, 10), None);
        assert_eq!(body(7, 1 + (1 << 20)), None);
    }
}
