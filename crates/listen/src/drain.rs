//! The signal that ends accepting, so that a process can leave without dropping a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Makes the two ends of a drain: one who asks for it, and any number who listen.
pub fn drain() -> (Drain, DrainSignal) {
    let state = Arc::new(State {
        draining: AtomicBool::new(false),
        started: Notify::new(),
    });
    (
        Drain {
            state: Arc::clone(&state),
        },
        DrainSignal { state },
    )
}

/// The asking end. Dropping it without [`Drain::start`] asks for nothing.
#[derive(Debug)]
pub struct Drain {
    state: Arc<State>,
}

impl Drain {
    /// Asks everybody who holds a [`DrainSignal`] to accept no more and to finish what is under way. Asking again
    /// changes nothing.
    pub fn start(&self) {
        self.state.draining.store(true, Ordering::Release);
        self.state.started.notify_waiters();
    }
}

/// The listening end; clones share one state.
#[derive(Clone, Debug)]
pub struct DrainSignal {
    state: Arc<State>,
}

impl DrainSignal {
    /// Whether draining has begun. One atomic read: fit for the hot path.
    pub fn is_draining(&self) -> bool {
        self.state.draining.load(Ordering::Acquire)
    }

    /// Completes when draining begins, at once if it has.
    pub async fn wait(&self) {
        // Registered before the look at the flag, so that a start in between is not missed.
        let started = self.state.started.notified();
        if !self.is_draining() {
            started.await;
        }
    }
}

#[derive(Debug)]
struct State {
    draining: AtomicBool,
    started: Notify,
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn waiting_ends_when_draining_begins_for_every_clone() {
        let (drain, signal) = drain();
        let other = signal.clone();
        let mut context = Context::from_waker(Waker::noop());
        let mut polled = pin!(signal.wait());
        assert!(polled.as_mut().poll(&mut context).is_pending());
        assert!(!other.is_draining());
        drain.start();
        drain.start();
        assert!(other.is_draining());
        assert!(polled.as_mut().poll(&mut context).is_ready());
        assert!(
            pin!(other.wait()).poll(&mut context).is_ready(),
            "a late waiter waits for nothing"
        );
    }

    #[test]
    fn dropping_the_asking_end_asks_for_nothing() {
        let (drain, signal) = drain();
        drop(drain);
        assert!(!signal.is_draining());
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(signal.wait()).poll(&mut context).is_pending());
    }
}
