//! Reads `paceline.toml` into settings, and keeps the place of each.
//!
//! The file is read through the parser's spanned tables, not through a derive, because a derive stops at the first
//! error and people want to see them all.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::input::{Input, Setting};
use super::problem::{Origin, Problem};

/// What a file says: its settings, and what is wrong with its syntax. A file with syntax errors still yields the
/// settings that could be read, so that their errors are reported too.
pub(super) struct Contents {
    pub(super) settings: Vec<Setting>,
    /// Sections that were opened, also empty ones: `gatewy` is wrong even when nothing stands under it.
    pub(super) sections: Vec<(String, Origin)>,
    pub(super) problems: Vec<Problem>,
}

/// Reads the text of the file called `name`.
pub(super) fn read(name: &str, text: &str) -> Contents {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        places: Places::new(name, text),
        contents: Contents {
            settings: Vec::new(),
            sections: Vec::new(),
            problems: Vec::new(),
        },
    };
    for error in errors {
        let origin = reader.places.origin(error.span().unwrap_or(0..0));
        let message = error.message().trim_end_matches('.').replace('\n', ", ");
        reader
            .contents
            .problems
            .push(Problem::error(origin, None, message));
    }
    reader.table("", table.get_ref());
    reader.contents
}

struct Reader<'t> {
    places: Places<'t>,
    contents: Contents,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = if prefix.is_empty() {
                key.get_ref().to_string()
            } else {
                format!("{prefix}.{}", key.get_ref())
            };
            let origin = self.places.origin(key.span());
            if let DeValue::Table(inner) = value.get_ref() {
                self.contents.sections.push((path.clone(), origin));
                self.table(&path, inner);
            } else {
                let input = self.input(value);
                self.contents.settings.push(Setting {
                    path,
                    input,
                    origin,
                });
            }
        }
    }

    /// One table of an array of tables. A table within it is no value that any key takes.
    fn row(&self, row: &Spanned<DeValue<'_>>) -> Option<(Vec<Setting>, Origin)> {
        let DeValue::Table(table) = row.get_ref() else {
            return None;
        };
        let settings = table.iter().map(|(key, value)| Setting {
            path: key.get_ref().to_string(),
            input: self.input(value),
            origin: self.places.origin(key.span()),
        });
        Some((settings.collect(), self.places.origin(row.span())))
    }

    fn input(&self, value: &Spanned<DeValue<'_>>) -> Input {
        match value.get_ref() {
            DeValue::String(text) => Input::Text(text.to_string()),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix())
            {
                Ok(number) => Input::Integer(number.to_string()),
                Err(_) => Input::Integer(number.as_str().to_owned()),
            },
            DeValue::Boolean(flag) => Input::Flag(*flag),
            DeValue::Array(elements) if is_of_tables(elements) => {
                Input::Tables(elements.iter().filter_map(|row| self.row(row)).collect())
            }
            DeValue::Array(elements) => Input::List(
                elements
                    .iter()
                    .map(|element| (self.input(element), self.places.origin(element.span())))
                    .collect(),
            ),
            DeValue::Float(_) => Input::Other("a number with a fraction"),
            DeValue::Datetime(_) => Input::Other("a date or time"),
            DeValue::Table(_) => Input::Other("a table"),
        }
    }
}

/// Whether it was written as `[[…]]`, or in another way that means the same.
fn is_of_tables(elements: &DeArray<'_>) -> bool {
    !elements.is_empty()
        && elements
            .iter()
            .all(|element| matches!(element.get_ref(), DeValue::Table(_)))
}

/// Turns byte offsets into lines and columns.
struct Places<'t> {
    name: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Places<'t> {
    fn new(name: &'t str, text: &'t str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            name,
            text,
            line_starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    fn origin(&self, span: Range<usize>) -> Origin {
        let line = self
            .line_starts
            .partition_point(|start| *start <= span.start);
        let line_start = self.line_starts[line - 1];
        let before = self.text.get(line_start..span.start).unwrap_or_default();
        Origin::File {
            file: self.name.to_owned(),
            line,
            column: before.chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(origin: &Origin) -> (usize, usize) {
        match origin {
            Origin::File { line, column, .. } => (*line, *column),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn settings_bear_their_path_and_place() {
        let text = "mode = \"fix\"\n\n[gateway]\n  listen = \"127.0.0.1:1\"\npostgres.pool_size = 0x10\n\
                    [journal]\nroutes = [\"/a\",\n  \"/é\", 3]\n";
        let contents = read("p.toml", text);
        assert_eq!(contents.problems, []);
        let mut found: Vec<_> = contents
            .settings
            .iter()
            .map(|s| (s.path.as_str(), place(&s.origin)))
            .collect();
        found.sort_by_key(|(_, place)| *place);
        assert_eq!(
            found,
            [
                ("mode", (1, 1)),
                ("gateway.listen", (4, 3)),
                ("gateway.postgres.pool_size", (5, 10)),
                ("journal.routes", (7, 1)),
            ]
        );
    }

    #[test]
    fn values_keep_their_kind_and_elements_their_place() {
        let contents = read(
            "p",
            "a = [\"x\",\n  7]\nb = 1.5\nc = 0x10\nd = 1979-05-27\n",
        );
        let of = |path: &str| {
            let setting = contents.settings.iter().find(|s| s.path == path);
            setting.map(|s| s.input.clone()).expect(path)
        };
        let Input::List(elements) = of("a") else {
            panic!("a is a list")
        };
        assert_eq!(elements[0].0, Input::Text("x".to_owned()));
        assert_eq!(
            (elements[1].0.clone(), place(&elements[1].1)),
            (Input::Integer("7".to_owned()), (2, 3))
        );
        assert_eq!(of("b"), Input::Other("a number with a fraction"));
        assert_eq!(of("c"), Input::Integer("16".to_owned()));
        assert_eq!(of("d"), Input::Other("a date or time"));
    }

    #[test]
    fn every_syntax_error_is_reported_and_the_rest_is_still_read() {
        let contents = read("p", "a = \nb = 1\nc = 'x\nd = 2\n");
        let lines: Vec<_> = contents
            .problems
            .iter()
            .map(|p| place(&p.origin).0)
            .collect();
        assert!(
            lines.contains(&1) && lines.contains(&3),
            "{:?}",
            contents.problems
        );
        assert!(
            contents.settings.iter().any(|s| s.path == "b"),
            "{:?}",
            contents.settings
        );
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let contents = read("p", "s = { \"é\" = 1, f = 2 }\n");
        let f = contents
            .settings
            .iter()
            .find(|s| s.path == "s.f")
            .expect("s.f");
        assert_eq!(place(&f.origin), (1, 16));
    }

    #[test]
    fn no_text_makes_the_reader_panic() {
        for text in [
            "\u{feff}a=1",
            "]",
            "[[a]]",
            "a.b=1\na=2",
            "\"",
            "'''",
            "a=[",
            "[a",
            "\0",
            "a=1\r\nb",
        ] {
            let _ = read("p", text);
        }
    }
}
