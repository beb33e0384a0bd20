//! Tables of measures: a row for each, a column for each side, and the change.

use std::fmt::{self, Write as _};

use crate::change::{Direction, change};
use crate::data::{Measure, Side, Unit, Value};
use crate::escape::Text;
use crate::number::{percent, percent_interval};

/// A table of measures.
pub(super) fn write_measures(
    caption: &str,
    sides: &[Side],
    measures: &[Measure],
    page: &mut String,
) -> fmt::Result {
    write!(
        page,
        "<table><caption class=\"unseen\">{}</caption>\n<thead><tr><th scope=\"col\"><span class=\"unseen\">Measure</span></th>",
        Text(caption)
    )?;
    for (at, side) in sides.iter().enumerate() {
        write!(
            page,
            "<th scope=\"col\">{}{}</th>",
            swatch(at, sides.len()),
            Text(&side.label)
        )?;
    }
    if sides.len() == 2 {
        page.push_str("<th scope=\"col\">change</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for measure in measures {
        write!(page, "<tr><th scope=\"row\">{}</th>", Text(&measure.name))?;
        for at in 0..sides.len() {
            write!(page, "<td>{}</td>", side_cell(measure, at))?;
        }
        if sides.len() == 2 {
            write!(page, "<td>{}</td>", change_cell(measure))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
    Ok(())
}

/// The mark by which plots tell the sides apart.
pub(crate) fn swatch(at: usize, sides: usize) -> String {
    let class = if at + 1 == sides { "after" } else { "before" };
    format!("<span class=\"swatch {class}\" aria-hidden=\"true\"></span>")
}

/// A number, and its interval below it.
pub(crate) fn value_cell(unit: Unit, value: Option<Value>) -> String {
    cell(unit, value, false)
}

/// The same of a measure's side. Where both sides were measured in turns, the change bears the interval.
pub(crate) fn side_cell(measure: &Measure, side: usize) -> String {
    let value = measure.values.get(side).copied().flatten();
    cell(measure.unit, value, measure.ratio.is_some())
}

fn cell(unit: Unit, value: Option<Value>, is_paired: bool) -> String {
    let Some(value) = value else {
        return "<span class=\"none\">not measured</span>".to_owned();
    };
    let number = unit.show(value.value);
    match value.interval {
        Some(interval) => format!(
            "<b>{number}</b> <small>{}</small>",
            unit.show_interval(interval)
        ),
        None if value.counted || is_paired => format!("<b>{number}</b>"),
        None => format!("<span class=\"unsure\">{number}</span> <small>too few to be sure</small>"),
    }
}

/// A change, which way it goes, and its interval below it.
pub(crate) fn change_cell(measure: &Measure) -> String {
    let Some((ratio, direction)) = change(measure) else {
        return match measure.values[..] {
            [Some(a), Some(b)] if a.value == b.value => "<span class=\"none\">the same</span>",
            [Some(_), Some(_)] => "<span class=\"none\">from nothing</span>",
            _ => "<span class=\"none\">–</span>",
        }
        .to_owned();
    };
    let (class, word) = match direction {
        Direction::Better => ("good", "better"),
        Direction::Worse => ("bad", "worse"),
        Direction::Differs => ("neutral", "differs"),
        Direction::Unproved if ratio.counted => {
            return "<span class=\"none\">the same</span>".to_owned();
        }
        Direction::Unproved => ("neutral", "not proved"),
    };
    let interval = ratio
        .interval
        .map(|interval| format!(" <small>{}</small>", percent_interval(interval)))
        .unwrap_or_default();
    format!(
        "<b class=\"{class}\">{}</b>{interval} <small class=\"{class}\">{word}</small>",
        percent(ratio.value)
    )
}
