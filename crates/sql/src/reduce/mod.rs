//! Reduces a text to a literal-free form in one pass, without parsing.
//!
//! A form is the text's tokens, separated by single spaces: words in lower case, one placeholder byte for each literal, and
//! lists (`IN (…)`, `ARRAY[…]`, the rows of `VALUES`) with adjacent elements of equal form written once. There are two ways
//! to say what a literal is, each a [`Policy`]:
//!
//! * [`Guess`] looks at neighbouring tokens only. Its result, the *skeleton*, is the key under which a shape is found again
//!   without parsing. Where a literal may be part of the statement's structure (`ORDER BY 1`, `varchar(10)`) it is left in
//!   place, and where that cannot be told the text is not reduced at all.
//! * [`Exact`] is told by the parse tree. Its result is the shape's own form, from which the text for people is made.
//!
//! What makes the guess safe is that it is checked: [`Recording`] notes every literal that it took out, and a
//! skeleton is only ever used as a key when the parse tree of the first text that had it holds a constant at each of these
//! places. Another text with the same skeleton has the same tokens up to values, and so the same tree up to values.

mod literals;
mod policy;
mod words;

use std::ops::Range;

use literals::LiteralHash;
pub(crate) use literals::{hash_literal, hash_literals};
pub(crate) use policy::{Exact, Guess, Policy, Recording, Utility};
use policy::{Fold, Literal};
use words::WordClass;

use crate::lexer::{Lexer, Token, TokenKind};

/// Stands for any constant or parameter. In an exact form it is written so that the form can be lexed again.
const ANY: &[u8] = b"\x0f";
const ANY_EXACT: &[u8] = b"$0";

/// Stands for a constant of one lexical class. The classes are kept apart because the grammar does so, too.
fn class_placeholder(kind: TokenKind) -> u8 {
    match kind {
        TokenKind::String => 0x01,
        TokenKind::Integer => INTEGER,
        TokenKind::Number => NUMBER,
        TokenKind::Param => 0x04,
        TokenKind::Bits => 0x05,
        TokenKind::Hex => 0x06,
        TokenKind::NationalString => 0x07,
        _ => 0x08,
    }
}

const INTEGER: u8 = 0x02;
const NUMBER: u8 = 0x03;
const PLACEHOLDER_MAX: u8 = 0x0f;

/// Deeper texts are not reduced; the parser has a limit of its own.
const DEPTH_MAX: usize = 128;

/// What is open at some depth of parentheses.
#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: FrameKind,
    /// Where in the form the current element begins.
    element: usize,
    /// The last element that was kept, in a `List`; the last row that was kept, after `VALUES`.
    kept: (usize, usize),
    /// `VALUES` was read at this depth, and since then only rows.
    in_values: bool,
    /// `BY` was read at this depth.
    in_by: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FrameKind {
    Plain,
    /// `IN (…)` or `ARRAY[…]`: equal neighbours are one.
    List,
    /// An element of a `List` in parentheses.
    Tuple,
    /// A row of `VALUES`; begins in the form at this place.
    Row(usize),
    /// `varchar(…)`: numbers in it stay.
    TypeModifier,
    /// `set_config(…)`: the name that it begins with stays.
    Setting,
}

impl Frame {
    fn new(kind: FrameKind, element: usize) -> Frame {
        Frame {
            kind,
            element,
            kept: (0, 0),
            in_values: false,
            in_by: false,
        }
    }
}

/// The token before the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Word(WordClass),
    Quoted,
    Comma,
    Open,
    Cast,
    Dot,
    Minus,
    Else,
}

/// A text's form and the hash of its literals. Memory is kept from one reduction to the next.
#[derive(Debug, Default)]
pub(crate) struct Reducer {
    form: Vec<u8>,
    frames: Vec<Frame>,
    only: Only,
}

/// Whether there is one literal only.
#[derive(Clone, Debug, Default)]
enum Only {
    #[default]
    None,
    /// An integer that is not written to the form: here.
    Integer(Range<usize>),
    Else,
}

/// Why there is no form: the text is to be known by its full text only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Irreducible;

impl Reducer {
    /// Bytes of memory in use.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.form.capacity() + self.frames.capacity() * size_of::<Frame>()
    }

    /// Where the integer is that was the only literal of the last text, constant words included, and is not in its form.
    pub(crate) fn only_integer(&self) -> Option<Range<usize>> {
        match &self.only {
            Only::Integer(place) => Some(place.clone()),
            Only::None | Only::Else => None,
        }
    }

    /// Reduces `text` to a form of at most `bytes_max` bytes. Gives the form, and a hash of the literals (0 without any).
    pub(crate) fn reduce<P: Policy>(
        &mut self,
        text: &str,
        policy: &mut P,
        bytes_max: usize,
    ) -> Result<(&[u8], u64), Irreducible> {
        self.form.clear();
        self.frames.clear();
        self.frames.push(Frame::new(FrameKind::Plain, 0));
        let mut pass = Pass {
            text,
            form: &mut self.form,
            frames: &mut self.frames,
            policy,
            before: Before::Nothing,
            in_type: false,
            semicolon: false,
            last: 0,
            before_last: 0,
            minus: None,
            literals: LiteralHash::default(),
            only: Only::None,
        };
        for token in Lexer::new(text) {
            let token = token.map_err(|_| Irreducible)?;
            // Neither does a huge name make the buffer huge, which is kept.
            if token.end - token.start > bytes_max && !token.kind.is_literal() {
                return Err(Irreducible);
            }
            pass.token(token)?;
            if pass.form.len() > bytes_max {
                return Err(Irreducible);
            }
        }
        let literals = pass.literals.finish();
        self.only = pass.only;
        if self.frames.len() != 1 || P::GUESSES && self.form.is_empty() {
            return Err(Irreducible);
        }
        Ok((&self.form, literals))
    }
}

/// One reduction under way.
struct Pass<'a, P> {
    text: &'a str,
    form: &'a mut Vec<u8>,
    frames: &'a mut Vec<Frame>,
    policy: &'a mut P,
    before: Before,
    /// In the name of a type: after `::`, `AS` or `RETURNING`.
    in_type: bool,
    /// A semicolon was read and is written only when something follows.
    semicolon: bool,
    /// Where in the text the token before begins, and the one before that.
    last: usize,
    before_last: usize,
    /// The run of minus signs that ends before the current token.
    minus: Option<Minus>,
    literals: LiteralHash,
    only: Only,
}

/// A run of minus signs.
#[derive(Clone, Copy)]
struct Minus {
    /// Where in the text the first and the last of them are.
    first: usize,
    last: usize,
    /// Where in the form the first and the last of them begin.
    first_form: usize,
    last_form: usize,
}

impl<P: Policy> Pass<'_, P> {
    #[inline]
    fn token(&mut self, token: Token) -> Result<(), Irreducible> {
        if self.before == Before::Nothing && token.kind != TokenKind::Semicolon {
            self.begin_statement(token)?;
        }
        let in_values = std::mem::take(&mut self.top().in_values);
        let before = match token.kind {
            TokenKind::Word => self.word(token),
            TokenKind::Open => {
                self.open(in_values);
                Before::Open
            }
            TokenKind::OpenBracket => {
                self.open_bracket();
                Before::Open
            }
            TokenKind::Close | TokenKind::CloseBracket => {
                self.close(token)?;
                Before::Else
            }
            TokenKind::Comma => {
                self.end_element();
                self.write(token);
                let element = self.form.len();
                let top = self.top();
                top.element = element;
                top.in_values = in_values;
                Before::Comma
            }
            TokenKind::Semicolon => {
                if self.frames.len() > 1 {
                    return Err(Irreducible);
                }
                self.semicolon = !self.form.is_empty();
                Before::Nothing
            }
            kind if kind.is_literal() || kind == TokenKind::Param => {
                self.literal(token);
                Before::Else
            }
            kind => self.punctuation(token, kind),
        };
        self.in_type &= matches!(
            before,
            Before::Word(_) | Before::Quoted | Before::Dot | Before::Cast
        );
        if before != Before::Minus {
            self.minus = None;
        }
        self.before = before;
        self.before_last = std::mem::replace(&mut self.last, token.start);
        Ok(())
    }

    fn begin_statement(&mut self, token: Token) -> Result<(), Irreducible> {
        if std::mem::take(&mut self.semicolon) {
            self.form.extend_from_slice(b" ;");
        }
        let word = &self.text[token.start..token.end];
        if P::GUESSES && token.kind != TokenKind::Open && !words::is_reducible(word) {
            return Err(Irreducible);
        }
        let element = self.form.len();
        *self.top() = Frame::new(FrameKind::Plain, element);
        Ok(())
    }

    fn top(&mut self) -> &mut Frame {
        let index = self.frames.len() - 1;
        &mut self.frames[index]
    }

    #[inline]
    fn write(&mut self, token: Token) {
        self.form.push(b' ');
        self.form
            .extend_from_slice(&self.text.as_bytes()[token.start..token.end]);
    }

    /// Writes the placeholder for anything over what the form has from `form` on.
    fn write_any(&mut self, form: usize) {
        self.form.truncate(form);
        self.form.push(b' ');
        self.form
            .extend_from_slice(if P::GUESSES { ANY } else { ANY_EXACT });
    }

    #[inline]
    fn word(&mut self, token: Token) -> Before {
        let start = self.form.len() + 1;
        self.write(token);
        self.form[start..].make_ascii_lowercase();
        let class = words::classify(&self.form[start..]);
        match class {
            WordClass::Constant => {
                self.literals.add(&self.form[start..]);
                self.only = Only::Else;
                if self.policy.constant_word(token.start) {
                    self.write_any(start - 1);
                }
            }
            WordClass::Plain | WordClass::In | WordClass::Array | WordClass::TypeWithModifier => {}
            WordClass::As | WordClass::NotAType | WordClass::SetConfig => {}
            WordClass::By => {
                let top = self.top();
                top.in_by = true;
                self.end_list();
            }
            WordClass::Values => {
                self.end_list();
                let top = self.top();
                top.in_values = true;
                top.kept = (0, 0);
            }
            WordClass::EndsList => self.end_list(),
        }
        self.in_type = match class {
            WordClass::As => true,
            WordClass::NotAType => false,
            _ => self.in_type && self.continues_type_name(),
        };
        if self
            .policy
            .is_masked(&self.text[token.start..token.end], token.start)
        {
            self.write_any(start - 1);
        }
        Before::Word(class)
    }

    fn continues_type_name(&self) -> bool {
        matches!(
            self.before,
            Before::Cast | Before::Dot | Before::Word(WordClass::As)
        )
    }

    /// A word that only a sub-query can hold: what looked like a list is none.
    fn end_list(&mut self) {
        let top = self.top();
        if top.kind == FrameKind::List {
            top.kind = FrameKind::Plain;
        }
    }

    #[inline]
    fn literal(&mut self, token: Token) {
        let bytes = &self.text.as_bytes()[token.start..token.end];
        if token.kind != TokenKind::Param {
            self.literals.add(bytes);
        }
        let top = *self.top();
        let is_name = top.kind == FrameKind::Setting && self.before == Before::Open;
        let structural = is_name && token.kind != TokenKind::Param
            || token.kind.is_number()
                && (top.kind == FrameKind::TypeModifier
                    || top.in_by
                        && matches!(self.before, Before::Word(WordClass::By) | Before::Comma));
        let minus = self.minus.map(|minus| (minus.first, minus.last));
        let form = self.form.len();
        let fold = self.policy.literal(Literal::new(token, structural, minus));
        if token.kind != TokenKind::Param {
            self.only = match self.only {
                Only::None if fold == Fold::Class && token.kind == TokenKind::Integer => {
                    Only::Integer(token.start..token.end)
                }
                _ => Only::Else,
            };
        }
        match fold {
            Fold::Keep => self.write(token),
            Fold::Class => self
                .form
                .extend_from_slice(&[b' ', class_placeholder(token.kind)]),
            Fold::Any => self.write_any(form),
            Fold::AnyFromLastMinus => {
                self.write_any(self.minus.map_or(form, |minus| minus.last_form))
            }
            Fold::AnyFromFirstMinus => {
                self.write_any(self.minus.map_or(form, |minus| minus.first_form));
            }
        }
    }

    fn punctuation(&mut self, token: Token, kind: TokenKind) -> Before {
        let form = self.form.len();
        self.write(token);
        match kind {
            TokenKind::Quoted => {
                self.in_type &= self.continues_type_name();
                if self
                    .policy
                    .is_masked(&self.text[token.start..token.end], token.start)
                {
                    self.write_any(form);
                }
                Before::Quoted
            }
            TokenKind::Dot => Before::Dot,
            TokenKind::Cast => {
                self.in_type = true;
                Before::Cast
            }
            TokenKind::Operator if &self.text[token.start..token.end] == "-" => {
                let (first, first_form) = self
                    .minus
                    .map_or((token.start, form), |minus| (minus.first, minus.first_form));
                self.minus = Some(Minus {
                    first,
                    last: token.start,
                    first_form,
                    last_form: form,
                });
                Before::Minus
            }
            _ => Before::Else,
        }
    }

    fn open(&mut self, in_values: bool) {
        let begin = self.form.len();
        let starts_element = self.top().kind == FrameKind::List
            && matches!(self.before, Before::Open | Before::Comma);
        let kind = match self.before {
            Before::Word(WordClass::In) => FrameKind::List,
            Before::Word(WordClass::TypeWithModifier) => FrameKind::TypeModifier,
            Before::Word(WordClass::SetConfig) => FrameKind::Setting,
            Before::Word(class) if self.in_type && class != WordClass::As => {
                FrameKind::TypeModifier
            }
            Before::Quoted if self.in_type => FrameKind::TypeModifier,
            Before::Word(WordClass::Values) | Before::Comma if in_values => FrameKind::Row(begin),
            _ if starts_element => FrameKind::Tuple,
            _ => FrameKind::Plain,
        };
        self.push(b'(', kind);
    }

    fn open_bracket(&mut self) {
        let is_list = self.before == Before::Word(WordClass::Array)
            || self.top().kind == FrameKind::List
                && matches!(self.before, Before::Open | Before::Comma);
        self.push(
            b'[',
            if is_list {
                FrameKind::List
            } else {
                FrameKind::Plain
            },
        );
    }

    fn push(&mut self, bracket: u8, kind: FrameKind) {
        self.form.extend_from_slice(&[b' ', bracket]);
        self.in_type = false;
        self.frames.push(Frame::new(kind, self.form.len()));
    }

    fn close(&mut self, token: Token) -> Result<(), Irreducible> {
        if self.frames.len() < 2 || P::GUESSES && self.frames.len() > DEPTH_MAX {
            return Err(Irreducible);
        }
        self.end_element();
        self.write(token);
        let Some(frame) = self.frames.pop() else {
            return Err(Irreducible);
        };
        if let FrameKind::Row(begin) = frame.kind {
            let end = self.form.len();
            let (kept_begin, kept_end) = self.top().kept;
            if kept_end > 0 && self.form[begin..end] == self.form[kept_begin..kept_end] {
                self.form.truncate(kept_end);
                // The comma before the row is gone, too.
                let top = self.top();
                top.element = top.element.min(kept_end);
            } else {
                self.top().kept = (begin, end);
            }
            self.top().in_values = true;
        }
        Ok(())
    }

    /// An element of a list or row has ended.
    fn end_element(&mut self) {
        let frame = *self.top();
        if matches!(
            frame.kind,
            FrameKind::Plain | FrameKind::TypeModifier | FrameKind::Setting
        ) {
            return;
        }
        if P::GUESSES {
            self.generalise(frame.element);
        }
        if frame.kind == FrameKind::List {
            let (kept_begin, kept_end) = frame.kept;
            let end = self.form.len();
            if kept_end > 0 && self.form[frame.element..end] == self.form[kept_begin..kept_end] {
                self.form.truncate(kept_end);
            } else {
                self.top().kept = (frame.element, end);
            }
        }
    }

    /// An element that is nothing but a constant, of whatever class, is written as [`ANY`]: so that rows which differ in
    /// where they hold `NULL`, or a negative number, have one form.
    fn generalise(&mut self, element: usize) {
        let is_any = match &self.form[element..] {
            [b' ', placeholder] => *placeholder <= PLACEHOLDER_MAX,
            [b' ', b'-', b' ', INTEGER | NUMBER] => self.policy.generalised(self.before_last),
            b" null" | b" true" | b" false" => self.policy.generalised(self.last),
            _ => false,
        };
        if is_any {
            self.write_any(element);
        }
    }
}

#[cfg(test)]
mod tests;
