//! The server connections of one database and user: who has one, who waits for one, in which order.
//!
//! A mutex around the idle connections, the number of places taken and the queue of waiting clients. Nothing is awaited
//! and nothing is opened or closed inside. The pool knows nothing of Postgres: what it holds is any [`Pooled`].
//!
//! Invariant: somebody waits only while nothing could be given, that is while no connection is idle, and either all
//! places are taken or [`OPENING_MAX`] connections are being opened.

mod guard;
mod queue;
mod reaper;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paceline_journal::Latencies;

pub(crate) use guard::{Lease, Place};
pub(crate) use queue::{Grant, Ticket};

use queue::{Slot, Waiting};

/// So many server connections are opened at once at most: a burst of clients must not become a burst of forks and
/// password checks on the server. The others wait, for these or for one that comes back.
pub(crate) const OPENING_MAX: usize = 4;

/// What a pool can hold.
pub(crate) trait Pooled: Send {
    /// Whether the next client may have it as it is.
    fn is_clean(&self) -> bool;
    /// The worker at whose reactor it is registered.
    fn worker(&self) -> usize;
    /// A number for the session settings that it has; equal numbers mean equal settings.
    fn settings_id(&self) -> u64;
    /// When it is too old to be given to anybody.
    fn expires(&self) -> Instant;
}

/// The bounds of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    pub(crate) size: usize,
    pub(crate) idle_timeout: Duration,
}

/// See the module.
pub(crate) struct Pool<C: Pooled> {
    inner: Mutex<Inner<C>>,
    pub(crate) counters: Counters,
}

/// What a pool counts over its life.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) connect_errors: AtomicU64,
    pub(crate) wait_timeouts: AtomicU64,
    pub(crate) pinned: AtomicUsize,
    /// Connections of clients that are observed, outside of the pool.
    pub(crate) observed: AtomicUsize,
}

struct Inner<C: Pooled> {
    limits: PoolLimits,
    /// Connections of an earlier generation are not given to anybody any more.
    generation: u64,
    idle: Vec<Idle<C>>,
    /// Connections that exist or are being opened: idle, used, opening.
    places_taken: usize,
    opening: usize,
    waiting: VecDeque<Waiting<C>>,
    next_ticket: u64,
    waits: Latencies,
}

struct Idle<C> {
    connection: C,
    generation: u64,
    since: Instant,
}

/// The state of a pool at one moment.
#[derive(Debug, Clone)]
pub struct PoolSnapshot {
    /// The database.
    pub database: String,
    /// The role on the server.
    pub user: String,
    /// Server connections at most. `None` in observe mode, where each client has one.
    pub max: Option<usize>,
    /// Server connections that exist.
    pub open: usize,
    /// Of these, those that wait for work.
    pub idle: usize,
    /// Of these, those that a client holds.
    pub used: usize,
    /// Server connections that are being opened.
    pub opening: usize,
    /// Clients in the queue.
    pub waiting: usize,
    /// How long the client at the head of the queue has waited.
    pub longest_wait: Option<Duration>,
    /// Server connections that belong to one client until it leaves, because of session state.
    pub pinned: usize,
    /// Server connections opened so far.
    pub connects_total: u64,
    /// Attempts to open one that failed.
    pub connect_errors_total: u64,
    /// Clients that were told 53300 because their wait was over.
    pub wait_timeouts_total: u64,
    /// The waits of the clients that did not get a server connection at once: until they had one, their time was up, or none could
    /// be opened.
    pub waits: Latencies,
}

impl<C: Pooled> Pool<C> {
    pub(crate) fn new(limits: PoolLimits) -> Arc<Self> {
        let inner = Inner {
            limits,
            generation: 0,
            idle: Vec::with_capacity(limits.size.min(1024)),
            places_taken: 0,
            opening: 0,
            waiting: VecDeque::new(),
            next_ticket: 0,
            waits: Latencies::new(),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            counters: Counters::default(),
        })
    }

    /// Asks for a connection for a client on `worker`, preferably one with these settings.
    pub(crate) fn check_out(self: &Arc<Self>, worker: usize, settings_id: u64) -> Grant<C> {
        let mut inner = self.lock();
        if inner.waiting.is_empty() {
            if let Some(index) = best(&inner.idle, worker, settings_id) {
                let Idle {
                    connection,
                    generation,
                    ..
                } = inner.idle.remove(index);
                return Grant::Connection(Lease::new(self, connection, generation));
            }
            if inner.may_open() {
                return Grant::Open(inner.take_place(self));
            }
        }
        Grant::Wait(inner.enqueue(self))
    }

    /// How many clients wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Server connections at most.
    pub(crate) fn size(&self) -> usize {
        self.lock().limits.size
    }

    /// A client has waited, whatever came of it.
    pub(crate) fn record_wait(&self, wait: Duration) {
        self.lock().waits.record(wait);
    }

    /// The state now. The names are the caller's to fill in.
    pub(crate) fn snapshot(&self, now: Instant) -> PoolSnapshot {
        let inner = self.lock();
        let open = inner.places_taken - inner.opening;
        PoolSnapshot {
            database: String::new(),
            user: String::new(),
            max: Some(inner.limits.size),
            open,
            idle: inner.idle.len(),
            used: open - inner.idle.len(),
            opening: inner.opening,
            waiting: inner.waiting.len(),
            longest_wait: inner
                .waiting
                .front()
                .map(|head| now.saturating_duration_since(head.since)),
            pinned: self.counters.pinned.load(Ordering::Relaxed),
            connects_total: self.counters.connects.load(Ordering::Relaxed),
            connect_errors_total: self.counters.connect_errors.load(Ordering::Relaxed),
            wait_timeouts_total: self.counters.wait_timeouts.load(Ordering::Relaxed),
            waits: inner.waits.clone(),
        }
    }

    /// Other limits hold from now on.
    pub(crate) fn set_limits(self: &Arc<Self>, limits: PoolLimits) {
        let mut inner = self.lock();
        inner.limits = limits;
        let over = inner.places_taken.saturating_sub(limits.size);
        let over = over.min(inner.idle.len());
        // The first ones have idled for the longest.
        let closed: Vec<_> = inner.idle.drain(..over).collect();
        inner.let_open(self);
        drop(inner);
        self.discard(closed);
    }

    /// Nobody gets a connection any more that is open now.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.lock().generation += 1;
        self.close_idle();
    }

    /// Closes what idles.
    pub(crate) fn close_idle(self: &Arc<Self>) {
        let closed = std::mem::take(&mut self.lock().idle);
        self.discard(closed);
    }

    /// Whether it has no connection, is opening none, and nobody waits for one.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.places_taken == 0 && inner.waiting.is_empty()
    }

    /// Connections that were idle are closed.
    fn discard(self: &Arc<Self>, closed: Vec<Idle<C>>) {
        let count = closed.len();
        drop(closed);
        if count > 0 {
            self.place_free(count, 0);
        }
    }

    /// A connection is to be replaced. It may be one more than are usually opened at once: its place is taken anyway.
    fn reopen(&self) {
        self.lock().opening += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        // No code that could panic half-way runs inside, so that a poisoned lock still guards whole data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection comes back clean: to the head of the queue, else to the idle ones. Unless nobody is to have it any more.
    fn give_back(self: &Arc<Self>, connection: C, generation: u64, now: Instant) {
        let mut inner = self.lock();
        if generation != inner.generation || inner.places_taken > inner.limits.size {
            drop(inner);
            drop(connection);
            return self.place_free(1, 0);
        }
        let mut grant = Grant::Connection(Lease::new(self, connection, generation));
        while let Some(head) = inner.waiting.pop_front() {
            match head.slot.grant(grant) {
                Ok(()) => return,
                Err(back) => grant = back,
            }
        }
        let Grant::Connection(lease) = grant else {
            return;
        };
        inner.idle.push(Idle {
            connection: lease.into_inner(),
            generation,
            since: now,
        });
    }

    /// A place is free again, or an opening has come to its end: the head of the queue may open a connection.
    fn place_free(self: &Arc<Self>, places: usize, opening: usize) {
        let mut inner = self.lock();
        inner.places_taken -= places;
        inner.opening -= opening;
        inner.let_open(self);
    }
}

impl<C: Pooled> Inner<C> {
    fn may_open(&self) -> bool {
        self.places_taken < self.limits.size && self.opening < OPENING_MAX
    }

    fn take_place(&mut self, pool: &Arc<Pool<C>>) -> Place<C> {
        self.places_taken += 1;
        self.opening += 1;
        Place::opening(pool)
    }

    fn enqueue(&mut self, pool: &Arc<Pool<C>>) -> Ticket<C> {
        let (number, slot, since) = (self.next_ticket, Arc::new(Slot::default()), Instant::now());
        self.next_ticket += 1;
        self.waiting.push_back(Waiting {
            number,
            since,
            slot: Arc::clone(&slot),
        });
        Ticket::new(pool, slot, number)
    }

    fn let_open(&mut self, pool: &Arc<Pool<C>>) {
        while self.may_open() {
            let Some(head) = self.waiting.pop_front() else {
                return;
            };
            let place = self.take_place(pool);
            if let Err(Grant::Open(place)) = head.slot.grant(Grant::Open(place)) {
                // Nobody there: undone by hand, for the guard would lock the pool again.
                place.forget();
                self.places_taken -= 1;
                self.opening -= 1;
            }
        }
    }
}

/// The best of the idle connections: of our own worker before one that must move, with our settings before one that
/// must be brought in line, the last used before the others.
fn best<C: Pooled>(idle: &[Idle<C>], worker: usize, settings_id: u64) -> Option<usize> {
    let score = |idle: &Idle<C>| {
        let connection = &idle.connection;
        (
            connection.worker() == worker,
            connection.settings_id() == settings_id,
        )
    };
    let mut found = None;
    for (index, candidate) in idle.iter().enumerate().rev() {
        match score(candidate) {
            (true, true) => return Some(index),
            score if found.is_none_or(|(best, _)| score > best) => found = Some((score, index)),
            _ => {}
        }
    }
    found.map(|(_, index)| index)
}

impl<T: Pooled + ?Sized> Pooled for Box<T> {
    fn is_clean(&self) -> bool {
        (**self).is_clean()
    }

    fn worker(&self) -> usize {
        (**self).worker()
    }

    fn settings_id(&self) -> u64 {
        (**self).settings_id()
    }

    fn expires(&self) -> Instant {
        (**self).expires()
    }
}
