//! Errors and notices: the fields of those that come, and a builder for those that we send
//! (section "Error and Notice Message Fields").

use bytes::BufMut;

use crate::wire::put_header;
use crate::{Error, Side, SqlState};

/// The fields of an ErrorResponse or NoticeResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorFields<'a> {
    body: &'a [u8],
}

impl<'a> ErrorFields<'a> {
    /// Reads a whole body.
    pub fn parse(body: &'a [u8]) -> Result<ErrorFields<'a>, Error> {
        let fields = ErrorFields { body };
        let used: usize = fields.iter().map(|(_, value)| value.len() + 2).sum();
        if body.get(used) == Some(&0) && body.len() == used + 1 {
            Ok(fields)
        } else {
            let (message, problem) = ("ErrorResponse", "its fields have no end");
            Err(Error::Malformed {
                side: Side::Backend,
                message,
                problem,
            })
        }
    }

    /// The fields that stand whole in the first part of a body.
    pub fn prefix(body: &'a [u8]) -> ErrorFields<'a> {
        ErrorFields { body }
    }

    /// Each field's code and text.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + 'a {
        let mut rest = self.body;
        std::iter::from_fn(move || {
            let (&code, after) = rest.split_first()?;
            if code == 0 {
                return None;
            }
            let end = memchr::memchr(0, after)?;
            rest = &after[end + 1..];
            Some((code, &after[..end]))
        })
    }

    /// The first field with this code.
    pub fn get(&self, code: u8) -> Option<&'a [u8]> {
        self.iter()
            .find(|(found, _)| *found == code)
            .map(|(_, value)| value)
    }

    /// Field `C`.
    pub fn sqlstate(&self) -> Option<SqlState> {
        self.get(b'C')?.try_into().ok().map(SqlState)
    }

    /// Field `V`, which is never translated, or `S` from a server older than 9.6.
    pub fn severity(&self) -> Option<Severity> {
        Severity::from_bytes(self.get(b'V').or_else(|| self.get(b'S'))?)
    }

    /// Field `M`.
    pub fn message(&self) -> Option<&'a [u8]> {
        self.get(b'M')
    }

    /// The body, closing zero included.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `DEBUG`
    Debug,
    /// `LOG`
    Log,
    /// `INFO`
    Info,
    /// `NOTICE`
    Notice,
    /// `WARNING`
    Warning,
    /// `ERROR`: the statement failed, the session goes on.
    Error,
    /// `FATAL`: the session ends.
    Fatal,
    /// `PANIC`: the server restarts.
    Panic,
}

impl Severity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Debug => "DEBUG",
            Severity::Log => "LOG",
            Severity::Info => "INFO",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Panic => "PANIC",
        }
    }

    fn from_bytes(word: &[u8]) -> Option<Severity> {
        use Severity::{Debug, Error, Fatal, Info, Log, Notice, Panic, Warning};
        [Error, Fatal, Notice, Warning, Panic, Info, Log, Debug]
            .into_iter()
            .find(|severity| severity.as_str().as_bytes() == word)
    }
}

/// An error or notice of our own, to be written. Zero bytes in the texts are replaced, so that no text can end its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report<'a> {
    severity: Severity,
    sqlstate: SqlState,
    message: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
}

impl<'a> Report<'a> {
    /// A report of any severity.
    pub fn new(severity: Severity, sqlstate: SqlState, message: &'a str) -> Report<'a> {
        Report {
            severity,
            sqlstate,
            message,
            detail: None,
            hint: None,
        }
    }

    /// The statement failed, the session goes on.
    pub fn error(sqlstate: SqlState, message: &'a str) -> Report<'a> {
        Report::new(Severity::Error, sqlstate, message)
    }

    /// The session ends.
    pub fn fatal(sqlstate: SqlState, message: &'a str) -> Report<'a> {
        Report::new(Severity::Fatal, sqlstate, message)
    }

    /// Adds a second sentence with the particulars.
    pub fn detail(self, detail: &'a str) -> Report<'a> {
        Report {
            detail: Some(detail),
            ..self
        }
    }

    /// Adds advice.
    pub fn hint(self, hint: &'a str) -> Report<'a> {
        Report {
            hint: Some(hint),
            ..self
        }
    }

    /// Writes it as ErrorResponse, or as NoticeResponse when it is less than an error.
    pub fn write(&self, out: &mut impl BufMut) {
        let tag = if self.severity >= Severity::Error {
            b'E'
        } else {
            b'N'
        };
        put_header(
            out,
            tag,
            self.fields().map(|(_, text)| text.len() + 2).sum::<usize>() + 1,
        );
        for (code, text) in self.fields() {
            out.put_u8(code);
            for piece in text.as_bytes().split_inclusive(|&byte| byte == 0) {
                match piece.split_last() {
                    Some((0, before)) => {
                        out.put_slice(before);
                        out.put_u8(b'?');
                    }
                    _ => out.put_slice(piece),
                }
            }
            out.put_u8(0);
        }
        out.put_u8(0);
    }

    fn fields(&self) -> impl Iterator<Item = (u8, &str)> {
        let severity = self.severity.as_str();
        [
            (b'S', Some(severity)),
            (b'V', Some(severity)),
            (b'C', Some(self.sqlstate.as_str())),
            (b'M', Some(self.message)),
            (b'D', self.detail),
            (b'H', self.hint),
        ]
        .into_iter()
        .filter_map(|(code, text)| Some((code, text?)))
    }
}
