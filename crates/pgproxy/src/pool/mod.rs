//! The server connections of one database and user: who has one, who waits for one, in which order.
//!
//! A mutex around the idle connections, the number of places taken and the queue of waiting clients. Nothing is awaited
//! and nothing is opened or closed inside. The pool knows nothing of Postgres: what it holds is any [`Pooled`].
//!
//! Invariant: somebody waits only while nothing could be given, that is while no connection is idle, and either all
//! places are taken, or as many connections are being opened as may be at once, or a [`Budget`] is exhausted.

mod budget;
mod clock;
mod guard;
mod inner;
#[cfg(test)]
mod model;
mod queue;
mod reaper;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use budget::{Budget, UNLIMITED};
pub(crate) use clock::Clock;
pub(crate) use guard::{Lease, Place};
pub(crate) use queue::{Grant, Ticket};
pub(crate) use snapshot::Fullness;
pub use snapshot::{PoolSnapshot, PoolTotals};

use budget::Budgets;
use inner::{Idle, Inner, Outcome, Stamp};

/// A pool under the same budget whose client has waited by so much longer gets the place of a connection that comes back,
/// though that has to be opened anew: nobody starves, and connections do not change hands with every transaction.
const PRECEDENCE: Duration = Duration::from_millis(500);

/// What a pool can hold.
pub(crate) trait Pooled: Send {
    /// Whether the next client may have it as it is.
    fn is_clean(&self) -> bool;
    /// The worker at whose reactor it is registered.
    fn worker(&self) -> usize;
    /// A number for the session settings that it has; equal numbers mean equal settings.
    fn settings_id(&self) -> u64;
    /// From when on its age counts.
    fn born(&self) -> Instant;
}

/// The bounds of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolLimits {
    /// Connections at most.
    pub(crate) size: usize,
    /// Connections that are kept open, used or not.
    pub(crate) size_min: usize,
    /// Connections beyond `size`, while somebody has waited for `reserve_after`.
    pub(crate) reserve: usize,
    pub(crate) reserve_after: Duration,
    /// Connections that are opened at once: a burst of clients must not become a burst of forks and password checks on
    /// the server. The others wait, for these or for one that comes back.
    pub(crate) opening_max: usize,
    /// What nobody has used for so long is closed.
    pub(crate) idle_timeout: Duration,
    /// What is so old is given to nobody any more.
    pub(crate) lifetime_max: Duration,
    /// What nobody has used for so long is looked at before it is given to somebody.
    pub(crate) check_after: Duration,
}

/// See the module.
pub(crate) struct Pool<C: Pooled> {
    inner: Mutex<Inner<C>>,
    budgets: Budgets<C>,
    clock: Clock,
    pub(crate) counters: Counters,
}

/// What a pool counts over its life.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connects: AtomicU64,
    pub(crate) connect_errors: AtomicU64,
    pub(crate) wait_timeouts: AtomicU64,
    pub(crate) pinned: AtomicUsize,
    /// Connections whose clients have a transaction open and do nothing.
    pub(crate) idle_in_transaction: AtomicUsize,
    /// How often a connection became a client's own, by what it held: as [`SessionState::EACH`](paceline_sql::SessionState::EACH).
    pub(crate) pins: [AtomicU64; 7],
    /// How many are so now.
    pub(crate) pins_now: [AtomicUsize; 7],
    /// Connections of clients that are observed, outside of the pool.
    pub(crate) observed: AtomicUsize,
}

impl<C: Pooled> Pool<C> {
    pub(crate) fn new(limits: PoolLimits, budgets: &[Arc<Budget<C>>], clock: Clock) -> Arc<Self> {
        let pool = Arc::new(Self {
            inner: Mutex::new(Inner::new(limits)),
            budgets: Budgets(budgets.into()),
            clock,
            counters: Counters::default(),
        });
        budgets.iter().for_each(|budget| budget.join(&pool));
        pool
    }

    /// Asks for a connection for a client on `worker`, preferably one with these settings.
    pub(crate) fn check_out(self: &Arc<Self>, worker: usize, settings_id: u64) -> Grant<C> {
        let mut inner = self.lock();
        if inner.has_nobody_waiting() && !inner.is_paused {
            if let Some(idle) = inner.take_idle(worker, settings_id) {
                return Grant::Connection(Lease::reused(self, idle));
            }
            let now = self.clock.now();
            if inner.has_room(None, now) && (self.budgets.take() || self.budgets.take_or_want()) {
                return Grant::Open(inner.take_place(self));
            }
        }
        let now = self.clock.now();
        let starves = inner.has_room(None, now);
        let ticket = inner.enqueue(self, now);
        drop(inner);
        if starves {
            // Room within the pool, but not under a budget: another pool may have a connection that nobody needs.
            self.budgets.evict(self);
        }
        Grant::Wait(ticket)
    }

    /// For somebody who has a place, but cannot open a connection at present: one that is idle, or else the first place in the
    /// queue, before all who have come later.
    pub(crate) fn rejoin(
        self: &Arc<Self>,
        worker: usize,
        settings_id: u64,
        since: Instant,
    ) -> Grant<C> {
        let mut inner = self.lock();
        if inner.has_nobody_waiting()
            && !inner.is_paused
            && let Some(idle) = inner.take_idle(worker, settings_id)
        {
            return Grant::Connection(Lease::reused(self, idle));
        }
        Grant::Wait(inner.enqueue_first(self, since))
    }

    /// Other limits hold from now on.
    pub(crate) fn set_limits(self: &Arc<Self>, limits: PoolLimits) {
        let mut inner = self.lock();
        inner.limits = limits;
        let over = inner.places_over();
        // The first ones have idled for the longest.
        let closed = inner.take_idlest(over);
        drop(inner);
        self.discard(closed);
        self.let_open();
    }

    /// Connections cannot be opened at present: one attempt at a time is enough to find out when they can.
    pub(crate) fn set_failing(self: &Arc<Self>, is_failing: bool) {
        let was_failing = std::mem::replace(&mut self.lock().is_failing, is_failing);
        if was_failing && !is_failing {
            self.let_open();
        }
    }

    /// Nobody gets a connection any more that is open now.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.lock().generation += 1;
        self.close_idle();
    }

    /// Another number, and what was open before is given to nobody.
    pub(crate) fn generation(&self) -> u64 {
        self.lock().generation
    }

    /// From now on nobody gets a connection, and those that are open are closed as they come back.
    pub(crate) fn pause(self: &Arc<Self>) {
        self.lock().is_paused = true;
        self.close_idle();
    }

    /// Whoever waits is served again.
    pub(crate) fn resume(self: &Arc<Self>) {
        self.lock().is_paused = false;
        self.let_open();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.lock().is_paused
    }

    /// Whether no connection is open or being opened.
    pub(crate) fn has_no_connection(&self) -> bool {
        self.lock().places_taken == 0
    }

    /// The server may not be what it was: connections that are open are looked at before they are given to somebody else.
    pub(crate) fn raise_doubt(&self) {
        self.lock().raise_doubt();
    }

    /// Closes what idles.
    pub(crate) fn close_idle(self: &Arc<Self>) {
        let closed = self.lock().take_idlest(usize::MAX);
        self.discard(closed);
    }

    /// A place for a connection that nobody waits for, if fewer are open than shall be.
    pub(crate) fn refill(self: &Arc<Self>) -> Option<Place<C>> {
        let mut inner = self.lock();
        let wants = inner.has_nobody_waiting() && inner.is_below_min();
        (wants && self.budgets.take()).then(|| inner.take_place(self))
    }

    /// The head of the queue may have waited for long enough to get a connection of the reserve.
    pub(crate) fn claim_reserve(self: &Arc<Self>) {
        self.let_open();
    }

    /// Closes the connection that has idled for the longest.
    fn evict_one(self: &Arc<Self>) {
        let closed = self.lock().take_idlest(1);
        self.discard(closed);
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
    fn give_back(self: &Arc<Self>, connection: C, stamp: Stamp, is_stale: bool, now: Instant) {
        let wanted_since = if self.budgets.are_wanted() {
            self.budgets.wanted_since(self)
        } else {
            None
        };
        let mut inner = self.lock();
        let is_over = stamp.generation != inner.generation
            || inner.is_too_old(&connection, now)
            || inner.is_paused
            || inner.is_overfull()
            || self.budgets.are_over()
            || wanted_since.is_some_and(|since| inner.has_precedence(since, PRECEDENCE));
        if is_over {
            drop(inner);
            drop(connection);
            return self.place_free(1, 0);
        }
        let is_stale = is_stale || stamp.doubt != inner.doubt;
        if inner.has_nobody_waiting() {
            return inner.keep(connection, stamp, is_stale, now);
        }
        let lease = Lease::given_back(self, connection, stamp, is_stale);
        if let Some(lease) = inner.hand_over(lease) {
            inner.keep(lease.into_inner(), stamp, is_stale, now);
        }
    }

    /// A place is free again, or an opening has come to its end: the head of the queue may open a connection.
    fn place_free(self: &Arc<Self>, places: usize, opening: usize) {
        let mut inner = self.lock();
        inner.places_taken -= places;
        inner.opening -= opening;
        self.budgets.give(places);
        drop(inner);
        if places > 0 {
            // In the order of their waits, our own clients among them.
            self.budgets.serve();
        }
        self.let_open();
    }

    /// Lets those at the head of the queue open connections for whom there is room.
    fn let_open(self: &Arc<Self>) {
        let Outcome { gave_back, starves } = self.lock().let_open(self);
        if gave_back {
            self.budgets.serve();
        }
        if starves {
            self.budgets.evict(self);
        }
    }

    /// Since when its head has waited for nothing but a budget.
    fn starves_since(&self) -> Option<Instant> {
        let inner = self.lock();
        let since = inner.head_since()?;
        inner
            .has_room(Some(since), self.clock.now())
            .then_some(since)
    }

    /// Since when nobody has wanted the idlest of its connections.
    fn idle_since(&self) -> Option<Instant> {
        self.lock().idle_since()
    }
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

    fn born(&self) -> Instant {
        (**self).born()
    }
}
