//! Findings as one plain page that needs nothing but itself.

use std::fmt::Write as _;

use super::{blind_spots, mark, summary, win};
use crate::finding::{Finding, Verdict};
use crate::report::Report;

const STYLE: &str = "\
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
dl { display: grid; grid-template-columns: 7rem 1fr; gap: .2rem 1rem; margin: 0 }
dt { font-weight: 600 }
dd { margin: 0; overflow-wrap: anywhere }
pre { overflow-x: auto; padding: .6rem; border: 1px solid; border-radius: .3rem; margin: .3rem 0 }
.mark { border: 1px solid; border-radius: .3rem; padding: 0 .4rem; font-size: .85em; font-weight: 600 }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr } }
";

/// The whole report as one HTML page without scripts, which opens from disk without network. What comes from outside is escaped.
pub fn render_html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Paceline: findings</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Findings</h1>\n<p>{}</p>\n",
        escaped(&summary(&report.findings))
    );
    for (at, finding) in report.findings.iter().enumerate() {
        write_finding(&mut page, at + 1, finding);
    }
    let mut list = |heading: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let items: String = lines
                .iter()
                .map(|line| format!("<li>{line}</li>\n"))
                .collect();
            let _ = write!(page, "<h2>{heading}</h2>\n<ul>\n{items}</ul>\n");
        }
    };
    let suppressed = report.suppressed.iter();
    let suppressed = suppressed.map(|one| {
        format!(
            "<code>{}</code>: {}",
            escaped(&one.id),
            escaped(&one.reason)
        )
    });
    list("Suppressed", suppressed.collect());
    let unseen = blind_spots(report).into_iter();
    list("Not looked at", unseen.map(|line| escaped(&line)).collect());
    let wins = report.quick_wins().map(|(at, finding)| {
        format!(
            "<a href=\"#finding-{at}\">Finding {at}</a>: {}",
            escaped(&win(finding))
        )
    });
    list("Quick wins, the largest gain first", wins.collect());
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn write_finding(page: &mut String, number: usize, finding: &Finding) {
    let class = match finding.verdict {
        Verdict::Act => finding.severity.as_str(),
        Verdict::LeaveAlone => "alone",
    };
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<section id=\"finding-{number}\">\n<h2>{number}. <span class=\"mark {class}\">{}</span> {}</h2>\n<dl>\n",
        mark(finding),
        escaped(&finding.title)
    );
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(page, "<dt>{}</dt><dd>{text}</dd>", escaped(label));
    };
    for detail in &finding.details {
        row(&detail.label, &escaped(&detail.text));
    }
    let remedy = &finding.remedy;
    let mut text = format!("{} (effort: {})", escaped(&remedy.text), finding.effort);
    if let Some(statement) = &remedy.statement {
        let _ = write!(text, "<pre><code>{}</code></pre>", escaped(statement));
    }
    row("Remedy", &text);
    if !finding.gain.text.is_empty() {
        row("Gain", &escaped(&finding.gain.text));
    }
    row("Id", &format!("<code>{}</code>", escaped(&finding.id)));
    page.push_str("</dl>\n</section>\n");
}

/// Text and nothing else, also within quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
