//! What a client sends, and what may come back for it.

use paceline_testkit::frame;

/// One message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Query(String),
    Parse {
        name: &'static str,
        text: String,
    },
    Bind {
        portal: &'static str,
        statement: &'static str,
        parameters: Vec<Option<String>>,
        is_binary: bool,
    },
    DescribeStatement(&'static str),
    DescribePortal(&'static str),
    Execute {
        portal: &'static str,
        rows_max: u32,
    },
    CloseStatement(&'static str),
    ClosePortal(&'static str),
    CopyData(String),
    CopyDone,
    CopyFail,
    Flush,
    Sync,
}

/// Which messages end the answer to one.
pub(crate) enum Answer {
    /// None comes.
    None,
    /// One of these, or an error, after which the server skips to a Sync.
    Until(&'static [u8]),
    /// A ReadyForQuery, whatever goes wrong.
    Ready,
}

impl Message {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Message::Query(text) => frame::query(text),
            Message::Parse { name, text } => frame::parse(name, text, &[]),
            Message::Bind {
                portal,
                statement,
                parameters,
                is_binary,
            } => {
                let values: Vec<Option<&str>> = parameters.iter().map(Option::as_deref).collect();
                let mut bytes = frame::bind(portal, statement, &values);
                if *is_binary {
                    // One format for all columns, in place of none.
                    let length = bytes.len();
                    bytes.splice(length - 2.., [0, 1, 0, 1]);
                    let length = u32::try_from(bytes.len() - 1).unwrap();
                    bytes.splice(1..5, length.to_be_bytes());
                }
                bytes
            }
            Message::DescribeStatement(name) => frame::describe(b'S', name),
            Message::DescribePortal(name) => frame::describe(b'P', name),
            Message::Execute { portal, rows_max } => frame::execute(portal, *rows_max),
            Message::CloseStatement(name) => frame::close(b'S', name),
            Message::ClosePortal(name) => frame::close(b'P', name),
            Message::CopyData(text) => frame::message(b'd', text.as_bytes()),
            Message::CopyDone => frame::message(b'c', &[]),
            Message::CopyFail => frame::message(b'f', b"changed my mind\0"),
            Message::Flush => frame::flush(),
            Message::Sync => frame::sync(),
        }
    }

    pub(crate) fn is_named_parse(&self) -> bool {
        matches!(self, Message::Parse { name, .. } if !name.is_empty())
    }

    pub(crate) fn answer(&self) -> Answer {
        match self {
            Message::Query(_) | Message::Sync => Answer::Ready,
            Message::Parse { .. } => Answer::Until(b"1"),
            Message::Bind { .. } => Answer::Until(b"2"),
            Message::DescribeStatement(_) | Message::DescribePortal(_) => Answer::Until(b"Tn"),
            Message::Execute { .. } => Answer::Until(b"CIs"),
            Message::CloseStatement(_) | Message::ClosePortal(_) => Answer::Until(b"3"),
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail | Message::Flush => {
                Answer::None
            }
        }
    }
}
