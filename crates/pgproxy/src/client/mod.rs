//! Client connections: how they begin, and what is known about each.

mod login;
mod portals;
pub(crate) mod startup;
mod statements;

use std::io;
use std::sync::Arc;

use paceline_journal::ConnectionId;
use paceline_pgwire::Reader;

pub(crate) use portals::{Portal, Portals};
pub(crate) use statements::{ClientStatements, Prepared, Source, StatementId, StatementTable};

use crate::buffer::{Inbox, Outbox};
use crate::cancel::Cancelable;
use crate::databases::{Admission, Target};
use crate::notify::Subscriptions;
use crate::roster::ListedClient;
use crate::settings::Settings;
use crate::stream::{DetachedStream, Stream};
use crate::worker::Seat;

/// A client that is logged in. On its way from worker to worker its stream belongs to none.
pub(crate) struct Client<S = Stream> {
    pub(crate) stream: S,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) reader: Reader,
    /// What it asked for.
    pub(crate) target: Arc<Target>,
    /// Its place among the clients of its database and of its user.
    pub(crate) admission: Admission,
    /// What it listens to, on the connection that listens for all.
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    pub(crate) statements: ClientStatements,
    /// What its startup packet asks for.
    pub(crate) startup: Arc<Settings>,
    /// What holds now, outside of a transaction.
    pub(crate) settings: Arc<Settings>,
    pub(crate) cancelable: Cancelable,
    /// Its place in the roster.
    pub(crate) listed: ListedClient,
    pub(crate) seat: Seat,
}

impl<S> Client<S> {
    /// The number under which the journal and the cancel key know it.
    pub(crate) fn id(&self) -> ConnectionId {
        ConnectionId(u64::from(self.cancelable.process_id()))
    }

    fn with_stream<T>(
        self,
        convert: impl FnOnce(S) -> io::Result<T>,
        seat: Option<Seat>,
    ) -> io::Result<Client<T>> {
        Ok(Client {
            stream: convert(self.stream)?,
            inbox: self.inbox,
            outbox: self.outbox,
            reader: self.reader,
            target: self.target,
            admission: self.admission,
            subscriptions: self.subscriptions,
            statements: self.statements,
            startup: self.startup,
            settings: self.settings,
            cancelable: self.cancelable,
            listed: self.listed,
            seat: seat.unwrap_or(self.seat),
        })
    }
}

impl Client {
    /// Takes it from its worker's reactor, to be sent to another worker.
    pub(crate) fn depart(self, seat: Seat) -> io::Result<Client<DetachedStream>> {
        self.with_stream(Stream::detach, Some(seat))
    }
}

impl Client<DetachedStream> {
    /// Registers it with the reactor of the worker that calls this.
    pub(crate) fn arrive(self) -> io::Result<Client> {
        self.with_stream(DetachedStream::attach, None)
    }
}
