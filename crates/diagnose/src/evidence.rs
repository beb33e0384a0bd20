//! The numbers behind a finding: as an object for programs, as lines for people.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An object: names, with their unit last, and values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Evidence(Map<String, Value>);

impl Evidence {
    /// The fields of a structure.
    ///
    /// # Panics
    ///
    /// When it is not a structure with named fields.
    pub fn of(fields: &impl Serialize) -> Self {
        match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => Self(fields),
            other => panic!("evidence is an object, not {other:?}"),
        }
    }

    /// Adds a value, or replaces it.
    pub fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The number of this name.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// The text of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// One line for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// One word: `Seen`.
    pub label: String,
    /// What there is to say.
    pub text: String,
}

impl Detail {
    /// A line.
    pub fn new(label: &str, text: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            text: text.into(),
        }
    }
}
