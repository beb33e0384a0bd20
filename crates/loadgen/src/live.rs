//! How a load goes while it goes, for whoever looks.

use crate::Distribution;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A place where a running load tells how it goes. Clones are the same place.
#[derive(Debug, Clone, Default)]
pub struct Live {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    phase: String,
    moment: Moment,
    recent: Vec<Distribution>,
}

/// How a load goes. Counts are of all that was sent until now, warm-ups included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// What is being done, where that is more than one load.
    pub phase: String,
    /// Requests sent.
    pub sent: u64,
    /// Successful answers.
    pub succeeded: u64,
    /// Requests that failed or were dropped.
    pub failed: u64,
    /// Latencies since the last look.
    pub recent: Distribution,
}

/// How often threads tell.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

impl Live {
    /// Nobody has told anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How it goes now. The latencies are taken away: the next look sees only later ones.
    pub fn look(&self) -> Moment {
        let mut shared = self.lock();
        let recent = std::mem::take(&mut shared.recent);
        Moment {
            phase: shared.phase.clone(),
            recent: Distribution::merged(&recent),
            ..shared.moment.clone()
        }
    }

    pub(crate) fn set_phase(&self, phase: String) {
        self.lock().phase = phase;
    }

    /// Adds what a thread has counted since it told last.
    pub(crate) fn add(&self, news: Moment) {
        let mut shared = self.lock();
        shared.moment.sent += news.sent;
        shared.moment.succeeded += news.succeeded;
        shared.moment.failed += news.failed;
        // Nobody may look for long; what is not looked at is not kept.
        if shared.recent.len() < RECENT_MAX {
            shared.recent.push(news.recent);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const RECENT_MAX: usize = 4096;
