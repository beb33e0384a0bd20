//! What the pool's mutex guards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_journal::Latencies;

use super::queue::{Slot, Waiting};
use super::{Grant, Lease, Place, Pool, PoolLimits, Pooled, Ticket};

/// A connection is closed up to this share of `idle_timeout` early, so that those that came back together do not go together.
const IDLE_JITTER: f32 = 0.1;
/// A reserve connection is closed when nobody has wanted it for so long.
const RESERVE_KEPT: Duration = Duration::from_secs(1);

pub(super) struct Inner<C: Pooled> {
    pub(super) limits: PoolLimits,
    /// Connections of an earlier generation are not given to anybody any more.
    pub(super) generation: u64,
    /// Connections that were given out under an earlier doubt are looked at before they are given to somebody else.
    pub(super) doubt: u64,
    /// Nobody gets a connection, and none that comes back is kept.
    pub(super) is_paused: bool,
    /// Opening fails at present.
    pub(super) is_failing: bool,
    /// The first has idled for the longest.
    idle: Vec<Idle<C>>,
    /// Connections that exist or are being opened: idle, used, opening.
    pub(super) places_taken: usize,
    pub(super) opening: usize,
    waiting: VecDeque<Waiting<C>>,
    next_ticket: u64,
    pub(super) waits: Latencies,
    jitter: fastrand::Rng,
}

/// What came of letting the heads of the queue open connections.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Something was taken from the budgets that nobody needed.
    pub(super) gave_back: bool,
    /// The head waits for a budget alone.
    pub(super) starves: bool,
}

/// From which time of the pool a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) generation: u64,
    pub(super) doubt: u64,
}

pub(super) struct Idle<C> {
    pub(super) connection: C,
    pub(super) stamp: Stamp,
    since: Instant,
    /// This share of `idle_timeout` is its own.
    patience: f32,
    /// It has idled for so long that it should be looked at before it is used.
    pub(super) is_stale: bool,
}

impl<C: Pooled> Inner<C> {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            idle: Vec::with_capacity(limits.size.min(1024)),
            limits,
            generation: 0,
            doubt: 0,
            is_paused: false,
            is_failing: false,
            places_taken: 0,
            opening: 0,
            waiting: VecDeque::new(),
            next_ticket: u64::MAX / 2,
            waits: Latencies::new(),
            jitter: fastrand::Rng::new(),
        }
    }

    pub(super) fn has_nobody_waiting(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.idle.first().map(|idle| idle.since)
    }

    pub(super) fn head_since(&self) -> Option<Instant> {
        self.waiting.front().map(|head| head.since)
    }

    /// Whether a connection may be opened, as far as the pool itself is concerned, for somebody who has waited since then.
    pub(super) fn has_room(&self, since: Option<Instant>, now: Instant) -> bool {
        let waited = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let reserve = if waited >= self.limits.reserve_after {
            self.limits.reserve
        } else {
            0
        };
        !self.is_paused
            && self.places_taken < self.limits.size + reserve
            && self.opening < self.opening_max()
    }

    /// Whether connections are to be opened that nobody waits for.
    pub(super) fn is_below_min(&self) -> bool {
        !self.is_paused
            && self.places_taken < self.limits.size_min.min(self.limits.size)
            && self.opening < self.opening_max()
    }

    fn opening_max(&self) -> usize {
        if self.is_failing {
            1
        } else {
            self.limits.opening_max
        }
    }

    /// Whether there are more places taken than there may ever be.
    pub(super) fn is_overfull(&self) -> bool {
        self.places_taken > self.limits.size + self.limits.reserve
    }

    pub(super) fn places_over(&self) -> usize {
        self.places_taken.saturating_sub(self.limits.size)
    }

    /// Whether somebody who has waited since then comes before our own clients, by at least this much.
    pub(super) fn has_precedence(&self, since: Instant, margin: Duration) -> bool {
        self.head_since().is_none_or(|head| since + margin < head)
    }

    pub(super) fn take_place(&mut self, pool: &Arc<Pool<C>>) -> Place<C> {
        self.places_taken += 1;
        self.opening += 1;
        Place::opening(pool)
    }

    pub(super) fn enqueue(&mut self, pool: &Arc<Pool<C>>, now: Instant) -> Ticket<C> {
        let (number, slot) = (self.next_ticket, Arc::new(Slot::default()));
        self.next_ticket += 1;
        self.waiting.push_back(Waiting {
            number,
            since: now,
            slot: Arc::clone(&slot),
        });
        Ticket::new(pool, slot, number)
    }

    /// Somebody comes back to the head of the queue.
    pub(super) fn enqueue_first(&mut self, pool: &Arc<Pool<C>>, since: Instant) -> Ticket<C> {
        let (before, slot) = (self.waiting.front(), Arc::new(Slot::default()));
        let number = before.map_or(self.next_ticket, |head| head.number) - 1;
        self.waiting.push_front(Waiting {
            number,
            since,
            slot: Arc::clone(&slot),
        });
        Ticket::new(pool, slot, number)
    }

    /// Somebody leaves the queue.
    pub(super) fn leave(&mut self, number: u64) {
        let index = self
            .waiting
            .partition_point(|waiting| waiting.number < number);
        let found = self.waiting.get(index);
        if found.is_some_and(|waiting| waiting.number == number) {
            self.waiting.remove(index);
        }
    }

    /// Lets the heads of the queue open connections.
    pub(super) fn let_open(&mut self, pool: &Arc<Pool<C>>) -> Outcome {
        let mut outcome = Outcome::default();
        let now = pool.clock.now();
        while let Some(since) = self.head_since()
            && self.has_room(Some(since), now)
        {
            outcome.starves = !pool.budgets.take_or_want();
            if outcome.starves {
                break;
            }
            let Some(head) = self.waiting.pop_front() else {
                break;
            };
            let place = self.take_place(pool);
            if let Err(Grant::Open(place)) = head.slot.grant(Grant::Open(place)) {
                // Nobody there: undone by hand, for the guard would lock the pool again.
                place.forget();
                self.places_taken -= 1;
                self.opening -= 1;
                pool.budgets.give(1);
                outcome.gave_back = true;
            }
        }
        outcome
    }

    /// Gives a connection to the head of the queue, or back when nobody waits.
    pub(super) fn hand_over(&mut self, lease: Lease<C>) -> Option<Lease<C>> {
        let mut grant = Grant::Connection(lease);
        while let Some(head) = self.waiting.pop_front() {
            match head.slot.grant(grant) {
                Ok(()) => return None,
                Err(back) => grant = back,
            }
        }
        match grant {
            Grant::Connection(lease) => Some(lease),
            _ => None,
        }
    }

    /// A connection idles from now on.
    pub(super) fn keep(&mut self, connection: C, stamp: Stamp, is_stale: bool, now: Instant) {
        self.idle.push(Idle {
            connection,
            stamp,
            since: now,
            patience: 1.0 - self.jitter.f32() * IDLE_JITTER,
            is_stale: is_stale || self.limits.check_after.is_zero(),
        });
    }

    pub(super) fn is_too_old(&self, connection: &C, now: Instant) -> bool {
        now.saturating_duration_since(connection.born()) >= self.limits.lifetime_max
    }

    /// What a connection that is opened now bears.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            generation: self.generation,
            doubt: self.doubt,
        }
    }

    /// Whatever was given out, or idles, is to be looked at.
    pub(super) fn raise_doubt(&mut self) {
        self.doubt += 1;
        self.idle.iter_mut().for_each(|idle| idle.is_stale = true);
    }

    pub(super) fn take_idle(&mut self, worker: usize, settings_id: u64) -> Option<Idle<C>> {
        best(&self.idle, worker, settings_id).map(|index| self.idle.remove(index))
    }

    /// Takes those that have idled for the longest.
    pub(super) fn take_idlest(&mut self, count: usize) -> Vec<Idle<C>> {
        let count = count.min(self.idle.len());
        self.idle.drain(..count).collect()
    }

    /// Takes what has idled for too long, is too old, or belongs to the reserve and is not needed any more.
    pub(super) fn take_over(&mut self, now: Instant) -> Vec<Idle<C>> {
        let limits = self.limits;
        let (mut places, mut over) = (self.places_taken, Vec::new());
        let is_over = |idle: &mut Idle<C>| {
            let idled = now.saturating_duration_since(idle.since);
            idle.is_stale |= idled >= limits.check_after;
            let is_over = now.saturating_duration_since(idle.connection.born())
                >= limits.lifetime_max
                || idled >= limits.idle_timeout.mul_f32(idle.patience) && places > limits.size_min
                || idled >= RESERVE_KEPT && places > limits.size;
            places -= usize::from(is_over);
            is_over
        };
        over.extend(self.idle.extract_if(.., is_over));
        over
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
