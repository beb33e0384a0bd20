//! One server connection, and all that is known about the session at its other end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_pgwire::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{PreparedSet, Route};
use crate::buffer::{Inbox, Outbox};
use crate::client::StatementId;
use crate::databases::Uses;
use crate::pool::Pooled;
use crate::roster::ListedServer;
use crate::session::{Expect, Note, Runs};
use crate::settings::Settings;
use crate::stream::Stream;

/// What the last ReadyForQuery said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    InTransaction,
    Failed,
}

/// How a session becomes as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reset {
    /// It is.
    None,
    /// What is prepared may stay.
    Light,
    /// Nothing stays.
    Full,
}

/// How to cancel what a server process is doing.
#[derive(Clone)]
pub(crate) struct CancelKey {
    pub(crate) route: Arc<Route>,
    pub(crate) process_id: u32,
    pub(crate) secret: Arc<[u8]>,
}

/// The settings that a server reports by itself.
pub(crate) type Reported = Vec<(Box<[u8]>, Box<[u8]>)>;

/// See the module.
pub(crate) struct ServerConnection {
    /// `None` only when moving it to another reactor has failed: then it is dead.
    stream: Option<Stream>,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) reader: Reader,
    /// Answers that are due.
    pub(crate) expect: Expect<Note>,
    pub(crate) runs: Runs,
    pub(crate) status: Status,
    /// Messages of the extended protocol were sent since the last Sync: an implicit transaction may be open.
    pub(crate) is_unsynced: bool,
    /// The session may hold something that nobody else may see: what to do before the next client.
    pub(crate) reset: Reset,
    /// A setting is not what the client's settings say, for this transaction: texts may mean something else.
    pub(crate) reads_otherwise: bool,
    pub(crate) prepared: PreparedSet,
    /// Counted since the end of the last transaction.
    pub(crate) uses: Uses,
    /// Whose unnamed statement it has.
    pub(crate) unnamed: Option<StatementId>,
    /// How often the unnamed statement has changed, here or for the client.
    pub(crate) unnamed_changes: u64,
    pub(crate) settings: Arc<Settings>,
    /// What DISCARD ALL leads back to.
    neutral: Arc<Settings>,
    pub(crate) reported: Reported,
    pub(crate) cancel_key: Arc<CancelKey>,
    pub(crate) listed: ListedServer,
    /// Since when its client has it.
    pub(crate) held_since: Instant,
    /// How long that client has waited for it, until a statement has been charged with it.
    pub(crate) queued: Duration,
    worker: usize,
    born: Instant,
}

/// What is known when a connection has just been opened.
pub(super) struct Fresh {
    pub(super) stream: Stream,
    pub(super) inbox: Inbox,
    pub(super) reported: Reported,
    pub(super) cancel_key: Arc<CancelKey>,
    pub(super) listed: ListedServer,
    pub(super) settings: Arc<Settings>,
    pub(super) worker: usize,
    /// It counts as older than it is by so much.
    pub(super) head_start: Duration,
}

impl ServerConnection {
    pub(super) fn new(fresh: Fresh) -> Self {
        let now = Instant::now();
        Self {
            stream: Some(fresh.stream),
            inbox: fresh.inbox,
            outbox: Outbox::default(),
            reader: Reader::default(),
            expect: Expect::default(),
            runs: Runs::default(),
            status: Status::Idle,
            is_unsynced: false,
            reset: Reset::None,
            reads_otherwise: false,
            prepared: PreparedSet::default(),
            uses: Uses::default(),
            unnamed: None,
            unnamed_changes: 0,
            settings: Arc::clone(&fresh.settings),
            neutral: fresh.settings,
            reported: fresh.reported,
            cancel_key: fresh.cancel_key,
            listed: fresh.listed,
            held_since: now,
            queued: Duration::ZERO,
            worker: fresh.worker,
            born: now.checked_sub(fresh.head_start).unwrap_or(now),
        }
    }

    /// The socket and the buffers, borrowed side by side.
    pub(crate) fn io(&mut self) -> io::Result<(&mut Stream, &mut Inbox, &mut Outbox)> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok((stream, &mut self.inbox, &mut self.outbox))
    }

    /// Nothing is under way: outside of a transaction, all answers read, nothing in the buffers.
    pub(crate) fn is_quiet(&self) -> bool {
        self.status == Status::Idle
            && !self.is_unsynced
            && self.expect.is_empty()
            && !self.expect.is_skipping()
            && self.inbox.is_empty()
            && self.outbox.is_empty()
            && self.reader.missing() == 0
    }

    /// Gets it ready for a client on `worker`: registers it there, and looks whether it is still alive. A server has
    /// nothing to say to an idle session; if it does, that is its last word, or something that we had better not guess.
    pub(crate) fn wake(&mut self, worker: usize) -> io::Result<()> {
        let mut stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        if self.worker == worker {
            stream.check_silent()?;
        } else {
            let mut detached = stream.detach()?;
            detached.check_silent()?;
            self.worker = worker;
            stream = detached.attach()?;
        }
        self.stream = Some(stream);
        Ok(())
    }

    /// Whether the server may have something to do, or to say, that was not read yet.
    pub(crate) fn is_at_work(&self) -> bool {
        !self.expect.is_empty() || self.is_unsynced || !self.outbox.is_empty()
    }

    /// Says that nothing more will come, and waits until the server has closed its side, whatever it still says.
    pub(crate) async fn end(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        let mut rest = [0; 1024];
        if stream.shutdown().await.is_ok() {
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
        }
    }

    /// The session is as new.
    pub(crate) fn forget_session(&mut self) {
        self.prepared.forget_all();
        self.unnamed = None;
        self.forget_settings();
    }

    /// No setting is other than when the connection was opened.
    pub(crate) fn forget_settings(&mut self) {
        self.settings = Arc::clone(&self.neutral);
    }

    /// The server has told a setting. Says whether it is news.
    pub(crate) fn report(&mut self, name: &[u8], value: &[u8]) -> bool {
        match self.reported.iter_mut().find(|(found, _)| **found == *name) {
            Some((_, old)) if **old == *value => false,
            Some((_, old)) => {
                *old = value.into();
                true
            }
            None => {
                self.reported.push((name.into(), value.into()));
                true
            }
        }
    }
}

impl Pooled for ServerConnection {
    fn is_clean(&self) -> bool {
        self.is_quiet() && self.reset == Reset::None && self.stream.is_some()
    }

    fn worker(&self) -> usize {
        self.worker
    }

    fn settings_id(&self) -> u64 {
        self.settings.id
    }

    fn born(&self) -> Instant {
        self.born
    }
}
