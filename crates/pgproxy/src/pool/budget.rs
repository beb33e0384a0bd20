//! A bound that several pools share: the server connections of a database over all its users, of a user over all its
//! databases, of all there is.
//!
//! A budget never locks two pools at once, and never one from within another. A pool that found it exhausted says so
//! *before* it looks a last time; who gives something back looks for that afterwards. So no wake-up is lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::{Pool, Pooled};

/// No bound at all.
pub(crate) const UNLIMITED: usize = usize::MAX;

/// See the module.
pub(crate) struct Budget<C: Pooled> {
    limit: AtomicUsize,
    taken: AtomicUsize,
    /// A pool has somebody waiting for whom there was nothing left.
    is_wanted: AtomicBool,
    pools: Mutex<Vec<Weak<Pool<C>>>>,
}

impl<C: Pooled> Budget<C> {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
            is_wanted: AtomicBool::new(false),
            pools: Mutex::default(),
        })
    }

    /// Another bound holds from now on: what idles beyond it is closed.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, SeqCst);
        while self.is_over()
            && let Some(pool) = self.idlest(None)
        {
            pool.evict_one();
        }
        self.serve();
    }

    /// The bound, if there is one.
    pub(crate) fn limit(&self) -> Option<usize> {
        let limit = self.limit.load(SeqCst);
        (limit != UNLIMITED).then_some(limit)
    }

    /// How much of it is taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    pub(super) fn join(&self, pool: &Arc<Pool<C>>) {
        let mut pools = self.lock();
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Takes a place, if there is one.
    fn take(&self) -> bool {
        let limit = self.limit.load(SeqCst);
        let taken = self
            .taken
            .fetch_update(SeqCst, SeqCst, |taken| (taken < limit).then_some(taken + 1));
        taken.is_ok()
    }

    pub(super) fn is_over(&self) -> bool {
        self.taken.load(SeqCst) > self.limit.load(SeqCst)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.taken.load(SeqCst) >= self.limit.load(SeqCst)
    }

    /// The pools whose clients wait only for this, or another budget; the one with the longest wait first.
    fn starving(&self) -> Vec<(Instant, Arc<Pool<C>>)> {
        let pools: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let head = |pool: Arc<Pool<C>>| Some((pool.starves_since()?, pool));
        let mut starving: Vec<_> = pools.into_iter().filter_map(head).collect();
        starving.sort_by_key(|(since, _)| *since);
        starving
    }

    /// The pool with the connection that has idled for the longest, except for this one.
    fn idlest(&self, own: Option<&Arc<Pool<C>>>) -> Option<Arc<Pool<C>>> {
        let pools: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let is_own = |pool: &Arc<Pool<C>>| own.is_some_and(|own| Arc::ptr_eq(pool, own));
        let others = pools.into_iter().filter(|pool| !is_own(pool));
        let idle = others.filter_map(|pool| Some((pool.idle_since()?, pool)));
        idle.min_by_key(|(since, _)| *since).map(|(_, pool)| pool)
    }

    /// Something was given back: lets those open a connection who found nothing left.
    fn serve(&self) {
        if self.is_wanted.swap(false, SeqCst) {
            for (_, pool) in self.starving() {
                pool.let_open();
            }
        }
    }

    /// Since when another pool's client has waited longest for a place that is not there.
    fn wanted_since(&self, own: &Arc<Pool<C>>) -> Option<Instant> {
        if !self.is_wanted.swap(false, SeqCst) {
            return None;
        }
        let starving = self.starving();
        if starving.is_empty() {
            return None;
        }
        self.is_wanted.store(true, SeqCst);
        if !self.is_exhausted() {
            // It was given back while nobody seemed to want it.
            self.serve();
            return None;
        }
        // One that lacks something else, too, would not be helped.
        let mut others = starving.into_iter().filter(|(_, pool)| {
            !Arc::ptr_eq(pool, own) && pool.budgets.lack_only_what_is_in(&own.budgets)
        });
        others.next().map(|(since, _)| since)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Pool<C>>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The budgets that a pool is under.
pub(super) struct Budgets<C: Pooled>(pub(super) Box<[Arc<Budget<C>>]>);

impl<C: Pooled> Budgets<C> {
    /// Takes a place from all of them, or from none.
    pub(super) fn take(&self) -> bool {
        for (index, budget) in self.0.iter().enumerate() {
            if !budget.take() {
                self.0[..index].iter().for_each(|budget| {
                    budget.taken.fetch_sub(1, SeqCst);
                });
                return false;
            }
        }
        true
    }

    /// As [`Budgets::take`], for somebody who will wait otherwise.
    pub(super) fn take_or_want(&self) -> bool {
        self.0
            .iter()
            .for_each(|budget| budget.is_wanted.store(true, SeqCst));
        self.take()
    }

    /// Gives places back. Nobody is told yet: the caller may hold the lock of its pool.
    pub(super) fn give(&self, places: usize) {
        self.0.iter().for_each(|budget| {
            budget.taken.fetch_sub(places, SeqCst);
        });
    }

    /// Tells those who want one. No lock of a pool may be held.
    pub(super) fn serve(&self) {
        self.0.iter().for_each(|budget| budget.serve());
    }

    /// Whether one of them was found exhausted.
    pub(super) fn are_wanted(&self) -> bool {
        self.0.iter().any(|budget| budget.is_wanted.load(SeqCst))
    }

    /// Whether a bound was lowered below what is taken.
    pub(super) fn are_over(&self) -> bool {
        self.0.iter().any(|budget| budget.is_over())
    }

    /// Since when somebody else's client has waited longest for what one of them lacks.
    pub(super) fn wanted_since(&self, own: &Arc<Pool<C>>) -> Option<Instant> {
        let wanted = self.0.iter().filter_map(|budget| budget.wanted_since(own));
        wanted.min()
    }

    /// Makes room: from each exhausted budget, closes the connection that has idled for the longest in another pool. Unless
    /// one of them has none, for then closing those of the others would help nobody.
    pub(super) fn evict(&self, own: &Arc<Pool<C>>) {
        let exhausted = || self.0.iter().filter(|budget| budget.is_exhausted());
        if exhausted().all(|budget| budget.idlest(Some(own)).is_some()) {
            for budget in &self.0 {
                // One that was closed for another budget may have been enough.
                if budget.is_exhausted()
                    && let Some(pool) = budget.idlest(Some(own))
                {
                    pool.evict_one();
                }
            }
        }
    }

    /// Whether what is exhausted of these all concerns a pool under the others.
    fn lack_only_what_is_in(&self, others: &Self) -> bool {
        let mut exhausted = self.0.iter().filter(|budget| budget.is_exhausted());
        exhausted.all(|budget| others.0.iter().any(|other| Arc::ptr_eq(budget, other)))
    }
}
