//! The configuration: read from flags, environment and file, checked as a whole, handed on as typed values.
//!
//! [`load`] is the list of steps. One table, [`keys`], says what exists.

mod check;
mod database;
mod draft;
pub(crate) mod environment;
mod field;
mod file;
mod input;
mod keys;
mod nearest;
mod problem;
pub(crate) mod reference;
mod rows;
mod suppress;
#[cfg(test)]
mod tests;
pub(crate) mod units;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use draft::{Config, LogConfig, LogFormat};
pub(crate) use problem::{Origin, Problem, Severity};

use paceline_diagnose::Suppression;

use draft::Draft;
use input::{Input, Setting};
use rows::Heard;

pub(crate) use keys::is_reloadable;

/// Where settings come from, the strongest last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// The whole environment; other programs' variables are passed over.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What the command line sets.
    pub(crate) flags: Vec<Flag>,
    /// Whether a file with a secret that cannot be read is only warned of: the configuration of another machine is checked.
    pub(crate) may_lack_secrets: bool,
}

/// One setting on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// As it was written, with the dashes.
    pub(crate) name: String,
    /// The key that it sets.
    pub(crate) path: String,
    /// The value as text.
    pub(crate) value: String,
}

/// What came of reading the sources.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The configuration, when no problem is an error.
    pub(crate) config: Option<Config>,
    /// Everything that is wrong or odd, in the order of its place.
    pub(crate) problems: Vec<Problem>,
    /// Every key with its effective value, secrets hidden.
    pub(crate) settings: Vec<Effective>,
    /// What is not to be reported, whatever else is wrong.
    pub(crate) suppressions: Vec<Suppression>,
}

/// The value of a key that is in effect.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Effective {
    /// The dotted path; in an array of tables, `postgres.users[0].name`.
    pub(crate) key: String,
    /// As it would be written in the file. None: not set, and there is no default.
    pub(crate) value: Option<String>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

impl Effective {
    /// Every key as it is without any configuration.
    pub(crate) fn defaults() -> Vec<Self> {
        effective(Draft::default(), &Origins::new())
    }
}

/// Reads all sources and reports every problem of all of them.
pub(crate) fn load(sources: Sources) -> Loaded {
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    // 1. Collect, the weakest source first, so that a stronger one overwrites it.
    if let Some(path) = &sources.file {
        read_file(path, &mut settings, &mut problems);
    }
    let (from_environment, odd_variables) = environment::read(sources.environment);
    settings.extend(from_environment);
    problems.extend(odd_variables);
    settings.extend(sources.flags.into_iter().map(|flag| Setting {
        path: flag.path,
        input: Input::Untyped(flag.value),
        origin: Origin::Flag { flag: flag.name },
    }));
    // 2. Let each key read its values, also those that a stronger source overwrites: a mistake is a mistake.
    let mut draft = Draft::default();
    let mut origins = BTreeMap::new();
    let mut heard = Heard {
        origins: &mut origins,
        problems: &mut problems,
    };
    for setting in settings {
        apply(setting, &mut draft, &mut heard);
    }
    // 3. Read what is named, and compare what belongs together.
    suppress::check(&draft.suppressions, &origins, &mut problems);
    let suppressions = draft.suppressions.clone();
    let config = draft
        .clone()
        .compose(&origins, sources.may_lack_secrets, &mut problems);
    problems.sort_by_key(|problem| problem.origin.order());
    let failed = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    let settings = effective(draft, &origins);
    Loaded {
        config: config.filter(|_| !failed),
        problems,
        settings,
        suppressions,
    }
}

/// Where each key that somebody set was set last.
pub(crate) type Origins = BTreeMap<String, Origin>;

fn read_file(path: &PathBuf, settings: &mut Vec<Setting>, problems: &mut Vec<Problem>) {
    let name = path.display().to_string();
    let start = Origin::File {
        file: name.clone(),
        line: 1,
        column: 1,
    };
    match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => {
            let contents = file::read(&name, &text);
            problems.extend(contents.problems);
            settings.extend(contents.settings);
            for (section, origin) in contents.sections {
                if !keys::section_exists(&section) {
                    problems.push(unknown_section(&section, origin));
                }
            }
        }
        Ok(Err(_)) => problems.push(Problem::error(start, None, "the file is not UTF-8 text")),
        Err(error) => {
            problems.push(Problem::error(
                start,
                None,
                format!("the file could not be read: {error}"),
            ));
        }
    }
}

fn apply(setting: Setting, draft: &mut Draft, heard: &mut Heard<'_>) {
    if let Some(array) = keys::array(&setting.path) {
        return match setting.input {
            Input::Tables(rows) => array.fill(draft, rows, heard),
            input => heard.no_tables(array, &input, setting.origin),
        };
    }
    if let (Some((array, name, key)), false) = (
        keys::within_array(&setting.path),
        matches!(setting.origin, Origin::File { .. }),
    ) {
        let (name, path) = (name.to_owned(), key.to_owned());
        return array.set(draft, &name, Setting { path, ..setting }, heard);
    }
    let Setting {
        path,
        input,
        origin,
    } = setting;
    let Some(key) = keys::find(&path) else {
        // What stands in an unknown section was already reported with the section.
        let in_known_section = path
            .rsplit_once('.')
            .is_none_or(|(s, _)| keys::section_exists(s));
        if in_known_section || !matches!(origin, Origin::File { .. }) {
            heard.problems.push(unknown_key(&path, origin));
        }
        return;
    };
    match key.field.set(draft, &input) {
        Ok(()) => {
            heard.origins.insert(key.path.to_owned(), origin);
        }
        Err(refusals) => heard.refuse(key.path, &origin, refusals),
    }
}

fn unknown_key(path: &str, origin: Origin) -> Problem {
    let problem = Problem::error(origin.clone(), None, format!("there is no key {path:?}"));
    if !path.is_empty() && keys::section_exists(path) {
        return problem.hint(format!("It is a section: [{path}]"));
    }
    let Some(near) = keys::nearest(path) else {
        return problem.hint("See `paceline check --reference` for every key");
    };
    let name = match &origin {
        Origin::Environment { .. } => environment::variable(near),
        _ => near.to_owned(),
    };
    problem.hint(format!("Did you mean {name:?}?"))
}

fn unknown_section(section: &str, origin: Origin) -> Problem {
    let problem = Problem::error(origin, None, format!("there is no section [{section}]"));
    if keys::array(section).is_some() {
        return problem.hint(format!("There are several: write [[{section}]]"));
    }
    match nearest::nearest(section, keys::sections()) {
        Some(near) => problem.hint(format!("Did you mean [{near}]?")),
        None => problem.hint(format!(
            "The sections are [{}]",
            keys::sections().join("], [")
        )),
    }
}

fn effective(mut draft: Draft, origins: &Origins) -> Vec<Effective> {
    let mut settings = Vec::new();
    let mut tell = |key: String, value| {
        let origin = origins.get(&key).cloned().unwrap_or(Origin::Default);
        settings.push(Effective { key, value, origin });
    };
    for section in keys::SECTIONS {
        for key in section.keys() {
            tell(key.path.to_owned(), key.field.show(&mut draft));
        }
        for array in section.arrays {
            for (number, row) in array.show(&mut draft).into_iter().enumerate() {
                for (key, value) in row {
                    tell(rows::path_of(array.path(), number, key), value);
                }
            }
        }
    }
    settings
}
