//! A value as it was found, before a key has had its say about it.

use super::problem::Origin;

/// One setting that somebody made.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    /// The dotted path, `gateway.listen`.
    pub(super) path: String,
    pub(super) input: Input,
    pub(super) origin: Origin,
}

/// A value in the terms of its source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    Text(String),
    Integer(String),
    Flag(bool),
    /// Each element knows its own place.
    List(Vec<(Input, Origin)>),
    /// `[[postgres.users]]`: tables, each with its settings, whose paths begin within it.
    Tables(Vec<(Vec<Setting>, Origin)>),
    /// From the environment or the command line, where everything is text and the key says what it means.
    Untyped(String),
    /// A kind of value that no key takes, named in words.
    Other(&'static str),
}

impl Input {
    /// How the value is called in "found …". Text is shown only when it is not a secret's.
    pub(super) fn describe(&self, secret: bool) -> String {
        match self {
            Self::Text(_) | Self::Untyped(_) if secret => "another text".to_owned(),
            Self::Text(text) | Self::Untyped(text) => format!("{text:?}"),
            Self::Integer(digits) => format!("the number {digits}"),
            Self::Flag(flag) => format!("the boolean {flag}"),
            Self::List(_) => "a list".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    /// The text, where the value is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Some(text),
            _ => None,
        }
    }
}
