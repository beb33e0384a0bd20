//! DEALLOCATE of a statement that the client has prepared by the protocol. Its name exists only here, so that the server could
//! not find it. Drivers say it to evict what they have prepared (psycopg).
//!
//! The name is forgotten here, and the server is made to deallocate a statement that was prepared for this purpose: so the answer
//! comes in step, and fails in a failed transaction as it should.

use std::sync::Arc;

use paceline_pgwire::Wire;
use paceline_pgwire::frontend::{Parse, Query};
use paceline_sql::Statement;

use super::Session;
use super::account::{Note, Undo, UndoClient};
use super::expect::{Asked, Fate};
use crate::client::Prepared;
use crate::server::{NameBuf, ServerConnection};

/// No DEALLOCATE that matters is longer: names have 63 bytes.
const TEXT_BYTES_MAX: usize = 256;

impl Session {
    /// Takes a Query that deallocates a statement of the client's: gives what to send in its place, and how to undo it.
    pub(super) fn deallocate_by_query(&mut self, text: &[u8]) -> Option<(Vec<u8>, Undo)> {
        let (name, prepared) = self.take_deallocated(text)?;
        let server = self.server.as_mut()?;
        let stand_in = stand_in(server);
        let prepare = [b"PREPARE ".as_slice(), &stand_in, b" AS SELECT 1"].concat();
        Query { text: &prepare }.write(server.outbox.buf());
        server
            .expect
            .push(Asked::Query, Fate::SwallowAll, Note::default());
        let undo = UndoClient::Closed { name, prepared };
        Some((
            [b"DEALLOCATE ", &*stand_in].concat(),
            Undo::Client(Box::new(undo)),
        ))
    }

    /// The same for a Parse: gives the statement to prepare in its place.
    pub(super) fn deallocate_by_parse(
        &mut self,
        text: &[u8],
        types: &[u8],
        statement: &Statement,
    ) -> Option<Arc<Prepared>> {
        let (name, prepared) = self.take_deallocated(text)?;
        let server = self.server.as_mut()?;
        let stand_in = stand_in(server);
        let parse = Parse {
            statement: &stand_in,
            text: b"SELECT 1",
            types: Parse::NO_TYPES,
        };
        parse.write(server.outbox.buf());
        let undo = Undo::Client(Box::new(UndoClient::Closed { name, prepared }));
        server.asked(Asked::Parse, Fate::Swallow, Note::undo(undo));
        let text = [b"DEALLOCATE ", &*stand_in].concat();
        let table = &self.worker.proxy.statements;
        Some(table.make_stand_in(self.source(&text, types), statement))
    }

    fn take_deallocated(&mut self, text: &[u8]) -> Option<(Box<[u8]>, Arc<Prepared>)> {
        let name = deallocated(text)?;
        let prepared = self.client.statements.remove(&name)?;
        Some((name, prepared))
    }
}

fn stand_in(server: &mut ServerConnection) -> Vec<u8> {
    let mut buf = NameBuf::default();
    server.prepared.unused_name().write(&mut buf).to_vec()
}

/// Whether this is `DEALLOCATE [PREPARE] name`.
pub(super) fn names_deallocated(text: &[u8]) -> bool {
    deallocated(text).is_some()
}

/// The name in `DEALLOCATE [PREPARE] name`; not ALL.
fn deallocated(text: &[u8]) -> Option<Box<[u8]>> {
    // The first letter rules nearly all others out.
    let first = text.trim_ascii_start().first()?;
    if !first.eq_ignore_ascii_case(&b'd') || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = text.trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text).trim_ascii_end();
    let rest = after_word(text, b"DEALLOCATE")?;
    // PREPARE may be a name, too.
    let name = after_word(rest, b"PREPARE").unwrap_or(rest);
    if let Some(quoted) = name.strip_prefix(b"\"") {
        let inner = quoted.strip_suffix(b"\"")?;
        let is_plain = !inner.is_empty() && !inner.contains(&b'"');
        return is_plain.then(|| inner.into());
    }
    let is_word = name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(byte));
    let is_all = name.eq_ignore_ascii_case(b"ALL");
    (is_word && !name.is_empty() && !is_all).then(|| name.to_ascii_lowercase().into())
}

/// What follows a word and the space behind it.
fn after_word<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let is_apart = rest
        .first()
        .is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'"');
    (start.eq_ignore_ascii_case(word) && is_apart).then(|| rest.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_postgres_reads_them() {
        let check = |text: &str, expected: Option<&str>| {
            let found = deallocated(text.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{text}");
        };
        check("DEALLOCATE _pg3_0", Some("_pg3_0"));
        check("  deallocate PREPARE Name ;", Some("name"));
        check("DEALLOCATE \"Name 1\"", Some("Name 1"));
        check("DEALLOCATE prepare", Some("prepare"));
        check("DEALLOCATE ALL", None);
        check("DEALLOCATE PREPARE ALL", None);
        check("DEALLOCATE a; DEALLOCATE b", None);
        check("DEALLOCATED x", None);
        check("DELETE FROM x", None);
        check("DEALLOCATE \"a\"\"b\"", None);
    }
}
