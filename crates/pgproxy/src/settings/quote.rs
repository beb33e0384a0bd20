//! Names and values in a statement of our own.

use std::fmt::Write;

/// A name that stands where a keyword must not.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('.', "\".\""))
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
