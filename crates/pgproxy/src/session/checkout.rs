//! Stage 3: a server connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Instant;

use tokio::time::sleep;

use super::account::Purpose;
use super::{End, Session};
use crate::buffer::BACKLOG_BYTES;
use crate::error::Refusal;
use crate::pool::{Grant, Lease, Place, Ticket};
use crate::server::Opened;

impl Session {
    /// Takes a connection that is there. Otherwise what is left to be done for one, which takes time.
    pub(super) fn try_check_out(&mut self) -> Option<Grant<Opened>> {
        let target = &self.client.target;
        match target
            .pool
            .check_out(self.worker.index, self.client.settings.id)
        {
            Grant::Connection(lease) => self.take_lease(lease),
            later => Some(later),
        }
    }

    /// Waits for a connection, opens one, or finds out why there is none.
    pub(super) async fn check_out(&mut self, mut next: Grant<Opened>) -> Result<(), End> {
        let since = Instant::now();
        loop {
            match next {
                Grant::Connection(lease) => match self.take_lease(lease) {
                    None => break,
                    Some(place) => next = place,
                },
                Grant::Open(place) => {
                    self.open(place).await;
                    break;
                }
                Grant::Wait(ticket) => match self.wait_turn(ticket, since).await? {
                    Some(grant) => next = grant,
                    None => break,
                },
            }
        }
        self.queued = since.elapsed();
        self.client.target.pool.record_wait(self.queued);
        Ok(())
    }

    /// Looks whether the connection still lives. A dead one leaves its place, to open another.
    fn take_lease(&mut self, mut lease: Lease<Opened>) -> Option<Grant<Opened>> {
        match lease.wake(self.worker.index) {
            Ok(()) => {
                self.attach(lease);
                None
            }
            Err(error) => {
                tracing::debug!(%error, "An idle server connection has died.");
                Some(Grant::Open(lease.into_place()))
            }
        }
    }

    async fn open(&mut self, place: Place<Opened>) {
        // What has been answered must not wait for this.
        let client = &mut self.client;
        poll_fn(|context| {
            let _ = client.outbox.poll_flush(&mut client.stream, context);
            Poll::Ready(())
        })
        .await;
        let target = std::sync::Arc::clone(&self.client.target);
        match target
            .server
            .open(&target.settings(), self.worker.index)
            .await
        {
            Ok(connection) => {
                target.review_statuses(&connection.reported);
                self.attach(place.opened(connection));
            }
            Err(error) => {
                target.note_connect_error(&error);
                self.denied = Some(Refusal::unavailable(&error));
            }
        }
    }

    /// Waits in the queue, for `wait_timeout` at most. The client is listened to meanwhile: when it goes, so does its place.
    async fn wait_turn(
        &mut self,
        mut ticket: Ticket<Opened>,
        since: Instant,
    ) -> Result<Option<Grant<Opened>>, End> {
        let target = std::sync::Arc::clone(&self.client.target);
        let settings = target.settings();
        let (waited, limits) = (since.elapsed(), settings.limits);
        let mut timeout = pin!(sleep(settings.wait_timeout.saturating_sub(waited)));
        let mut reserve = (limits.reserve > 0)
            .then(|| Box::pin(sleep(limits.reserve_after.saturating_sub(waited))));
        let (client, spares) = (&mut self.client, &self.worker.spares);
        let granted = poll_fn(|context| {
            if let Poll::Ready(grant) = ticket.poll_granted(context) {
                return Poll::Ready(Ok(Some(grant)));
            }
            if timeout.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(None));
            }
            if let Some(due) = &mut reserve
                && due.as_mut().poll(context).is_ready()
            {
                reserve = None;
                target.pool.claim_reserve();
                // What that has led to is seen at once.
                if let Poll::Ready(grant) = ticket.poll_granted(context) {
                    return Poll::Ready(Ok(Some(grant)));
                }
            }
            if let Poll::Ready(Err(_)) = client.outbox.poll_flush(&mut client.stream, context) {
                return Poll::Ready(Err(End::Gone));
            }
            while client.inbox.len() < BACKLOG_BYTES {
                match client
                    .inbox
                    .poll_fill(&mut client.stream, BACKLOG_BYTES, spares, context)
                {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(End::Gone)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => break,
                }
            }
            Poll::Pending
        })
        .await?;
        if granted.is_none() {
            target.pool.counters.wait_timeouts.fetch_add(1, Relaxed);
            // This client has left the queue.
            drop(ticket);
            self.denied = Some(Refusal::wait_timeout(since.elapsed(), &target.fullness()));
        }
        Ok(granted)
    }

    /// The connection is ours from here on.
    fn attach(&mut self, lease: Lease<Opened>) {
        self.client.cancelable.attach(&lease.cancel_key);
        self.has_reports = false;
        self.server = Some(lease);
        self.bring_in_line();
    }

    /// Gives the connection the client's settings, in one round trip, where they differ; nothing of the client's is sent before that
    /// has succeeded.
    pub(super) fn bring_in_line(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        if let Some(sql) = self.client.settings.statement_from(&server.settings) {
            self.is_setting_up = true;
            self.send_internal(sql.as_bytes(), Purpose::SetUp);
        }
    }
}
