//! Idle connections that have served their time.

use std::sync::Arc;
use std::time::Instant;

use super::{Pool, Pooled};

impl<C: Pooled> Pool<C> {
    /// Closes what has idled for too long or is too old, and marks what should be looked at before it is used again. To be
    /// called once a second. Returns how many it closed.
    pub(crate) fn reap(self: &Arc<Self>, now: Instant) -> usize {
        let over = self.lock().take_over(now);
        let count = over.len();
        self.discard(over);
        self.let_open();
        count
    }
}
