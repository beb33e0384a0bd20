//! What was measured: all routes together, then each.

use std::fmt::{self, Write as _};

use super::table::{swatch, write_measures};
use crate::data::{Comparison, Route, Side};
use crate::escape::Text;
use crate::plot;

/// So few routes are shown in full at once; of more, each is folded away below its name.
const ROUTES_OPEN_MAX: usize = 3;
/// Routes that are shown at all: a page that nobody can scroll through is of no use to anybody.
const ROUTES_MAX: usize = 60;

pub(super) fn write(comparison: &Comparison, id: &str, page: &mut String) -> fmt::Result {
    let Comparison {
        text,
        sides,
        total,
        routes,
        ..
    } = comparison;
    if !text.is_empty() {
        writeln!(page, "<p>{}</p>", Text(text))?;
    }
    if sides.len() > 1 {
        page.push_str("<ul class=\"legend\">");
        for (at, side) in sides.iter().enumerate() {
            let (label, text) = (Text(&side.label), Text(&side.text));
            let mark = swatch(at, sides.len());
            write!(page, "<li>{mark}<b>{label}</b> {text}</li>")?;
        }
        page.push_str("</ul>\n");
    }
    if let Some(total) = total {
        let id = format!("{id}-all");
        let name = Text(&total.name);
        writeln!(
            page,
            "<article class=\"card\" aria-labelledby=\"{id}-h\">\n<h3 id=\"{id}-h\">{name}</h3>"
        )?;
        write_route(total, &id, sides, true, page)?;
        page.push_str("</article>\n");
    }
    if routes.len() > 1 {
        plot::overview(routes, sides, &format!("{id}-routes"), page)?;
    }
    let open = if routes.len() <= ROUTES_OPEN_MAX {
        " open"
    } else {
        ""
    };
    for (at, route) in routes.iter().take(ROUTES_MAX).enumerate() {
        let name = Text(&route.name);
        writeln!(
            page,
            "<details class=\"card\"{open}><summary><h3>{name}</h3></summary>"
        )?;
        write_route(route, &format!("{id}-route-{}", at + 1), sides, false, page)?;
        page.push_str("</details>\n");
    }
    if routes.len() > ROUTES_MAX {
        let left_out = routes.len() - ROUTES_MAX;
        writeln!(
            page,
            "<p class=\"none\">{left_out} more routes are not on this page.</p>"
        )?;
    }
    Ok(())
}

fn write_route(
    route: &Route,
    id: &str,
    sides: &[Side],
    is_total: bool,
    page: &mut String,
) -> fmt::Result {
    if !route.requests.is_empty() {
        writeln!(page, "<p class=\"none\">{}</p>", requests(route, sides))?;
    }
    page.push_str("<div class=\"pair\">\n<div>");
    let caption = format!("{}: numbers with 95 % intervals", route.name);
    write_measures(&caption, sides, &route.measures, page)?;
    page.push_str("</div>\n");
    if route.latencies.iter().any(|one| one.count() > 0) {
        page.push_str("<div class=\"plots\">\n");
        plot::density(route, sides, &format!("{id}-density"), page)?;
        if is_total {
            plot::percentiles(route, sides, &format!("{id}-percentiles"), page)?;
        }
        plot::write_data(route, sides, page)?;
        page.push_str("</div>\n");
    }
    page.push_str("</div>\n");
    Ok(())
}

fn requests(route: &Route, sides: &[Side]) -> String {
    let counts = route.requests.iter().zip(sides);
    let counts = counts.map(|(count, side)| match sides.len() {
        1 => count.to_string(),
        _ => format!("{count} {}", Text(&side.label)),
    });
    let counts: Vec<_> = counts.collect();
    format!("Requests: {}", counts.join(", "))
}
