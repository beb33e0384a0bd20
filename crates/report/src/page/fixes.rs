//! What was switched on, and what it gained.

use std::fmt::{self, Write as _};

use super::table::write_measures;
use crate::data::{Fix, Measure, Side};
use crate::escape::Text;

pub(super) fn write(fixes: &[Fix], page: &mut String) -> fmt::Result {
    for fix in fixes {
        let (name, text) = (Text(&fix.name), Text(&fix.text));
        writeln!(
            page,
            "<article class=\"card\">\n<h3>{name}</h3>\n<p>{text}</p>"
        )?;
        write_gained(&fix.name, &fix.gained, page)?;
        if !fix.note.is_empty() {
            writeln!(page, "<p class=\"none\">{}</p>", Text(&fix.note))?;
        }
        page.push_str("</article>\n");
    }
    Ok(())
}

/// Numbers that were measured without and with something.
pub(super) fn write_gained(name: &str, gained: &[Measure], page: &mut String) -> fmt::Result {
    if gained.is_empty() {
        return Ok(());
    }
    let sides = ["without", "with"].map(|label| Side {
        label: label.to_owned(),
        text: String::new(),
    });
    write_measures(&format!("What it gained: {name}"), &sides, gained, page)
}
