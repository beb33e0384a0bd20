//! The session settings that a client asks for in its startup packet, and how a server connection is brought in line.
//!
//! All server connections are opened without settings; those of the client are then set, and those of the client before reset, in
//! one statement. So it does not matter for whom a connection was opened, and DISCARD ALL leads back to where it began.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Refusal;

/// Different sets of settings that are remembered. Beyond it, those that no client uses are forgotten.
const SETS_MAX: usize = 1024;

/// Names (in lower case, sorted) and values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Equal numbers mean equal settings; 0 is none at all.
    pub(crate) id: u64,
    /// Equal numbers mean that texts mean the same, whatever else differs.
    pub(crate) reading: u64,
    pairs: Pairs,
}

type Pairs = Vec<(String, String)>;

impl Settings {
    /// The statement that leads from `from` to `self`, `None` when nothing differs.
    pub(crate) fn statement_from(&self, from: &Settings) -> Option<String> {
        if self.id == from.id {
            return None;
        }
        let mut sql = String::new();
        let other = |pairs: &Pairs, name: &str| {
            pairs
                .iter()
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.clone())
        };
        for (name, _) in &from.pairs {
            if other(&self.pairs, name).is_none() {
                let _ = write!(sql, "RESET {};", identifier(name));
            }
        }
        for (name, value) in &self.pairs {
            if other(&from.pairs, name).as_ref() != Some(value) {
                // Unlike SET, this takes lists as a startup packet does.
                let _ = write!(
                    sql,
                    "SELECT pg_catalog.set_config('{name}', {}, false);",
                    quote(value)
                );
            }
        }
        (!sql.is_empty()).then_some(sql)
    }
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
        let mut pairs = HashMap::new();
        for (name, value) in parameters {
            let name = String::from_utf8_lossy(name);
            let value = std::str::from_utf8(value).map_err(|_| Refusal::setting(&name))?;
            match &*name {
                "user" | "database" => {}
                "replication" if matches!(value, "" | "false" | "off" | "no" | "0") => {}
                "replication" => return Err(Refusal::replication()),
                "options" => add_options(value, &mut pairs)?,
                // The client was told that we do not know these.
                name if name.starts_with("_pq_.") => {}
                name => add(name, value, &mut pairs)?,
            }
        }
        let mut pairs: Pairs = pairs.into_iter().collect();
        pairs.sort_unstable();
        Ok(self.intern(pairs))
    }

    fn intern(&self, pairs: Pairs) -> Arc<Settings> {
        if pairs.is_empty() {
            return self.neutral();
        }
        let plain = pairs.iter().filter(|(name, _)| !changes_no_reading(name));
        let plain: Pairs = plain.cloned().collect();
        let reading = (plain.len() < pairs.len()).then(|| self.intern(plain).reading);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
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
            pairs: pairs.clone(),
        });
        if inner.sets.len() < SETS_MAX {
            inner.sets.insert(pairs, Arc::clone(&settings));
        }
        settings
    }
}

/// Settings that have no say in what a text means. Of others (`search_path`, `TimeZone`, `client_encoding`, those of extensions)
/// that cannot be known, or they have.
fn changes_no_reading(name: &str) -> bool {
    name == "application_name" || name.ends_with("_timeout")
}

fn add(name: &str, value: &str, pairs: &mut HashMap<String, String>) -> Result<(), Refusal> {
    let is_identifier = |part: &str| {
        part.bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$')
    };
    if !name.split('.').all(is_identifier) {
        return Err(Refusal::setting(name));
    }
    let lower = name.to_ascii_lowercase();
    if matches!(&*lower, "role" | "session_authorization") {
        return Err(Refusal::identity(&lower));
    }
    // A session setting of these would outlive what the pool can undo: they cannot be reset.
    let cannot_be_undone = [
        "seed",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
    ];
    if cannot_be_undone.contains(&&*lower) {
        return Err(Refusal::setting(name));
    }
    pairs.insert(lower, value.to_owned());
    Ok(())
}

/// `-c name=value`, `-cname=value` and `--name=value`, separated by blanks; a backslash takes the next character as it is.
fn add_options(options: &str, pairs: &mut HashMap<String, String>) -> Result<(), Refusal> {
    let mut words = split_options(options).into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next().ok_or_else(|| Refusal::setting("options"))?
        } else if let Some(setting) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            setting.to_owned()
        } else {
            return Err(Refusal::setting(&word));
        };
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| Refusal::setting(&setting))?;
        add(&name.replace('-', "_"), value, pairs)?;
    }
    Ok(())
}

fn split_options(options: &str) -> Vec<String> {
    let (mut words, mut word, mut is_word) = (Vec::new(), String::new(), false);
    let mut letters = options.chars();
    while let Some(letter) = letters.next() {
        match letter {
            letter if letter.is_ascii_whitespace() => {
                if std::mem::take(&mut is_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            '\\' => {
                word.extend(letters.next());
                is_word = true;
            }
            letter => {
                word.push(letter);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// A name that stands where a keyword must not; it holds nothing but letters, digits, `_`, `$` and dots.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('.', "\".\""))
}

/// A literal that means the same under any setting of `standard_conforming_strings`.
fn quote(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 3);
    literal.push_str("E'");
    for letter in value.chars() {
        if matches!(letter, '\'' | '\\') {
            literal.push(letter);
        }
        literal.push(letter);
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(table: &SettingsTable, pairs: &[(&str, &str)]) -> Result<Arc<Settings>, Refusal> {
        table.of_startup(
            pairs
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        )
    }

    #[test]
    fn equal_settings_are_one() {
        let table = SettingsTable::new();
        let one = settings(&table, &[("user", "u"), ("TimeZone", "UTC"), ("a.b", "1")]).unwrap();
        let two = settings(
            &table,
            &[("options", r"-c a.b=1 --timezone=UTC"), ("user", "v")],
        )
        .unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(settings(&table, &[("user", "u")]).unwrap().id, 0);
        let named = settings(
            &table,
            &[("TimeZone", "UTC"), ("a.b", "1"), ("application_name", "x")],
        );
        assert_eq!(named.as_ref().unwrap().reading, one.reading);
        assert_ne!(named.unwrap().id, one.id);
        assert_ne!(one.reading, 0);
    }

    #[test]
    fn one_statement_leads_from_one_to_the_other() {
        let table = SettingsTable::new();
        let from = settings(&table, &[("a", "1"), ("b", "2"), ("c", "3")]).unwrap();
        let to = settings(&table, &[("b", "2"), ("c", r"it's \"), ("d", "x, y")]).unwrap();
        assert_eq!(
            to.statement_from(&from).unwrap(),
            r#"RESET "a";SELECT pg_catalog.set_config('c', E'it''s \\', false);SELECT pg_catalog.set_config('d', E'x, y', false);"#
        );
        assert_eq!(to.statement_from(&to), None);
    }

    #[test]
    fn options_are_split_as_postgres_does() {
        assert_eq!(
            split_options(r"  -c a=b\ c  --d=\\e "),
            ["-c", "a=b c", r"--d=\e"]
        );
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let table = SettingsTable::new();
        let check = |pairs: &[(&str, &str)]| assert!(settings(&table, pairs).is_err(), "{pairs:?}");
        check(&[("replication", "database")]);
        check(&[("options", "-e")]);
        check(&[("options", "-c")]);
        check(&[("x;drop", "1")]);
        check(&[("role", "postgres")]);
        check(&[("options", "-c Session_Authorization=postgres")]);
        check(&[("transaction_read_only", "on")]);
        let told = settings(&table, &[("Role", "postgres")]).unwrap_err();
        assert_eq!(told, Refusal::identity("role"));
        assert!(settings(&table, &[("replication", "false")]).is_ok());
    }
}
