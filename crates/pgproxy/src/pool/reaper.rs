//! Idle connections that have served their time.

use std::sync::Arc;
use std::time::Instant;

use super::{Pool, Pooled};

impl<C: Pooled> Pool<C> {
    /// Closes what has idled for too long or is too old. Returns how many it closed.
    pub(crate) fn reap(self: &Arc<Self>, now: Instant) -> usize {
        let mut inner = self.lock();
        let timeout = inner.limits.idle_timeout;
        let is_over = |idle: &mut super::Idle<C>| {
            now.saturating_duration_since(idle.since) >= timeout || now >= idle.connection.expires()
        };
        let over: Vec<_> = inner.idle.extract_if(.., is_over).collect();
        drop(inner);
        let count = over.len();
        self.discard(over);
        count
    }
}
