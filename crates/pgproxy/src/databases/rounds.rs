//! What is done once a second, by one worker.

use std::sync::Arc;
use std::time::Instant;

use super::{Databases, Target};
use crate::pool::Place;
use crate::server::Opened;

impl Databases {
    /// Closes what has idled for too long, opens what shall be open, forgets what nobody uses.
    pub(crate) fn round(&self, worker: usize, now: Instant) {
        for target in self.targets() {
            target.pool.reap(now);
            // One in each round: what shall be open is wanted some time, not all at once.
            if let Some(place) = target.pool.refill() {
                tokio::task::spawn_local(refill(target, place, worker));
            }
        }
        self.forget_unused(now);
    }
}

/// Opens a connection that nobody waits for.
async fn refill(target: Arc<Target>, place: Place<Opened>, worker: usize) {
    match target.server.open(&target.settings(), worker).await {
        Ok(connection) => {
            target.review_statuses(&connection.reported);
            drop(place.opened(connection));
        }
        Err(error) => target.note_connect_error(&error),
    }
}
