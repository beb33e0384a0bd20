//! What is done once a second, by one worker.

use std::time::Instant;

use super::Databases;

impl Databases {
    /// Closes what has idled for too long, opens what shall be open, forgets what nobody uses.
    pub(crate) fn round(&self, worker: usize, now: Instant) {
        for target in self.targets() {
            target.pool.reap(now);
            target.roll(now);
            // One in each round: what shall be open is wanted some time, not all at once.
            if let Some(place) = target.pool.refill() {
                tokio::task::spawn_local(target.refill(place, worker));
            }
        }
        self.forget_unused(now);
    }
}
