//! Arrays of tables, `[[postgres.users]]`: rows that have keys like a section, and mostly a name each.

use super::draft::Draft;
use super::field::Refusal;
use super::input::{Input, Setting};
use super::keys::Key;
use super::problem::{Origin, Problem};
use super::{Origins, nearest};

/// The key that names a row.
const NAME: &str = "name";

/// An array of tables whose rows are read into a `D` each.
pub(super) struct Rows<D: 'static> {
    /// `postgres.users`.
    pub(super) path: &'static str,
    /// For the reference.
    pub(super) about: &'static str,
    /// The keys of a row. One of them is `name` where rows have one.
    pub(super) keys: &'static [Key<D>],
    /// Where the rows are in the draft.
    pub(super) place: fn(&mut Draft) -> &mut Vec<D>,
    /// What a row is called; empty when nobody said. None: rows have no names.
    pub(super) name: Option<fn(&D) -> &str>,
}

/// A key of a row, as the reference tells it.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: String,
    pub(super) default: Option<String>,
    pub(super) about: &'static str,
}

/// What can be done with an array of tables, whatever its rows are.
pub(super) trait Array: Sync {
    fn path(&self) -> &'static str;

    fn about(&self) -> &'static str;

    fn columns(&self) -> Vec<Column>;

    /// Reads all rows, in place of those that there are.
    fn fill(&self, draft: &mut Draft, rows: Vec<(Vec<Setting>, Origin)>, heard: &mut Heard<'_>);

    /// Reads one value of the row of this name, from a source that cannot write tables.
    fn set(&self, draft: &mut Draft, name: &str, setting: Setting, heard: &mut Heard<'_>);

    /// The values of each row, as they would be written.
    fn show(&self, draft: &mut Draft) -> Vec<Vec<(&'static str, Option<String>)>>;
}

/// What comes of reading: where values came from, and what is wrong.
pub(super) struct Heard<'a> {
    pub(super) origins: &'a mut Origins,
    pub(super) problems: &'a mut Vec<Problem>,
}

/// How a value of a row is called in messages and listings: `postgres.users[0].password`.
pub(super) fn path_of(array: &str, row: usize, key: &str) -> String {
    format!("{array}[{row}].{key}")
}

impl<D: Default + 'static> Array for Rows<D> {
    fn path(&self) -> &'static str {
        self.path
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn columns(&self) -> Vec<Column> {
        let mut defaults = D::default();
        let column = |key: &Key<D>| Column {
            name: key.path,
            kind: key.field.kind(),
            default: match key.default_text {
                Some(text) => Some(text.to_owned()),
                None => key
                    .field
                    .show(&mut defaults)
                    .map(|value| format!("`{value}`")),
            },
            about: key.about,
        };
        self.keys.iter().map(column).collect()
    }

    fn fill(&self, draft: &mut Draft, rows: Vec<(Vec<Setting>, Origin)>, heard: &mut Heard<'_>) {
        let mut filled: Vec<D> = Vec::with_capacity(rows.len());
        for (number, (settings, place)) in rows.into_iter().enumerate() {
            let mut row = D::default();
            let names_itself = settings.iter().any(|setting| setting.path == NAME);
            for setting in settings {
                self.set_key(&mut row, number, setting, heard);
            }
            let Some(name_of) = self.name else {
                filled.push(row);
                continue;
            };
            let name = name_of(&row);
            let path = path_of(self.path, number, NAME);
            if !names_itself {
                let message = format!("each [[{}]] needs a name", self.path);
                let problem = Problem::error(place.clone(), Some(&path), message);
                heard.problems.push(problem);
            } else if !name.is_empty() && filled.iter().any(|other| name_of(other) == name) {
                let origin = heard.origins.get(&path).unwrap_or(&place).clone();
                let message = format!("there is another one with the name {name:?}");
                heard
                    .problems
                    .push(Problem::error(origin, Some(&path), message));
            }
            filled.push(row);
        }
        *(self.place)(draft) = filled;
    }

    fn set(&self, draft: &mut Draft, name: &str, setting: Setting, heard: &mut Heard<'_>) {
        let rows = (self.place)(draft);
        let found = self.name.and_then(|name_of| {
            let is_it = |row| fold(name_of(row)) == fold(name);
            rows.iter().position(is_it)
        });
        match found {
            Some(number) => self.set_key(&mut rows[number], number, setting, heard),
            None => {
                let message = format!("there is no [[{}]] with the name {name:?}", self.path);
                let hint = "The file says which there are; this can only change their values";
                let problem = Problem::error(setting.origin, None, message);
                heard.problems.push(problem.hint(hint));
            }
        }
    }

    fn show(&self, draft: &mut Draft) -> Vec<Vec<(&'static str, Option<String>)>> {
        let show = |row: &mut D| {
            let keys = self.keys.iter();
            keys.map(|key| (key.path, key.field.show(row))).collect()
        };
        (self.place)(draft).iter_mut().map(show).collect()
    }
}

impl<D> Rows<D> {
    fn set_key(&self, row: &mut D, number: usize, setting: Setting, heard: &mut Heard<'_>) {
        let Setting {
            path,
            input,
            origin,
        } = setting;
        let shown = path_of(self.path, number, &path);
        let Some(key) = self.keys.iter().find(|key| key.path == path) else {
            let message = format!("there is no key {path:?} in [[{}]]", self.path);
            let problem = Problem::error(origin, None, message);
            let near = nearest::nearest(&path, self.keys.iter().map(|key| key.path));
            heard.problems.push(match near {
                Some(near) => problem.hint(format!("Did you mean {near:?}?")),
                None => problem.hint("See `paceline check --reference` for every key"),
            });
            return;
        };
        match key.field.set(row, &input) {
            Ok(()) => {
                heard.origins.insert(shown, origin);
            }
            Err(refusals) => heard.refuse(&shown, &origin, refusals),
        }
    }
}

impl Heard<'_> {
    pub(super) fn refuse(&mut self, key: &str, origin: &Origin, refusals: Vec<Refusal>) {
        for refusal in refusals {
            let origin = refusal.place.unwrap_or_else(|| origin.clone());
            let problem = Problem::error(origin, Some(key), refusal.message);
            self.problems.push(problem);
        }
    }

    /// Something else than tables stands where they belong.
    pub(super) fn no_tables(&mut self, array: &dyn Array, input: &Input, origin: Origin) {
        let path = array.path();
        let message = format!("expected tables, found {}", input.describe(true));
        let hint = format!("Write [[{path}]] before the keys of each");
        let problem = Problem::error(origin, Some(path), message);
        self.problems.push(problem.hint(hint));
    }
}

/// Names of variables know neither case nor dashes.
fn fold(name: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c if c.is_alphanumeric() => c,
        _ => '_',
    };
    name.chars().map(plain).collect()
}
