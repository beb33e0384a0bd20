//! What waits for a client: bounded, and shared with the others who get the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A client that has let more than this pile up is sent away: to drop some of it in silence would be worse.
pub(crate) const BYTES_MAX: usize = 1024 * 1024;

/// See the module. Filled by the listening connection, emptied by the client's session.
#[derive(Default)]
pub(crate) struct Letterbox(Mutex<Letters>);

#[derive(Default)]
struct Letters {
    frames: VecDeque<Arc<[u8]>>,
    bytes: usize,
    is_overflowing: bool,
    /// Something has happened that the session should look at.
    is_stirred: bool,
    waker: Option<Waker>,
}

/// More came than the client has taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Letterbox {
    pub(super) fn put(&self, frame: Arc<[u8]>) {
        let mut letters = self.lock();
        if letters.is_overflowing || letters.bytes + frame.len() > BYTES_MAX {
            letters.is_overflowing = true;
            letters.frames.clear();
            letters.bytes = 0;
        } else {
            letters.bytes += frame.len();
            letters.frames.push_back(frame);
        }
        letters.stir();
    }

    pub(super) fn stir(&self) {
        self.lock().stir();
    }

    /// The next frame.
    pub(crate) fn take(&self) -> Result<Option<Arc<[u8]>>, Overflow> {
        let mut letters = self.lock();
        if letters.is_overflowing {
            return Err(Overflow);
        }
        let frame = letters.frames.pop_front();
        letters.bytes -= frame.as_ref().map_or(0, |frame| frame.len());
        Ok(frame)
    }

    /// Ready when something has happened since it was last ready.
    pub(crate) fn poll_stirred(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut letters = self.lock();
        if std::mem::replace(&mut letters.is_stirred, false) {
            return Poll::Ready(());
        }
        let is_known = |waker: &Waker| waker.will_wake(context.waker());
        if !letters.waker.as_ref().is_some_and(is_known) {
            letters.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letters {
    fn stir(&mut self) {
        self.is_stirred = true;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
