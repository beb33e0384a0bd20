//! Another configuration, while clients go on.

use std::sync::Arc;

use super::target::TargetSettings;
use super::{Databases, Key};
use crate::auth::Credential;
use crate::config::{ANY, Config};

/// What a reload has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Databases that clients can ask for now.
    pub added: Vec<String>,
    /// Databases that new clients cannot ask for any more. Those that are there go on.
    pub removed: Vec<String>,
    /// Pools, as `database/user`, for which something else holds now.
    pub changed: Vec<String>,
    /// Settings that are as they were until the next start.
    pub need_restart: Vec<&'static str>,
}

impl Databases {
    /// Exchanges the configuration, which was checked.
    pub(crate) fn reload(&self, new: Config) -> Changes {
        let mut inner = self.lock();
        let new = Arc::new(new);
        let old = std::mem::replace(&mut inner.config, Arc::clone(&new));
        let mut changes = Changes {
            added: names(&new, &old),
            removed: names(&old, &new),
            need_restart: fixed(&old, &new),
            ..Changes::default()
        };
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
                changes.changed.push(format!("{database}/{user}"));
            }
        }
        changes.changed.sort_unstable();
        let bounds = inner.shared.change(&new);
        drop(inner);
        for (budget, max) in bounds {
            budget.set_limit(max);
        }
        // A new main database gets its pool at once.
        self.main();
        changes
    }
}

/// The databases of one configuration that the other does not have.
fn names(of: &Config, other: &Config) -> Vec<String> {
    let is_missing = |name: &&String| !other.databases.iter().any(|found| found.name == **name);
    let names = of.databases.iter().map(|database| &database.name);
    let mut names: Vec<_> = names.filter(is_missing).cloned().collect();
    names.sort_unstable_by_key(|name| (name == ANY, name.clone()));
    names
}

/// What differs and cannot be changed at work.
fn fixed(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("listen", old.listen != new.listen),
        ("mode", old.mode != new.mode),
        ("workers", old.workers != new.workers),
        (
            "prepared_statements_max",
            old.prepared_statements_max != new.prepared_statements_max,
        ),
        (
            "client_statements_max",
            old.client_statements_max != new.client_statements_max,
        ),
        (
            "statement_bytes_max",
            old.statement_bytes_max != new.statement_bytes_max,
        ),
        (
            "forward_trace_comment",
            old.forward_trace_comment != new.forward_trace_comment,
        ),
    ];
    let differs = differs.into_iter().filter(|(_, differs)| *differs);
    differs.map(|(setting, _)| setting).collect()
}
