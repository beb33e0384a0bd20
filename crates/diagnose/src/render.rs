//! Findings as text for people.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::finding::{Evidence, Finding, RepetitionEvidence};

/// Columns when nobody says otherwise.
const WIDTH: usize = 100;
/// Narrower than this, wrapping makes text worse.
const WIDTH_MIN: usize = 40;
/// Characters of a statement that is shown for recognition; the JSON form has it whole.
const STATEMENT_CHARS_MAX: usize = 400;
/// Where the text beside a label begins.
const INDENT: usize = 14;

/// The findings in the given order, within 100 columns, without colours.
pub fn render_text(findings: &[Finding]) -> String {
    render_text_within(findings, WIDTH)
}

/// The findings in the given order, within so many columns, without colours. A word that is longer
/// stays whole.
pub fn render_text_within(findings: &[Finding], width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    if findings.is_empty() {
        return "No findings.\n".to_owned();
    }
    let mut text = String::new();
    for (at, finding) in findings.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        render(finding, at + 1, width, &mut text);
    }
    text
}

fn render(finding: &Finding, number: usize, width: usize, text: &mut String) {
    let heading = format!("{number}. [{}] {}", finding.severity, finding.title);
    wrap(&heading, "", 3, width, text);
    let Evidence::Repetition(evidence) = &finding.evidence;
    let mut row = |label: &str, value: &str| {
        wrap(value, &format!("   {label}"), INDENT, width, text);
    };
    row("Lost", &lost(finding, evidence));
    row("Seen", &seen(evidence));
    row("Statement", &cut(&evidence.statement));
    if let Some(before) = &evidence.before {
        let rows = figure(before.rows);
        row(
            "After",
            &format!("{} ({rows} rows on average)", cut(&before.statement)),
        );
    }
    row(
        "Remedy",
        &format!("{} (effort: {})", finding.remedy, finding.effort),
    );
    if let Some(example) = &evidence.example_request {
        row("Example", &format!("request {example}"));
    }
    row("Id", &finding.id);
}

fn lost(finding: &Finding, evidence: &RepetitionEvidence) -> String {
    format!(
        "{} ms of database time per request, {:.0} % of the route's time; {} so far",
        figure(evidence.time_lost_per_request_ms),
        evidence.time_share * 100.0,
        time(finding.time_lost_ms),
    )
}

fn seen(evidence: &RepetitionEvidence) -> String {
    let mut seen = format!(
        "in {} of {} requests, at most {} executions",
        evidence.requests, evidence.route_requests, evidence.executions_max
    );
    if evidence.distinct_parameters_max > 1 {
        let _ = write!(
            seen,
            ", {} distinct sets of values",
            evidence.distinct_parameters_max
        );
    }
    let _ = write!(
        seen,
        "; {:.0} % attributed exactly",
        evidence.exact_share * 100.0
    );
    seen
}

fn cut(statement: &str) -> Cow<'_, str> {
    match statement.char_indices().nth(STATEMENT_CHARS_MAX) {
        Some((end, _)) => format!("{} …", &statement[..end]).into(),
        None => statement.into(),
    }
}

fn time(millis: f64) -> String {
    if millis < 1_000.0 {
        format!("{} ms", figure(millis))
    } else {
        format!("{} s", figure(millis / 1_000.0))
    }
}

/// About three significant digits.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Appends words within `width` columns: the first line after `label`, all others after `indent`
/// spaces.
fn wrap(words: &str, label: &str, indent: usize, width: usize, text: &mut String) {
    text.push_str(label);
    let mut column = label.chars().count();
    if !label.is_empty() {
        let pad = indent.saturating_sub(column).max(1);
        text.extend(std::iter::repeat_n(' ', pad));
        column += pad;
    }
    let mut at_start = true;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if !at_start && column + 1 + length > width {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if !at_start {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
        at_start = false;
    }
    text.push('\n');
}
