//! The few words that matter to a reduction.

/// What a word means to a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordClass {
    Plain,
    /// `TRUE`, `FALSE`, `NULL`.
    Constant,
    In,
    Array,
    Values,
    By,
    As,
    /// The name of a type, or of a function, whose argument in parentheses is a type modifier.
    TypeWithModifier,
    /// Can stand in parentheses after `IN` only when these hold a sub-query.
    EndsList,
    /// Is called with the name of a setting.
    SetConfig,
    /// Comes after `AS` before a sub-query: `AS MATERIALIZED (`.
    NotAType,
}

/// The class of a word in lower case.
#[inline]
pub(super) fn classify(word: &[u8]) -> WordClass {
    match word {
        b"in" => WordClass::In,
        b"by" => WordClass::By,
        b"as" => WordClass::As,
        b"array" => WordClass::Array,
        b"values" => WordClass::Values,
        b"true" | b"false" | b"null" => WordClass::Constant,
        b"select" | b"with" | b"of" | b"table" | b"union" | b"except" | b"intersect" => {
            WordClass::EndsList
        }
        b"materialized" => WordClass::NotAType,
        b"set_config" => WordClass::SetConfig,
        b"char" | b"character" | b"nchar" | b"varchar" | b"varying" | b"bit" | b"numeric"
        | b"decimal" | b"dec" | b"float" | b"time" | b"timestamp" | b"interval" | b"second"
        | b"current_time" | b"current_timestamp" | b"localtime" | b"localtimestamp" => {
            WordClass::TypeWithModifier
        }
        _ => WordClass::Plain,
    }
}

/// Whether a word, in any letter case, is `TRUE`, `FALSE` or `NULL`.
pub(super) fn is_constant(word: &[u8]) -> bool {
    [&b"true"[..], b"false", b"null"]
        .iter()
        .any(|constant| word.eq_ignore_ascii_case(constant))
}

/// Whether a statement that begins with this word is reduced. All others are known by their full text only.
pub(super) fn is_reducible(word: &str) -> bool {
    const FIRST_WORDS: [&str; 14] = [
        "select", "insert", "update", "delete", "with", "values", "merge", "table", "begin",
        "commit", "rollback", "end", "start", "abort",
    ];
    FIRST_WORDS
        .iter()
        .any(|first| first.eq_ignore_ascii_case(word))
}
