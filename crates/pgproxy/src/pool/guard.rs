//! The guards. Whatever happens to a client (an error, a panic, a cancelled task), dropping them gives its place back.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use paceline_sql::SessionState;

use super::{Idle, Pool, Pooled, Stamp};

/// One of the pool's places, for a connection that is being opened.
pub(crate) struct Place<C: Pooled> {
    /// `None` once somebody else answers for the place.
    pool: Option<Arc<Pool<C>>>,
}

impl<C: Pooled> Place<C> {
    pub(super) fn opening(pool: &Arc<Pool<C>>) -> Self {
        Self {
            pool: Some(Arc::clone(pool)),
        }
    }

    /// The connection is open: the place is its own from here on, and the next one may be opened.
    pub(crate) fn opened(mut self, connection: C) -> Lease<C> {
        let pool = self
            .pool
            .take()
            .expect("only this method and forget take it, both by value");
        pool.counters.connects.fetch_add(1, Ordering::Relaxed);
        let stamp = pool.lock().stamp();
        pool.place_free(0, 1);
        Lease::given_back(&pool, connection, stamp, false)
    }

    /// The pool, which holds its own lock, counts by itself.
    pub(super) fn forget(mut self) {
        self.pool = None;
    }
}

impl<C: Pooled> Drop for Place<C> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.place_free(1, 1);
        }
    }
}

/// A connection that somebody holds. Dropped, it goes back when it is clean, and is closed otherwise.
pub(crate) struct Lease<C: Pooled> {
    pool: Arc<Pool<C>>,
    /// `None` only within `into_inner` and `drop`.
    connection: Option<C>,
    stamp: Stamp,
    is_stale: bool,
    pinned: SessionState,
    is_condemned: bool,
    is_idle_in_transaction: bool,
}

impl<C: Pooled> Lease<C> {
    /// Just opened, or just given back.
    pub(super) fn given_back(
        pool: &Arc<Pool<C>>,
        connection: C,
        stamp: Stamp,
        is_stale: bool,
    ) -> Self {
        Self {
            pool: Arc::clone(pool),
            connection: Some(connection),
            stamp,
            is_stale,
            pinned: SessionState::NOTHING,
            is_condemned: false,
            is_idle_in_transaction: false,
        }
    }

    pub(super) fn reused(pool: &Arc<Pool<C>>, idle: Idle<C>) -> Self {
        Self::given_back(pool, idle.connection, idle.stamp, idle.is_stale)
    }

    /// Whether it has idled for so long that it should be looked at before it is used.
    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// It was looked at, and is as it should be.
    pub(crate) fn trust(&mut self) {
        self.is_stale = false;
        self.stamp.doubt = self.pool.lock().doubt;
    }

    /// It belongs to this client as long as it holds this state, which only this client may see. Says whether it did not before.
    pub(crate) fn pin(&mut self, state: SessionState) -> bool {
        if state == self.pinned {
            return false;
        }
        let news = state.without(self.pinned);
        let gone = self.pinned.without(state);
        let was_free = std::mem::replace(&mut self.pinned, state).is_nothing();
        let counters = &self.pool.counters;
        for (index, (each, _)) in SessionState::EACH.into_iter().enumerate() {
            if news.meets(each) {
                counters.pins[index].fetch_add(1, Ordering::Relaxed);
                counters.pins_now[index].fetch_add(1, Ordering::Relaxed);
            }
            if gone.meets(each) {
                counters.pins_now[index].fetch_sub(1, Ordering::Relaxed);
            }
        }
        match (was_free, state.is_nothing()) {
            (true, false) => {
                counters.pinned.fetch_add(1, Ordering::Relaxed);
            }
            (false, true) => {
                counters.pinned.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
        !news.is_nothing()
    }

    /// What it holds that makes it belong to this client.
    pub(crate) fn pinned(&self) -> SessionState {
        self.pinned
    }

    /// Whether it belongs to this client.
    pub(crate) fn is_pinned(&self) -> bool {
        !self.pinned.is_nothing()
    }

    /// Its client has a transaction open and does nothing, or does something again.
    pub(crate) fn set_idle_in_transaction(&mut self, is: bool) {
        if self.is_idle_in_transaction != is {
            self.is_idle_in_transaction = is;
            let count = &self.pool.counters.idle_in_transaction;
            if is {
                count.fetch_add(1, Ordering::Relaxed);
            } else {
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// It will be closed, not reused.
    pub(crate) fn condemn(&mut self) {
        self.is_condemned = true;
    }

    /// The connection is dead: closes it, but keeps its place, to open another.
    pub(crate) fn into_place(mut self) -> Place<C> {
        self.connection = None;
        self.pool.reopen();
        Place::opening(&self.pool)
    }

    /// The connection, for the pool to keep.
    pub(super) fn into_inner(mut self) -> C {
        self.connection
            .take()
            .expect("only this method and drop take it, both for good")
    }
}

impl<C: Pooled> Deref for Lease<C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.connection
            .as_ref()
            .expect("only into_inner and drop take it, both for good")
    }
}

impl<C: Pooled> DerefMut for Lease<C> {
    fn deref_mut(&mut self) -> &mut C {
        self.connection
            .as_mut()
            .expect("only into_inner and drop take it, both for good")
    }
}

impl<C: Pooled> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.connection.is_some() {
            self.end(self.pool.clock.now());
        } else {
            self.uncount();
        }
    }
}

impl<C: Pooled> Lease<C> {
    /// Gives it back, or closes it, when it is `now`: for those who have looked at the clock already.
    pub(crate) fn end_at(mut self, now: Instant) {
        self.end(now);
    }

    /// It counts no more as what it was.
    fn uncount(&mut self) {
        self.set_idle_in_transaction(false);
        if self.is_pinned() {
            self.pin(SessionState::NOTHING);
        }
    }

    fn end(&mut self, now: Instant) {
        let is_pinned = self.is_pinned();
        self.uncount();
        let Some(connection) = self.connection.take() else {
            return;
        };
        // A panic may have left it half-way between two states that each look clean.
        let is_trusted = !self.is_condemned && !is_pinned && !std::thread::panicking();
        if is_trusted && connection.is_clean() {
            return self
                .pool
                .give_back(connection, self.stamp, self.is_stale, now);
        }
        drop(connection);
        self.pool.place_free(1, 0);
    }
}
