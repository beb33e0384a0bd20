//! The memory that statement texts may take, over all clients: one that sends or prepares large ones cannot take it from all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How much there is, and how much is held.
#[derive(Debug)]
pub(crate) struct Room {
    max: usize,
    held: AtomicUsize,
}

/// A part of it, given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let held = AtomicUsize::new(0);
        Arc::new(Self { max, held })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Whether so much more would be too much.
    pub(crate) fn lacks(&self, bytes: usize) -> bool {
        self.held().saturating_add(bytes) > self.max
    }

    /// Takes it, even if it is too much: for what is there already.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Relaxed);
        let room = Arc::clone(self);
        Held { room, bytes }
    }

    /// Makes what is held this large. Says whether there is room for it.
    pub(crate) fn grow(self: &Arc<Self>, held: &mut Option<Held>, bytes: usize) -> bool {
        let more = bytes.saturating_sub(held.as_ref().map_or(0, |held| held.bytes));
        if more == 0 {
            return true;
        }
        let taken = self.held.fetch_update(Relaxed, Relaxed, |held| {
            held.checked_add(more).filter(|sum| *sum <= self.max)
        });
        if taken.is_err() {
            return false;
        }
        match held {
            Some(held) => held.bytes += more,
            None => {
                let room = Arc::clone(self);
                *held = Some(Held { room, bytes: more });
            }
        }
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.held.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back_and_never_more_than_there_is() {
        let room = Room::new(100);
        let mut one = None;
        assert!(room.grow(&mut one, 60));
        assert!(room.grow(&mut one, 40), "it has more than that");
        assert_eq!(room.held(), 60);
        let mut other = None;
        assert!(!room.grow(&mut other, 41));
        assert!(other.is_none() && room.held() == 60);
        assert!(room.grow(&mut other, 40) && room.lacks(1) && !room.lacks(0));
        assert!(!room.grow(&mut one, 61));
        let forced = room.hold(5);
        assert_eq!(room.held(), 105);
        assert!(room.grow(&mut one, 60), "it has that already");
        drop((one, other, forced));
        assert_eq!(room.held(), 0);
    }
}
