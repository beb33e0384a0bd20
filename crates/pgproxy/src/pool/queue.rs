//! A place in the queue, and what is handed over when its turn comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::{Lease, Place, Pool, Pooled};

/// What somebody gets who wants a connection.
pub(crate) enum Grant<C: Pooled> {
    /// A connection that somebody gave back.
    Connection(Lease<C>),
    /// The right to open one.
    Open(Place<C>),
    /// A place in the queue. Never what the head of the queue gets.
    Wait(Ticket<C>),
}

/// A client in the queue, as the pool sees it.
pub(super) struct Waiting<C: Pooled> {
    pub(super) number: u64,
    pub(super) since: Instant,
    pub(super) slot: Arc<Slot<C>>,
}

/// Where the grant is laid down.
pub(super) struct Slot<C: Pooled>(Mutex<State<C>>);

enum State<C: Pooled> {
    Waiting(Option<Waker>),
    Granted(Grant<C>),
    Gone,
}

impl<C: Pooled> Default for Slot<C> {
    fn default() -> Self {
        Self(Mutex::new(State::Waiting(None)))
    }
}

impl<C: Pooled> Slot<C> {
    /// Lays the grant down and wakes the client, or gives it back when the client has gone.
    pub(super) fn grant(&self, grant: Grant<C>) -> Result<(), Grant<C>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Gone) {
            State::Waiting(waker) => {
                *state = State::Granted(grant);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
                Ok(())
            }
            State::Granted(earlier) => {
                *state = State::Granted(earlier);
                Err(grant)
            }
            State::Gone => Err(grant),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client in the queue, as the client sees it. Dropping it gives up the place, and whatever was granted meanwhile.
pub(crate) struct Ticket<C: Pooled> {
    pool: Arc<Pool<C>>,
    slot: Arc<Slot<C>>,
    number: u64,
}

impl<C: Pooled> Ticket<C> {
    pub(super) fn new(pool: &Arc<Pool<C>>, slot: Arc<Slot<C>>, number: u64) -> Self {
        Self {
            pool: Arc::clone(pool),
            slot,
            number,
        }
    }

    /// Ready when its turn has come. Ready once only.
    pub(crate) fn poll_granted(&mut self, context: &mut Context<'_>) -> Poll<Grant<C>> {
        let mut state = self.slot.lock();
        match std::mem::replace(&mut *state, State::Gone) {
            State::Granted(grant) => Poll::Ready(grant),
            State::Waiting(waker) => {
                let waker = match waker {
                    Some(waker) if waker.will_wake(context.waker()) => waker,
                    _ => context.waker().clone(),
                };
                *state = State::Waiting(Some(waker));
                Poll::Pending
            }
            State::Gone => Poll::Pending,
        }
    }
}

impl<C: Pooled> Drop for Ticket<C> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.slot.lock(), State::Gone);
        if matches!(state, State::Waiting(_)) {
            self.pool.lock().leave(self.number);
        }
        // A grant that came too late is dropped here, outside of both locks, and thereby given back.
    }
}
