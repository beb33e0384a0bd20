//! What the console has ordered: it holds for the targets that are there and for those that are still to come. Orders and
//! targets are under the same lock, so that no target misses one.

use std::collections::HashSet;
use std::mem;

use super::Databases;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Nobody gets a server connection.
    holds_all: bool,
    /// Nobody gets one of these databases'.
    held: HashSet<String>,
    /// Nobody new may ask for these databases.
    disabled: HashSet<String>,
}

impl Orders {
    /// Whether clients of this database get no server connection at present.
    pub(super) fn hold(&self, database: &str) -> bool {
        self.holds_all || self.held.contains(database)
    }

    pub(super) fn disable(&self, database: &str) -> bool {
        self.disabled.contains(database)
    }
}

impl Databases {
    /// Nobody gets a server connection any more, of this database or of any; those that are there are closed as they come back.
    /// Says whether that is news.
    pub(crate) fn hold(&self, database: Option<&str>) -> bool {
        let mut inner = self.lock();
        let is_news = match database {
            None => !mem::replace(&mut inner.orders.holds_all, true),
            Some(database) => inner.orders.held.insert(database.to_owned()),
        };
        for (key, entry) in &inner.targets {
            if inner.orders.hold(&key.database) {
                entry.target.pool.pause();
            }
        }
        is_news
    }

    /// Whoever was held goes on. Says whether anybody could be: to release all is to release each.
    pub(crate) fn release(&self, database: Option<&str>) -> bool {
        let mut inner = self.lock();
        let was_held = match database {
            None => {
                let had_some = !mem::take(&mut inner.orders.held).is_empty();
                mem::take(&mut inner.orders.holds_all) || had_some
            }
            Some(database) => inner.orders.held.remove(database),
        };
        for (key, entry) in &inner.targets {
            if !inner.orders.hold(&key.database) {
                entry.target.pool.resume();
            }
        }
        was_held
    }

    /// Whether this database is held, or all are.
    pub(crate) fn is_held(&self, database: Option<&str>) -> bool {
        let orders = &self.lock().orders;
        database.map_or(orders.holds_all, |database| orders.hold(database))
    }

    pub(crate) fn set_disabled(&self, database: &str, is_disabled: bool) {
        let disabled = &mut self.lock().orders.disabled;
        if is_disabled {
            disabled.insert(database.to_owned());
        } else {
            disabled.remove(database);
        }
    }

    /// Whether nobody new may ask for this database.
    pub(crate) fn is_disabled(&self, database: &str) -> bool {
        self.lock().orders.disable(database)
    }
}
