//! Postgres's lexical rules (`scan.l`, `standard_conforming_strings = on`), as an iterator over tokens.
//!
//! It agrees with the server on where every token begins and ends; that is what makes it safe to take a comment off, or to
//! put something in a literal's place, without parsing. Texts that the server's own lexer would refuse end in [`Broken`].

use std::iter::FusedIterator;

use memchr::{memchr, memchr2, memmem};

/// The sort of a token, as fine as the users of this lexer need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An unquoted identifier or keyword.
    Word,
    /// A quoted identifier, `U&"…"` included.
    Quoted,
    /// `'…'`, `E'…'`, `$tag$…$tag$`.
    String,
    /// `U&'…'`, which a following `UESCAPE` belongs to.
    UnicodeString,
    /// `N'…'`.
    NationalString,
    /// `B'…'`.
    Bits,
    /// `X'…'`.
    Hex,
    /// An integer below 2^31, what the grammar calls `ICONST`.
    Integer,
    /// Every other number, `FCONST`.
    Number,
    /// `$1`.
    Param,
    /// An operator, also one character long.
    Operator,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `::`
    Cast,
    /// `:`, `:=` or `..`
    Other,
}

impl TokenKind {
    /// True for constants; not for parameters, nor for the words `TRUE`, `FALSE` and `NULL`.
    pub(crate) fn is_literal(self) -> bool {
        use TokenKind::{Bits, Hex, Integer, NationalString, Number, String, UnicodeString};
        matches!(
            self,
            String | UnicodeString | NationalString | Bits | Hex | Integer | Number
        )
    }

    pub(crate) fn is_number(self) -> bool {
        matches!(self, TokenKind::Integer | TokenKind::Number)
    }
}

/// A token: `text[start..end]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The text has no further tokens that the server would accept: an unterminated literal or comment, a number with letters
/// behind it, a stray character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// Iterates over the tokens of a text, white space and comments left out.
#[derive(Clone)]
pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    position: usize,
    ended: bool,
    in_line_comment: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            bytes: text.as_bytes(),
            position: 0,
            ended: false,
            in_line_comment: false,
        }
    }

    /// Where the token ends that was read last.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// A token of this text.
    pub(crate) fn text(&self, token: Token) -> &'a [u8] {
        &self.bytes[token.start..token.end]
    }

    /// Whether the text, read to its end, ends in a `--` comment.
    pub(crate) fn ends_in_line_comment(&self) -> bool {
        self.in_line_comment
    }

    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.position + ahead).copied().unwrap_or(0)
    }

    /// Moves past white space and comments.
    #[inline]
    fn skip_blank(&mut self) -> Result<(), Broken> {
        loop {
            match self.peek(0) {
                byte if is_space(byte) => self.position += 1,
                b'-' if self.peek(1) == b'-' => {
                    let rest = &self.bytes[self.position..];
                    let length = memchr2(b'\n', b'\r', rest);
                    self.in_line_comment = length.is_none();
                    self.position += length.unwrap_or(rest.len());
                }
                b'/' if self.peek(1) == b'*' => {
                    self.position = comment_end(self.bytes, self.position).ok_or(Broken)?;
                }
                _ => return Ok(()),
            }
        }
    }

    #[inline]
    fn token(&mut self) -> Result<Option<Token>, Broken> {
        self.skip_blank()?;
        let start = self.position;
        let Some(&first) = self.bytes.get(start) else {
            return Ok(None);
        };
        let kind = match CLASS[first as usize] {
            Class::Letter => self.word(first)?,
            Class::Digit => self.number()?,
            Class::Operator => self.operator(),
            Class::Quote => self.quoted(1, b'\'', TokenKind::String)?,
            Class::DoubleQuote => self.quoted(1, b'"', TokenKind::Quoted)?,
            Class::Dollar => self.dollar()?,
            Class::Dot if self.peek(1).is_ascii_digit() => self.number()?,
            Class::Dot if self.peek(1) == b'.' => self.single(2, TokenKind::Other),
            Class::Dot => self.single(1, TokenKind::Dot),
            Class::Colon => match self.peek(1) {
                b':' => self.single(2, TokenKind::Cast),
                b'=' => self.single(2, TokenKind::Other),
                _ => self.single(1, TokenKind::Other),
            },
            Class::Punctuation => {
                let kind = match first {
                    b'(' => TokenKind::Open,
                    b')' => TokenKind::Close,
                    b'[' => TokenKind::OpenBracket,
                    b']' => TokenKind::CloseBracket,
                    b',' => TokenKind::Comma,
                    _ => TokenKind::Semicolon,
                };
                self.single(1, kind)
            }
            Class::Stray => return Err(Broken),
        };
        Ok(Some(Token {
            kind,
            start,
            end: self.position,
        }))
    }

    #[inline]
    fn single(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.position += length;
        kind
    }

    /// A word, or a literal that begins with a letter.
    #[inline]
    fn word(&mut self, first: u8) -> Result<TokenKind, Broken> {
        if self.peek(1) == b'\'' {
            match first {
                b'e' | b'E' => return self.escape_string(),
                b'b' | b'B' => return self.quoted(2, b'\'', TokenKind::Bits),
                b'x' | b'X' => return self.quoted(2, b'\'', TokenKind::Hex),
                b'n' | b'N' => return self.quoted(2, b'\'', TokenKind::NationalString),
                _ => {}
            }
        } else if matches!(first, b'u' | b'U') && self.peek(1) == b'&' {
            match self.peek(2) {
                b'\'' => return self.quoted(3, b'\'', TokenKind::UnicodeString),
                b'"' => return self.quoted(3, b'"', TokenKind::Quoted),
                _ => {}
            }
        }
        self.position += 1;
        while let Some(&byte) = self.bytes.get(self.position)
            && is_word_byte(byte)
        {
            self.position += 1;
        }
        Ok(TokenKind::Word)
    }

    /// A string or identifier whose content begins `prefix` bytes after its start. A doubled quote stands for itself, except
    /// in bit strings.
    fn quoted(&mut self, prefix: usize, quote: u8, kind: TokenKind) -> Result<TokenKind, Broken> {
        self.position += prefix;
        loop {
            let rest = &self.bytes[self.position.min(self.bytes.len())..];
            self.position += memchr(quote, rest).ok_or(Broken)? + 1;
            let doubles = !matches!(kind, TokenKind::Bits | TokenKind::Hex);
            if doubles && self.peek(0) == quote {
                self.position += 1;
            } else if quote == b'"' || !self.continues() {
                return Ok(kind);
            }
        }
    }

    /// `E'…'`, in which a backslash takes the next character with it.
    fn escape_string(&mut self) -> Result<TokenKind, Broken> {
        self.position += 2;
        loop {
            let rest = &self.bytes[self.position.min(self.bytes.len())..];
            self.position += memchr2(b'\'', b'\\', rest).ok_or(Broken)? + 1;
            if self.bytes[self.position - 1] == b'\\' || self.peek(0) == b'\'' {
                self.position += 1;
            } else if !self.continues() {
                return Ok(TokenKind::String);
            }
        }
    }

    /// After a closing quote: strings separated by white space with a line break are one string (and line comments count as
    /// white space there). If so, moves behind the quote that opens the next piece.
    fn continues(&mut self) -> bool {
        let mut position = self.position;
        let mut lines = 0;
        loop {
            match self.bytes.get(position) {
                Some(b'\n' | b'\r') => lines += 1,
                Some(&byte) if is_space(byte) => {}
                Some(b'-') if self.bytes.get(position + 1) == Some(&b'-') => {
                    match memchr2(b'\n', b'\r', &self.bytes[position..]) {
                        Some(length) => position += length - 1,
                        None => return false,
                    }
                }
                Some(b'\'') if lines > 0 => {
                    self.position = position + 1;
                    return true;
                }
                _ => return false,
            }
            position += 1;
        }
    }

    /// `$1` or `$tag$…$tag$`.
    fn dollar(&mut self) -> Result<TokenKind, Broken> {
        let start = self.position;
        self.position += 1;
        if self.peek(0).is_ascii_digit() {
            while self.peek(0).is_ascii_digit() {
                self.position += 1;
            }
            return if is_word_start(self.peek(0)) {
                Err(Broken)
            } else {
                Ok(TokenKind::Param)
            };
        }
        if is_word_start(self.peek(0)) {
            while self.peek(0) != b'$' && is_word_byte(self.peek(0)) {
                self.position += 1;
            }
        }
        if self.peek(0) != b'$' {
            return Err(Broken);
        }
        self.position += 1;
        let delimiter = &self.bytes[start..self.position];
        let length = memmem::find(&self.bytes[self.position..], delimiter).ok_or(Broken)?;
        self.position += length + delimiter.len();
        Ok(TokenKind::String)
    }

    fn number(&mut self) -> Result<TokenKind, Broken> {
        let start = self.position;
        if self.peek(0) == b'0' && matches!(self.peek(1) | 0x20, b'x' | b'o' | b'b') {
            let (is_digit, bits): (fn(&u8) -> bool, u32) = match self.peek(1) | 0x20 {
                b'x' => (u8::is_ascii_hexdigit, 4),
                b'o' => (|byte| (b'0'..=b'7').contains(byte), 3),
                _ => (|byte| (b'0'..=b'1').contains(byte), 1),
            };
            self.position += 2;
            let digits = self.position;
            self.digits(is_digit);
            let kind = by_value(&self.bytes[digits..self.position], 1 << bits);
            return self.end_of_number(kind, self.position > digits);
        }
        let plain = self.digits(u8::is_ascii_digit);
        // Nine digits are always small enough.
        let mut kind = if plain && self.position - start <= 9 {
            TokenKind::Integer
        } else {
            by_value(&self.bytes[start..self.position], 10)
        };
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            kind = TokenKind::Number;
            self.position += 1;
            if self.peek(0).is_ascii_digit() {
                self.digits(u8::is_ascii_digit);
            }
        }
        if self.peek(0) | 0x20 == b'e' {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                kind = TokenKind::Number;
                self.position += 1 + sign;
                self.digits(u8::is_ascii_digit);
            }
        }
        self.end_of_number(kind, true)
    }

    /// Moves past digits with single underscores between or before them; false when there was an underscore.
    #[inline]
    fn digits(&mut self, is_digit: fn(&u8) -> bool) -> bool {
        let mut plain = true;
        loop {
            if is_digit(&self.peek(0)) {
                self.position += 1;
            } else if self.peek(0) == b'_' && is_digit(&self.peek(1)) {
                self.position += 2;
                plain = false;
            } else {
                return plain;
            }
        }
    }

    #[inline]
    fn end_of_number(&self, kind: TokenKind, valid: bool) -> Result<TokenKind, Broken> {
        if valid && !is_word_start(self.peek(0)) {
            Ok(kind)
        } else {
            Err(Broken)
        }
    }

    /// The longest run of operator characters that holds no comment. It ends in `+` or `-` only if it is a single character,
    /// or contains one that the SQL standard does not use in operators.
    #[inline]
    fn operator(&mut self) -> TokenKind {
        let start = self.position;
        self.position += 1;
        while let Some(&byte) = self.bytes.get(self.position)
            && CLASS[byte as usize] == Class::Operator
            && !matches!((byte, self.peek(1)), (b'-', b'-') | (b'/', b'*'))
        {
            self.position += 1;
        }
        let run = &self.bytes[start..self.position];
        if run.len() > 1 && matches!(run.last(), Some(b'+' | b'-')) {
            let extended = |byte: &u8| {
                matches!(
                    byte,
                    b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
                )
            };
            if !run.iter().any(extended) {
                let cut = run.iter().rposition(|byte| !matches!(byte, b'+' | b'-'));
                self.position = start + cut.unwrap_or(0) + 1;
            }
        }
        TokenKind::Operator
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, Broken>;

    #[inline]
    fn next(&mut self) -> Option<Result<Token, Broken>> {
        if self.ended {
            return None;
        }
        let token = self.token().transpose();
        self.ended = !matches!(token, Some(Ok(_)));
        token
    }
}

impl FusedIterator for Lexer<'_> {}

/// What an integer is to the grammar, which depends on whether four bytes hold it.
fn by_value(digits: &[u8], radix: u32) -> TokenKind {
    let digits = digits
        .iter()
        .filter_map(|byte| char::from(*byte).to_digit(radix));
    let value = digits.fold(0_u64, |value, digit| {
        value
            .saturating_mul(radix.into())
            .saturating_add(digit.into())
    });
    if value <= i32::MAX.unsigned_abs().into() {
        TokenKind::Integer
    } else {
        TokenKind::Number
    }
}

/// Where the comment that begins at `start` (with its two characters) ends; comments nest.
pub(crate) fn comment_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut position = start + 2;
    let mut depth = 1_usize;
    loop {
        position += memchr2(b'*', b'/', bytes.get(position..)?)?;
        match (bytes[position], bytes.get(position + 1)) {
            (b'*', Some(b'/')) => {
                position += 2;
                depth -= 1;
                if depth == 0 {
                    return Some(position);
                }
            }
            (b'/', Some(b'*')) => {
                position += 2;
                depth += 1;
            }
            _ => position += 1,
        }
    }
}

/// White space to the server's lexer.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[inline]
pub(crate) fn is_word_start(byte: u8) -> bool {
    CLASS[byte as usize] == Class::Letter
}

#[inline]
pub(crate) fn is_word_byte(byte: u8) -> bool {
    matches!(
        CLASS[byte as usize],
        Class::Letter | Class::Digit | Class::Dollar
    )
}

/// What a token's first byte says of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Operator,
    Quote,
    DoubleQuote,
    Dollar,
    Dot,
    Colon,
    Punctuation,
    Stray,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Stray; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'+' | b'-' | b'*'
            | b'/' | b'%' | b'<' | b'>' | b'=' => Class::Operator,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'$' => Class::Dollar,
            b'.' => Class::Dot,
            b':' => Class::Colon,
            b'(' | b')' | b'[' | b']' | b',' | b';' => Class::Punctuation,
            _ => Class::Stray,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
