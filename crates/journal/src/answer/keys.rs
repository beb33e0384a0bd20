//! What a cache before a route would do: the requests of some keys are played to caches that hold nothing but times.
//!
//! Which keys is decided by their hash, so that all requests of a key are seen, or none (SHARDS, Waldspurger et al., FAST '15):
//! all keys at first, and those of ever lower hashes as the table fills up. They stand for all the others, except for the most
//! popular ones, which are too few to be met by lot: these stay, whatever their hash, and stand for themselves.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Ask;

/// For how long a cache might keep answers.
pub const TTLS: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(3_600),
];

/// Keys of one route that are followed.
const KEYS_MAX: usize = 1_024;
/// A key with at least one in so many requests stays, whatever its hash.
const POPULAR_PART: u64 = 512;
/// Askers of one key that are told apart, the latest ones.
const ASKERS: usize = 4;

/// Room for keys over all routes.
#[derive(Debug)]
pub(crate) struct KeysRoom {
    taken: AtomicUsize,
    max: usize,
}

/// The keys of one route that are followed.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Of the keys above this one only popular ones are followed.
    limit: u64,
    seen: HashMap<u64, Seen, BuildHasherDefault<KeyHasher>>,
    /// All requests, followed or not.
    requests: u64,
    again: Pairs,
    same: Pairs,
    other: Pairs,
    first_at: Option<Tick>,
    last_at: Tick,
}

/// A moment, in hundredths of a second since the journal began. Comes round after 497 days, at which an age may be wrong once.
type Tick = u32;

/// A followed key, from its first request on.
#[derive(Debug, Clone, Copy)]
struct Seen {
    requests: u32,
    caches: [Cache; TTLS.len()],
    askers: [Asker; ASKERS],
    last: u8,
}

/// The cache of one TTL: since when it holds an answer, the hash of its body (0 when it is not known), and what it has done.
#[derive(Debug, Clone, Copy, Default)]
struct Cache {
    filled: Option<Tick>,
    body: u32,
    hits: Hits,
}

/// Who asked, and what he got; 0: nobody, and not known.
#[derive(Debug, Clone, Copy, Default)]
struct Asker {
    hash: u32,
    body: u32,
}

/// What a cache would have done.
#[derive(Debug, Clone, Copy, Default)]
struct Hits {
    hits: u32,
    /// Hits of which it is known whether they would have been right, and those that would not.
    known: u32,
    stale: u32,
}

/// Some of the followed keys, summed.
#[derive(Debug, Clone, Copy, Default)]
struct Stratum {
    keys: u64,
    requests: u64,
    hits: [[u64; 3]; TTLS.len()],
}

/// Two answers to requests of one key, compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pairs {
    /// How many could be.
    pub compared: u64,
    /// The same byte for byte.
    pub identical: u64,
    /// The bytes of these.
    pub identical_bytes: u64,
}

/// What a cache before a route would have done so far, beginning empty.
#[derive(Debug, Clone)]
pub struct Reuse {
    /// Requests.
    pub requests: u64,
    /// Keys that they were for; estimated, unless `sampled` is 1.
    pub keys: f64,
    /// What part of the keys (0 to 1) was followed.
    pub sampled: f64,
    /// From the first request to the last.
    pub span: Duration,
    /// For each of [`TTLS`].
    pub ttls: [TtlReuse; TTLS.len()],
    /// Each answer and the one before for the same key, whoever asked.
    pub again: Pairs,
    /// Each answer and the last one that the same client got for the same key.
    pub same: Pairs,
    /// Each answer and the one before for the same key, when somebody else had got it.
    pub other: Pairs,
}

/// What a cache with one TTL would have done.
#[derive(Debug, Clone, Copy)]
pub struct TtlReuse {
    /// For how long it keeps answers.
    pub ttl: Duration,
    /// What part of the requests (0 to 1) it would have answered.
    pub hit_rate: f64,
    /// What part of these answers (0 to 1) would have been another one than the application gave; `None`: nobody knows.
    pub stale: Option<f64>,
}

impl Pairs {
    /// What part (0 to 1) was identical; `None` when none could be compared.
    pub fn identical_share(&self) -> Option<f64> {
        (self.compared > 0).then(|| self.identical as f64 / self.compared as f64)
    }

    fn note(&mut self, one: u32, two: u32, bytes: u64) {
        if one == 0 || two == 0 {
            return;
        }
        self.compared += 1;
        if one == two {
            self.identical += 1;
            self.identical_bytes += bytes;
        }
    }
}

impl KeysRoom {
    pub(crate) fn new(max: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self { taken, max }
    }

    fn reserve(&self) -> bool {
        let has_room = self.taken.fetch_add(1, Ordering::Relaxed) < self.max;
        if !has_room {
            self.release(1);
        }
        has_room
    }

    pub(crate) fn release(&self, keys: usize) {
        self.taken.fetch_sub(keys, Ordering::Relaxed);
    }
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self {
            limit: u64::MAX,
            seen: HashMap::default(),
            requests: 0,
            again: Pairs::default(),
            same: Pairs::default(),
            other: Pairs::default(),
            first_at: None,
            last_at: 0,
        }
    }

    /// Askers and bodies of keys above need not be described.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Plays a request, since the journal's beginning, whose answer has so many bytes.
    pub(crate) fn record(&mut self, ask: &Ask, since: Duration, bytes: u64, room: &KeysRoom) {
        let now = (since.as_millis() / 10) as Tick;
        self.first_at.get_or_insert(now);
        self.last_at = now;
        self.requests += 1;
        if !self.find_place(ask.key, room) {
            return;
        }
        let Some(seen) = self.seen.get_mut(&ask.key) else {
            return;
        };
        seen.requests = seen.requests.saturating_add(1);
        let got = Asker {
            hash: short(ask.asker),
            body: ask.body.map_or(0, short),
        };
        for (cache, ttl) in seen.caches.iter_mut().zip(TTLS) {
            cache.play(got.body, now, ttl);
        }
        let before = seen.askers[usize::from(seen.last)];
        self.again.note(before.body, got.body, bytes);
        if before.hash != got.hash {
            self.other.note(before.body, got.body, bytes);
        }
        if let Some(his) = seen.asker(got.hash) {
            self.same.note(his.body, got.body, bytes);
        }
        seen.note(got);
    }

    /// What came of it. `None` before the first request, and when no key is followed.
    pub(crate) fn reuse(&self) -> Option<Reuse> {
        let first_at = self.first_at?;
        let (mut popular, mut sample) = (Stratum::default(), Stratum::default());
        for (key, seen) in &self.seen {
            let stands_for_itself = *key > self.limit || self.is_popular(seen);
            let stratum = if stands_for_itself {
                &mut popular
            } else {
                &mut sample
            };
            stratum.add(seen);
        }
        let (popular_keys, sampled_keys) = (popular.keys, sample.keys);
        // All requests that are not of the popular keys are as those of the sample. Without one, as those of the popular keys.
        if sample.requests == 0 {
            (popular, sample) = (Stratum::default(), popular);
        }
        let others = self.requests.saturating_sub(popular.requests) as f64;
        let weight = others / sample.requests.max(1) as f64;
        let share = self.limit as f64 / u64::MAX as f64;
        let ttls = std::array::from_fn(|at| {
            let strata = [(popular.hits[at], 1.0), (sample.hits[at], weight)];
            let sum = |which: usize| -> f64 {
                let weighted = strata.map(|(hits, weight)| hits[which] as f64 * weight);
                weighted.into_iter().sum()
            };
            let (hits, known, stale) = (sum(0), sum(1), sum(2));
            TtlReuse {
                ttl: TTLS[at],
                hit_rate: (hits / self.requests as f64).min(1.0),
                stale: (known > 0.0).then(|| stale / known),
            }
        });
        (!self.seen.is_empty()).then(|| Reuse {
            requests: self.requests,
            keys: popular_keys as f64 + sampled_keys as f64 / share.max(f64::MIN_POSITIVE),
            sampled: share,
            span: Duration::from_millis(u64::from(self.last_at.wrapping_sub(first_at)) * 10),
            ttls,
            again: self.again,
            same: self.same,
            other: self.other,
        })
    }

    fn is_popular(&self, seen: &Seen) -> bool {
        u64::from(seen.requests) * POPULAR_PART >= self.requests
    }

    /// Whether the key is followed, now or already.
    fn find_place(&mut self, key: u64, room: &KeysRoom) -> bool {
        if self.seen.contains_key(&key) {
            return true;
        }
        if key > self.limit {
            return false;
        }
        if self.seen.len() >= KEYS_MAX || !room.reserve() {
            // One goes, and the newcomer may be the one.
            let unpopular = self.seen.iter().filter(|(_, seen)| !self.is_popular(seen));
            let highest = unpopular.map(|(key, _)| *key).max();
            let goes = highest.map_or(key, |highest| highest.max(key));
            self.limit = self.limit.min(goes.saturating_sub(1));
            if goes == key {
                return false;
            }
            self.seen.remove(&goes);
        }
        self.seen.insert(key, Seen::new());
        true
    }
}

impl Cache {
    fn play(&mut self, body: u32, now: Tick, ttl: Duration) {
        let lives = (ttl.as_millis() / 10) as Tick;
        match self.filled {
            Some(filled) if now.wrapping_sub(filled) < lives => {
                self.hits.hits += 1;
                if self.body != 0 && body != 0 {
                    self.hits.known += 1;
                    self.hits.stale += u32::from(self.body != body);
                }
            }
            _ => (self.filled, self.body) = (Some(now), body),
        }
    }
}

impl Stratum {
    fn add(&mut self, seen: &Seen) {
        self.keys += 1;
        self.requests += u64::from(seen.requests);
        for (sums, cache) in self.hits.iter_mut().zip(&seen.caches) {
            let Hits { hits, known, stale } = cache.hits;
            for (sum, count) in sums.iter_mut().zip([hits, known, stale]) {
                *sum += u64::from(count);
            }
        }
    }
}

impl Seen {
    fn new() -> Self {
        Self {
            requests: 0,
            caches: [Cache::default(); TTLS.len()],
            askers: [Asker::default(); ASKERS],
            last: 0,
        }
    }

    fn asker(&self, hash: u32) -> Option<Asker> {
        self.askers.into_iter().find(|asker| asker.hash == hash)
    }

    /// The latest is kept in place of what he got before, or of the one whose turn it is.
    fn note(&mut self, got: Asker) {
        let known = self.askers.iter().position(|asker| asker.hash == got.hash);
        let place = known.unwrap_or((usize::from(self.last) + 1) % ASKERS);
        self.askers[place] = got;
        self.last = place as u8;
    }
}

/// Half of a hash, and never 0. Two bodies that differ look alike once in two thousand million times.
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// Keys are hashes already.
#[derive(Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // Those that are followed are the low ones, while the table looks at the highest bits as well.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
