//! All routes at a glance: the p95 of each, with its interval, on one axis.

use std::fmt::{self, Write as _};

use super::axis::Axis;
use super::{WIDTH, at, class, close, open};
use crate::data::{Measure, Route, Side, Unit, Value};
use crate::escape::Text;
use crate::page::table::{change_cell, side_cell, swatch};

const LEFT: f64 = 26.0;
const RIGHT: f64 = 332.0;
const NAME_LEFT: f64 = 4.0;
const ROW: f64 = 42.0;
const TOP: f64 = 6.0;
const ROUTES_MAX: usize = 24;
/// Characters of a name that fit.
const NAME_MAX: usize = 46;

/// Writes the figure and its numbers, if there is something to compare.
pub(crate) fn write(routes: &[Route], sides: &[Side], id: &str, page: &mut String) -> fmt::Result {
    let rows: Vec<_> = routes
        .iter()
        .filter_map(|route| Some((route, p95(route)?)))
        .take(ROUTES_MAX)
        .collect();
    let values = rows
        .iter()
        .flat_map(|(_, measure)| measure.values.iter().flatten());
    let bounds = values.flat_map(|value| {
        let (low, high) = value.interval.unwrap_or((value.value, value.value));
        [low, high]
    });
    let (low, high) = bounds.fold((f64::MAX, 0.0_f64), |(low, high), ms| {
        (low.min(ms), high.max(ms))
    });
    if rows.len() < 2 || high <= 0.0 {
        return Ok(());
    }
    let axis = Axis::new(low, high, LEFT, RIGHT);
    let bottom = TOP + ROW * rows.len() as f64;
    page.push_str(
        "<article class=\"card\">\n<h3>p95 of each route</h3>\n<div class=\"pair overview\">\n",
    );
    let title = "p95 of each route";
    let text =
        "One line for each route, from its first to its last value; the numbers follow in a table.";
    open(id, title, text, bottom + 24.0, page)?;
    write_axis(&axis, bottom, page)?;
    for (n, (route, measure)) in rows.iter().enumerate() {
        write_row(
            route,
            measure,
            TOP + ROW * n as f64,
            sides.len(),
            &axis,
            page,
        )?;
    }
    close(
        "Points: p95. Bars: 95 % intervals, where there were enough requests.",
        page,
    )?;
    write_table(&rows, sides, page)?;
    page.push_str("</div>\n</article>\n");
    Ok(())
}

fn p95(route: &Route) -> Option<&Measure> {
    let times = || {
        route
            .measures
            .iter()
            .filter(|one| one.unit == Unit::Milliseconds)
    };
    let found = times()
        .find(|one| one.name == "p95")
        .or_else(|| times().next())?;
    found.values.iter().any(Option::is_some).then_some(found)
}

fn write_axis(axis: &Axis, bottom: f64, page: &mut String) -> fmt::Result {
    let (top, text, bottom) = (at(TOP), at(bottom + 18.0), at(bottom));
    for (ms, label) in axis.ticks(50.0) {
        let x = at(axis.place(ms));
        write!(
            page,
            "<path class=\"grid\" d=\"M{x} {top}V{bottom}\"/><text x=\"{x}\" y=\"{text}\" class=\"tick\">{label}</text>"
        )?;
    }
    Ok(())
}

fn write_row(
    route: &Route,
    measure: &Measure,
    top: f64,
    sides: usize,
    axis: &Axis,
    page: &mut String,
) -> fmt::Result {
    let (x, y) = (at(NAME_LEFT), at(top + 13.0));
    let name = shortened(&route.name, NAME_MAX);
    write!(
        page,
        "<text x=\"{x}\" y=\"{y}\" class=\"name\">{}</text>",
        Text(&name)
    )?;
    let middle = top + 26.0;
    let places: Vec<_> = measure
        .values
        .iter()
        .flatten()
        .map(|value| axis.place(value.value))
        .collect();
    if let [from, to] = places[..] {
        write!(
            page,
            "<path class=\"link\" d=\"M{} {}H{}\"/>",
            at(from),
            at(middle),
            at(to)
        )?;
    }
    for (n, value) in measure.values.iter().enumerate() {
        if let Some(value) = value {
            // Beside each other rather than one above the other, so that both are seen.
            let shift = if sides == 1 {
                0.0
            } else {
                4.0 * n as f64 - 2.0
            };
            write_point(*value, class(n, sides), middle + shift, axis, page)?;
        }
    }
    Ok(())
}

fn write_point(value: Value, class: &str, y: f64, axis: &Axis, page: &mut String) -> fmt::Result {
    let line = at(y);
    if let Some((low, high)) = value.interval {
        let (low, high) = (at(axis.place(low)), at(axis.place(high)));
        write!(
            page,
            "<path class=\"whisker {class}\" d=\"M{low} {line}H{high}\"/>"
        )?;
    }
    let x = at(axis.place(value.value));
    if class == "after" {
        return write!(
            page,
            "<circle class=\"point {class}\" cx=\"{x}\" cy=\"{line}\" r=\"4.5\"/>"
        );
    }
    let (left, top) = (at(axis.place(value.value) - 4.0), at(y - 4.0));
    write!(
        page,
        "<rect class=\"point {class}\" x=\"{left}\" y=\"{top}\" width=\"8\" height=\"8\"/>"
    )
}

fn write_table(rows: &[(&Route, &Measure)], sides: &[Side], page: &mut String) -> fmt::Result {
    page.push_str(
        "<div><table><caption class=\"unseen\">p95 of each route with 95 % intervals</caption>\n<thead><tr><th scope=\"col\">route</th>",
    );
    for (at, side) in sides.iter().enumerate() {
        let mark = swatch(at, sides.len());
        write!(page, "<th scope=\"col\">{mark}{}</th>", Text(&side.label))?;
    }
    if sides.len() == 2 {
        page.push_str("<th scope=\"col\">change</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    for (route, measure) in rows {
        let name = shortened(&route.name, NAME_MAX);
        write!(page, "<tr><th scope=\"row\">{}</th>", Text(&name))?;
        for side in 0..measure.values.len() {
            write!(page, "<td>{}</td>", side_cell(measure, side))?;
        }
        if sides.len() == 2 {
            write!(page, "<td>{}</td>", change_cell(measure))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    Ok(())
}

/// At most so many characters; what was cut off shows as an ellipsis.
pub(super) fn shortened(name: &str, max: usize) -> String {
    if name.chars().count() <= max {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(max - 1).collect();
    short.push('…');
    short
}

/// The width is that of all plots, whatever stands in them.
const _: () = assert!(RIGHT < WIDTH);
