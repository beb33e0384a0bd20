//! Reads a client's and a server's messages as they pass, and tells the journal. Whatever it cannot follow, it lets pass: only
//! the accounting suffers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_journal::{ConnectionId, TraceParent};
use paceline_pgwire::backend::{CommandComplete, ReadyForQuery, TransactionStatus};
use paceline_pgwire::frontend::{Bind, Close, Describe, Execute, Parse, Query, Target};
use paceline_pgwire::{Error, ErrorFields, Header, Piece, Reader, SqlState, TagSet, Wire};
use paceline_sql::{Statement, Understanding, Values};

use crate::proxy::Proxy;
use crate::session::{
    Asked, Due, Entry, Expect, Fate, Remembered, Runs, Text, hash_parameters, meaning, values,
};

/// Statements of one client that are remembered; executions of others are not accounted.
const STATEMENTS_MAX: usize = 10_000;
/// Trace comments that one batch may bear.
const TRACES_MAX: usize = 256;
/// Texts above this are accounted only once they are known.
const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Answers that are kept in mind at once.
const DUE_MAX: usize = 16 * 1024;
/// All but rows and CopyData.
const LOOKED_AT: TagSet = TagSet::of(b"123ACEGHIKNRSTVWZcnstv");

/// See the module.
pub(super) struct Tap {
    proxy: Arc<Proxy>,
    connection: ConnectionId,
    client: Reader,
    server: Reader,
    /// The server has said for the first time that it is ready.
    is_ready: bool,
    /// One side has said what we do not understand: nothing is read any more.
    is_blind: bool,
    /// Answers came that nobody had asked for: nothing is noted before the next ReadyForQuery.
    is_lost: bool,
    is_idle: bool,
    due: Expect<Note>,
    runs: Runs,
    statements: HashMap<Box<[u8]>, Statement>,
    portals: HashMap<Box<[u8]>, Portal>,
    /// The trace comments of this batch, by the statement that bore them.
    traces: Vec<(Box<[u8]>, TraceParent)>,
    transactions: u64,
}

/// What is remembered with an answer that is due.
#[derive(Default)]
struct Note {
    /// It is one of [`Runs`].
    has_run: bool,
    sqlstate: Option<SqlState>,
}

impl Remembered for Note {
    /// A client's names mean what it last said, whatever comes of that.
    fn is_open(&self) -> bool {
        false
    }
}

/// What an Execute of it runs.
struct Portal {
    statement: Statement,
    parameters: u64,
    values: Values,
    trace: Option<TraceParent>,
    has_run: bool,
}

impl Tap {
    /// A replication connection has no statements, only a stream without an end: it is not read.
    pub(super) fn new(proxy: Arc<Proxy>, connection: u64, is_replication: bool) -> Self {
        Self {
            proxy,
            connection: ConnectionId(connection),
            client: Reader::default(),
            server: Reader::default(),
            is_ready: false,
            is_blind: is_replication,
            is_lost: false,
            is_idle: false,
            due: Expect::default(),
            runs: Runs::default(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            traces: Vec::new(),
            transactions: 0,
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.is_idle && self.due.is_empty()
    }

    /// Transactions so far.
    pub(super) fn transactions(&self) -> u64 {
        self.transactions
    }

    pub(super) fn wants_of_client(&self, bytes: &[u8]) -> usize {
        self.client
            .wants(&self.proxy.client_limits, bytes)
            .unwrap_or(0)
    }

    pub(super) fn wants_of_server(&self, bytes: &[u8]) -> usize {
        self.server
            .wants(&self.proxy.server_limits, bytes)
            .unwrap_or(0)
    }

    /// Reads what the client has sent; gives how much of it may pass.
    pub(super) fn read_client(&mut self, bytes: &[u8]) -> usize {
        let proxy = Arc::clone(&self.proxy);
        let mut passed = 0;
        while !self.is_blind && self.due.len() < DUE_MAX {
            match self.client.next(&proxy.client_limits, &bytes[passed..]) {
                Ok(None) => return passed,
                Ok(Some(piece)) => {
                    passed += piece.len();
                    if self.note(piece).is_err() {
                        self.is_blind = true;
                    }
                }
                // A text above the limit passes without being read.
                Err(Error::Length {
                    tag: tag @ (b'Q' | b'P'),
                    length: length @ 4..,
                    ..
                }) => {
                    let body_len = length - 4;
                    self.overlook(Header { tag, body_len });
                }
                Err(_) => self.is_blind = true,
            }
        }
        if self.is_blind {
            self.forget();
        } else {
            self.lose();
        }
        bytes.len()
    }

    /// The message that begins here finds no memory.
    pub(super) fn let_pass(&mut self, bytes: &[u8]) {
        if let Ok(Some(header)) = self.proxy.client_limits.header(bytes) {
            self.overlook(header);
        }
    }

    fn overlook(&mut self, header: Header) {
        self.client.stream(header, 0);
        // Nor can the answers be told apart that come before its own.
        self.lose();
    }

    /// Reads what the server has sent; gives how much of it may pass.
    pub(super) fn read_server(&mut self, bytes: &[u8]) -> usize {
        let proxy = Arc::clone(&self.proxy);
        let mut passed = 0;
        while !self.is_blind {
            let scanned = self
                .server
                .scan(&proxy.server_limits, &bytes[passed..], &LOOKED_AT);
            let Ok(scanned) = scanned else {
                self.is_blind = true;
                break;
            };
            passed += scanned.passed;
            let Some(piece) = scanned.found else {
                return passed;
            };
            passed += piece.len();
            self.answer(piece);
        }
        self.forget();
        bytes.len()
    }

    /// A message of the client's.
    fn note(&mut self, piece: Piece<'_>) -> Result<(), Error> {
        let body = match piece {
            Piece::Part(part) if !part.is_first => return Ok(()),
            Piece::Part(part) => part.body(),
            Piece::Message(message) => message.body(),
        };
        let tag = piece.tag();
        if !self.is_ready || self.is_lost || self.due.is_skipping() && tag != b'S' {
            return Ok(());
        }
        self.is_idle = false;
        let (asked, due) = match tag {
            b'Q' => (Asked::Query, self.query(Query::parse(body)?.text)),
            b'F' => (Asked::FunctionCall, None),
            b'P' => {
                self.parse(&Parse::parse(body)?);
                (Asked::Parse, None)
            }
            b'B' => {
                // The first part of a large one may end within its names.
                if let Ok(bind) = Bind::parse(body) {
                    self.bind(&bind);
                }
                (Asked::Bind, None)
            }
            b'D' => match Describe::parse(body)?.target {
                Target::Statement => (Asked::DescribeStatement, None),
                Target::Portal => (Asked::DescribePortal, None),
            },
            b'E' => (Asked::Execute, self.execute(Execute::parse(body)?.portal)),
            b'C' => {
                let Close { target, name } = Close::parse(body)?;
                if target == Target::Statement {
                    self.statements.remove(name);
                }
                (Asked::Close, None)
            }
            b'S' => {
                if !self.traces.is_empty() {
                    self.traces.clear();
                    self.portals
                        .values_mut()
                        .for_each(|portal| portal.trace = None);
                }
                (Asked::Sync, None)
            }
            _ => return Ok(()),
        };
        self.due.push(
            asked,
            Fate::Forward,
            Note {
                has_run: due.is_some(),
                sqlstate: None,
            },
        );
        if let Some(due) = due {
            self.runs.push(due);
            self.begin_next();
        }
        Ok(())
    }

    fn query(&mut self, text: &[u8]) -> Option<Due> {
        let text = Text::new(text);
        let statement = self.understand(&text)?;
        let values = values(&statement, &[]);
        Some(due(statement, (0, values), text.trace))
    }

    fn parse(&mut self, parse: &Parse<'_>) {
        let text = Text::new(parse.text);
        let has_room = self.statements.len() < STATEMENTS_MAX;
        self.traces.retain(|(name, _)| **name != *parse.statement);
        match self.understand(&text).filter(|_| has_room) {
            Some(statement) => {
                self.statements.insert(parse.statement.into(), statement);
                if let Some(trace) = text.trace.filter(|_| self.traces.len() < TRACES_MAX) {
                    self.traces.push((parse.statement.into(), trace));
                }
            }
            None => {
                self.statements.remove(parse.statement);
            }
        }
    }

    fn bind(&mut self, bind: &Bind<'_>) {
        match self.statements.get(bind.statement) {
            Some(statement) if self.portals.len() < STATEMENTS_MAX => {
                let trace = self
                    .traces
                    .iter()
                    .find(|(name, _)| **name == *bind.statement);
                let portal = Portal {
                    values: values(statement, bind.rest),
                    statement: statement.clone(),
                    parameters: hash_parameters(bind.rest, 0),
                    trace: trace.map(|(_, trace)| *trace),
                    has_run: false,
                };
                self.portals.insert(bind.portal.into(), portal);
            }
            _ => {
                self.portals.remove(bind.portal);
            }
        }
    }

    fn execute(&mut self, portal: &[u8]) -> Option<Due> {
        let portal = self.portals.get_mut(portal)?;
        // What goes on where it was suspended is no execution of its own.
        let is_first = !std::mem::replace(&mut portal.has_run, true);
        let parameters = (portal.parameters, portal.values);
        is_first.then(|| due(portal.statement.clone(), parameters, portal.trace))
    }

    fn begin_next(&mut self) {
        self.runs.begin_next(&self.proxy.journal, self.connection);
    }

    /// What a text means. A huge one that is new is learnt elsewhere, for the next time: nobody is held up by being observed.
    fn understand(&self, text: &Text<'_>) -> Option<Statement> {
        if text.len() <= INLINE_BYTES_MAX {
            return Some(meaning(&self.proxy.shapes, text));
        }
        if let Understanding::Known(statement) = self.proxy.shapes.understand(text.stripped()) {
            return Some(statement);
        }
        let (proxy, text) = (Arc::clone(&self.proxy), Box::<str>::from(text.stripped()));
        tokio::task::spawn_blocking(move || {
            if let Ok(_permit) = proxy.learning.try_acquire() {
                proxy.shapes.learn(&text);
            }
        });
        None
    }

    /// A message of the server's.
    fn answer(&mut self, piece: Piece<'_>) {
        let body = match piece {
            Piece::Part(part) if !part.is_first => return,
            Piece::Part(part) => part.body(),
            Piece::Message(message) => message.body(),
        };
        let tag = piece.tag();
        if tag == b'Z' {
            self.ready(body);
        }
        if !self.is_ready || self.is_lost || matches!(tag, b'N' | b'A' | b'S' | b'R' | b'K' | b'v')
        {
            self.is_ready |= tag == b'Z';
            self.is_lost &= tag != b'Z';
            return;
        }
        let Ok(step) = self.due.receive(tag) else {
            return self.lose();
        };
        if let Some(head) = self.due.head() {
            match tag {
                b'E' => head.note.sqlstate = ErrorFields::prefix(body).sqlstate(),
                b'C' => {
                    let rows = CommandComplete::parse(body)
                        .ok()
                        .and_then(|command| command.rows());
                    if head.note.has_run {
                        self.runs.count_rows(rows.unwrap_or(0));
                    }
                }
                _ => {}
            }
        }
        if step.fails {
            let failed = self.due.head().and_then(|head| head.note.sqlstate);
            for _ in self.due.fail().filter(|entry| entry.note.has_run) {
                self.runs.end_oldest(failed);
            }
            self.begin_next();
        } else if step.ends
            && let Some(Entry { note, .. }) = self.due.finish()
        {
            if note.has_run {
                self.runs.end_oldest(note.sqlstate);
            }
            self.begin_next();
        }
    }

    fn ready(&mut self, body: &[u8]) {
        self.is_idle =
            ReadyForQuery::parse(body).is_ok_and(|ready| ready.0 == TransactionStatus::Idle);
        if self.is_idle {
            self.transactions += u64::from(self.is_ready);
            self.portals.clear();
        }
    }

    fn lose(&mut self) {
        self.forget();
        self.is_lost = true;
    }

    fn forget(&mut self) {
        self.due.take_all();
        self.runs.clear();
    }
}

fn due(
    statement: Statement,
    (parameters, values): (u64, Values),
    trace: Option<TraceParent>,
) -> Due {
    Due {
        statement,
        parameters,
        values,
        trace,
        queued: Duration::ZERO,
        shown: None,
    }
}
