//! Who is connected: bounded over all workers, and waited for when a worker leaves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// Clients that are being told to come back, per worker; beyond them it costs less to say nothing.
const STANDING_MAX: usize = 64;

/// The clients of one worker.
#[derive(Debug)]
pub(crate) struct Guests {
    /// Over all workers.
    seated: Arc<AtomicUsize>,
    seated_max: usize,
    /// Of this worker, seated or standing.
    present: Cell<usize>,
    standing: Cell<usize>,
    left: Notify,
}

/// One client's presence, until it is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Rc<Guests>,
    seated: bool,
}

impl Guests {
    pub(crate) fn new(seated: Arc<AtomicUsize>, seated_max: usize) -> Rc<Self> {
        Rc::new(Self {
            seated,
            seated_max,
            present: Cell::new(0),
            standing: Cell::new(0),
            left: Notify::new(),
        })
    }

    /// A place for one more client, if there is one.
    pub(crate) fn seat(self: &Rc<Self>) -> Option<Guest> {
        if self.seated.fetch_add(1, Relaxed) >= self.seated_max {
            self.seated.fetch_sub(1, Relaxed);
            return None;
        }
        self.present.set(self.present.get() + 1);
        Some(Guest {
            guests: Rc::clone(self),
            seated: true,
        })
    }

    /// A place for a client that will only be told to come back.
    pub(crate) fn stand(self: &Rc<Self>) -> Option<Guest> {
        if self.standing.get() >= STANDING_MAX {
            return None;
        }
        self.standing.set(self.standing.get() + 1);
        self.present.set(self.present.get() + 1);
        Some(Guest {
            guests: Rc::clone(self),
            seated: false,
        })
    }

    /// Completes when this worker has no client left.
    pub(crate) async fn all_gone(&self) {
        while self.present.get() > 0 {
            self.left.notified().await;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let guests = &self.guests;
        if self.seated {
            guests.seated.fetch_sub(1, Relaxed);
        } else {
            guests.standing.set(guests.standing.get() - 1);
        }
        guests.present.set(guests.present.get() - 1);
        if guests.present.get() == 0 {
            guests.left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_shared_by_all_workers() {
        let seated = Arc::new(AtomicUsize::new(0));
        let (here, there) = (Guests::new(Arc::clone(&seated), 2), Guests::new(seated, 2));
        let first = here.seat().unwrap();
        let _second = there.seat().unwrap();
        assert!(here.seat().is_none() && there.seat().is_none());
        drop(first);
        assert!(there.seat().is_some());
    }

    #[test]
    fn standing_room_is_bounded() {
        let guests = Guests::new(Arc::default(), 0);
        assert!(guests.seat().is_none());
        let standing: Vec<_> = std::iter::from_fn(|| guests.stand()).take(1000).collect();
        assert_eq!(standing.len(), STANDING_MAX);
        drop(standing);
        assert!(guests.stand().is_some());
    }
}
