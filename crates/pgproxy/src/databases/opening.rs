//! A server connection for somebody who waits for it: finished even if they do not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Target;
use crate::error::Unavailable;
use crate::pool::{Lease, Place};
use crate::server::{Opened, Turn};

/// What comes of it.
type Opening = oneshot::Receiver<Outcome>;

impl Target {
    /// Opens a connection on this worker, in a task of its own: a connection that is ready too late for its client serves
    /// another.
    pub(crate) fn open(self: &Arc<Self>, place: Place<Opened>, worker: usize) -> Opening {
        let (tell, opening) = oneshot::channel();
        let target = Arc::clone(self);
        tokio::task::spawn_local(async move {
            let outcome = match target.attempt(worker).await {
                Attempt::Opened(connection) => Outcome::Opened(place.opened(connection)),
                Attempt::Wait(pause) => Outcome::PutOff(place, pause),
                Attempt::Refused(reason) => {
                    drop(place);
                    Outcome::Refused(reason)
                }
            };
            // Nobody there any more: dropped, it goes back to the pool.
            drop(tell.send(outcome));
        });
        opening
    }

    /// Opens a connection that nobody waits for, unless this is not the time for it.
    pub(super) async fn refill(self: Arc<Self>, place: Place<Opened>, worker: usize) {
        if let Attempt::Opened(connection) = self.attempt(worker).await {
            drop(place.opened(connection));
        }
    }

    /// Opens a connection, unless this is not the time for it.
    pub(crate) async fn attempt(&self, worker: usize) -> Attempt {
        let settings = self.settings();
        // Longer than an attempt may take: nobody else begins one beside it.
        let limit = settings.connect_timeout + Duration::from_secs(1);
        match self.circuit.turn(Instant::now(), limit) {
            Turn::Refused(reason) => return Attempt::Refused(reason),
            Turn::Wait(pause) => return Attempt::Wait(pause),
            Turn::Try => {}
        }
        let generation = self.pool.generation();
        match self.server.open(&settings, worker).await {
            // Meanwhile the target went elsewhere: this one leads to where it was.
            Ok(_) if self.pool.generation() != generation => {
                self.circuit.succeeded();
                Attempt::Wait(Duration::ZERO)
            }
            Ok(connection) => {
                self.review_statuses(&connection.reported);
                self.note_part(&connection);
                if self.circuit.succeeded() {
                    tracing::info!(
                        database = self.database,
                        "Server connections can be opened again."
                    );
                    self.pool.set_failing(false);
                }
                Attempt::Opened(connection)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.note_connect_error(&error);
                if error.is_final() {
                    Attempt::Refused(error)
                } else {
                    // How long, the next turn says.
                    Attempt::Wait(Duration::ZERO)
                }
            }
        }
    }

    /// A connection could not be opened.
    pub(crate) fn note_connect_error(&self, error: &Arc<Unavailable>) {
        use std::sync::atomic::Ordering::Relaxed;
        self.pool.counters.connect_errors.fetch_add(1, Relaxed);
        let failures = self.circuit.failed(Arc::clone(error), Instant::now());
        self.pool.set_failing(true);
        self.server.doubt();
        // Not each of many attempts, each less often than the one before.
        if failures.is_power_of_two() {
            tracing::warn!(%error, database = self.database, failures, "Could not open a server connection.");
        }
    }
}

/// What came of opening a connection for somebody.
pub(crate) enum Outcome {
    Opened(Lease<Opened>),
    /// Not now, but perhaps after this time.
    PutOff(Place<Opened>, Duration),
    /// There will be none, however long one waits.
    Refused(Arc<Unavailable>),
}

/// What came of an attempt to open a connection.
pub(crate) enum Attempt {
    Opened(Opened),
    /// Not now, but perhaps after this time.
    Wait(Duration),
    Refused(Arc<Unavailable>),
}
