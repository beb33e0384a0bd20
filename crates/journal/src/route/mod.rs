//! What is known per route.

mod infer;
mod template;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use paceline_sql::ShapeId;

pub use self::template::RouteTemplate;
use self::template::Templates;
use crate::answer::{Answer, Answers, Keys, KeysRoom, Reuse};
use crate::latencies::Latencies;
use crate::load::LoadError;
use crate::lock;
use crate::recent::{Kept, Pins};
use crate::slots::{Entry, Slots};
use crate::tally::{Pair, Repetition, Tallies};

/// The methods that are shown as they are (RFC 9110, section 9, and PATCH).
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];
/// Any other method, as the semantic conventions write it.
const METHOD_OTHER: &str = "_OTHER";
/// The route of all that have no slot of their own.
const OTHER: &str = "other";

/// All requests of one route since the start.
#[derive(Debug, Clone)]
pub struct RouteSnapshot {
    /// Method and template, `GET /jobs/{id}`; `other` for all routes without a slot of their own.
    pub route: Arc<str>,
    /// Whether the template comes from the configuration.
    pub configured: bool,
    /// Requests, however they ended.
    pub requests: u64,
    /// Requests answered with 5xx, or not answered by a fault that is not the client's.
    pub errors: u64,
    /// What went wrong, counted by kind, in the order of [`LoadError::ALL`].
    pub errors_by_kind: [u64; LoadError::ALL.len()],
    /// Answers by the status's first digit: index 2 counts 2xx; index 0 no or an invalid status.
    pub status_classes: [u64; 6],
    /// Bytes of the answers' bodies.
    pub response_bytes: u64,
    /// From open to finish, without the aborted.
    pub latency: Latencies,
    /// From open to the first byte of the answer.
    pub first_byte: Latencies,
    /// From the upstream connection's being ready to the first byte: the application's own time.
    pub upstream: Latencies,
    /// Database time, exact and shared. Statements that run side by side each count in full.
    pub database_time: Duration,
    /// The exact part of it.
    pub database_time_exact: Duration,
    /// Executions charged exactly.
    pub statements: u64,
    /// Executions charged as a share of overlaps.
    pub statements_shared: f64,
    /// What its answers say of themselves.
    pub answers: Answers,
    /// What a cache before it would have done; for GET only, and only while there was room to follow its keys.
    pub reuse: Option<Reuse>,
}

impl RouteSnapshot {
    /// The method, and the template; both `other` for the route of that name.
    pub fn method_and_template(&self) -> (&str, &str) {
        self.route
            .split_once(' ')
            .unwrap_or((&self.route, &self.route))
    }

    /// How often a kind of error came.
    pub fn errors_of(&self, error: LoadError) -> u64 {
        self.errors_by_kind[error as usize]
    }

    /// What part (0 to 1) of the database time is attributed exactly; 1 when there is none.
    pub fn exact_share(&self) -> f64 {
        if self.database_time.is_zero() {
            return 1.0;
        }
        (self.database_time_exact.as_secs_f64() / self.database_time.as_secs_f64()).min(1.0)
    }

    /// Executions per request, shares included.
    pub fn statements_per_request(&self) -> f64 {
        (self.statements as f64 + self.statements_shared) / self.requests.max(1) as f64
    }
}

/// A request that ended.
pub(crate) struct Finished<'a> {
    pub(crate) kept: &'a Arc<Kept>,
    pub(crate) tallies: &'a Tallies,
    pub(crate) answer: &'a Answer,
    pub(crate) now: Instant,
}

/// How a request was counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recorded {
    /// Pairs that found no room.
    pub(crate) pairs_dropped: u64,
    /// Up to which key the route's requests are followed.
    pub(crate) keys_limit: u64,
}

/// The routes that were requested, and how to find a request's.
pub(crate) struct Routes {
    templates: Templates,
    pairs_max: usize,
    pairs: AtomicUsize,
    keys: KeysRoom,
    since: Instant,
    pins: Pins,
    repeat_min: u32,
    slots: RwLock<Slots<Arc<str>, Mutex<RouteSlot>>>,
    other: Mutex<RouteSlot>,
}

struct RouteSlot {
    known: RouteSnapshot,
    used_at: Instant,
    pairs: HashMap<ShapeId, Pair>,
    keys: Keys,
}

impl Routes {
    pub(crate) fn new(config: &crate::Config, now: Instant) -> Self {
        Self {
            templates: Templates::new(&config.route_templates),
            pairs_max: config.pairs_max,
            pairs: AtomicUsize::new(0),
            keys: KeysRoom::new(config.keys_max),
            since: now,
            pins: Pins::new(config.recent_statements_max / 2),
            repeat_min: config.repeat_min.max(2),
            slots: RwLock::new(Slots::new(config.routes_max)),
            other: Mutex::new(RouteSlot::new(OTHER.into(), false, now)),
        }
    }

    /// The name of a request's route, and whether it is a configured one.
    pub(crate) fn name(&self, method: &str, path: &str) -> (Arc<str>, bool) {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .unwrap_or(METHOD_OTHER);
        if let Some(configured) = self.templates.find(method, path) {
            return (configured, true);
        }
        let mut name = String::with_capacity(64);
        name.push_str(method);
        name.push(' ');
        infer::append_template(path, &mut name);
        (name.into(), false)
    }

    /// Counts a request that ended.
    pub(crate) fn record(&self, ended: &Finished<'_>, configured: bool) -> Recorded {
        let summary = &ended.kept.record.summary;
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(&summary.route) {
            return self.record_in(&mut lock(slot), ended);
        }
        drop(slots);
        // An answer that says "there is no such thing" does not make a route.
        if !configured && matches!(summary.status, Some(404 | 405)) {
            lock(&self.other).record(ended);
            return Recorded::default();
        }
        self.record_new(ended, configured)
    }

    fn record_new(&self, ended: &Finished<'_>, configured: bool) -> Recorded {
        let (route, now) = (&ended.kept.record.summary.route, ended.now);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.get(route).is_none() {
            let slot = Mutex::new(RouteSlot::new(Arc::clone(route), configured, now));
            let retire = |slot: Mutex<RouteSlot>| {
                let slot = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
                self.pairs.fetch_sub(slot.pairs.len(), Ordering::Relaxed);
                self.keys.release(slot.keys.len());
                lock(&self.other).known.merge(&slot.known);
            };
            // Refused: it is counted below, for `other`.
            let _ = slots.admit(Arc::clone(route), slot, now, retire);
        }
        match slots.get(route) {
            Some(slot) => self.record_in(&mut lock(slot), ended),
            None => {
                lock(&self.other).record(ended);
                Recorded::default()
            }
        }
    }

    fn record_in(&self, slot: &mut RouteSlot, ended: &Finished<'_>) -> Recorded {
        let Finished { kept, tallies, .. } = ended;
        slot.record(ended);
        let summary = &kept.record.summary;
        if let Some(ask) = &ended.answer.ask
            && summary.error.is_none()
            && matches!(summary.status, Some(200 | 304))
        {
            let since = ended.now.saturating_duration_since(self.since);
            slot.keys
                .record(ask, since, summary.response_bytes, &self.keys);
        }
        let mut pairs_dropped = 0;
        for (index, tally) in tallies.iter() {
            let known = slot.pairs.contains_key(&tally.shape.id);
            if !known && !self.reserve_pair() {
                pairs_dropped += 1;
                continue;
            }
            let pair = slot
                .pairs
                .entry(tally.shape.id)
                .or_insert_with(|| Pair::new(Arc::clone(&tally.shape)));
            pair.add(tallies, index, self.repeat_min, kept, &self.pins);
        }
        Recorded {
            pairs_dropped,
            keys_limit: slot.keys.limit(),
        }
    }

    fn reserve_pair(&self) -> bool {
        let taken = self.pairs.fetch_add(1, Ordering::Relaxed) < self.pairs_max;
        if !taken {
            self.pairs.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    /// By name; `other` is the last, if it was needed.
    pub(crate) fn snapshots(&self) -> Vec<RouteSnapshot> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut snapshots: Vec<_> = slots
            .iter()
            .map(|(_, slot)| lock(slot).snapshot())
            .collect();
        snapshots.sort_by(|one, two| one.route.cmp(&two.route));
        let other = lock(&self.other).known.clone();
        snapshots.extend((other.requests > 0).then_some(other));
        snapshots
    }

    pub(crate) fn repetitions(&self) -> Vec<Repetition> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut repetitions = Vec::new();
        for (_, slot) in slots.iter() {
            let slot = lock(slot);
            repetitions.extend(slot.pairs.values().map(|pair| slot.repetition(pair)));
        }
        repetitions.sort_by(|one, two| (&one.route, one.shape.id).cmp(&(&two.route, two.shape.id)));
        repetitions
    }

    /// The request that is kept as the example of a run, although it is no longer recent.
    pub(crate) fn example(&self, id: &crate::RequestId) -> Option<Arc<Kept>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.iter().find_map(|(_, slot)| {
            let slot = lock(slot);
            slot.pairs.values().find_map(|pair| pair.example(id))
        })
    }

    pub(crate) fn other_requests(&self) -> u64 {
        lock(&self.other).known.requests
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .evicted()
    }
}

impl RouteSlot {
    fn new(route: Arc<str>, configured: bool, now: Instant) -> Self {
        let known = RouteSnapshot {
            route,
            configured,
            requests: 0,
            errors: 0,
            errors_by_kind: [0; LoadError::ALL.len()],
            status_classes: [0; 6],
            response_bytes: 0,
            latency: Latencies::new(),
            first_byte: Latencies::new(),
            upstream: Latencies::new(),
            database_time: Duration::ZERO,
            database_time_exact: Duration::ZERO,
            statements: 0,
            statements_shared: 0.0,
            answers: Answers::default(),
            reuse: None,
        };
        Self {
            known,
            used_at: now,
            pairs: HashMap::new(),
            keys: Keys::new(),
        }
    }

    fn record(&mut self, ended: &Finished<'_>) {
        self.used_at = ended.now;
        let summary = &ended.kept.record.summary;
        let known = &mut self.known;
        known.requests += 1;
        let class = summary.status.map_or(0, |status| usize::from(status / 100));
        known.status_classes[if class < 6 { class } else { 0 }] += 1;
        if let Some(error) = summary.error {
            known.errors_by_kind[error as usize] += 1;
        }
        let failed = summary.error.is_some_and(|error| !error.is_clients_fault());
        known.errors += u64::from(failed || class == 5);
        known.response_bytes = known.response_bytes.saturating_add(summary.response_bytes);
        if let Some(duration) = summary.duration {
            known.latency.record(duration);
        }
        if let Some(first_byte) = summary.first_byte {
            known.first_byte.record(first_byte);
            if let Some(connected) = summary.connected {
                known.upstream.record(first_byte.saturating_sub(connected));
            }
        }
        known.database_time += summary.database_time;
        known.database_time_exact += summary.database_time_exact;
        known.statements += summary.statements;
        known.statements_shared += summary.statements_shared;
        if let (None, Some(status)) = (summary.error, summary.status) {
            known
                .answers
                .record(ended.answer, status, summary.response_bytes);
        }
    }

    fn snapshot(&self) -> RouteSnapshot {
        RouteSnapshot {
            reuse: self.keys.reuse(),
            ..self.known.clone()
        }
    }

    fn repetition(&self, pair: &Pair) -> Repetition {
        Repetition {
            route: Arc::clone(&self.known.route),
            shape: Arc::clone(&pair.shape),
            route_requests: self.known.requests,
            route_time: self.known.latency.sum(),
            requests: pair.requests,
            executions: pair.executions,
            time: pair.time,
            varied: pair.varied.snapshot(),
            identical: pair.identical.snapshot(),
            exact_share: self.known.exact_share(),
        }
    }
}

impl RouteSnapshot {
    fn merge(&mut self, retired: &Self) {
        self.requests += retired.requests;
        self.errors += retired.errors;
        for (sum, count) in self.errors_by_kind.iter_mut().zip(retired.errors_by_kind) {
            *sum += count;
        }
        for (sum, count) in self.status_classes.iter_mut().zip(retired.status_classes) {
            *sum += count;
        }
        self.response_bytes = self.response_bytes.saturating_add(retired.response_bytes);
        self.latency.merge(&retired.latency);
        self.first_byte.merge(&retired.first_byte);
        self.upstream.merge(&retired.upstream);
        self.database_time += retired.database_time;
        self.database_time_exact += retired.database_time_exact;
        self.statements += retired.statements;
        self.statements_shared += retired.statements_shared;
        self.answers.merge(&retired.answers);
    }
}

impl Entry for Mutex<RouteSlot> {
    fn uses(&self) -> u64 {
        lock(self).known.requests
    }

    fn used_at(&self) -> Instant {
        lock(self).used_at
    }

    fn is_configured(&self) -> bool {
        lock(self).known.configured
    }
}
