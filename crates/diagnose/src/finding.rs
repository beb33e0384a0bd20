//! What a finding is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::evidence::{Detail, Evidence};
use crate::id;

/// One thing that costs time or will, with evidence and remedy. Its fields are those of the JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The same for the same finding in every run: rule, subject, and a digest of what it is about.
    pub id: String,
    /// The name of the rule that found it.
    pub rule: String,
    /// What it is about.
    pub subject: Subject,
    /// How much it matters.
    pub severity: Severity,
    /// Whether there is something to do at all.
    #[serde(default)]
    pub verdict: Verdict,
    /// One sentence that says it all.
    pub title: String,
    /// The numbers behind it, for programs.
    pub evidence: Evidence,
    /// The same for people, line by line.
    #[serde(default)]
    pub details: Vec<Detail>,
    /// What to do.
    pub remedy: Remedy,
    /// How much work that is.
    pub effort: Effort,
    /// What doing it brings.
    #[serde(default)]
    pub gain: Gain,
    /// The time that the remedy would have saved so far.
    pub time_lost_ms: f64,
}

impl Finding {
    /// A finding with neither evidence nor remedy yet. The subject tells apart all that its rule finds; where it does not, see
    /// [`Finding::told_apart_by`].
    pub fn new(rule: &str, subject: Subject, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            id: id::stable(rule, &[&subject.name], &[&subject.name]),
            rule: rule.to_owned(),
            subject,
            severity,
            verdict: Verdict::Act,
            title: title.into(),
            evidence: Evidence::default(),
            details: Vec::new(),
            remedy: Remedy::default(),
            effort: Effort::Medium,
            gain: Gain::default(),
            time_lost_ms: 0.0,
        }
    }

    /// Another finding of the rule has the same subject: `name` says in a few words what this one is about, and `whole` all
    /// that makes it another one.
    #[must_use]
    pub fn told_apart_by(mut self, name: &str, whole: &str) -> Self {
        let subject = &self.subject.name;
        self.id = id::stable(&self.rule, &[subject, name], &[subject, whole]);
        self
    }

    /// Adds a number, or whatever else programs want to read. The unit stands last in the name.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.evidence.put(name, value);
        self
    }

    /// Adds a line for people.
    #[must_use]
    pub fn detail(mut self, label: &str, text: impl Into<String>) -> Self {
        self.details.push(Detail::new(label, text));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, effort: Effort, text: impl Into<String>) -> Self {
        (self.effort, self.remedy.text) = (effort, text.into());
        self
    }

    /// The statement that does it, or that is to be written instead.
    #[must_use]
    pub fn statement(mut self, statement: impl Into<String>) -> Self {
        self.remedy.statement = Some(statement.into());
        self
    }

    /// Says what doing it brings.
    #[must_use]
    pub fn gain(mut self, gain: Gain) -> Self {
        self.gain = gain;
        self
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// `GET /jobs/{id}`, `public.jobs`.
    pub name: String,
}

impl Subject {
    /// The thing of this name.
    pub fn new(kind: SubjectKind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// A route: method and template.
    pub fn route(name: impl Into<String>) -> Self {
        Self::new(SubjectKind::Route, name)
    }

    /// A table, with its schema.
    pub fn table(name: impl Into<String>) -> Self {
        Self::new(SubjectKind::Table, name)
    }

    /// An index, with its schema.
    pub fn index(name: impl Into<String>) -> Self {
        Self::new(SubjectKind::Index, name)
    }

    /// A statement, in a few words.
    pub fn statement(name: impl Into<String>) -> Self {
        Self::new(SubjectKind::Statement, name)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Gives an enum whose variants are words in JSON those words as text.
macro_rules! words {
    ($name:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $name {
            /// The word in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// The kinds of things that findings are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectKind {
    /// Method and template.
    Route,
    /// A statement.
    Statement,
    /// A table.
    Table,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
    /// A whole database.
    Database,
    /// A database server.
    Server,
    /// A pool of connections.
    Pool,
    /// A session on the server.
    Session,
    /// A process.
    Process,
}

words!(SubjectKind {
    Route => "route",
    Statement => "statement",
    Table => "table",
    Index => "index",
    Sequence => "sequence",
    Database => "database",
    Server => "server",
    Pool => "pool",
    Session => "session",
    Process => "process",
});

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Less than the others.
    Low,
    /// For a route: at least a tenth of its time, or 20 ms per request.
    Medium,
    /// For a route: at least three tenths of its time, or 100 ms per request.
    High,
}

words!(Severity { Low => "low", Medium => "medium", High => "high" });

impl Severity {
    /// Of what costs a request so much time, which is that share of the route's.
    pub fn of(time_share: f64, per_request: Duration) -> Self {
        if time_share >= 0.3 || per_request >= Duration::from_millis(100) {
            Self::High
        } else if time_share >= 0.1 || per_request >= Duration::from_millis(20) {
            Self::Medium
        } else {
            Self::Low
        }
    }
}

/// Whether there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    #[default]
    Act,
    /// No: it was looked at, and it is better left as it is. No gate fails for it.
    LeaveAlone,
}

words!(Verdict { Act => "act", LeaveAlone => "leave-alone" });

/// How much work a remedy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// One place, an hour: the statement to write is known.
    Small,
    /// A few places, or a statement that must be thought out.
    Medium,
    /// A change of the design, to be planned.
    Large,
}

words!(Effort { Small => "small", Medium => "medium", Large => "large" });

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Remedy {
    /// In a sentence or two.
    pub text: String,
    /// The statement to run, or to write instead, when there is one.
    pub statement: Option<String>,
}

/// What doing it brings. Where nobody can know how much, the text says what it is good for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Gain {
    /// In a few words.
    pub text: String,
    /// The time that it would have saved so far.
    pub time_ms: Option<f64>,
    /// What it frees.
    pub bytes: Option<u64>,
}

impl Gain {
    /// Something that has no number.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Time that would have been saved so far.
    pub fn time(time_ms: f64, text: impl Into<String>) -> Self {
        Self {
            time_ms: Some(time_ms),
            ..Self::text(text)
        }
    }

    /// Bytes that become free.
    pub fn bytes(bytes: u64, text: impl Into<String>) -> Self {
        Self {
            bytes: Some(bytes),
            ..Self::text(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_follows_share_and_time() {
        let rows = [
            (0.0, 5, Severity::Low),
            (0.1, 5, Severity::Medium),
            (0.0, 20, Severity::Medium),
            (0.3, 1, Severity::High),
            (0.01, 100, Severity::High),
        ];
        for (share, millis, expected) in rows {
            assert_eq!(Severity::of(share, Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn words_are_those_of_the_json() {
        let json = |value: serde_json::Value| value.as_str().map(str::to_owned);
        let verdict = serde_json::to_value(Verdict::LeaveAlone).unwrap();
        assert_eq!(json(verdict).as_deref(), Some(Verdict::LeaveAlone.as_str()));
        let kind = serde_json::to_value(SubjectKind::Sequence).unwrap();
        assert_eq!(json(kind).as_deref(), Some(SubjectKind::Sequence.as_str()));
        let effort = serde_json::to_value(Effort::Large).unwrap();
        assert_eq!(json(effort).as_deref(), Some(Effort::Large.as_str()));
    }
}
