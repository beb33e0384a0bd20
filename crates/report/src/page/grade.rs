//! What was proved of each side.

use std::fmt::{self, Write as _};

use super::table::value_cell;
use crate::data::{Better, Criterion, Grade};
use crate::escape::Text;

pub(super) fn write(grades: &[Grade], page: &mut String) -> fmt::Result {
    page.push_str("<p class=\"levels\">");
    for (at, grade) in grades.iter().enumerate() {
        if at > 0 {
            page.push_str(" <span class=\"arrow\" aria-label=\"to\" role=\"img\">→</span> ");
        }
        let level = grade.level.as_deref().unwrap_or("no grade");
        let class = level.to_lowercase();
        // A class is made of a known word only.
        let class = ["bronze", "silver", "gold"]
            .into_iter()
            .find(|known| **known == class)
            .unwrap_or("no-grade");
        write!(
            page,
            "<span class=\"level {class}\"><small>{}</small>{}</span>",
            Text(&grade.of),
            Text(level)
        )?;
    }
    page.push_str(
        "</p>\n<p>A grade is what the load proved: each limit is judged by the worse end of its 95 % interval, and the \
         lowest criterion decides.</p>\n",
    );
    write_criteria(grades, page)?;
    let mut notes: Vec<_> = grades.iter().map(|grade| &grade.note).collect();
    notes.dedup();
    for note in notes.into_iter().filter(|note| !note.is_empty()) {
        writeln!(page, "<p class=\"none\">{}</p>", Text(note))?;
    }
    for grade in grades {
        write_reasons(grade, page)?;
    }
    Ok(())
}

fn write_criteria(grades: &[Grade], page: &mut String) -> fmt::Result {
    page.push_str(
        "<table class=\"criteria\"><caption class=\"unseen\">What the grade asks for, and what was measured</caption>\n\
         <thead><tr><th scope=\"col\">asked for</th>",
    );
    for grade in grades {
        let of = if grade.of.is_empty() {
            "measured"
        } else {
            &grade.of
        };
        write!(page, "<th scope=\"col\">{}</th>", Text(of))?;
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    let rows = grades.first().map_or(&[][..], |grade| &grade.criteria);
    for (at, row) in rows.iter().enumerate() {
        let (name, limits) = (Text(&row.name), limits(row));
        write!(
            page,
            "<tr><th scope=\"row\">{name} <small>{limits}</small></th>"
        )?;
        for grade in grades {
            let Some(criterion) = grade.criteria.get(at) else {
                page.push_str("<td></td>");
                continue;
            };
            let level = match (&criterion.level, criterion.measured) {
                (Some(level), _) => Text(level).to_string(),
                (None, Some(_)) => "below".to_owned(),
                (None, None) => String::new(),
            };
            let cell = value_cell(criterion.unit, criterion.measured);
            write!(page, "<td>{cell} <small>{level}</small></td>")?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n");
    Ok(())
}

fn limits(criterion: &Criterion) -> String {
    let sign = match criterion.better {
        Better::Higher => "&gt;",
        _ => "&lt;",
    };
    let limits = criterion.limits.iter().map(|(level, limit)| {
        let limit = criterion.unit.show_round(*limit);
        format!("{} {sign}\u{a0}{limit}", Text(level))
    });
    limits.collect::<Vec<_>>().join(", ")
}

fn write_reasons(grade: &Grade, page: &mut String) -> fmt::Result {
    let of = if grade.of.is_empty() {
        String::new()
    } else {
        format!(", {}", Text(&grade.of))
    };
    let lists = [
        (
            grade.next.as_ref().map(|next| {
                (
                    format!("What is missing for {}{of}", Text(&next.level)),
                    &next.missing,
                )
            }),
            "",
        ),
        (
            Some((format!("Critical{of}"), &grade.critical)),
            " class=\"bad\"",
        ),
    ];
    for (list, class) in lists {
        let Some((heading, sentences)) = list.filter(|(_, sentences)| !sentences.is_empty()) else {
            continue;
        };
        writeln!(page, "<h3{class}>{heading}</h3>\n<ul>")?;
        for sentence in sentences {
            writeln!(page, "<li>{}</li>", Text(sentence))?;
        }
        page.push_str("</ul>\n");
    }
    Ok(())
}
