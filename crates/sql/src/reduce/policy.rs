//! What a literal is: guessed from neighbouring tokens, or told by the parse tree.

use std::ops::Range;

use crate::lexer::{Token, TokenKind, is_space};

/// Decides which tokens a form leaves out.
pub(crate) trait Policy {
    /// True when only statements that begin with a known word are reduced, and classes of literals are kept apart.
    const GUESSES: bool;

    /// What to write for a literal or parameter.
    fn literal(&mut self, literal: Literal) -> Fold;

    /// Whether `TRUE`, `FALSE` or `NULL` is left out.
    fn constant_word(&mut self, place: usize) -> bool;

    /// Whether an element that is one constant, at this place, is written without its class.
    fn generalised(&mut self, place: usize) -> bool;

    /// Whether a name is left out.
    fn is_masked(&self, name: &str, place: usize) -> bool;
}

/// A literal or parameter as a [`Policy`] sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Literal {
    pub(crate) kind: TokenKind,
    /// Where the parse tree would place it.
    pub(crate) place: usize,
    /// Its value may be part of the statement's structure.
    pub(crate) structural: bool,
    /// Where the first and the last of the minus signs right before it are.
    pub(crate) minus: Option<(usize, usize)>,
}

impl Literal {
    pub(crate) fn new(token: Token, structural: bool, minus: Option<(usize, usize)>) -> Literal {
        // The tree places a national string behind its prefix.
        let prefix = usize::from(token.kind == TokenKind::NationalString);
        Literal {
            kind: token.kind,
            place: token.start + prefix,
            structural,
            minus,
        }
    }
}

/// What to write for a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Itself.
    Keep,
    /// The placeholder of its class.
    Class,
    /// The placeholder for anything.
    Any,
    /// The same, in the place of the minus sign before it, too.
    AnyFromLastMinus,
    /// The same, in the place of all minus signs before it, too.
    AnyFromFirstMinus,
}

/// Looks at neighbouring tokens only.
#[derive(Debug)]
pub(crate) struct Guess;

impl Policy for Guess {
    const GUESSES: bool = true;

    #[inline]
    fn literal(&mut self, literal: Literal) -> Fold {
        if literal.structural {
            Fold::Keep
        } else {
            Fold::Class
        }
    }

    #[inline]
    fn constant_word(&mut self, _: usize) -> bool {
        false
    }

    #[inline]
    fn generalised(&mut self, _: usize) -> bool {
        true
    }

    #[inline]
    fn is_masked(&self, _: &str, _: usize) -> bool {
        false
    }
}

/// The same, and notes what was left out, to be compared with the parse tree.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    marks: Vec<Mark>,
}

/// A literal that a guess left out: the tree must hold a constant at one of these places.
#[derive(Clone, Copy, Debug)]
struct Mark {
    place: usize,
    minus: Option<(usize, usize)>,
}

impl Recording {
    /// True when all that was left out is a constant in the tree. `constants` are its places there, sorted.
    pub(crate) fn is_confirmed_by(&self, constants: &[usize]) -> bool {
        let holds = |place: usize| constants.binary_search(&place).is_ok();
        self.marks.iter().all(|mark| {
            holds(mark.place)
                || mark
                    .minus
                    .is_some_and(|(first, last)| holds(first) || holds(last))
        })
    }
}

impl Policy for Recording {
    const GUESSES: bool = true;

    fn literal(&mut self, literal: Literal) -> Fold {
        let fold = Guess.literal(literal);
        // The grammar takes a parameter in no other place than that of an expression.
        if fold != Fold::Keep && literal.kind != TokenKind::Param {
            self.marks.push(Mark {
                place: literal.place,
                minus: literal.minus,
            });
        }
        fold
    }

    fn constant_word(&mut self, place: usize) -> bool {
        Guess.constant_word(place)
    }

    fn generalised(&mut self, place: usize) -> bool {
        self.marks.push(Mark { place, minus: None });
        true
    }

    fn is_masked(&self, name: &str, place: usize) -> bool {
        Guess.is_masked(name, place)
    }
}

/// Knows the parse tree.
#[derive(Debug)]
pub(crate) struct Exact<'a> {
    pub(crate) text: &'a str,
    /// Where the tree's constants are, sorted.
    pub(crate) constants: &'a [usize],
    /// Statements whose tree says nothing of constants, in the order of the text.
    pub(crate) utilities: &'a [Utility],
}

/// A statement that is no query, and what its shape leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Utility {
    /// Where in the text it is.
    pub(crate) range: Range<usize>,
    /// Whether numbers are left out; strings, which may hold secrets, always are.
    pub(crate) numbers: bool,
    /// A name made up by the client, such as a cursor's.
    pub(crate) name: Option<Box<str>>,
}

impl Exact<'_> {
    fn utility(&self, place: usize) -> Option<&Utility> {
        let index = self
            .utilities
            .partition_point(|utility| utility.range.end <= place);
        self.utilities
            .get(index)
            .filter(|utility| utility.range.contains(&place))
    }

    fn is_constant(&self, place: usize) -> bool {
        self.constants.binary_search(&place).is_ok()
    }

    /// `-(5)` is one constant to the tree, placed at its sign.
    fn is_negated(&self, place: usize) -> bool {
        let before = self
            .constants
            .partition_point(|constant| *constant < place)
            .checked_sub(1);
        let Some(sign) = before.map(|index| self.constants[index]) else {
            return false;
        };
        let between = self.text.get(sign..place).unwrap_or_default();
        between.starts_with('-')
            && between
                .bytes()
                .all(|byte| matches!(byte, b'-' | b'(') || is_space(byte))
    }
}

impl Policy for Exact<'_> {
    const GUESSES: bool = false;

    fn literal(&mut self, literal: Literal) -> Fold {
        if literal.kind == TokenKind::Param || self.is_constant(literal.place) {
            return Fold::Any;
        }
        if let Some(utility) = self.utility(literal.place) {
            let keep = literal.kind.is_number() && !utility.numbers;
            return if keep { Fold::Keep } else { Fold::Any };
        }
        match literal.minus {
            Some((_, last)) if self.is_constant(last) => Fold::AnyFromLastMinus,
            Some((first, _)) if self.is_constant(first) => Fold::AnyFromFirstMinus,
            _ if self.is_negated(literal.place) => Fold::Any,
            _ => Fold::Keep,
        }
    }

    fn constant_word(&mut self, place: usize) -> bool {
        self.is_constant(place)
    }

    fn generalised(&mut self, _: usize) -> bool {
        false
    }

    fn is_masked(&self, name: &str, place: usize) -> bool {
        !self.utilities.is_empty()
            && self
                .utility(place)
                .and_then(|utility| utility.name.as_deref())
                .is_some_and(|masked| {
                    match name
                        .strip_prefix('"')
                        .and_then(|name| name.strip_suffix('"'))
                    {
                        Some(quoted) => quoted.replace("\"\"", "\"") == masked,
                        None => name.eq_ignore_ascii_case(masked),
                    }
                })
    }
}
