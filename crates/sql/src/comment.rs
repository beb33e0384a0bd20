//! The trace comment that an application's database library appends to a statement (sqlcommenter).

use std::borrow::Cow;

/// A statement's text without its trace comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped<'a> {
    /// The statement. Borrowed when its parts are still in one piece.
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
    /// All other keys with their values, decoded, in the order of the text.
    pub tags: Vec<(String, String)>,
}

/// Takes the trace comment off a statement.
pub fn strip_comment(text: &str) -> Stripped<'_> {
    Stripped {
        text: Cow::Borrowed(text),
        comment: None,
    }
}
