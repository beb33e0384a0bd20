//! Another configuration, while clients go on.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::target::TargetSettings;
use super::{Databases, Key};
use crate::auth::Credential;
use crate::config::Config;

impl Databases {
    /// Exchanges the configuration, which was checked. Gives the pools, as `database/user`, for which something else holds now.
    pub(crate) fn reload(&self, new: Arc<Config>) -> Vec<String> {
        let mut inner = self.lock();
        inner.config = Arc::clone(&new);
        let mut changed = Vec::new();
        for (key, entry) in &inner.targets {
            let target = &entry.target;
            let Some(database) = new.database(&key.database) else {
                // Its clients go on; what idles is of no use to anybody else.
                target.pool.close_idle();
                continue;
            };
            let mut url = database.url_of(&key.database);
            if url.names_user && url.user != key.user {
                // Nobody new comes here: another role is asked for now.
                target.pool.close_idle();
                continue;
            }
            let credential = if url.names_user {
                Credential::of_password(url.password.as_deref())
            } else {
                key.user.clone_into(&mut url.user);
                // Whoever logs in next brings what holds then.
                target.server.credential()
            };
            let settings = TargetSettings::new(&new, database, new.user(&key.user));
            if target.change(url, credential, settings) {
                let Key { database, user } = key;
                changed.push(format!("{database}/{user}"));
            }
        }
        changed.sort_unstable();
        let bounds = inner.shared.change(&new);
        drop(inner);
        for (budget, max) in bounds {
            budget.set_limit(max);
        }
        // A new main database gets its pool at once.
        self.main();
        self.reloads.fetch_add(1, Relaxed);
        changed
    }
}
