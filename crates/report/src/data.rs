//! What a report says, as plain data. Everything is optional that can be missing; the page leaves out what is not there.

use serde::{Deserialize, Serialize};

/// A whole report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What it is about, in a few words.
    pub title: String,
    /// What it all amounts to.
    pub verdict: Verdict,
    /// The few numbers that carry the verdict.
    pub figures: Vec<Figure>,
    /// What was measured. The first is the one that the report is about.
    pub comparisons: Vec<Comparison>,
    /// What was proved of each side.
    pub grades: Vec<Grade>,
    /// What was switched on between before and after.
    pub fixes: Vec<Fix>,
    /// What was found, the costliest first; `None` when nobody looked.
    pub findings: Option<Vec<Finding>>,
    /// What is little work and brings most, the most first.
    pub quick_wins: Vec<QuickWin>,
    /// What was found and nobody wants to see: its id, and the reason.
    pub suppressed: Vec<Fact>,
    /// How it was measured: command line, durations, seed, versions.
    pub method: Vec<Fact>,
    /// What was not measured and could be taken for it, as sentences.
    pub unmeasured: Vec<String>,
    /// When, as text.
    pub made_at: String,
    /// By which program and version.
    pub made_by: String,
}

/// What a report amounts to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// How it ended.
    pub tone: Tone,
    /// The same in a word; empty: the tone's own.
    pub word: String,
    /// One sentence.
    pub text: String,
    /// What must be known to read that sentence right: answers that differ, a machine too busy to measure on.
    pub notes: Vec<String>,
}

/// How a measurement ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// As one hopes.
    Good,
    /// Neither, or nothing is proved.
    #[default]
    Neutral,
    /// Partly, or with a reservation.
    Mixed,
    /// Badly.
    Bad,
}

/// A number that carries the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what, where the measure's name does not say it: `all routes`.
    pub of: String,
    /// The number, for each side.
    pub measure: Measure,
}

/// Something that was measured on one side or on two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Its heading: `Before and after`.
    pub heading: String,
    /// A sentence or two on what was compared, and how.
    pub text: String,
    /// What was measured: one, or before and after.
    pub sides: Vec<Side>,
    /// All routes together.
    pub total: Option<Route>,
    /// Each route.
    pub routes: Vec<Route>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// In a word: `before`.
    pub label: String,
    /// What it is: `straight to the API`.
    pub text: String,
}

/// A route, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Method and template.
    pub name: String,
    /// Requests that were measured on each side.
    pub requests: Vec<u64>,
    /// The numbers.
    pub measures: Vec<Measure>,
    /// How long requests took, on each side; may be empty.
    pub latencies: Vec<Distribution>,
}

/// One quantity on each side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// As people call it: `p95`, `errors`.
    pub name: String,
    /// What it is counted in.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// For each side; `None` where it was not measured.
    pub values: Vec<Option<Value>>,
    /// The second value by the first, where both were measured in turns and more is known than from the two alone. Without
    /// it the ratio is made of the two values and their intervals.
    pub ratio: Option<Value>,
}

/// A number that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// As measured.
    pub value: f64,
    /// Where it lies with 95 % confidence; `None` when nobody can tell, because there was too little of it.
    pub interval: Option<(f64, f64)>,
    /// Whether it was counted, all of it, so that an interval has no meaning.
    pub counted: bool,
}

impl Value {
    /// A number and its interval.
    pub fn between(value: f64, low: f64, high: f64) -> Self {
        Self {
            value,
            interval: Some((low, high)),
            counted: false,
        }
    }

    /// A number of which nobody can tell how sure it is.
    pub fn unsure(value: f64) -> Self {
        Self {
            value,
            interval: None,
            counted: false,
        }
    }

    /// A number that was counted.
    pub fn counted(value: f64) -> Self {
        Self {
            value,
            interval: None,
            counted: true,
        }
    }
}

/// What a number is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds; a second and more is shown in seconds.
    Milliseconds,
    /// Microseconds of CPU time.
    Microseconds,
    /// A share, 0 to 1, shown as per cent.
    Share,
    /// Requests per second.
    PerSecond,
    /// A plain number.
    Count,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Less of it.
    Lower,
    /// More of it.
    Higher,
    /// Neither.
    Neither,
}

/// Times as counts: the upper bound of a bucket in milliseconds, and how many it has; ascending.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distribution(pub Vec<(f64, u64)>);

impl Distribution {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The upper bound of the bucket in which this share (0 to 1) is reached.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = (share * self.count() as f64 - 1e-6).ceil().max(1.0);
        let mut seen = 0.0;
        let mut reached = self.0.iter().filter(|(_, count)| {
            seen += *count as f64;
            seen >= wanted
        });
        reached.next().map(|(bound, _)| *bound)
    }
}

/// What a load proved of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grade {
    /// Of which side: `before`. Empty when there is one only.
    pub of: String,
    /// `Bronze`, `Silver`, `Gold`; `None` below.
    pub level: Option<String>,
    /// What it does not say by itself: that there was no cache whose hit rate could be measured.
    pub note: String,
    /// What was asked for, and what was measured.
    pub criteria: Vec<Criterion>,
    /// What the next level lacks.
    pub next: Option<Next>,
    /// What needs attention now, as sentences.
    pub critical: Vec<String>,
}

/// One thing that a grade asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// As people call it.
    pub name: String,
    /// What it is counted in.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// What was measured.
    pub measured: Option<Value>,
    /// What each level asks for: its name, its limit.
    pub limits: Vec<(String, f64)>,
    /// The level that it reaches by itself.
    pub level: Option<String>,
}

/// What a grade lacks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Next {
    /// The level above.
    pub level: String,
    /// As sentences.
    pub missing: Vec<String>,
}

/// Something that was switched on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fix {
    /// In a few words: `transaction pooling`.
    pub name: String,
    /// What it does.
    pub text: String,
    /// What it gained, by measuring with and without; may be empty.
    pub gained: Vec<Measure>,
    /// What must be known of that: that it was measured together with another.
    pub note: String,
}

/// One thing that costs time or will.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// The same in every run.
    pub id: String,
    /// The rule that found it.
    pub rule: String,
    /// How much it matters; `None`: it was looked at, and is better left alone.
    pub severity: Option<Severity>,
    /// One sentence.
    pub title: String,
    /// The numbers behind it.
    pub evidence: Vec<Fact>,
    /// What to do.
    pub remedy: String,
    /// The statement that does it, or that is to be written instead.
    pub statement: Option<String>,
    /// How much work that is: `small`.
    pub effort: String,
    /// What doing it is expected to bring, and by what reckoning.
    pub expected: String,
    /// What doing it brought, by measuring with and without; empty when it was not tried.
    pub gained: Vec<Measure>,
}

/// A finding whose remedy is little work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuickWin {
    /// Its place among the findings, counted from 1.
    pub finding: usize,
    /// What it is about, in a sentence.
    pub title: String,
    /// What it brings; may be empty.
    pub gain: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Least.
    Low,
    /// In between.
    Medium,
    /// Most.
    High,
}

/// A line: a few words, and what there is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// A few words: `Command`.
    pub label: String,
    /// What there is to say.
    pub text: String,
    /// Whether it is code: a command line, a statement.
    pub code: bool,
}

impl Fact {
    /// In words.
    pub fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
            code: false,
        }
    }

    /// As code.
    pub fn code(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            code: true,
            ..Self::new(label, text)
        }
    }
}
