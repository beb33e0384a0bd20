//! What the console has ordered, for databases that are there and for those that are still to come.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    inner: Mutex<Inner>,
    /// Server connections up to this number are to be closed.
    pub(super) closing: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    all_paused: bool,
    paused: HashSet<String>,
    disabled: HashSet<String>,
}

impl Orders {
    /// Whether clients of this database get no server connection at present.
    pub(crate) fn is_paused(&self, database: &str) -> bool {
        let inner = self.lock();
        inner.all_paused || inner.paused.contains(database)
    }

    /// Whether nobody new may ask for this database.
    pub(crate) fn is_disabled(&self, database: &str) -> bool {
        self.lock().disabled.contains(database)
    }

    pub(super) fn all_paused(&self) -> bool {
        self.lock().all_paused
    }

    /// Says whether that is news.
    pub(super) fn pause(&self, database: Option<&str>) -> bool {
        let mut inner = self.lock();
        match database {
            None => !std::mem::replace(&mut inner.all_paused, true),
            Some(database) => inner.paused.insert(database.to_owned()),
        }
    }

    /// Says whether anything was paused. To resume all is to resume each.
    pub(super) fn resume(&self, database: Option<&str>) -> bool {
        let mut inner = self.lock();
        match database {
            None => {
                let had_some = !inner.paused.is_empty();
                inner.paused.clear();
                std::mem::take(&mut inner.all_paused) || had_some
            }
            Some(database) => inner.paused.remove(database),
        }
    }

    pub(super) fn set_disabled(&self, database: &str, is_disabled: bool) {
        let mut inner = self.lock();
        if is_disabled {
            inner.disabled.insert(database.to_owned());
        } else {
            inner.disabled.remove(database);
        }
    }

    /// Server connections that exist now, up to this number, are to be closed.
    pub(super) fn close_up_to(&self, id: u64) {
        self.closing.fetch_max(id, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
