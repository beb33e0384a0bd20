//! What everybody reads: the verdict and the numbers that carry it. And the last line.

use std::fmt::{self, Write as _};

use super::table::{change_cell, side_cell};
use crate::data::{Figure, Report, Tone};
use crate::escape::Text;

pub(super) fn write(report: &Report, page: &mut String) -> fmt::Result {
    let (class, word) = match report.verdict.tone {
        Tone::Good => ("good", "Better"),
        Tone::Neutral => ("neutral", "Measured"),
        Tone::Mixed => ("mixed", "Mixed"),
        Tone::Bad => ("bad", "Worse"),
    };
    let word = match &*report.verdict.word {
        "" => word,
        own => own,
    };
    let word = Text(word);
    write!(
        page,
        "<header>\n<p class=\"brand\">Paceline <span>performance report</span></p>\n<h1>{}</h1>\n\
         <div class=\"verdict {class}\"><p><strong class=\"tone\">{word}</strong> {}</p>",
        Text(&report.title),
        Text(&report.verdict.text)
    )?;
    if !report.verdict.notes.is_empty() {
        page.push_str("<ul>");
        for note in &report.verdict.notes {
            write!(page, "<li>{}</li>", Text(note))?;
        }
        page.push_str("</ul>");
    }
    page.push_str("</div>\n");
    write_figures(report, page)?;
    page.push_str("<nav aria-label=\"Contents\"><ul>");
    for section in super::sections(report) {
        let (id, heading) = (&section.id, Text(section.heading));
        write!(page, "<li><a href=\"#{id}\">{heading}</a></li>")?;
    }
    page.push_str("</ul></nav>\n</header>\n");
    Ok(())
}

fn write_figures(report: &Report, page: &mut String) -> fmt::Result {
    if report.figures.is_empty() {
        return Ok(());
    }
    let no_sides = Vec::new();
    let sides = report.comparisons.first().map_or(&no_sides, |c| &c.sides);
    page.push_str("<ul class=\"figures\">\n");
    for Figure { of, measure } in &report.figures {
        let name = Text(&measure.name);
        write!(
            page,
            "<li><p class=\"name\">{name} <span>{}</span></p>",
            Text(of)
        )?;
        page.push_str("<p class=\"big\">");
        for at in 0..measure.values.len() {
            if at > 0 {
                page.push_str(" <span class=\"arrow\" aria-label=\"to\" role=\"img\">→</span> ");
            }
            let side = sides.get(at).filter(|_| measure.values.len() > 1);
            let label = side.map_or("", |side| &side.label);
            write!(
                page,
                "<span class=\"side\"><small>{}</small>{}</span>",
                Text(label),
                side_cell(measure, at)
            )?;
        }
        page.push_str("</p>");
        if measure.values.len() > 1 {
            write!(page, "<p>{}</p>", change_cell(measure))?;
        }
        page.push_str("</li>\n");
    }
    page.push_str("</ul>\n");
    Ok(())
}

pub(super) fn write_foot(report: &Report, page: &mut String) -> fmt::Result {
    let made: Vec<_> = [&report.made_by, &report.made_at]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| Text(part).to_string())
        .collect();
    writeln!(
        page,
        "<footer><p>{}</p><p>This page needs no network and no script.</p></footer>",
        made.join(" · ")
    )
}
