//! Texts that differ from one seen before in a single integer: the commonest of those with values in them, found again without
//! lexing.
//!
//! A text of which the lexer has said that its first digits are an integer, the only literal in it, is remembered as what
//! stands before and behind these digits. Any other text with the same before and behind, and one to nine digits between
//! them, has the same tokens: the lexer comes to the digits in the same state, nothing behind them can be part of the number, and
//! goes on in the same state. So it has the same shape.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use quick_cache::DefaultHashBuilder;

use crate::shape::Shape;

/// Templates that are remembered. One that comes takes the place of another with the same hash.
const SLOTS: usize = 256;
/// Longer texts are not worth comparing, nor keeping.
const TEXT_BYTES_MAX: usize = 1024;
/// Up to so many digits an integer is surely what the grammar calls `ICONST`.
const DIGITS_MAX: usize = 9;

/// The templates of one table of statements.
#[derive(Debug)]
pub(crate) struct Templates {
    slots: Box<[Mutex<Option<Template>>]>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Template {
    before: Box<[u8]>,
    behind: Box<[u8]>,
    shape: Arc<Shape>,
}

impl Default for Templates {
    fn default() -> Templates {
        Templates {
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Templates {
    /// The shape of a text, and where its integer is. Somebody who looks at the same place at the same time is not waited for.
    pub(crate) fn find(&self, text: &str) -> Option<(Arc<Shape>, Range<usize>)> {
        let text = text.as_bytes();
        let integer = first_digits(text)?;
        let slot = match self.slot(&text[..integer.start]).try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let template = slot.as_ref()?;
        let is_same =
            *template.before == text[..integer.start] && *template.behind == text[integer.end..];
        is_same.then(|| (Arc::clone(&template.shape), integer))
    }

    /// Remembers a text whose only literal, constant words included, is the integer at this place.
    pub(crate) fn remember(&self, text: &str, integer: Range<usize>, shape: &Arc<Shape>) {
        let text = text.as_bytes();
        if text.len() > TEXT_BYTES_MAX || first_digits(text) != Some(integer.clone()) {
            return;
        }
        let (before, behind) = (&text[..integer.start], &text[integer.end..]);
        *self
            .slot(before)
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(Template {
            before: before.into(),
            behind: behind.into(),
            shape: Arc::clone(shape),
        });
    }

    fn slot(&self, before: &[u8]) -> &Mutex<Option<Template>> {
        &self.slots[self.hasher.hash_one(before) as usize % SLOTS]
    }
}

/// Where the first digits of a text are, if there are few and nothing behind them could belong to a number.
fn first_digits(text: &[u8]) -> Option<Range<usize>> {
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    let start = text.iter().position(u8::is_ascii_digit)?;
    let digits = text[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let end = start + digits;
    let ends = matches!(
        text.get(end),
        None | Some(b' ' | b'\n' | b')' | b',' | b';')
    );
    (digits <= DIGITS_MAX && ends).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Statements, Understanding};

    /// `#` stands for the number. What the templates say must be what a table says that has never seen the like.
    fn check(pattern: &str) {
        let statements = Statements::new(Limits::default());
        let numbers = [
            "7",
            "1",
            "0",
            "007",
            "4711",
            "123456789",
            "1234567890",
            "0x10",
            "0b1",
            "1.5",
            "1.",
            "1e3",
            "1_000",
            "12ab",
            "'7'",
            "-7",
            "$1",
            "true",
            "7 7",
            "7, 8",
        ];
        for number in numbers {
            let text = pattern.replace('#', number);
            let first = statements.learn(&text);
            let second = statements.learn(&text);
            let alone = Statements::new(Limits::default()).learn(&text);
            for found in [first, second] {
                assert_eq!(found.literals, alone.literals, "{text}");
                assert_eq!(found.shape.text, alone.shape.text, "{text}");
                assert_eq!(found.shape.kind, alone.shape.kind, "{text}");
            }
        }
    }

    #[test]
    fn a_template_says_what_the_lexer_would() {
        let patterns = [
            "SELECT abalance FROM pgbench_accounts WHERE aid = #;",
            "SELECT a FROM t WHERE b = #",
            "SELECT a FROM t WHERE b =# AND c = 'x'",
            "SELECT a FROM t WHERE b IN (#, 3)",
            "SELECT a FROM t WHERE b IN (#)",
            "SELECT a FROM t1 WHERE b = #",
            "SELECT a FROM t WHERE b = - #",
            "SELECT a FROM t WHERE b = - # AND c IS NULL",
            "SELECT a FROM t ORDER BY #",
            "SELECT a::varchar(#) FROM t",
            "SELECT a FROM t WHERE b = $2 AND c = #",
            "SELECT a FROM t WHERE b = # AND c = $2",
            "SELECT a FROM t LIMIT #",
            "INSERT INTO t VALUES (#)",
            "INSERT INTO t VALUES (#), (2)",
            "SELECT a# FROM t",
            "SELECT '#' FROM t",
            "SELECT \"#\" FROM t",
            "SELECT a FROM t -- #\n",
            "SELECT a FROM t /* # */ WHERE b = 5",
            "SELECT $# FROM t",
            "SELECT $a$ # $a$",
            "SELECT .# FROM t",
            "SELECT a FROM t WHERE b = #\n AND c",
            "SET work_mem = #",
        ];
        patterns.into_iter().for_each(check);
    }

    #[test]
    fn only_texts_with_one_integer_are_remembered() {
        let templates = |text: &str| {
            let statements = Statements::new(Limits::default());
            statements.learn(text);
            assert!(matches!(
                statements.understand(text),
                Understanding::Known(_)
            ));
            statements.has_template(text)
        };
        assert!(templates("SELECT a FROM t WHERE b = 5"));
        assert!(templates("SELECT a FROM t WHERE b = 5 AND c = $1;"));
        assert!(!templates("SELECT a FROM t WHERE b = 5 AND c = 6"));
        assert!(!templates("SELECT a FROM t WHERE b = 5 AND c = true"));
        assert!(!templates("SELECT a FROM t WHERE b = 5 AND c = 'x'"));
        assert!(!templates("SELECT a FROM t ORDER BY 1"));
        assert!(!templates("SELECT a FROM t WHERE b = 1234567890"));
        assert!(!templates("SELECT a FROM t1 WHERE b = 5"));
    }
}
