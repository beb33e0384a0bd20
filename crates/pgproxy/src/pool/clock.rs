//! What time it is: the system's, or in tests the test's.

use std::time::Instant;

#[cfg(test)]
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed};
#[cfg(test)]
use std::time::Duration;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System,
    /// So many milliseconds after a start.
    #[cfg(test)]
    Stepped(Instant, Arc<AtomicU64>),
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            #[cfg(test)]
            Self::Stepped(start, ms) => *start + Duration::from_millis(ms.load(Relaxed)),
        }
    }
}

#[cfg(test)]
impl Clock {
    pub(super) fn stepped() -> Self {
        Self::Stepped(Instant::now(), Arc::default())
    }

    pub(super) fn advance(&self, by: Duration) {
        if let Self::Stepped(_, ms) = self {
            ms.fetch_add(by.as_millis() as u64, Relaxed);
        }
    }
}
