//! What a rule is, and what there is to look at.

use paceline_catalogue::{Snapshot, Statements};
use paceline_journal::Journal;
use paceline_watch::Watched;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::texts::Texts;

/// A rule: one file in `rules/`.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// In lower case, with dashes. Part of the ids of what it finds.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// How it looks.
    pub check: Check,
}

/// How a rule looks, at what it needs.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// At the traffic.
    Journal(fn(&Journal) -> Vec<Finding>),
    /// At what the database says of itself.
    Database(fn(&Snapshot) -> Vec<Finding>),
    /// At what pg_stat_statements has counted, and the rest of the database.
    Statements(fn(&Snapshot, &Statements) -> Vec<Finding>),
    /// At what statements say: those of the traffic, and those of pg_stat_statements.
    Texts(fn(&Texts<'_>) -> Vec<Finding>),
    /// The same, and the tables that they speak of.
    TextsOfTables(fn(&Texts<'_>, &Snapshot) -> Vec<Finding>),
    /// At what the statements of the traffic say, and their values tell; also at the database, if it is there.
    Traffic(fn(&Texts<'_>) -> Vec<Finding>),
    /// The same, where the tables must be known.
    TrafficOfTables(fn(&Texts<'_>, &Snapshot) -> Vec<Finding>),
    /// At a process that was watched.
    Process(fn(&ProcessSeen<'_>) -> Vec<Finding>),
}

/// What a rule needs to be able to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The traffic that a running instance has seen.
    Journal,
    /// A connection to the database.
    Database,
    /// pg_stat_statements in that database.
    Statements,
    /// Texts of statements: from the traffic, or from pg_stat_statements.
    Texts,
    /// A process that was watched for a while.
    Process,
}

impl Need {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Journal,
        Self::Database,
        Self::Statements,
        Self::Texts,
        Self::Process,
    ];

    /// As an answer to "needs what", and how it can be had.
    pub fn about(self) -> &'static str {
        match self {
            Self::Journal => "the traffic of a running instance (--url)",
            Self::Database => "the database (--database, or diagnose.database of the instance)",
            Self::Statements => "the extension pg_stat_statements in the database",
            Self::Process => "a process to watch (--watch-pid)",
            Self::Texts => {
                "the traffic of a running instance, or the extension pg_stat_statements in the database"
            }
        }
    }
}

/// What there is to look at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Material<'a> {
    /// The traffic that this instance has seen.
    pub journal: Option<&'a Journal>,
    /// What the database has said of itself.
    pub database: Option<&'a Snapshot>,
    /// A process that was watched.
    pub process: Option<&'a ProcessSeen<'a>>,
}

/// A process that was watched for a while.
#[derive(Debug, Clone, Copy)]
pub struct ProcessSeen<'a> {
    /// What the system calls it; its number would make another finding of it after each restart.
    pub name: &'a str,
    /// What it used.
    pub watched: &'a Watched,
    /// Requests per second meanwhile, if they are known.
    pub rate: Option<f64>,
}

impl Material<'_> {
    /// Whether there are any texts.
    fn texts(&self) -> Result<(), Need> {
        let counted = self.database.and_then(|one| one.statements.as_ref());
        if self.journal.is_some() || counted.is_some() {
            Ok(())
        } else {
            Err(Need::Texts)
        }
    }
}

impl Rule {
    /// What the rule needs.
    pub fn needs(&self) -> Need {
        match self.check {
            Check::Journal(_) => Need::Journal,
            Check::Database(_) => Need::Database,
            Check::Statements(_) => Need::Statements,
            Check::Texts(_) => Need::Texts,
            Check::Traffic(_) => Need::Journal,
            Check::Process(_) => Need::Process,
            Check::TextsOfTables(_) | Check::TrafficOfTables(_) => Need::Database,
        }
    }

    /// Whether it looks at what an instance has seen, alone or with something else.
    pub fn sees_traffic(&self) -> bool {
        match self.check {
            Check::Journal(_) | Check::Traffic(_) | Check::TrafficOfTables(_) => true,
            Check::Texts(_) | Check::TextsOfTables(_) => true,
            Check::Database(_) | Check::Statements(_) | Check::Process(_) => false,
        }
    }

    /// What it finds, or what is missing for it to look.
    pub(crate) fn look(
        &self,
        material: &Material<'_>,
        texts: &Texts<'_>,
    ) -> Result<Vec<Finding>, Need> {
        match self.check {
            Check::Journal(check) => material.journal.map(check).ok_or(Need::Journal),
            Check::Database(check) => material.database.map(check).ok_or(Need::Database),
            Check::Statements(check) => {
                let database = material.database.ok_or(Need::Database)?;
                let statements = database.statements.as_ref().ok_or(Need::Statements)?;
                Ok(check(database, statements))
            }
            Check::Process(check) => material.process.map(check).ok_or(Need::Process),
            Check::Texts(check) => material.texts().map(|()| check(texts)),
            Check::Traffic(check) => material.journal.map(|_| check(texts)).ok_or(Need::Journal),
            Check::TextsOfTables(check) => {
                let database = material.database.ok_or(Need::Database)?;
                material.texts().map(|()| check(texts, database))
            }
            Check::TrafficOfTables(check) => {
                let database = material.database.ok_or(Need::Database)?;
                material.journal.ok_or(Need::Journal)?;
                Ok(check(texts, database))
            }
        }
    }
}
