//! What is wrong with a configuration, and where.

use std::fmt;

use serde::Serialize;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// In the file, at a line and column that count from one. Columns count characters.
    File {
        /// The file's name as it was given.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In an environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// In a command-line flag.
    Flag {
        /// Its name, with the dashes.
        flag: String,
    },
    /// Nowhere: the default, or the whole that lacks something.
    Default,
}

impl Origin {
    /// The order in which problems are told: the file from top to bottom, the environment, the flags, the whole.
    pub(super) fn order(&self) -> impl Ord + use<> {
        match self {
            Self::File { line, column, .. } => (0, *line, *column, String::new()),
            Self::Environment { variable } => (1, 0, 0, variable.clone()),
            Self::Flag { .. } => (2, 0, 0, String::new()),
            Self::Default => (3, 0, 0, String::new()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Environment { variable } => f.write_str(variable),
            Self::Flag { flag } => f.write_str(flag),
            Self::Default => f.write_str("configuration"),
        }
    }
}

/// Whether a problem keeps Paceline from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Nothing is started.
    Error,
    /// Said, and then started all the same.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    #[serde(flatten)]
    pub(crate) origin: Origin,
    /// The key concerned, if it is about one.
    pub(crate) key: Option<String>,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn error(origin: Origin, key: Option<&str>, message: impl Into<String>) -> Self {
        let key = key.map(str::to_owned);
        Self {
            severity: Severity::Error,
            origin,
            key,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn warning(origin: Origin, key: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(origin, Some(key), message)
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: ", self.origin)?;
        // A flag says by itself what it sets.
        if let (Some(key), false) = (&self.key, matches!(self.origin, Origin::Flag { .. })) {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) if hint.ends_with('?') => write!(f, ". {hint}"),
            Some(hint) => write!(f, ". {hint}."),
            None => f.write_str("."),
        }
    }
}
