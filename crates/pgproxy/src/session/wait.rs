//! Where a session waits: for both sockets, in both directions.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::stream::Lost;
use super::{Doing, End, Session};
use crate::buffer::BULK_BYTES;
use crate::error::Refusal;

/// What has happened.
enum Event {
    /// The client has sent something.
    Client,
    /// There is no memory for a text as long as the client is about to send.
    NoRoom,
    /// The client has closed its side.
    ClientClosed,
    /// The client is gone.
    ClientGone,
    /// The server has sent something, or its earlier answers can be passed on at last.
    Server,
    ServerLost(Option<io::Error>),
    /// The server has taken what it was sent.
    Written,
    /// Somebody else wants us to look around: the worker drains.
    Woken,
    /// The console has sent the client away.
    Killed,
    /// Something about what the client listens to.
    Hub,
    /// The time for a farewell is over.
    TooLate,
    /// The client has done this for longer than it may.
    Overdue(Doing),
}

impl Session {
    /// Sends what is to be sent and waits for something to come.
    pub(super) async fn wait(&mut self, reads_client: bool) -> Result<(), End> {
        self.deliver_notifications()?;
        self.set_alarm();
        let (session, mut has_waited) = (&mut *self, false);
        let event = poll_fn(move |context| {
            let polled = session.poll_event(reads_client, context);
            // A second look after a wake-up that none of the sockets explains.
            if polled.is_pending() && std::mem::replace(&mut has_waited, true) {
                if session.client.listed.is_killed() {
                    return Poll::Ready(Event::Killed);
                }
                if session.worker.is_draining() && session.is_at_rest() {
                    return Poll::Ready(Event::Woken);
                }
                // A reload may have set another limit.
                session.set_alarm();
                return session.alarm.poll(context).map(Event::Overdue);
            }
            polled
        })
        .await;
        match event {
            Event::Client | Event::Written | Event::Woken => Ok(()),
            Event::NoRoom => {
                self.rare().lacks_room = true;
                Ok(())
            }
            Event::ClientClosed => self.leave(),
            Event::Hub => {
                self.heed_hub();
                Ok(())
            }
            Event::Overdue(doing) => self.ring(doing),
            Event::Killed => Err(End::Told(Refusal::killed())),
            Event::ClientGone | Event::TooLate => Err(End::Gone),
            Event::Server => {
                let was_setting_up = self.is_setting_up;
                if let Err(lost) = self.stream() {
                    return self.lose(lost);
                }
                // A connection that has just been brought in line is wanted for what the client has sent. Given back, it would go to
                // the next in the queue, who would bring it in line, and so on: nobody would ever get to work.
                let is_ready = was_setting_up && !self.is_setting_up;
                if !is_ready || self.is_leaving() || self.client.inbox.is_empty() {
                    self.release();
                }
                Ok(())
            }
            Event::ServerLost(error) => {
                let words = error.map(|error| error.to_string());
                self.lose(Lost {
                    words,
                    misfit: None,
                })
            }
        }
    }

    fn poll_event(&mut self, reads_client: bool, context: &mut Context<'_>) -> Poll<Event> {
        match self.poll_peers(reads_client, context) {
            Poll::Pending if self.poll_hub(context).is_ready() => Poll::Ready(Event::Hub),
            Poll::Pending => self.alarm.poll(context).map(Event::Overdue),
            ready => ready,
        }
    }

    fn poll_peers(&mut self, reads_client: bool, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(event) = self.poll_server(context) {
            return Poll::Ready(event);
        }
        let client = &mut self.client;
        let was_backed_up = client.outbox.is_backed_up();
        let flushed = client.outbox.poll_flush(&mut client.stream, context);
        if let Poll::Ready(Err(_)) = flushed {
            return Poll::Ready(Event::ClientGone);
        }
        if self.server.is_none() && flushed.is_ready() {
            // An idle client has no buffers; those that are busy pass them on.
            client.inbox.release(&self.worker.spares);
            client.outbox.release(&self.worker.spares);
            self.batch.release(&self.worker.spares);
        }
        // Within a transaction what was needed for a large text is not kept, either.
        if client.inbox.is_large()
            && let Some(server) = &mut self.server
            && server.outbox.is_empty()
        {
            client.inbox.shrink();
            server.outbox.shrink();
        }
        // While it was backed up nobody asked the server for more.
        if (self.is_paused || was_backed_up) && !client.outbox.is_backed_up() {
            return Poll::Ready(Event::Server);
        }
        let rare = self.rare.as_mut();
        if let Some(leaving) = rare.and_then(|rare| rare.leaving.as_mut()) {
            let is_done = self.server.is_none() && client.outbox.is_empty();
            if is_done || leaving.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::TooLate);
            }
        } else if reads_client {
            return self.poll_client(context);
        }
        Poll::Pending
    }

    fn poll_client(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        let client = &mut self.client;
        let limits = &self.worker.proxy.client_limits;
        // What is wrong with a length is found when the message is read.
        let wanted = client
            .reader
            .wants(limits, client.inbox.bytes())
            .unwrap_or(0);
        let (spares, proxy) = (&self.worker.spares, &self.worker.proxy);
        if wanted > BULK_BYTES && !client.inbox.finds_room(wanted, &proxy.room) {
            proxy.statements.forget_unused();
            if !client.inbox.finds_room(wanted, &proxy.room) {
                return Poll::Ready(Event::NoRoom);
            }
        }
        client
            .inbox
            .poll_fill(&mut client.stream, wanted, spares, context)
            .map(|read| match read {
                Ok(0) => Event::ClientClosed,
                Ok(count) => {
                    client.outbox.borrow(spares);
                    self.worker.count_from_clients(count);
                    let tally = client.target.tally.of(self.worker.index);
                    tally.from_clients.add(count as u64);
                    Event::Client
                }
                Err(_) => Event::ClientGone,
            })
    }

    fn poll_server(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let is_backed_up = self.client.outbox.is_backed_up();
        let server = self.server.as_mut()?;
        let limits = &self.worker.proxy.server_limits;
        let wanted = server
            .reader
            .wants(limits, server.inbox.bytes())
            .unwrap_or(0);
        let (stream, inbox, outbox) = match server.io() {
            Ok(io) => io,
            Err(error) => return Some(Event::ServerLost(Some(error))),
        };
        let was_backed_up = outbox.is_backed_up();
        // A server that has gone may have said why: reading tells.
        let flushed = outbox.poll_flush(stream, context);
        if !is_backed_up {
            match inbox.poll_fill(stream, wanted, &self.worker.spares, context) {
                Poll::Ready(Ok(0)) => return Some(Event::ServerLost(None)),
                Poll::Ready(Ok(count)) => {
                    self.worker.count_from_servers(count);
                    let tally = self.client.target.tally.of(self.worker.index);
                    tally.from_servers.add(count as u64);
                    return Some(Event::Server);
                }
                Poll::Ready(Err(error)) => return Some(Event::ServerLost(Some(error))),
                Poll::Pending => {}
            }
        }
        match flushed {
            Poll::Ready(Err(error)) => Some(Event::ServerLost(Some(error))),
            _ => (was_backed_up && !outbox.is_backed_up()).then_some(Event::Written),
        }
    }
}
