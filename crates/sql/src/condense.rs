//! A huge text made short enough to be parsed: what is left means the same but for its values.
//!
//! A parse tree takes some kilobytes for each token, so that one `INSERT` of 16 MiB would take ten gigabytes. Of long lists
//! of constants the first elements are kept, of long strings nothing, of comments and white space one space. A text that is
//! still long after that is not understood: it can be anything.

use crate::lexer::{Broken, Lexer, Token, TokenKind};

/// A tree of so many tokens takes some 40 MiB; measured with `tests/memory.rs`.
const TOKENS_MAX: usize = 32 * 1024;
const BYTES_MAX: usize = 1024 * 1024;
/// Elements of a list that are kept, so that no function loses an argument that means something.
const ELEMENTS_KEPT: usize = 128;
/// A longer string is a value, not a name.
const STRING_BYTES_MAX: usize = 1024;
/// Stands for a longer string.
const STRING: &str = "'…'";
/// The same, where it is taken for a name.
pub(crate) const STRING_NAME: &str = "…";

/// The text in short. `None`: it stays too long, or is no SQL at all.
pub(crate) fn condense(text: &str) -> Option<String> {
    Condenser {
        text,
        lexer: Lexer::new(text),
        short: String::new(),
        tokens: 0,
        elements: 0,
    }
    .run()
}

struct Condenser<'t> {
    text: &'t str,
    lexer: Lexer<'t>,
    short: String,
    tokens: usize,
    /// Constant elements of the current list that came without anything else in between.
    elements: usize,
}

impl Condenser<'_> {
    fn run(mut self) -> Option<String> {
        while let Some(token) = self.lexer.next() {
            let token = token.ok()?;
            let behind = match token.kind {
                TokenKind::Comma => behind_element(&self.lexer).ok()?,
                _ => None,
            };
            let Some(behind) = behind else {
                self.elements = 0;
                self.keep(token)?;
                continue;
            };
            self.elements += 1;
            if self.elements <= ELEMENTS_KEPT {
                self.keep(token)?;
                while self.lexer.position() < behind.position() {
                    let token = self.lexer.next()?.ok()?;
                    self.keep(token)?;
                }
            }
            self.lexer = behind;
        }
        Some(self.short)
    }

    /// `None` when that is too much.
    fn keep(&mut self, token: Token) -> Option<()> {
        let words = &self.text[token.start..token.end];
        let is_value = token.kind == TokenKind::String && words.len() > STRING_BYTES_MAX;
        self.short.push_str(if is_value { STRING } else { words });
        self.short.push(' ');
        self.tokens += 1;
        (self.tokens <= TOKENS_MAX && self.short.len() <= BYTES_MAX).then_some(())
    }
}

/// Behind a comma: where the next element ends, if it is a constant, or constants in parentheses, and the list goes on or
/// ends there.
fn behind_element<'t>(lexer: &Lexer<'t>) -> Result<Option<Lexer<'t>>, Broken> {
    let mut ahead = lexer.clone();
    let Some(first) = next(&mut ahead)? else {
        return Ok(None);
    };
    let is_constant = match first.kind {
        TokenKind::Open => is_tuple(&mut ahead)?,
        _ => is_constant(first, &mut ahead)?,
    };
    if is_constant {
        skip_casts(&mut ahead)?;
    }
    let end = ahead.clone();
    let is_whole = next(&mut ahead)?.is_none_or(|token| {
        use TokenKind::{Close, CloseBracket, Comma, Semicolon};
        matches!(token.kind, Comma | Close | CloseBracket | Semicolon)
    });
    Ok((is_constant && is_whole).then_some(end))
}

/// Behind the parenthesis: whether there are constants up to its end.
fn is_tuple(ahead: &mut Lexer<'_>) -> Result<bool, Broken> {
    loop {
        let Some(token) = next(ahead)? else {
            return Ok(false);
        };
        if !is_constant(token, ahead)? {
            return Ok(false);
        }
        skip_casts(ahead)?;
        match next(ahead)?.map(|token| token.kind) {
            Some(TokenKind::Comma) => {}
            Some(TokenKind::Close) => return Ok(true),
            _ => return Ok(false),
        }
    }
}

fn is_constant(token: Token, ahead: &mut Lexer<'_>) -> Result<bool, Broken> {
    let text = ahead.text(token);
    if token.kind == TokenKind::Operator && matches!(text, b"-" | b"+") {
        return Ok(next(ahead)?.is_some_and(|token| token.kind.is_number()));
    }
    let words: [&[u8]; 4] = [b"null", b"true", b"false", b"default"];
    Ok(match token.kind {
        TokenKind::Word => words.iter().any(|word| text.eq_ignore_ascii_case(word)),
        // What follows belongs to it.
        TokenKind::UnicodeString => false,
        TokenKind::Param => true,
        kind => kind.is_literal(),
    })
}

/// Behind a constant: moves past `::type`.
fn skip_casts(ahead: &mut Lexer<'_>) -> Result<(), Broken> {
    loop {
        let mut cast = ahead.clone();
        let is_cast = next(&mut cast)?.is_some_and(|token| token.kind == TokenKind::Cast);
        let is_type =
            is_cast && next(&mut cast)?.is_some_and(|token| token.kind == TokenKind::Word);
        if !is_type {
            return Ok(());
        }
        *ahead = cast;
    }
}

fn next(lexer: &mut Lexer<'_>) -> Result<Option<Token>, Broken> {
    lexer.next().transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements of a long list, one of them.
    fn list(element: &str, count: usize) -> String {
        vec![element; count].join(", ")
    }

    #[test]
    fn long_lists_of_constants_are_cut_and_others_are_not() {
        for (before, element, behind, is_cut) in [
            (
                "INSERT INTO t VALUES",
                "( 1 , 'a' , NULL , - 5 , $3 )",
                "",
                true,
            ),
            ("INSERT INTO t VALUES", "( 1 )", "RETURNING a", true),
            ("SELECT a FROM t WHERE b IN (", "7", ") AND c", true),
            ("SELECT ARRAY [", "TRUE", "]", true),
            ("SELECT a IN (", "1 + 1", ")", false),
            ("SELECT a IN (", "f ( 1 )", ")", false),
            ("SELECT a IN (", "b", ")", false),
            ("SELECT", "'x' AS a", "", false),
            ("SELECT a IN (", "'x' :: date", ")", true),
            (
                "INSERT INTO t VALUES",
                "( $1 :: int :: text , 'a' :: date )",
                "",
                true,
            ),
            ("SELECT a IN (", "'x' :: varchar ( 3 )", ")", false),
            ("SELECT a IN (", "'x' :: s . t", ")", false),
            ("INSERT INTO t VALUES", "( 1 , ( SELECT 2 ) )", ";", false),
            ("INSERT INTO t VALUES", "( 1 , now ( ) )", ";", false),
        ] {
            let text = format!("{before} {} {behind}", list(element, 1000));
            let short = condense(&text).unwrap();
            // The first does not stand behind a comma, and what follows the last may belong to it.
            let count = match (is_cut, behind) {
                (false, _) => 1000,
                (true, "RETURNING a") => ELEMENTS_KEPT + 2,
                (true, _) => ELEMENTS_KEPT + 1,
            };
            let expected = format!("{before} {} {behind}", list(element, count));
            let plain = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(plain(&short), plain(&expected));
        }
    }

    #[test]
    fn values_are_left_out_and_names_are_not() {
        let long = "x".repeat(STRING_BYTES_MAX);
        for (text, expected) in [
            (
                format!("SELECT '{long}' /* {long} */"),
                "SELECT '…' ".into(),
            ),
            (format!("SELECT $a${long}$a$ , 1"), "SELECT '…' , 1 ".into()),
            (format!("SELECT \"{long}\""), format!("SELECT \"{long}\" ")),
            ("SET a = 'b' -- c".into(), "SET a = 'b' ".into()),
            ("SELECT 1 - -1 - - 1".into(), "SELECT 1 - - 1 - - 1 ".into()),
        ] {
            assert_eq!(condense(&text).as_deref(), Some(&*expected), "{text}");
        }
    }

    #[test]
    fn what_stays_long_or_is_broken_has_no_short_form() {
        let long = list("a", TOKENS_MAX);
        let name = "a".repeat(BYTES_MAX);
        for text in [
            &*format!("SELECT {long}"),
            &*format!("SELECT {name}"),
            "SELECT 'a",
        ] {
            assert!(condense(text).is_none());
        }
    }
}
