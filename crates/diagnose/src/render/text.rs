//! Findings as text for a terminal.

use super::{mark, win};
use crate::finding::Finding;
use crate::report::Report;

/// Columns when nobody says otherwise.
const WIDTH: usize = 100;
/// Narrower than this, wrapping makes text worse.
const WIDTH_MIN: usize = 40;
/// Where the text beside a label begins.
const INDENT: usize = 14;

/// The whole report within so many columns, without colours: findings, what was suppressed, what was not looked at, and at its
/// end the quick wins.
pub fn render_report(report: &Report, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut text = render_text_within(&report.findings, width);
    let mut list = |heading: &str, lines: Vec<(String, String)>| {
        if !lines.is_empty() {
            text.push('\n');
            wrap(heading, "", 3, width, &mut text);
        }
        for (mark, line) in lines {
            wrap(&line, &format!("   {mark}"), 8, width, &mut text);
        }
    };
    let suppressed = report.suppressed.iter();
    let suppressed = suppressed.map(|one| ("-".to_owned(), format!("{}: {}", one.id, one.reason)));
    let count = report.suppressed.len();
    list(&format!("Suppressed: {count}"), suppressed.collect());
    let unseen = report.blind_spots().into_iter();
    let unseen = unseen.map(|line| ("-".to_owned(), line));
    list("Not looked at:", unseen.collect());
    let wins = report.quick_wins();
    let wins = wins.map(|(at, finding)| (format!("{at}."), win(finding)));
    list("Quick wins, the largest gain first:", wins.collect());
    text.push('\n');
    wrap(&report.summary(), "", 3, width, &mut text);
    text
}

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
    let heading = format!("{number}. [{}] {}", mark(finding), finding.title);
    wrap(&heading, "", 3, width, text);
    let mut row = |label: &str, value: &str| {
        wrap(value, &format!("   {label}"), INDENT, width, text);
    };
    for detail in &finding.details {
        row(&detail.label, &detail.text);
    }
    let (remedy, effort) = (&finding.remedy, finding.effort);
    row("Remedy", &format!("{} (effort: {effort})", remedy.text));
    if let Some(statement) = &remedy.statement {
        row("", statement);
    }
    if !finding.gain.text.is_empty() {
        row("Gain", &finding.gain.text);
    }
    row("Id", &finding.id);
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
