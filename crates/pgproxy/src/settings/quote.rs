//! Names and values in a statement of our own.

use std::fmt::Write;

/// A name that stands where a keyword must not.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('.', "\".\""))
}

/// The names in a list, as Postgres reads them there; `None` for what is not such a list, or an empty one.
pub(super) fn identifiers(list: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = list.trim_ascii();
    loop {
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            (name, rest) = quoted.split_once('"')?;
            names.push(name.to_owned());
        } else {
            let end = rest.find(|letter: char| letter == ',' || letter.is_ascii_whitespace());
            (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            names.push(name.to_ascii_lowercase());
        }
        if name.is_empty() || !name.is_ascii() {
            return None;
        }
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_ascii_start();
    }
}

/// A literal that means the same under any setting of `standard_conforming_strings` and of `client_encoding`.
pub(crate) fn literal(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 3);
    literal.push_str("E'");
    for letter in value.chars() {
        match letter {
            '\'' | '\\' => literal.extend([letter, letter]),
            letter if letter.is_ascii() => literal.push(letter),
            letter => {
                let _ = write!(literal, "\\U{:08x}", u32::from(letter));
            }
        }
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use super::identifiers;

    #[test]
    fn lists_are_split_as_postgres_does() {
        let check = |list: &str, expected: Option<&[&str]>| {
            let found = identifiers(list);
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|found| found.iter().map(String::as_str).collect());
            assert_eq!(found.as_deref(), expected, "{list}");
        };
        check(" a,B ,\t\"C d\" , $user", Some(&["a", "b", "C d", "$user"]));
        check("\"a,b\"", Some(&["a,b"]));
        check("", None);
        check("a,", None);
        check("a b", None);
        check("\"a\"\"b\"", None);
        check("\"a", None);
        check("\"\"", None);
        check("Ä", None);
    }
}
