//! Findings as Markdown, for an issue or a pull request.

use std::fmt::Write as _;

use super::{mark, win};
use crate::finding::Finding;
use crate::report::Report;

/// The whole report as Markdown. What comes from outside is escaped.
pub fn render_markdown(report: &Report) -> String {
    let mut page = format!("# Findings\n\n{}\n", report.summary());
    for (at, finding) in report.findings.iter().enumerate() {
        write_finding(&mut page, at + 1, finding);
    }
    let mut list = |heading: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = write!(page, "\n## {heading}\n\n");
        }
        for line in lines {
            let _ = writeln!(page, "{line}");
        }
    };
    let suppressed = report.suppressed.iter();
    let suppressed = suppressed.map(|one| format!("- {}: {}", code(&one.id), escaped(&one.reason)));
    list("Suppressed", suppressed.collect());
    let unseen = report.blind_spots().into_iter();
    list(
        "Not looked at",
        unseen.map(|line| format!("- {}", escaped(&line))).collect(),
    );
    let wins = report.quick_wins();
    let wins = wins.map(|(at, finding)| format!("- Finding {at}: {}", escaped(&win(finding))));
    list("Quick wins", wins.collect());
    page
}

fn write_finding(page: &mut String, number: usize, finding: &Finding) {
    let (mark, title) = (mark(finding), escaped(&finding.title));
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "\n## {number}. {title}\n\n**{mark}**, {}\n\n",
        code(&finding.id)
    );
    for detail in &finding.details {
        let _ = writeln!(
            page,
            "- {}: {}",
            escaped(&detail.label),
            escaped(&detail.text)
        );
    }
    let (remedy, effort) = (&finding.remedy, finding.effort);
    let _ = writeln!(
        page,
        "\n**Remedy** (effort: {effort}): {}",
        escaped(&remedy.text)
    );
    if let Some(statement) = &remedy.statement {
        let fence = fence(statement);
        let _ = write!(page, "\n{fence}sql\n{statement}\n{fence}\n");
    }
    if !finding.gain.text.is_empty() {
        let _ = write!(page, "\n**Gain**: {}\n", escaped(&finding.gain.text));
    }
}

/// A fence that nothing in the text can close.
fn fence(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// On one line, and with nothing that means something in Markdown or HTML. Our own backticks stay: what is between them is code.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut parts = text.split('`').peekable();
    let mut is_code = false;
    while let Some(part) = parts.next() {
        let is_closed = parts.peek().is_some();
        for c in part.chars() {
            match c {
                '\n' | '\r' => safe.push(' '),
                c if is_code && is_closed => safe.push(c),
                c @ ('\\' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~' | '&' | '$') => {
                    safe.push('\\');
                    safe.push(c);
                }
                c => safe.push(c),
            }
        }
        if is_closed {
            is_code = !is_code;
            // One that is never closed is a character like any other.
            let is_alone = is_code && parts.clone().count() == 1;
            safe.push_str(if is_alone { "\\`" } else { "`" });
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text() {
        let rows = [
            ("a *b* [c](d)", r"a \*b\* \[c\](d)"),
            ("<script>", r"\<script\>"),
            ("`SELECT *` of a_b", r"`SELECT *` of a\_b"),
            ("one ` alone_", r"one \` alone\_"),
            ("two\nlines", "two lines"),
        ];
        for (text, expected) in rows {
            assert_eq!(escaped(text), expected);
        }
        assert_eq!(fence("SELECT '```'"), "````");
        assert_eq!(fence("SELECT 1"), "```");
    }
}
