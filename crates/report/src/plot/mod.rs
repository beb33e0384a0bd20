//! Plots, as SVG within the page. Each has a title and a description for those who do not see it, and a table of its numbers.
//!
//! Colours are classes, so that they follow the page's scheme; sides differ by dashes too. A plot is 360 units wide and shown
//! at 290 to 430 pixels: its text stays readable on both ends.

mod axis;
mod density;
mod overview;
mod percentiles;

use std::fmt::{self, Write as _};

use crate::data::{Distribution, Route, Side, Unit};
use crate::escape::Text;

pub(crate) use density::write as density;
pub(crate) use overview::write as overview;
pub(crate) use percentiles::write as percentiles;

const WIDTH: f64 = 360.0;
/// Percentiles in the table below a plot.
const TABLE: [f64; 8] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

/// The class of a side: the last is the one that matters.
fn class(at: usize, sides: usize) -> &'static str {
    if at + 1 == sides { "after" } else { "before" }
}

/// Opens a figure.
fn open(id: &str, title: &str, text: &str, height: f64, page: &mut String) -> fmt::Result {
    let (title, text) = (Text(title), Text(text));
    write!(
        page,
        "<figure><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{text}</desc>"
    )
}

/// Closes it, with what stands below.
fn close(caption: &str, page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "</svg><figcaption>{}</figcaption></figure>",
        Text(caption)
    )
}

/// A coordinate, in tenths of a unit: more would only be longer.
fn at(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// The numbers of a route's plots.
pub(crate) fn write_data(route: &Route, sides: &[Side], page: &mut String) -> fmt::Result {
    write!(
        page,
        "<details><summary>Numbers of the plot</summary><table><caption class=\"unseen\">{}: latency by percentile</caption>\n\
         <thead><tr><th scope=\"col\">at most</th>",
        Text(&route.name)
    )?;
    let pairs = || route.latencies.iter().zip(sides);
    for (_, side) in pairs() {
        write!(page, "<th scope=\"col\">{}</th>", Text(&side.label))?;
    }
    page.push_str("</tr></thead><tbody>\n");
    for share in TABLE {
        let name = match share {
            1.0 => "all".to_owned(),
            share => format!("{:.0}\u{a0}%", share * 100.0),
        };
        write!(page, "<tr><th scope=\"row\">{name}</th>")?;
        for (latencies, _) in pairs() {
            write!(page, "<td>{}</td>", shown_quantile(latencies, share))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></details>\n");
    Ok(())
}

fn shown_quantile(latencies: &Distribution, share: f64) -> String {
    match latencies.quantile_ms(share) {
        Some(ms) => Unit::Milliseconds.show(ms),
        None => "–".to_owned(),
    }
}

/// What the sides of a route amount to, in a sentence for those who do not see the plot.
fn described(route: &Route, sides: &[Side]) -> String {
    let sides = route.latencies.iter().zip(sides);
    let told = sides.map(|(latencies, side)| {
        let [p50, p95] = [0.5, 0.95].map(|share| shown_quantile(latencies, share));
        format!("{}: half within {p50}, 95 % within {p95}", side.label)
    });
    format!("{}.", told.collect::<Vec<_>>().join("; "))
}
