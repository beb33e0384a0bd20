//! One session at the console.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use paceline_pgwire::backend::{BackendKeyData, ParameterStatus, ReadyForQuery, TransactionStatus};
use paceline_pgwire::frontend::{Bind, BindRest, Close, Describe, Execute, Parse, Query, Target};
use paceline_pgwire::{Message, Piece, Reader, Report, Severity, SqlState, Wire};
use tokio::time::timeout;

use super::command::{Command, Show, parse};
use super::table::{Table, complete, message};
use super::{Rights, act, show};
use crate::client::startup::Arrival;
use crate::error::Refusal;

/// Statements and portals of one session at most.
const NAMES_MAX: usize = 64;
/// How long a last word may take.
const FAREWELL: Duration = Duration::from_secs(1);

const HELP: &str = "\
SHOW POOLS | CLIENTS | SERVERS | SOCKETS | DATABASES | USERS | LISTS
SHOW STATS | STATS_TOTALS | STATS_AVERAGES | TOTALS | MEM | STATE | CONFIG | VERSION
RELOAD
PAUSE [database] | RESUME [database]
RECONNECT [database] | WAIT_CLOSE [database]
DISABLE database | ENABLE database
KILL [database] | KILL_CLIENT id
SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]";

/// Talks until the client leaves or the process does.
pub(crate) async fn run(mut arrival: Arrival, rights: Rights) {
    greet(&mut arrival);
    let mut talk = Talk {
        arrival,
        rights,
        statements: HashMap::new(),
        portals: HashMap::new(),
        is_skipping: false,
    };
    if let Err(Some(refusal)) = talk.go_on().await {
        refusal.write_fatal(talk.arrival.outbox.buf());
        let _ = timeout(FAREWELL, talk.arrival.send()).await;
    }
}

fn greet(arrival: &mut Arrival) {
    let out = arrival.outbox.buf();
    for (name, value) in [
        ("server_version", super::SERVER_VERSION),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "GMT"),
        ("standard_conforming_strings", "on"),
        ("integer_datetimes", "on"),
        ("is_superuser", "on"),
    ] {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        ParameterStatus { name, value }.write(out);
    }
    // Nothing here takes long enough to be cancelled.
    let (process_id, secret) = (0, &[0; 4][..]);
    BackendKeyData { process_id, secret }.write(out);
    ReadyForQuery(TransactionStatus::Idle).write(out);
}

/// What a text says.
fn command(text: &[u8]) -> Result<Command, Refusal> {
    parse(&String::from_utf8_lossy(text)).map_err(|mistake| Refusal::mistake(&mistake))
}

struct Talk {
    arrival: Arrival,
    rights: Rights,
    statements: HashMap<Vec<u8>, Rc<Command>>,
    portals: HashMap<Vec<u8>, Rc<Command>>,
    /// An error in the extended protocol: nothing counts up to the next Sync.
    is_skipping: bool,
}

/// What was read of a message: its type and body.
type Read = (u8, Vec<u8>);
/// None: there is nobody to tell.
type Ending = Option<Refusal>;

impl Talk {
    async fn go_on(&mut self) -> Result<(), Ending> {
        loop {
            self.arrival.send().await.map_err(|_| None)?;
            let (tag, body) = self.read().await?;
            if self.is_skipping && !matches!(tag, b'S' | b'X') {
                continue;
            }
            match tag {
                b'X' => return Ok(()),
                b'Q' => self.query(&body).await?,
                b'S' => {
                    self.is_skipping = false;
                    self.ready();
                }
                b'H' => {}
                b'P' | b'B' | b'D' | b'C' | b'E' => {
                    if let Err(refusal) = self.extended(tag, &body).await? {
                        self.is_skipping = true;
                        refusal.write(self.arrival.outbox.buf());
                    }
                }
                tag => return Err(Some(Refusal::out_of_place(tag))),
            }
        }
    }

    async fn read(&mut self) -> Result<Read, Ending> {
        let worker = Rc::clone(&self.arrival.worker);
        let limits = &worker.proxy.client_limits;
        loop {
            let (inbox, stream) = (&mut self.arrival.inbox, &mut self.arrival.stream);
            match Reader::default().next(limits, inbox.bytes()) {
                Ok(Some(Piece::Message(message))) => {
                    let read = (message.tag(), message.body().to_vec());
                    let length = Message::frame(&message).len();
                    inbox.consume(length);
                    return Ok(read);
                }
                Ok(Some(Piece::Part(_))) => {
                    return Err(Some(Refusal::console("the message is too long")));
                }
                Ok(None) => {}
                Err(error) => return Err(Some(Refusal::client_protocol(&error))),
            }
            let wanted = Reader::default().wants(limits, inbox.bytes()).unwrap_or(0);
            let filled = poll_fn(|context| {
                match inbox.poll_fill(stream, wanted, &worker.spares, context) {
                    Poll::Ready(filled) => Poll::Ready(Some(filled)),
                    // Somebody who leaves wakes everybody.
                    Poll::Pending if worker.is_draining() => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            match filled.await {
                Some(Ok(1..)) => {}
                Some(_) => return Err(None),
                None => return Err(Some(Refusal::shutting_down())),
            }
        }
    }

    async fn query(&mut self, body: &[u8]) -> Result<(), Ending> {
        let text = Query::parse(body).map_err(|error| Some(Refusal::client_protocol(&error)))?;
        let outcome = match command(text.text) {
            Ok(command) => self.obey(&command, true).await?,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = outcome {
            refusal.write(self.arrival.outbox.buf());
        }
        self.ready();
        Ok(())
    }

    fn ready(&mut self) {
        ReadyForQuery(TransactionStatus::Idle).write(self.arrival.outbox.buf());
    }

    async fn extended(&mut self, tag: u8, body: &[u8]) -> Result<Result<(), Refusal>, Ending> {
        let broken = |error| Some(Refusal::client_protocol(&error));
        match tag {
            b'P' => {
                let parsed = Parse::parse(body).map_err(broken)?;
                if self.statements.len() >= NAMES_MAX
                    && !self.statements.contains_key(parsed.statement)
                {
                    return Ok(Err(Refusal::console(
                        "there are too many prepared statements",
                    )));
                }
                let command = match command(parsed.text) {
                    Ok(command) => Rc::new(command),
                    Err(refusal) => return Ok(Err(refusal)),
                };
                self.statements.insert(parsed.statement.to_vec(), command);
                self.put(b'1');
            }
            b'B' => return self.bind(body),
            b'D' => {
                let describe = Describe::parse(body).map_err(broken)?;
                let is_statement = matches!(describe.target, Target::Statement);
                let names = if is_statement {
                    &self.statements
                } else {
                    &self.portals
                };
                let Some(command) = names.get(describe.name).map(Rc::clone) else {
                    return Ok(Err(Refusal::console(
                        "there is no such statement or portal",
                    )));
                };
                if is_statement {
                    message(b't', self.arrival.outbox.buf(), |out| out.extend([0, 0]));
                }
                match self.table(&command) {
                    Some(table) => table.describe(self.arrival.outbox.buf()),
                    None => self.put(b'n'),
                }
            }
            b'C' => {
                let close = Close::parse(body).map_err(broken)?;
                match close.target {
                    Target::Statement => self.statements.remove(close.name),
                    Target::Portal => self.portals.remove(close.name),
                };
                self.put(b'3');
            }
            _ => {
                let execute = Execute::parse(body).map_err(broken)?;
                let Some(command) = self.portals.get(execute.portal).map(Rc::clone) else {
                    return Ok(Err(Refusal::console("there is no such portal")));
                };
                return self.obey(&command, false).await;
            }
        }
        Ok(Ok(()))
    }

    fn bind(&mut self, body: &[u8]) -> Result<Result<(), Refusal>, Ending> {
        let broken = |error| Some(Refusal::client_protocol(&error));
        let bound = Bind::parse(body).map_err(broken)?;
        let rest = BindRest::parse(bound.rest).map_err(broken)?;
        let Some(command) = self.statements.get(bound.statement).map(Rc::clone) else {
            return Ok(Err(Refusal::console("there is no such prepared statement")));
        };
        if rest.result_formats.iter().any(|byte| *byte != 0) {
            return Ok(Err(Refusal::console("results are to be had as text only")));
        }
        if self.portals.len() >= NAMES_MAX {
            self.portals.clear();
        }
        self.portals.insert(bound.portal.to_vec(), command);
        self.put(b'2');
        Ok(Ok(()))
    }

    fn put(&mut self, tag: u8) {
        message(tag, self.arrival.outbox.buf(), |_| {});
    }

    /// What a command shows, as far as it does.
    fn table(&self, command: &Command) -> Option<Table> {
        match command {
            Command::Show(what) => show::table(&self.arrival.worker.proxy, *what),
            Command::ShowParameter(name, value) => Some(Table::single(name, value)),
            _ => None,
        }
    }

    /// Does what it says, and writes the answer up to its CommandComplete.
    async fn obey(
        &mut self,
        command: &Command,
        describes: bool,
    ) -> Result<Result<(), Refusal>, Ending> {
        if let Some(table) = self.table(command) {
            let out = self.arrival.outbox.buf();
            if describes {
                table.describe(out);
            }
            table.write_rows(out);
            return Ok(Ok(()));
        }
        let tag = match command {
            Command::Empty => {
                self.put(b'I');
                return Ok(Ok(()));
            }
            Command::Show(Show::Help) => {
                self.notice("The commands of the console:", Some(HELP));
                "SHOW"
            }
            Command::SetParameter => "SET",
            _ if self.rights == Rights::Show => return Ok(Err(Refusal::console_shows_only())),
            _ => match self.act(command).await? {
                Ok(tag) => tag,
                Err(refusal) => return Ok(Err(refusal)),
            },
        };
        complete(tag, self.arrival.outbox.buf());
        Ok(Ok(()))
    }

    async fn act(&mut self, command: &Command) -> Result<Result<&'static str, Refusal>, Ending> {
        let proxy = std::sync::Arc::clone(&self.arrival.worker.proxy);
        let outcome = match command {
            Command::Pause(name) => {
                let done = self
                    .unless_gone(act::pause(&proxy, name.as_deref()))
                    .await?;
                done.map(|()| "PAUSE")
            }
            Command::WaitClose(name) => {
                let done = self
                    .unless_gone(act::wait_close(&proxy, name.as_deref()))
                    .await?;
                done.map(|()| "WAIT_CLOSE")
            }
            Command::Resume(name) => act::resume(&proxy, name.as_deref()).map(|()| "RESUME"),
            Command::Reconnect(name) => {
                act::reconnect(&proxy, name.as_deref()).map(|()| "RECONNECT")
            }
            Command::Kill(name) => act::kill(&proxy, name.as_deref()).map(|()| "KILL"),
            Command::KillClient(id) => act::kill_client(&proxy, *id).map(|()| "KILL_CLIENT"),
            Command::Disable(name) => act::set_disabled(&proxy, name, true).map(|()| "DISABLE"),
            Command::Enable(name) => act::set_disabled(&proxy, name, false).map(|()| "ENABLE"),
            Command::Reload => act::reload(&proxy).await.map(|notices| {
                notices.iter().for_each(|notice| self.notice(notice, None));
                "RELOAD"
            }),
            Command::Shutdown(how) => act::shut_down(&proxy, *how).map(|()| "SHUTDOWN"),
            Command::Suspend => Err(Refusal::no_suspend()),
            Command::Set(key) => Err(Refusal::no_set(key)),
            Command::Show(_)
            | Command::ShowParameter(..)
            | Command::SetParameter
            | Command::Empty => Ok("SHOW"),
        };
        Ok(outcome)
    }

    fn notice(&mut self, text: &str, detail: Option<&str>) {
        let mut report = Report::new(Severity::Notice, SqlState(*b"00000"), text);
        if let Some(detail) = detail {
            report = report.detail(detail);
        }
        report.write(self.arrival.outbox.buf());
    }

    /// What comes of waiting, unless the client goes before, or the process leaves.
    async fn unless_gone<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ending> {
        let mut work = pin!(work);
        let worker = Rc::clone(&self.arrival.worker);
        let (inbox, stream) = (&mut self.arrival.inbox, &mut self.arrival.stream);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            if worker.is_draining() {
                return Poll::Ready(Err(Some(Refusal::shutting_down())));
            }
            match inbox.poll_fill(stream, 0, &worker.spares, context) {
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(None)),
                _ => Poll::Pending,
            }
        })
        .await
    }
}
