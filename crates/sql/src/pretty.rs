//! The text of a shape, for people: made from an exact form, so that a shape has one text wherever it was met first.

use crate::lexer::{Lexer, Token, TokenKind};

/// Lays out an exact form: usual spacing, keywords in upper case, placeholders numbered in the order of the text.
pub(crate) fn pretty(form: &str) -> String {
    let tokens: Vec<Token> = Lexer::new(form).map_while(Result::ok).collect();
    let mut text = String::with_capacity(form.len() + 16);
    let mut parameters = 0_usize;
    let mut after_into = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let written = &form[token.start..token.end];
        let is_name = |token: &Token| !is_keyword(&form[token.start..token.end]);
        let next_to_dot = before.is_some_and(|before| before.kind == TokenKind::Dot)
            || tokens
                .get(index + 1)
                .is_some_and(|next| next.kind == TokenKind::Dot);
        if before.is_some_and(|before| is_spaced(before, token, is_name, after_into)) {
            text.push(' ');
        }
        match token.kind {
            TokenKind::Param => {
                parameters += 1;
                text.push('$');
                text.push_str(&parameters.to_string());
            }
            TokenKind::Word if !next_to_dot && is_keyword(written) => {
                text.push_str(&written.to_ascii_uppercase());
            }
            _ => text.push_str(written),
        }
        after_into = match token.kind {
            TokenKind::Word if written == "into" => true,
            TokenKind::Word | TokenKind::Quoted | TokenKind::Dot => after_into,
            _ => false,
        };
    }
    text
}

/// Whether a space belongs between two tokens.
fn is_spaced(
    before: &Token,
    token: &Token,
    is_name: impl Fn(&Token) -> bool,
    after_into: bool,
) -> bool {
    use TokenKind::{
        Cast, Close, CloseBracket, Comma, Dot, Open, OpenBracket, Param, Quoted, Semicolon, Word,
    };
    if matches!(before.kind, Open | OpenBracket | Dot | Cast) {
        return false;
    }
    match token.kind {
        Comma | Close | CloseBracket | Semicolon | Dot | Cast => false,
        Open => after_into || !(before.kind == Quoted || before.kind == Word && is_name(before)),
        OpenBracket => !matches!(before.kind, Word | Quoted | Close | CloseBracket | Param),
        _ => true,
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word).is_ok()
}

/// Words in upper case in a shape's text. Words that are common as names of columns (`level`, `type`, `first`) are not
/// among them, though some are keywords elsewhere.
const KEYWORDS: [&str; 144] = [
    "add",
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "begin",
    "between",
    "both",
    "by",
    "call",
    "case",
    "cast",
    "check",
    "close",
    "collate",
    "column",
    "commit",
    "conflict",
    "constraint",
    "copy",
    "create",
    "cross",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "cursor",
    "deallocate",
    "declare",
    "default",
    "delete",
    "desc",
    "discard",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "except",
    "execute",
    "exists",
    "explain",
    "false",
    "fetch",
    "filter",
    "for",
    "foreign",
    "from",
    "full",
    "function",
    "grant",
    "group",
    "having",
    "if",
    "ilike",
    "in",
    "index",
    "inner",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "isolation",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "listen",
    "localtime",
    "localtimestamp",
    "lock",
    "matched",
    "materialized",
    "merge",
    "natural",
    "not",
    "nothing",
    "notify",
    "notnull",
    "null",
    "nulls",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "ordinality",
    "outer",
    "over",
    "overriding",
    "partition",
    "prepare",
    "primary",
    "procedure",
    "recursive",
    "references",
    "release",
    "reset",
    "returning",
    "revoke",
    "right",
    "rollback",
    "savepoint",
    "schema",
    "select",
    "session_user",
    "set",
    "show",
    "similar",
    "some",
    "start",
    "table",
    "tablesample",
    "temp",
    "temporary",
    "then",
    "to",
    "trailing",
    "transaction",
    "trigger",
    "true",
    "truncate",
    "union",
    "unique",
    "unlisten",
    "update",
    "using",
    "vacuum",
    "values",
    "variadic",
    "verbose",
    "view",
    "when",
    "where",
    "window",
    "with",
    "within",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }
}
