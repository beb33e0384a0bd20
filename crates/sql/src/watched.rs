//! Values that tell more than a shape does: how far an OFFSET goes, and whether the pattern of a LIKE begins with a wildcard. Of
//! all others nothing is ever looked at, and of these no more than that.

use crate::lexer::{Lexer, Token, TokenKind};

/// LIKEs of one text whose patterns are told apart.
pub(crate) const PATTERNS_MAX: usize = 4;
/// Parameters behind this one are not watched.
const PARAMETER_MAX: u32 = 255;
/// A longer text is not read for this.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Where in a statement's values those are that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Watched {
    offset: Offset,
    patterns: [Pattern; PATTERNS_MAX],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Offset {
    #[default]
    Unknown,
    Value(u32),
    Parameter(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Pattern {
    #[default]
    Unknown,
    Anchored,
    Leading,
    Parameter(u8),
}

/// What the values of one execution tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Values {
    /// The outermost OFFSET.
    pub offset: Option<u64>,
    /// One bit for each of the first four LIKEs of the text, in order, the first one lowest: its pattern begins with `%` or `_`.
    pub leading: u8,
}

/// A parameter as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedParameter<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether they are the type's binary form.
    pub is_binary: bool,
}

impl Values {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.offset.is_none() && self.leading == 0
    }
}

impl Watched {
    /// Of a text. One pass of the lexer; allocates nothing.
    pub(crate) fn of(text: &str) -> Self {
        let mut watched = Self::default();
        if text.len() > TEXT_BYTES_MAX {
            return watched;
        }
        let mut patterns = watched.patterns.iter_mut();
        for found in scan(text) {
            match found.what {
                What::Offset(token) => watched.offset = offset(text, token),
                What::Like => {
                    if let Some(place) = patterns.next() {
                        *place = pattern(text, found.behind);
                    }
                }
            }
        }
        watched
    }

    /// Whether no parameter has to be looked at.
    pub fn needs_no_parameters(&self) -> bool {
        let is_parameter = |pattern: &Pattern| matches!(pattern, Pattern::Parameter(_));
        !matches!(self.offset, Offset::Parameter(_)) && !self.patterns.iter().any(is_parameter)
    }

    /// What the values of an execution tell. `parameter` gives the one of a number, counted from 1, unless it is NULL or not there.
    pub fn values<'a>(&self, parameter: impl Fn(u8) -> Option<WatchedParameter<'a>>) -> Values {
        let offset = match self.offset {
            Offset::Unknown => None,
            Offset::Value(value) => Some(u64::from(value)),
            Offset::Parameter(number) => parameter(number).and_then(|one| one.count()),
        };
        let mut leading = 0;
        for (index, pattern) in self.patterns.iter().enumerate() {
            let leads = match pattern {
                Pattern::Unknown | Pattern::Anchored => false,
                Pattern::Leading => true,
                Pattern::Parameter(number) => parameter(*number)
                    .is_some_and(|one| matches!(one.bytes.first(), Some(b'%' | b'_'))),
            };
            leading |= u8::from(leads) << index;
        }
        Values { offset, leading }
    }
}

impl WatchedParameter<'_> {
    /// As a number of rows. A negative one is refused by the server.
    fn count(&self) -> Option<u64> {
        if !self.is_binary {
            return std::str::from_utf8(self.bytes).ok()?.trim().parse().ok();
        }
        let number = match *self.bytes {
            [a, b] => i64::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_be_bytes([a, b, c, d])),
            _ => i64::from_be_bytes(self.bytes.try_into().ok()?),
        };
        u64::try_from(number).ok()
    }
}

/// Whether executions of a shape have values that are looked at.
pub(crate) fn is_watched(shape_text: &str) -> bool {
    Watched::of(shape_text) != Watched::default()
}

/// A place in a text behind which such a value stands.
#[derive(Clone)]
pub(crate) struct Found<'t> {
    /// Where the LIKE or its operator begins.
    pub(crate) position: usize,
    what: What,
    /// What follows.
    behind: Lexer<'t>,
}

#[derive(Clone, Copy)]
enum What {
    Like,
    Offset(Token),
}

/// All LIKEs of a text, in order: also NOT LIKE, ILIKE and their operators.
pub(crate) fn likes(text: &str) -> impl Iterator<Item = Found<'_>> {
    scan(text).filter(|found| matches!(found.what, What::Like))
}

fn scan(text: &str) -> impl Iterator<Item = Found<'_>> {
    let mut lexer = Lexer::new(text);
    let mut depth = 0_usize;
    let mut is_name = false;
    std::iter::from_fn(move || {
        loop {
            let token = lexer.next()?.ok()?;
            // `t.offset` and `AS offset` are names.
            let was_name = std::mem::replace(&mut is_name, token.kind == TokenKind::Dot);
            let written = lexer.text(token);
            let what = match token.kind {
                TokenKind::Open => {
                    depth += 1;
                    None
                }
                TokenKind::Close => {
                    depth = depth.saturating_sub(1);
                    None
                }
                TokenKind::Operator if matches!(written, b"~~" | b"~~*" | b"!~~" | b"!~~*") => {
                    Some(What::Like)
                }
                TokenKind::Word if was_name => None,
                TokenKind::Word if is_one_of(written, &["like", "ilike"]) => Some(What::Like),
                TokenKind::Word if is_one_of(written, &["as"]) => {
                    is_name = true;
                    None
                }
                TokenKind::Word if depth == 0 && is_one_of(written, &["offset"]) => {
                    let next = lexer.clone().next().and_then(Result::ok);
                    next.map(What::Offset)
                }
                _ => None,
            };
            if let Some(what) = what {
                return Some(Found {
                    position: token.start,
                    what,
                    behind: lexer.clone(),
                });
            }
        }
    })
}

fn is_one_of(word: &[u8], words: &[&str]) -> bool {
    words
        .iter()
        .any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

fn offset(text: &str, token: Token) -> Offset {
    let written = &text[token.start..token.end];
    match token.kind {
        TokenKind::Param => match parameter(written) {
            Some(number) => Offset::Parameter(number),
            None => Offset::Unknown,
        },
        TokenKind::Integer => written.parse().map_or(Offset::Unknown, Offset::Value),
        _ => Offset::Unknown,
    }
}

fn parameter(written: &str) -> Option<u8> {
    let number: u32 = written.strip_prefix('$')?.parse().ok()?;
    u8::try_from(number.min(PARAMETER_MAX + 1))
        .ok()
        .filter(|number| *number > 0)
}

/// What a pattern begins with: the first value behind a LIKE, within parentheses and what puts texts together.
fn pattern(text: &str, lexer: Lexer<'_>) -> Pattern {
    for token in lexer.map_while(Result::ok) {
        let written = &text[token.start..token.end];
        return match token.kind {
            TokenKind::Open => continue,
            TokenKind::Word
                if is_one_of(written.as_bytes(), &["concat", "lower", "upper", "cast"]) =>
            {
                continue;
            }
            TokenKind::Param => parameter(written).map_or(Pattern::Unknown, Pattern::Parameter),
            TokenKind::String | TokenKind::NationalString => {
                let begins = written.trim_start_matches(['e', 'E', 'n', 'N']);
                match begins
                    .strip_prefix('\'')
                    .and_then(|rest| rest.chars().next())
                {
                    Some('%' | '_') => Pattern::Leading,
                    _ => Pattern::Anchored,
                }
            }
            _ => Pattern::Unknown,
        };
    }
    Pattern::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an execution with these parameters, as text, tells.
    #[track_caller]
    fn check(text: &str, parameters: &[&str], offset: Option<u64>, leading: u8) {
        let parameter = |number: u8| {
            let value = parameters.get(usize::from(number) - 1)?;
            Some(WatchedParameter {
                bytes: value.as_bytes(),
                is_binary: false,
            })
        };
        let values = Watched::of(text).values(parameter);
        assert_eq!(values, Values { offset, leading }, "{text}");
    }

    #[test]
    fn offsets_are_read_wherever_they_stand() {
        check("SELECT a FROM t LIMIT 10 OFFSET 20", &[], Some(20), 0);
        check(
            "select a from t offset $2 limit $1",
            &["10", "30"],
            Some(30),
            0,
        );
        check(
            "SELECT a FROM t OFFSET $1 ROWS FETCH NEXT 5 ROWS ONLY",
            &["7"],
            Some(7),
            0,
        );
        for (text, parameters) in [
            ("SELECT a FROM t LIMIT 10", &[][..]),
            ("SELECT a FROM (SELECT a FROM t OFFSET 20) x", &[]),
            ("SELECT t.offset FROM t", &[]),
            ("SELECT a AS offset, 20 FROM t", &[]),
            ("SELECT a FROM t OFFSET $1", &["-1"]),
            ("SELECT a FROM t OFFSET $1", &["x"]),
            ("SELECT a FROM t OFFSET $300", &["1"]),
            ("SELECT a FROM t OFFSET b", &[]),
        ] {
            check(text, parameters, None, 0);
        }
    }

    #[test]
    fn numbers_in_binary_are_read_by_their_length() {
        let watched = Watched::of("SELECT a FROM t OFFSET $1");
        for (bytes, expected) in [
            (&[0, 9][..], Some(9)),
            (&[0, 0, 1, 0], Some(256)),
            (&[0, 0, 0, 0, 0, 1, 0, 0], Some(65_536)),
            (&[255; 8], None),
            (&[1, 2, 3], None),
        ] {
            let parameter = |_| {
                Some(WatchedParameter {
                    bytes,
                    is_binary: true,
                })
            };
            assert_eq!(watched.values(parameter).offset, expected, "{bytes:?}");
        }
        assert_eq!(watched.values(|_| None).offset, None);
    }

    #[test]
    fn patterns_are_known_by_their_first_character() {
        for (text, parameters, leading) in [
            ("SELECT FROM t WHERE a LIKE '%x'", &[][..], 1),
            ("SELECT FROM t WHERE a LIKE '_x'", &[], 1),
            ("SELECT FROM t WHERE a LIKE 'x%'", &[], 0),
            ("SELECT FROM t WHERE a LIKE ''", &[], 0),
            ("SELECT FROM t WHERE a ILIKE $1", &["%x%"], 1),
            ("SELECT FROM t WHERE a ILIKE $1", &["x%"], 0),
            ("SELECT FROM t WHERE a NOT ILIKE ($2)", &["", "%"], 1),
            ("SELECT FROM t WHERE a ~~* E'%x'", &[], 1),
            ("SELECT FROM t WHERE a LIKE '%' || $1 || '%'", &["x"], 1),
            ("SELECT FROM t WHERE a LIKE $1 || '%'", &["x"], 0),
            (
                "SELECT FROM t WHERE a LIKE lower(concat('%', $1))",
                &["x"],
                1,
            ),
            ("SELECT FROM t WHERE a LIKE b", &[], 0),
            ("SELECT FROM t WHERE a LIKE ANY ($1)", &["{%x}"], 0),
            (
                "SELECT FROM t WHERE a LIKE $1 OR b LIKE $2 OR c LIKE '%'",
                &["x", "%"],
                6,
            ),
            ("SELECT FROM t WHERE t.like = '%'", &[], 0),
        ] {
            check(text, parameters, None, leading);
        }
    }

    #[test]
    fn a_shape_is_watched_whatever_its_values_are() {
        for (text, expected) in [
            ("SELECT a FROM t LIMIT $1 OFFSET $2", true),
            ("SELECT a FROM t WHERE b LIKE $1", true),
            ("SELECT a FROM t LIMIT $1", false),
            ("SELECT a FROM t WHERE b LIKE c", false),
        ] {
            assert_eq!(is_watched(text), expected, "{text}");
        }
    }
}
