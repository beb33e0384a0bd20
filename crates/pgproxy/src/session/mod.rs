//! The life of a SQL message. The stages, in order; each is a file here:
//!
//! 1. [`read`]: take the client's messages from its buffer, one by one, as long as the server can keep up. Large ones pass in
//!    parts; while the server skips to a Sync, so do we.
//! 2. [`understand`]: what does the text do? One look-up; the trace comment comes off here. Huge texts leave the worker.
//! 3. [`checkout`]: a server connection, with the client's settings. Waiting is bounded, and the client is listened to meanwhile.
//! 4. [`prepare`]: give this server connection the statements that it lacks, make room for them.
//! 5. [`forward`] and [`named`]: write the messages under the names that they have there, and note what answers are due ([`expect`]).
//! 6. [`stream`]: pass the answers back as they come, without those to our own messages; rows are not looked at. What failed only
//!    because its plan is of yesterday is sent again ([`retry`]).
//! 7. [`account`]: tell the journal, before the last byte of an answer leaves. (The time of a COPY from the client is that of both.)
//! 8. [`state`] and [`release`]: at the end of a transaction, find out what it has done to its session, and give the connection
//!    back: clean, reset, or not at all.
//!
//! One task does all of it. It waits in one place ([`wait`]) for whatever can go on: both sockets in both directions.
//!
//! What makes the order of messages hard, and what is done about it:
//!
//! - *An error skips to the next Sync*, our own messages among the client's included. Whatever was taken for granted when a message
//!   was sent (a name, a prepared statement) is noted with the answer that is due, and undone backwards. A later batch that depends
//!   on such a thing waits until it is certain.
//! - *Local answers* (a Parse of what is prepared already) have an entry in the same queue, so that they come in order and
//!   vanish with a skipped batch.
//! - *Errors of our own* (a limit) are errors of the server: a message is sent in place of the refused one that must fail, and
//!   its error is replaced. The transaction's state, the skipping and the order are then the server's own.
//! - *COPY FROM STDIN in the extended protocol* swallows a Sync that the client sent ahead. Nothing is sent behind an Execute that may
//!   be such a COPY before the server has said what it is. The same holds for what may drop prepared statements (DEALLOCATE ALL).
//! - *Flush* makes answers come without a ReadyForQuery: a connection is quiet only when nothing was sent since the last Sync.
//! - *Terminate, and a client that closes its side, while answers are due*: they are still passed on for a moment, for a client
//!   that closes only its sending side gets them; then the connection goes.

mod account;
mod alarm;
mod checkout;
mod deallocate;
mod expect;
mod forward;
mod listen;
mod named;
mod prepare;
mod read;
mod release;
mod retry;
#[cfg(test)]
mod sizes;
mod state;
mod stream;
mod understand;
mod wait;
mod watched;

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use paceline_journal::TraceParent;
use paceline_pgwire::backend::{BackendKeyData, ParameterStatus, ReadyForQuery, TransactionStatus};
use paceline_pgwire::{SqlState, Wire};
use paceline_sql::Statement;
use tokio::time::Sleep;

use alarm::Alarm;
use listen::Listening;

pub(crate) use account::{Due, Note, Ran, Runs, hash_parameters};
pub(crate) use alarm::Doing;
pub(crate) use expect::{Asked, Entry, Expect, Fate, Remembered};
use retry::BatchState;
use state::Doings;
pub(crate) use understand::{Text, meaning};
pub(crate) use watched::values;

use crate::buffer::Outbox;
use crate::cancel;
use crate::client::{Client, Portals, StatementId};
use crate::config::Pooling;
use crate::databases::Sums;
use crate::error::Refusal;
use crate::pool::{Grant, Lease, Place};
use crate::server::Opened;
use crate::worker::{Parcel, Seat, Worker};

/// A logged-in client and what it is doing.
pub(crate) struct Session {
    worker: Rc<Worker>,
    client: Client,
    /// Held from the first message of a transaction to its end.
    server: Option<Lease<Opened>>,
    portals: Portals,
    /// What few sessions ever need, made when it is.
    rare: Option<Box<Rare>>,
    /// This batch has parsed an unnamed statement.
    has_own_unnamed: bool,
    /// Detached, and an error was told: nothing counts before the client's Sync.
    is_skipping: bool,
    /// What the next message that needs a server is told.
    denied: Option<Refusal>,
    /// A batch or query was answered by us, for want of a server connection.
    was_refused: bool,
    /// The server connection is being brought in line with the client's settings.
    is_setting_up: bool,
    /// A batch or query may be sent behind that without waiting for it.
    may_ride: bool,
    /// The server connection is being made as new, for whoever comes next.
    is_resetting: bool,
    /// The server is being asked what was done to the session.
    is_surveying: bool,
    /// What was done to the session since then.
    doings: Option<Box<Doings>>,
    /// The client has other settings than before.
    has_new_settings: bool,
    /// `DISCARD ALL` has been said.
    was_discarded: bool,
    /// The client keeps its connection until it leaves.
    is_session_pooled: bool,
    /// The connection of a client that leaves is as new.
    has_left_nothing: bool,
    /// The log knows that this client was tied to its connection.
    has_told_pin: bool,
    /// The client's batch, as long as nothing of it is answered, to be sent again.
    batch: Outbox,
    batch_state: BatchState,
    /// What was sent last decides what may follow: nothing more before its answer.
    is_held: bool,
    copy: Copy,
    /// Where the rest of a client's message in parts goes.
    body_to: BodyTo,
    /// Where the rest of a server's message in parts goes.
    answer_to: BodyTo,
    /// Answers wait in the server's buffer until the client has taken some.
    is_paused: bool,
    /// The server has told a setting within this transaction.
    has_reports: bool,
    /// Batches and queries that were answered, from zero again after the last number.
    answered: u32,
    alarm: Alarm,
    listening: Listening,
}

/// What few sessions ever need. Ten thousand idle ones do without.
#[derive(Default)]
struct Rare {
    /// The trace comments of this batch, by the statement that bore them.
    traces: Vec<(StatementId, TraceParent)>,
    /// For a new server connection, in the place of one that could not be brought in line.
    place: Option<Place<Opened>>,
    /// The client has been told the parameters of the statement that is described again.
    knows_parameters: bool,
    /// What the server said when a statement of our own has failed.
    internal_error: Option<(SqlState, String)>,
    /// What a huge text means, found out elsewhere.
    learnt: Option<Statement>,
    /// There was no memory for the text that the client has begun to send.
    lacks_room: bool,
    /// The client has ended: what is due may still be passed on until then.
    leaving: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copy {
    No,
    /// The server reads CopyData.
    In,
    /// The server sends CopyData.
    Out,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyTo {
    Peer,
    Nowhere,
}

/// Why no more of the client's messages can be dealt with now.
enum Stall {
    /// More must come from the client.
    Input,
    /// A server connection is needed.
    Server,
    /// A text is too large to be parsed on this thread.
    Learn(Box<str>),
    /// Answers must come first, or the server must take what is written.
    Answers,
    /// The client has said goodbye.
    Goodbye,
}

/// What a session does next.
enum Next {
    /// It deals with what is there.
    Turn,
    /// It takes what time it takes to get a server connection.
    CheckOut(Grant<Opened>),
    /// It has a huge text parsed.
    Learn(Box<str>),
    /// It waits for whatever comes; the client's messages are read or left alone.
    Wait { reads_client: bool },
}

/// How a session ends.
enum End {
    /// There is nobody to tell.
    Gone,
    /// The client is told why.
    Told(Refusal),
    /// It goes on at another worker.
    Moved(Seat),
}

impl Session {
    pub(crate) fn new(worker: Rc<Worker>, client: Client) -> Box<Self> {
        let is_session_pooled = client.target.settings().pooling == Pooling::Session;
        Box::new(Self {
            worker,
            client,
            server: None,
            portals: Portals::default(),
            rare: None,
            has_own_unnamed: false,
            is_skipping: false,
            denied: None,
            was_refused: false,
            is_setting_up: false,
            may_ride: false,
            batch: Outbox::default(),
            batch_state: BatchState::Off,
            is_resetting: false,
            is_surveying: false,
            doings: None,
            was_discarded: false,
            has_new_settings: false,
            is_session_pooled,
            has_told_pin: false,
            has_left_nothing: false,
            is_held: false,
            copy: Copy::No,
            body_to: BodyTo::Nowhere,
            answer_to: BodyTo::Nowhere,
            is_paused: false,
            has_reports: false,
            answered: 0,
            alarm: Alarm::default(),
            listening: Listening::default(),
        })
    }

    /// What this worker counts for the client's target.
    fn tally(&self) -> &Sums {
        self.client.target.tally.of(self.worker.index)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What the server said to a statement of our own that has failed.
    fn take_internal_error(&mut self) -> Option<(SqlState, String)> {
        self.rare.as_mut()?.internal_error.take()
    }

    /// What a huge text means, if it was found out.
    fn take_learnt(&mut self) -> Option<Statement> {
        self.rare.as_mut()?.learnt.take()
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self: Box<Self>) {
        // Whoever sends it away from the console has to wake it.
        poll_fn(|context| {
            self.client.listed.wake_by(context.waker());
            Poll::Ready(())
        })
        .await;
        let end = loop {
            let done = match self.turn() {
                Ok(Next::Turn) => Ok(()),
                Ok(Next::Wait { reads_client }) => self.wait(reads_client).await,
                // In memory of their own, which an idle session does without.
                Ok(Next::CheckOut(next)) => Box::pin(self.check_out(next)).await,
                Ok(Next::Learn(text)) => Box::pin(self.learn(text)).await,
                Err(end) => Err(end),
            };
            if let Err(end) = done {
                break end;
            }
        };
        // In memory of its own: a session has only one end, and that memory would be its share for life.
        Box::pin(self.end(end)).await;
    }

    async fn end(mut self: Box<Self>, end: End) {
        match end {
            End::Gone => {
                if let Some(left) = self.abandon() {
                    cancel::stop(left).await;
                }
            }
            End::Told(refusal) => {
                // The server connection is of no use any more; the client may be slow.
                let left = self.abandon();
                refusal.write_fatal(self.client.outbox.buf());
                let stop = async {
                    if let Some(left) = left {
                        cancel::stop(left).await;
                    }
                };
                tokio::join!(stop, self.say_farewell());
            }
            End::Moved(seat) => self.depart(seat),
        }
    }

    /// Tells a client that has just logged in what it has to know. The first client with these settings waits for a server
    /// connection to learn it from. Gives nothing when that fails, and the client has been told why.
    pub(crate) async fn introduce(mut self: Box<Self>) -> Option<Box<Self>> {
        let target = Arc::clone(&self.client.target);
        let mut statuses = target.statuses(&self.client.settings);
        if statuses.is_none() {
            if let Err(refusal) = self.learn_statuses().await {
                self.detach();
                refusal.write_fatal(self.client.outbox.buf());
                self.say_farewell().await;
                return None;
            }
            statuses = target.statuses(&self.client.settings);
        }
        let out = self.client.outbox.buf();
        for (name, value) in statuses.iter().flat_map(|statuses| statuses.iter()) {
            ParameterStatus { name, value }.write(out);
        }
        let (process_id, secret) = (
            self.client.cancelable.process_id(),
            self.client.cancelable.secret(),
        );
        BackendKeyData {
            process_id,
            secret: &secret,
        }
        .write(out);
        ReadyForQuery(TransactionStatus::Idle).write(out);
        Some(self)
    }

    async fn learn_statuses(&mut self) -> Result<(), Refusal> {
        let gone = |end| match end {
            End::Told(refusal) => refusal,
            End::Gone | End::Moved(_) => Refusal::server_lost(None),
        };
        loop {
            if let Some(next) = self.try_check_out() {
                self.check_out(next).await.map_err(gone)?;
            }
            while self.is_setting_up {
                self.wait(false).await.map_err(gone)?;
            }
            if self.rare.as_ref().is_none_or(|rare| rare.place.is_none()) {
                break;
            }
        }
        match self.denied.take() {
            Some(refusal) => Err(refusal),
            None => {
                self.release();
                Ok(())
            }
        }
    }

    /// Deals with all that is there.
    fn turn(&mut self) -> Result<Next, End> {
        let stall = if self.is_leaving() {
            Stall::Goodbye
        } else {
            self.read()?
        };
        match stall {
            Stall::Server => return Ok(self.try_check_out().map_or(Next::Turn, Next::CheckOut)),
            Stall::Learn(text) => return Ok(Next::Learn(text)),
            Stall::Goodbye => self.leave()?,
            // What was left of the client's messages may have been nothing for the server.
            Stall::Input => self.release(),
            Stall::Answers => {}
        }
        self.between_transactions()?;
        let reads_client = matches!(stall, Stall::Input);
        Ok(Next::Wait { reads_client })
    }

    /// Whether the client has said goodbye or closed its side.
    fn is_leaving(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.leaving.is_some())
    }

    /// Sends the whole client to another worker.
    fn depart(self, seat: Seat) {
        let (worker, proxy) = (seat.worker(), Arc::clone(&self.worker.proxy));
        if let Ok(client) = self.client.depart(seat) {
            proxy.mailboxes[worker].send(Parcel::Client(Box::new(client)));
        }
    }
}
