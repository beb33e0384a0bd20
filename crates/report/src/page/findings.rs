//! What was found, why, and what to do.

use std::fmt::{self, Write as _};

use super::fixes::write_gained;
use crate::data::{Fact, Finding, QuickWin, Severity};
use crate::escape::{Prose, Text};

pub(super) fn write(findings: &[Finding], page: &mut String) -> fmt::Result {
    if findings.is_empty() {
        page.push_str("<p>Nothing was found.</p>\n");
        return Ok(());
    }
    for (at, finding) in findings.iter().enumerate() {
        write_one(finding, at + 1, page)?;
    }
    Ok(())
}

fn write_one(finding: &Finding, number: usize, page: &mut String) -> fmt::Result {
    let (class, word) = match finding.severity {
        Some(Severity::High) => ("high", "high"),
        Some(Severity::Medium) => ("medium", "medium"),
        Some(Severity::Low) => ("low", "low"),
        None => ("alone", "leave it alone"),
    };
    let title = Prose(&finding.title);
    writeln!(
        page,
        "<article class=\"card finding\" id=\"finding-{number}\">\n\
         <h3><span class=\"mark {class}\">{word}</span> {title}</h3>\n<dl>"
    )?;
    let mut remedy = Prose(&finding.remedy).to_string();
    if let Some(statement) = &finding.statement {
        write!(remedy, "<pre><code>{}</code></pre>", Text(statement))?;
    }
    let mut rows = vec![
        ("What to do", remedy),
        ("Effort", Text(&finding.effort).to_string()),
        ("Expected", Prose(&finding.expected).to_string()),
    ];
    let mut gained = String::new();
    write_gained(&finding.title, &finding.gained, &mut gained)?;
    rows.push(("Gained", gained));
    for (label, text) in rows.iter().filter(|(_, text)| !text.is_empty()) {
        writeln!(page, "<dt>{label}</dt><dd>{text}</dd>")?;
    }
    page.push_str("</dl>\n");
    if !finding.evidence.is_empty() {
        page.push_str("<details><summary>Evidence</summary>\n<dl>\n");
        for fact in &finding.evidence {
            write_fact(fact, page)?;
        }
        page.push_str("</dl></details>\n");
    }
    let (rule, id) = (Text(&finding.rule), Text(&finding.id));
    writeln!(
        page,
        "<p class=\"none\">Rule {rule}, id <code>{id}</code></p>\n</article>"
    )
}

/// What to do first, each leading to its finding.
pub(super) fn write_wins(wins: &[QuickWin], page: &mut String) -> fmt::Result {
    page.push_str("<ol>\n");
    for win in wins {
        let (number, title) = (win.finding, Prose(&win.title));
        write!(page, "<li><a href=\"#finding-{number}\">{title}</a>")?;
        if !win.gain.is_empty() {
            write!(page, " Gain: {}", Prose(&win.gain))?;
        }
        page.push_str("</li>\n");
    }
    page.push_str("</ol>\n");
    Ok(())
}

/// A line of a list of facts.
pub(super) fn write_fact(fact: &Fact, page: &mut String) -> fmt::Result {
    let label = Text(&fact.label);
    if fact.code {
        let text = Text(&fact.text);
        writeln!(page, "<dt>{label}</dt><dd><code>{text}</code></dd>")
    } else {
        writeln!(page, "<dt>{label}</dt><dd>{}</dd>", Prose(&fact.text))
    }
}
