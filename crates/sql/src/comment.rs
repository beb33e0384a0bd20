//! The trace comment that an application's database library puts on a statement, in the form of
//! [sqlcommenter](https://google.github.io/sqlcommenter/spec/): `/*key='value',key='value'*/`, keys and values URL-encoded,
//! as the last token of the text. Some libraries put it first, or leave the quotes out; both are understood.

use std::borrow::Cow;

use memchr::memmem;

use crate::lexer::{Lexer, comment_end, is_space};

/// A statement's text without its trace comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped<'a> {
    /// The statement. When a comment was taken off, then so were the white space that set it off and semicolons behind it.
    pub text: Cow<'a, str>,
    /// What the comment said.
    pub comment: Option<TraceComment>,
}

/// What a sqlcommenter comment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceComment {
    /// W3C `traceparent`, not validated.
    pub traceparent: Option<String>,
    /// W3C `tracestate`, not validated.
    pub tracestate: Option<String>,
    /// All other keys with their values, decoded, in the order of the text; the first [`TraceComment::TAGS_MAX`] of them.
    pub tags: Vec<(String, String)>,
}

/// A longer comment is taken for prose.
const COMMENT_BYTES_MAX: usize = 8 * 1024;

/// A comment is a trace comment only if it has one of these keys, so that other comments with an equals sign stay.
const KNOWN_KEYS: [&str; 10] = [
    "traceparent",
    "tracestate",
    "action",
    "application",
    "controller",
    "db_driver",
    "driver",
    "framework",
    "job",
    "route",
];

impl TraceComment {
    /// Tags beyond these are dropped.
    pub const TAGS_MAX: usize = 32;

    /// Adds what another comment says, where this one says nothing.
    fn merge(&mut self, other: TraceComment) {
        self.traceparent = self.traceparent.take().or(other.traceparent);
        self.tracestate = self.tracestate.take().or(other.tracestate);
        self.tags.extend(other.tags);
        self.tags.truncate(TraceComment::TAGS_MAX);
    }
}

/// Takes the trace comment off a statement: the last token, exactly, and one that comes first.
///
/// The statement that is left means the same. A comment that is no trace comment stays, and so do planner hints
/// (`/*+ … */`) and whatever looks like a comment inside a literal, a quoted identifier or another comment.
///
/// A text that neither begins nor ends with a comment costs a few nanoseconds. One that does costs one pass of a lexer over
/// the statement, some 4 ns a byte: see [`Statements::INLINE_BYTES_MAX`](crate::Statements::INLINE_BYTES_MAX).
#[inline]
pub fn strip_comment(text: &str) -> Stripped<'_> {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .rposition(|byte| !is_space(*byte) && *byte != b';')
        .map_or(0, |at| at + 1);
    let start = bytes
        .iter()
        .position(|byte| !is_space(*byte))
        .unwrap_or(bytes.len());
    if !bytes[..end].ends_with(b"*/") && !bytes[start..].starts_with(b"/*") {
        return Stripped {
            text: Cow::Borrowed(text),
            comment: None,
        };
    }
    strip(text, end)
}

fn strip(mut text: &str, end: usize) -> Stripped<'_> {
    let mut comment = None;
    if let Some((rest, trailing)) = trailing(text, end) {
        text = rest;
        comment = Some(trailing);
    }
    if let Some((rest, leading)) = leading(text) {
        text = rest;
        match &mut comment {
            Some(comment) => comment.merge(leading),
            None => comment = Some(leading),
        }
    }
    Stripped {
        text: Cow::Borrowed(text),
        comment,
    }
}

/// A trace comment that ends at `end`, and the text before it.
fn trailing(text: &str, end: usize) -> Option<(&str, TraceComment)> {
    let bytes = text.as_bytes();
    let inner_end = end
        .checked_sub(2)
        .filter(|_| bytes[..end].ends_with(b"*/"))?;
    let earliest = inner_end.saturating_sub(COMMENT_BYTES_MAX);
    let start = earliest + memmem::rfind(&bytes[earliest..inner_end], b"/*")?;
    // It ends where the text ends only if nothing in it opens or closes another; `/*/` opens one.
    if comment_end(&bytes[..end], start) != Some(end) {
        return None;
    }
    let comment = parse(text.get(start + 2..inner_end)?)?;
    let statement = &text[..start];
    is_complete(statement).then(|| (trim_end(statement), comment))
}

/// A trace comment at the start, and the text after it.
fn leading(text: &str) -> Option<(&str, TraceComment)> {
    let bytes = text.as_bytes();
    let start = bytes.iter().position(|byte| !is_space(*byte))?;
    if !bytes[start..].starts_with(b"/*") {
        return None;
    }
    let latest = bytes.len().min(start + COMMENT_BYTES_MAX);
    let end = comment_end(&bytes[..latest], start)?;
    let comment = parse(text.get(start + 2..end - 2)?)?;
    Some((
        text[end..].trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8)),
        comment,
    ))
}

fn trim_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_ascii() && is_space(c as u8))
}

/// True when what follows the text begins outside of every literal, quoted identifier and comment.
fn is_complete(text: &str) -> bool {
    let mut lexer = Lexer::new(text);
    lexer.all(|token| token.is_ok()) && !lexer.ends_in_line_comment()
}

/// Reads a comment's inside; `None` when it is not exactly a list of keys and values with a known key among them.
fn parse(inside: &str) -> Option<TraceComment> {
    // A planner hint, or a nested comment.
    if inside.starts_with('+') || memmem::find(inside.as_bytes(), b"/*").is_some() {
        return None;
    }
    let mut comment = TraceComment::default();
    let mut known = false;
    let mut rest = inside;
    loop {
        let (key, value, after) = pair(rest)?;
        known |= KNOWN_KEYS.contains(&&*key);
        match &*key {
            "traceparent" if comment.traceparent.is_none() => comment.traceparent = Some(value),
            "tracestate" if comment.tracestate.is_none() => comment.tracestate = Some(value),
            _ if comment.tags.len() < TraceComment::TAGS_MAX => comment.tags.push((key, value)),
            _ => {}
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return known.then_some(comment),
            None => return None,
        }
    }
}

/// One `key=value` and what follows it.
fn pair(text: &str) -> Option<(String, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    let key = key.trim();
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '\'' | '"'))
    {
        return None;
    }
    let rest = rest.trim_start();
    let (value, rest) = match rest.strip_prefix('\'') {
        Some(quoted) => {
            let (value, rest) = quoted_value(quoted)?;
            (Cow::Owned(value), rest)
        }
        None => {
            let (value, _) = rest.split_once(',').unwrap_or((rest, ""));
            let rest = &rest[value.len()..];
            let value = value.trim_end();
            if value.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')) {
                return None;
            }
            (Cow::Borrowed(value), rest)
        }
    };
    Some((decode(key), decode(&value), rest.trim_start()))
}

/// A value behind its opening quote: up to the next quote that no backslash escapes.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::with_capacity(text.len().min(64));
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// Undoes URL encoding. What is not valid stays as it is; bytes that are no UTF-8 become replacement characters.
fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let digit = |ahead: usize| {
            bytes
                .get(index + ahead)
                .and_then(|byte| char::from(*byte).to_digit(16))
        };
        match (bytes[index], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high << 4 | low) as u8);
                index += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests;
