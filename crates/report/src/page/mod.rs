//! The page, from top to bottom.

mod comparison;
mod findings;
mod fixes;
mod grade;
mod method;
pub(crate) mod table;
mod top;

use std::fmt::{self, Write as _};

use crate::data::Report;
use crate::escape::Text;

const STYLE: &str = include_str!("style.css");
/// Nothing may be fetched or run, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The report as one HTML page.
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    write(report, &mut page).expect("a string takes whatever is written to it");
    page
}

fn write(report: &Report, page: &mut String) -> fmt::Result {
    let title = Text(&report.title);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Paceline</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    )?;
    top::write(report, page)?;
    page.push_str("<main>\n");
    for section in sections(report) {
        let Section { id, heading, .. } = &section;
        let heading = Text(heading);
        writeln!(
            page,
            "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">{heading}</h2>"
        )?;
        (section.body)(page)?;
        page.push_str("</section>\n");
    }
    page.push_str("</main>\n");
    top::write_foot(report, page)?;
    page.push_str("</body>\n</html>\n");
    Ok(())
}

/// A part of the page with a heading, which the contents lead to.
struct Section<'r> {
    id: String,
    heading: &'r str,
    body: Box<dyn Fn(&mut String) -> fmt::Result + 'r>,
}

impl<'r> Section<'r> {
    fn new(
        id: impl Into<String>,
        heading: &'r str,
        body: impl Fn(&mut String) -> fmt::Result + 'r,
    ) -> Self {
        Self {
            id: id.into(),
            heading,
            body: Box::new(body),
        }
    }
}

/// Those that have something to say, in order.
fn sections(report: &Report) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut comparisons = report.comparisons.iter().enumerate().map(|(at, one)| {
        let id = format!("measured-{}", at + 1);
        let prefix = id.clone();
        Section::new(id, &one.heading, move |page| {
            comparison::write(one, &prefix, page)
        })
    });
    sections.extend(comparisons.next());
    if !report.grades.is_empty() {
        let body = |page: &mut String| grade::write(&report.grades, page);
        sections.push(Section::new("grade", "Grade", body));
    }
    if !report.fixes.is_empty() {
        let body = |page: &mut String| fixes::write(&report.fixes, page);
        sections.push(Section::new("fixes", "What was switched on", body));
    }
    if let Some(found) = &report.findings {
        let body = |page: &mut String| findings::write(found, page);
        sections.push(Section::new("findings", "Findings", body));
    }
    if !report.quick_wins.is_empty() {
        let body = |page: &mut String| findings::write_wins(&report.quick_wins, page);
        sections.push(Section::new("quick-wins", "Quick wins", body));
    }
    if !report.suppressed.is_empty() {
        let body = |page: &mut String| method::write_facts(&report.suppressed, page);
        sections.push(Section::new("suppressed", "Suppressed", body));
    }
    sections.extend(comparisons);
    let body = |page: &mut String| method::write(report, page);
    let heading = if report.is_measured() {
        "How it was measured"
    } else {
        "How it was looked at"
    };
    sections.push(Section::new("method", heading, body));
    sections
}
