//! The signal that ends accepting, so that a process can leave without dropping a request.
//!
//! It has two steps. A process that is succeeded by another one ([`Drain::hand_over`]) accepts nobody any more, but serves
//! those that it has for as long as they stay. A process that leaves ([`Drain::start`]) also sends idle ones away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Makes the two ends of a drain: one who asks for it, and any number who listen.
pub fn drain() -> (Drain, DrainSignal) {
    let state = Arc::new(State {
        step: AtomicU8::new(SERVING),
        changed: Notify::new(),
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
        self.reach(DRAINING);
    }

    /// Asks them to accept no more: somebody else has the listening sockets too. Who is connected can stay.
    pub fn hand_over(&self) {
        self.reach(HANDED_OVER);
    }

    fn reach(&self, step: u8) {
        self.state.step.fetch_max(step, Ordering::Release);
        self.state.changed.notify_waiters();
    }
}

/// The listening end; clones share one state.
#[derive(Clone, Debug)]
pub struct DrainSignal {
    state: Arc<State>,
}

impl DrainSignal {
    /// Whether idle clients are to be sent away. One atomic read: fit for the hot path.
    pub fn is_draining(&self) -> bool {
        self.has_reached(DRAINING)
    }

    /// Whether nobody is accepted any more. One atomic read.
    pub fn has_handed_over(&self) -> bool {
        self.has_reached(HANDED_OVER)
    }

    /// Completes when draining begins, at once if it has.
    pub async fn wait(&self) {
        self.wait_for(DRAINING).await;
    }

    /// Completes when nobody is to be accepted any more, be it that another process does or that this one drains.
    pub async fn accepting_ends(&self) {
        self.wait_for(HANDED_OVER).await;
    }

    async fn wait_for(&self, step: u8) {
        loop {
            // Registered before the look at the step, so that a change in between is not missed.
            let changed = self.state.changed.notified();
            if self.has_reached(step) {
                return;
            }
            changed.await;
        }
    }

    fn has_reached(&self, step: u8) -> bool {
        self.state.step.load(Ordering::Acquire) >= step
    }
}

const SERVING: u8 = 0;
const HANDED_OVER: u8 = 1;
const DRAINING: u8 = 2;

#[derive(Debug)]
struct State {
    step: AtomicU8,
    changed: Notify,
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
    fn who_hands_over_ends_accepting_and_no_more() {
        let (drain, signal) = drain();
        let mut context = Context::from_waker(Waker::noop());
        let (mut accepting, mut draining) = (pin!(signal.accepting_ends()), pin!(signal.wait()));
        assert!(accepting.as_mut().poll(&mut context).is_pending());
        assert!(draining.as_mut().poll(&mut context).is_pending());
        drain.hand_over();
        assert!(accepting.as_mut().poll(&mut context).is_ready());
        assert!(draining.as_mut().poll(&mut context).is_pending());
        assert!(signal.has_handed_over() && !signal.is_draining());
        drain.start();
        drain.hand_over();
        assert!(draining.as_mut().poll(&mut context).is_ready());
        assert!(signal.is_draining(), "there is no way back");
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
