//! What `paceline load` prints.

use std::io;

use paceline_loadgen::{Comparison, Grade, Report, Verdict};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::terminal;

/// A load, and what it amounts to.
#[derive(Serialize)]
pub(super) struct Outcome<'a> {
    #[serde(flatten)]
    pub(super) report: &'a Report,
    pub(super) grade: Grade,
    pub(super) thresholds: &'a [Verdict],
}

impl Outcome<'_> {
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(self);
        }
        let mut text = format!("{}\n{}", self.report, self.grade);
        text.push_str(&told(self.thresholds));
        Ok(terminal::say(&text)?)
    }
}

/// Two servers compared, and what was asked of their ratios.
#[derive(Serialize)]
pub(super) struct ComparedOutcome<'a> {
    #[serde(flatten)]
    pub(super) comparison: &'a Comparison,
    pub(super) thresholds: &'a [Verdict],
}

impl ComparedOutcome<'_> {
    pub(super) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(self);
        }
        let text = format!("{}{}", self.comparison, told(self.thresholds));
        Ok(terminal::say(&text)?)
    }
}

/// Prints what has both forms.
pub(super) fn print(
    value: &(impl Serialize + std::fmt::Display),
    json: bool,
) -> anyhow::Result<()> {
    if json {
        return print_json(value);
    }
    Ok(terminal::say(&value.to_string())?)
}

/// The thresholds and whether they were kept; nothing without any.
fn told(thresholds: &[Verdict]) -> String {
    let mut text = String::new();
    if !thresholds.is_empty() {
        text.push_str("\nthresholds\n");
    }
    for verdict in thresholds {
        let mark = if verdict.passed {
            terminal::good("kept  ")
        } else {
            terminal::bad("missed")
        };
        let (threshold, measured) = (&verdict.threshold, verdict.measured());
        text.push_str(&format!("  {mark}  {threshold}  ({measured})\n"));
    }
    text
}

/// Prints one JSON object.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(terminal::say(&format!("{}\n", to_json(value)?))?)
}

fn to_json(value: &impl Serialize) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let layout = Layout(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut bytes, layout))?;
    Ok(String::from_utf8(bytes)?)
}

/// Indented, but arrays stay on one line: a distribution is a few hundred pairs of numbers, and would be thousands of
/// lines. (What a formatter does not override is written without any space.)
struct Layout<'f>(PrettyFormatter<'f>);

impl Formatter for Layout<'_> {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_indented_and_arrays_are_not() {
        let value =
            serde_json::json!({"a": [[1.5, 2], [3.0, 4]], "b": [{"c": 1, "d": {}}, {"c": []}]});
        let text = to_json(&value).expect("JSON");
        let expected = "{\n  \"a\": [[1.5, 2], [3.0, 4]],\n  \"b\": [{\n    \"c\": 1,\n    \"d\": {}\n  }, {\n    \"c\": []\n  }]\n}";
        assert_eq!(text, expected);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON"),
            value
        );
    }
}
