//! The table: one row per key, one file per section. Everything else about the configuration is derived from it.

mod admin;
mod databases;
mod diagnose;
mod gateway;
mod journal;
mod log;
mod login;
mod postgres;
mod top;

use super::draft::Draft;
use super::field::Field;
use super::nearest;
use super::rows::Array;

pub(super) use postgres::{DATABASE_FORM, database_url};

/// One key of a section, or of the rows of an array of tables.
pub(super) struct Key<D: 'static = Draft> {
    /// The dotted path; within rows, the name alone.
    pub(super) path: &'static str,
    pub(super) field: Field<D>,
    /// What the reference says of the default, where the bare value would mislead (it depends on the machine).
    pub(super) default_text: Option<&'static str>,
    /// One or two sentences for the reference.
    pub(super) about: &'static str,
}

/// A section with its keys, and the arrays of tables that belong to it.
pub(super) struct Section {
    /// The top level has no name.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) keys: &'static [&'static [Key]],
    pub(super) arrays: &'static [&'static dyn Array],
}

impl Section {
    /// Its keys, whichever file they are in.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys.iter().copied().flatten()
    }
}

/// The sections in the order of the reference.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        about: "What concerns the whole process.",
        keys: &[top::KEYS],
        arrays: &[],
    },
    Section {
        name: "gateway",
        about: "The HTTP half. It runs when `upstream` is set.",
        keys: &[gateway::KEYS],
        arrays: &[],
    },
    Section {
        name: "postgres",
        about: "The Postgres half. It runs when `url` or `url_file` is set, or there are `[[postgres.databases]]`.",
        keys: &[postgres::KEYS, login::KEYS],
        arrays: databases::ARRAYS,
    },
    Section {
        name: "journal",
        about: "What is remembered of requests and statements, and how much of it.",
        keys: &[journal::KEYS],
        arrays: &[],
    },
    Section {
        name: "diagnose",
        about: "What `paceline diagnose` and `/api/v1/findings` report.",
        keys: &[diagnose::KEYS],
        arrays: diagnose::ARRAYS,
    },
    Section {
        name: "admin",
        about: "Health, metrics and `/api/v1`.",
        keys: &[admin::KEYS],
        arrays: &[],
    },
    Section {
        name: "log",
        about: "The log on stderr.",
        keys: &[log::KEYS],
        arrays: &[],
    },
];

const fn key<D: 'static>(path: &'static str, field: Field<D>, about: &'static str) -> Key<D> {
    Key {
        path,
        field,
        default_text: None,
        about,
    }
}

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

/// Every key of every section.
pub(super) fn all() -> impl Iterator<Item = &'static Key> + Clone {
    SECTIONS.iter().flat_map(Section::keys)
}

/// Every array of tables.
pub(super) fn arrays() -> impl Iterator<Item = &'static dyn Array> {
    SECTIONS.iter().flat_map(|section| section.arrays).copied()
}

/// The row of a path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// The array of this path, as in `[[postgres.users]]`.
pub(super) fn array(path: &str) -> Option<&'static dyn Array> {
    arrays().find(|array| array.path() == path)
}

/// `postgres.users.NAME.KEY`, which names one value of one row, as array, name and key.
pub(super) fn within_array(path: &str) -> Option<(&'static dyn Array, &str, &str)> {
    arrays().find_map(|array| {
        let rest = path.strip_prefix(array.path())?.strip_prefix('.')?;
        let (name, key) = rest.rsplit_once('.')?;
        Some((array, name, key))
    })
}

/// Outside of `[postgres]`: the keys that can change without a new start. What the workers, the journal and the HTTP half are
/// made of stays as it is.
pub(super) const RELOADABLE: &[&str] = &[
    "drain_delay",
    "drain_timeout",
    "handover_timeout",
    "log.level",
    "log.slow_query",
    "log.slow_query_parameters",
];
/// Within `[postgres]`: the keys that cannot, beside those that the proxy keeps.
pub(super) const FIXED: &[&str] = &["required_at_start", "trusted_functions"];

/// Whether another value of this key can take effect without a new start.
pub(crate) fn is_reloadable(path: &str) -> bool {
    match path.strip_prefix("postgres.") {
        Some(key) => !paceline_pgproxy::Config::FIXED.contains(&key) && !FIXED.contains(&key),
        None => RELOADABLE.contains(&path),
    }
}

/// The names of the sections, the top level aside.
pub(super) fn sections() -> Vec<&'static str> {
    SECTIONS
        .iter()
        .map(|section| section.name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether there is such a section.
pub(super) fn section_exists(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

/// The section of a path; the top level's is empty.
pub(super) fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

/// The existing path that was most likely meant: near as a whole, or of the same last name in another section.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let within = |key: &&Key| section_of(key.path) == section_of(path);
    let local = all().filter(within).map(|key| (last(key.path), key.path));
    let near_name = |candidates: Vec<(String, &'static str)>| {
        let best = nearest::nearest(
            &last(path),
            candidates.iter().map(|(name, _)| name.as_str()),
        )?;
        candidates
            .iter()
            .find(|(name, _)| name == best)
            .map(|(_, path)| *path)
    };
    near_name(local.collect())
        .or_else(|| {
            all()
                .find(|key| last(key.path) == last(path))
                .map(|key| key.path)
        })
        .or_else(|| nearest::nearest(path, all().map(|key| key.path)))
        .or_else(|| near_name(all().map(|key| (last(key.path), key.path)).collect()))
}

fn texts(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// An error of a library as the middle of a longer sentence.
fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}
