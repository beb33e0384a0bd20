//! What the console answers: rows of text, in the messages of the protocol.

use bytes::BufMut;
use paceline_pgwire::Wire;
use paceline_pgwire::backend::CommandComplete;

/// The type of a column, by its object id in Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int4,
    Numeric,
}

/// A column with its name.
pub(super) type Column = (&'static str, Kind);

/// The values of a row.
pub(super) type Row = Vec<Option<String>>;

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Kind {
    fn oid(self) -> u32 {
        match self {
            Self::Text => 25,
            Self::Int4 => 23,
            Self::Numeric => 1700,
        }
    }

    fn size(self) -> i16 {
        match self {
            Self::Text | Self::Numeric => -1,
            Self::Int4 => 4,
        }
    }
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// A table of one value.
    pub(super) fn single(name: &'static str, value: &str) -> Self {
        let mut table = Self::new(&[(name, Kind::Text)]);
        table.row([cell(value)]);
        table
    }

    pub(super) fn row(&mut self, values: impl Into<Row>) {
        let values = values.into();
        debug_assert_eq!(values.len(), self.columns.len(), "{:?}", self.columns);
        self.rows.push(values);
    }

    /// RowDescription.
    pub(super) fn describe(&self, out: &mut Vec<u8>) {
        message(b'T', out, |out| {
            out.put_u16(self.columns.len() as u16);
            for (name, kind) in &self.columns {
                out.put_slice(name.as_bytes());
                out.put_u8(0);
                // Of no relation.
                out.put_u32(0);
                out.put_u16(0);
                out.put_u32(kind.oid());
                out.put_i16(kind.size());
                out.put_i32(-1);
                // Text.
                out.put_u16(0);
            }
        });
    }

    /// DataRows and CommandComplete.
    pub(super) fn write_rows(&self, out: &mut Vec<u8>) {
        for row in &self.rows {
            message(b'D', out, |out| {
                out.put_u16(row.len() as u16);
                for value in row {
                    match value {
                        None => out.put_i32(-1),
                        Some(text) => {
                            out.put_u32(text.len() as u32);
                            out.put_slice(text.as_bytes());
                        }
                    }
                }
            });
        }
        complete("SHOW", out);
    }
}

/// A value of a row.
pub(super) fn cell(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// CommandComplete.
pub(super) fn complete(tag: &str, out: &mut Vec<u8>) {
    CommandComplete {
        tag: tag.as_bytes(),
    }
    .write(out);
}

/// A message whose length is known when it is written.
pub(super) fn message(tag: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    body(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
