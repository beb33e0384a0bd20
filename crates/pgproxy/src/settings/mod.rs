//! The session settings of clients: what the startup packet asks for and what was SET since, and how a server connection is
//! brought in line with them.
//!
//! All server connections are opened without settings; those of the client are then set, and those of the client before reset, in
//! one statement. So it does not matter for whom a connection was opened, and DISCARD ALL leads back to where it began.

mod quote;
mod startup;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Refusal;
use quote::identifier;
pub(crate) use quote::literal;
pub(crate) use startup::CANNOT_BE_UNDONE;

/// Different sets of settings that are remembered. Beyond it, those that no client uses are forgotten.
const SETS_MAX: usize = 1024;
/// Settings that one statement sets. Postgres takes 1,664 expressions in a list.
const CALLS_MAX: usize = 1000;
/// SET quotes each of their values.
const LISTS: [&str; 4] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "temp_tablespaces",
];
/// Who the session acts as. They decide who may set what, and whether these can be set back.
const IDENTITY: [&str; 2] = ["session_authorization", "role"];

/// Names (in lower case, sorted) and values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Equal numbers mean equal settings; 0 is none at all.
    pub(crate) id: u64,
    /// Equal numbers mean that texts mean the same, whatever else differs.
    pub(crate) reading: u64,
    /// Equal numbers mean that the server reports the same, whatever else differs.
    pub(crate) reports: u64,
    pairs: Pairs,
}

type Pairs = Vec<(String, String)>;

impl Settings {
    /// The value of one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let index = self
            .pairs
            .binary_search_by(|(found, _)| (**found).cmp(name));
        index.ok().map(|index| &*self.pairs[index].1)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| &**name)
    }

    /// The names of those that `RESET ALL` resets.
    pub(crate) fn names_of_all(&self) -> impl Iterator<Item = &str> {
        self.names().filter(|name| !IDENTITY.contains(name))
    }

    /// The statements that lead from `from` to `self`, `None` when nothing differs. Whoever the session acts as may not be allowed
    /// to change the rest: that is undone first and done last.
    pub(crate) fn statement_from(&self, from: &Settings) -> Option<String> {
        if self.id == from.id {
            return None;
        }
        let acts = |settings: &Settings| IDENTITY.iter().any(|name| settings.get(name).is_some());
        let is_plain = |name: &str| !IDENTITY.contains(&name);
        let gone = from
            .names()
            .filter(|name| is_plain(name) && self.get(name).is_none())
            .map(|name| call(name, None, false));
        let changed = self.pairs.iter().filter(|(name, value)| {
            is_plain(name) && from.get(name).is_none_or(|found| found != value)
        });
        let changed = changed.map(|(name, value)| call(name, Some(value), false));
        let identity = IDENTITY.iter().filter_map(|name| {
            let value = self.get(name)?;
            Some(call(name, Some(value), false))
        });
        let calls: Vec<String> = gone.chain(changed).chain(identity).collect();
        let mut statements = Vec::new();
        if acts(from) {
            statements.extend(["RESET SESSION AUTHORIZATION", "RESET ROLE"].map(str::to_owned));
        }
        let selects = calls
            .chunks(CALLS_MAX)
            .map(|calls| format!("SELECT {}", calls.join(", ")));
        statements.extend(selects);
        (!statements.is_empty()).then(|| statements.join(";"))
    }

    /// Commands that set these of the settings. They need no snapshot, so that a transaction can still be told its isolation.
    pub(crate) fn statements_for(&self, names: &[&str], is_local: bool) -> Vec<String> {
        let mut names = names.to_vec();
        // The role goes with whoever the session acts as.
        names.sort_by_key(|name| IDENTITY.iter().position(|identity| identity == name));
        names
            .into_iter()
            .filter_map(|name| Some(set(name, self.get(name)?, is_local)))
            .collect()
    }
}

fn set(name: &str, value: &str, is_local: bool) -> String {
    let scope = if is_local { "LOCAL" } else { "SESSION" };
    let values = if LISTS.contains(&name) {
        let Some(values) = quote::identifiers(value) else {
            return format!("SELECT {}", call(name, Some(value), is_local));
        };
        values.iter().map(|value| literal(value)).collect()
    } else {
        vec![literal(value)]
    };
    let (name, values) = (identifier(name), values.join(", "));
    format!("SET {scope} {name} TO {values}")
}

/// Unlike SET, this takes lists as a startup packet does. No value resets it.
fn call(name: &str, value: Option<&str>, is_local: bool) -> String {
    let (name, value) = (
        literal(name),
        value.map_or_else(|| "NULL".to_owned(), literal),
    );
    format!("pg_catalog.set_config({name}, {value}, {is_local})")
}

/// The sets of settings in use.
#[derive(Debug)]
pub(crate) struct SettingsTable {
    neutral: Arc<Settings>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sets: HashMap<Pairs, Arc<Settings>>,
    last_id: u64,
}

impl SettingsTable {
    pub(crate) fn new() -> Self {
        let neutral = Arc::new(Settings {
            id: 0,
            reading: 0,
            reports: 0,
            pairs: Vec::new(),
        });
        Self {
            neutral,
            inner: Mutex::default(),
        }
    }

    /// What a server connection has when it is new.
    pub(crate) fn neutral(&self) -> Arc<Settings> {
        Arc::clone(&self.neutral)
    }

    /// The settings in the parameters of a startup packet.
    pub(crate) fn of_startup<'p>(
        &self,
        parameters: impl Iterator<Item = (&'p [u8], &'p [u8])>,
    ) -> Result<Arc<Settings>, Refusal> {
        let pairs = startup::read(parameters)?;
        Ok(self.intern(pairs.into_iter().collect()))
    }

    /// These settings after some have got other values, `None` for one that is as if it had never been set.
    pub(crate) fn changed(
        &self,
        from: &Settings,
        changes: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Arc<Settings> {
        let mut pairs: BTreeMap<String, String> = from.pairs.iter().cloned().collect();
        for (name, value) in changes {
            match value {
                Some(value) => pairs.insert(name, value),
                None => pairs.remove(&name),
            };
        }
        self.intern(pairs.into_iter().collect())
    }

    fn intern(&self, pairs: Pairs) -> Arc<Settings> {
        if pairs.is_empty() {
            return self.neutral();
        }
        if let Some(settings) = self.lock().sets.get(&pairs) {
            return Arc::clone(settings);
        }
        // Of fewer settings, until all of them matter.
        let part = |matters: fn(&str) -> bool| {
            let part = pairs.iter().filter(|(name, _)| matters(name));
            let part: Pairs = part.cloned().collect();
            (part.len() < pairs.len()).then(|| self.intern(part))
        };
        let reading = part(changes_reading).map(|part| part.reading);
        let reports = part(may_be_reported).map(|part| part.reports);
        let mut inner = self.lock();
        if let Some(settings) = inner.sets.get(&pairs) {
            return Arc::clone(settings);
        }
        if inner.sets.len() >= SETS_MAX {
            inner
                .sets
                .retain(|_, settings| Arc::strong_count(settings) > 1);
        }
        inner.last_id += 1;
        let settings = Arc::new(Settings {
            id: inner.last_id,
            reading: reading.unwrap_or(inner.last_id),
            reports: reports.unwrap_or(inner.last_id),
            pairs: pairs.clone(),
        });
        if inner.sets.len() < SETS_MAX {
            inner.sets.insert(pairs, Arc::clone(&settings));
        }
        settings
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a setting may have a say in what a text means when it is prepared. Of some that is known (`search_path`, `TimeZone`),
/// of others it cannot be known. Settings of one's own, with a dot in their name, are read when a statement runs.
pub(crate) fn changes_reading(name: &str) -> bool {
    const PLAIN: [&str; 16] = [
        "application_name",
        "client_min_messages",
        "constraint_exclusion",
        "effective_io_concurrency",
        "from_collapse_limit",
        "hash_mem_multiplier",
        "idle_in_transaction_session_timeout",
        "jit",
        "join_collapse_limit",
        "maintenance_work_mem",
        "plan_cache_mode",
        "row_security",
        "synchronous_commit",
        "temp_buffers",
        "track_io_timing",
        "work_mem",
    ];
    const BEGINNINGS: [&str; 5] = [
        "default_transaction_",
        "enable_",
        "geqo",
        "log_",
        "max_parallel_",
    ];
    let is_plain = name.contains('.')
        || name.ends_with("_timeout")
        || name.ends_with("_cost")
        || BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
        || PLAIN.contains(&name);
    !is_plain
}

/// Whether a server may report it by itself: not what an application, or an extension, has made up.
fn may_be_reported(name: &str) -> bool {
    !name.contains('.')
}
