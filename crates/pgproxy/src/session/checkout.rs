//! Stage 3: a server connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use paceline_pgwire::Wire;
use paceline_pgwire::frontend::{Bind, Execute, Parse};
use tokio::time::sleep;

use super::account::{Note, Purpose};
use super::expect::{Asked, Fate};
use super::release::FAREWELL;
use super::retry::BatchState;
use super::{End, Session};
use crate::buffer::BACKLOG_BYTES;
use crate::databases::{Outcome, Target};
use crate::error::Refusal;
use crate::pool::{Grant, Lease, Place, Ticket};
use crate::server::Opened;

impl Session {
    /// Takes a connection that is there. Otherwise what is left to be done for one, which takes time.
    pub(super) fn try_check_out(&mut self) -> Option<Grant<Opened>> {
        if let Some(place) = self.rare.as_mut().and_then(|rare| rare.place.take()) {
            return Some(Grant::Open(place));
        }
        let pool = &self.client.target.pool;
        match pool.check_out(self.worker.index, self.client.settings.id) {
            Grant::Connection(lease) => self.take_lease(lease),
            later => Some(later),
        }
    }

    /// Waits for a connection, opens one, or finds out why there is none. All of it takes `wait_timeout` at most.
    pub(super) async fn check_out(&mut self, mut next: Grant<Opened>) -> Result<(), End> {
        let began = Instant::now();
        // From when on the time counts.
        let mut since = began;
        self.client.listed.waits();
        loop {
            let got = match next {
                Grant::Connection(lease) => Some(self.examine(lease).await),
                Grant::Open(place) => self.wait_for_opening(place, since).await?,
                Grant::Wait(ticket) => self.wait_turn(ticket, &mut since).await?,
            };
            let Some(Grant::Connection(lease)) = got else {
                match got {
                    Some(grant) => next = grant,
                    None => break,
                }
                continue;
            };
            match self.take_lease(lease) {
                None => break,
                Some(grant) => next = grant,
            }
        }
        let waited = began.elapsed();
        let target = &self.client.target;
        target.pool.record_wait(waited);
        target.tally.of(self.worker.index).count_wait(waited);
        match &mut self.server {
            Some(server) => server.queued = waited,
            None => {
                self.client.cancelable.detach();
                self.client.listed.rests();
            }
        }
        Ok(())
    }

    /// Looks whether the connection still lives. A dead one leaves its place, to open another; one that has idled for long is
    /// to be asked.
    fn take_lease(&mut self, mut lease: Lease<Opened>) -> Option<Grant<Opened>> {
        match lease.wake(self.worker.index) {
            Ok(()) if lease.is_stale() => Some(Grant::Connection(lease)),
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

    /// Asks a connection whether it is well. The client does not notice when it is not.
    async fn examine(&mut self, mut lease: Lease<Opened>) -> Grant<Opened> {
        if !lease.is_stale() || self.client.target.examine(&mut lease).await {
            Grant::Connection(lease)
        } else {
            Grant::Open(lease.into_place())
        }
    }

    /// Opens a connection. While that fails it is tried again.
    async fn wait_for_opening(
        &mut self,
        mut place: Place<Opened>,
        since: Instant,
    ) -> Result<Option<Grant<Opened>>, End> {
        let target = Arc::clone(&self.client.target);
        let wait_timeout = target.settings().wait_timeout;
        let left = || wait_timeout.saturating_sub(since.elapsed());
        loop {
            let mut opening = target.open(place, self.worker.index);
            let opened = self.wait_for(left(), |context| Pin::new(&mut opening).poll(context));
            match opened.await? {
                Some(Ok(Outcome::Opened(lease))) => return Ok(Some(Grant::Connection(lease))),
                Some(Ok(Outcome::PutOff(kept, pause))) if !left().is_zero() => {
                    let granted = self.pause(&target, since, pause.min(left())).await?;
                    if granted.is_some() || self.denied.is_some() {
                        return Ok(granted);
                    }
                    place = kept;
                    continue;
                }
                Some(Ok(Outcome::Refused(reason))) => {
                    self.denied = Some(Refusal::unavailable(&reason));
                }
                // The task has vanished, which it does with its worker only.
                Some(Err(_)) => self.denied = Some(Refusal::shutting_down()),
                None if self.denied.is_some() => {}
                None | Some(Ok(Outcome::PutOff(..))) => {
                    self.denied = Some(self.why_not(&target, since));
                }
            }
            return Ok(None);
        }
    }

    /// Waits until it is time to try again to open a connection, or for one that comes back: the server may let us have no more
    /// than there are, and then nobody else would give this client one.
    async fn pause(
        &mut self,
        target: &Target,
        since: Instant,
        pause: Duration,
    ) -> Result<Option<Grant<Opened>>, End> {
        let settings = self.client.settings.id;
        match target.pool.rejoin(self.worker.index, settings, since) {
            Grant::Wait(mut ticket) => {
                self.wait_for(pause, |context| ticket.poll_granted(context))
                    .await
            }
            grant => Ok(Some(grant)),
        }
    }

    /// Waits in the queue.
    async fn wait_turn(
        &mut self,
        mut ticket: Ticket<Opened>,
        since: &mut Instant,
    ) -> Result<Option<Grant<Opened>>, End> {
        let target = Arc::clone(&self.client.target);
        let was_paused = target.pool.is_paused();
        let settings = target.settings();
        let (waited, limits) = (since.elapsed(), settings.limits);
        let mut reserve = (limits.reserve > 0)
            .then(|| Box::pin(sleep(limits.reserve_after.saturating_sub(waited))));
        let mut poll = |context: &mut Context<'_>| {
            if let Poll::Ready(grant) = ticket.poll_granted(context) {
                return Poll::Ready(grant);
            }
            if let Some(due) = &mut reserve
                && due.as_mut().poll(context).is_ready()
            {
                reserve = None;
                target.pool.claim_reserve();
                // What that has led to is seen at once.
                return ticket.poll_granted(context);
            }
            Poll::Pending
        };
        let mut limit = settings.wait_timeout.saturating_sub(waited);
        let granted = loop {
            let granted = self.wait_for(limit, &mut poll).await?;
            // While the console holds everybody, the time does not count.
            if was_paused || target.pool.is_paused() {
                *since = Instant::now();
                limit = settings.wait_timeout;
            }
            if granted.is_some() || self.denied.is_some() || !target.pool.is_paused() {
                break granted;
            }
        };
        if granted.is_none() {
            // This client has left the queue.
            drop(ticket);
            if self.denied.is_none() {
                self.denied = Some(self.why_not(&target, *since));
            }
        }
        Ok(granted)
    }

    /// Waits for something else than the client, for this long at most. The client is listened to meanwhile: when it goes, so
    /// does what it waits for. A cancel ends the wait, and `denied` says so.
    async fn wait_for<T>(
        &mut self,
        limit: Duration,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<Option<T>, End> {
        let mut timeout = pin!(sleep(limit));
        let (mut has_closed, mut was_cancelled) = (false, false);
        let (client, spares) = (&mut self.client, &self.worker.spares);
        let found = poll_fn(|context| {
            if client.cancelable.poll_wait(context).is_ready() {
                was_cancelled = true;
                return Poll::Ready(Ok(None));
            }
            if let Poll::Ready(found) = poll(context) {
                return Poll::Ready(Ok(Some(found)));
            }
            if timeout.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(None));
            }
            if client.listed.is_killed() {
                return Poll::Ready(Err(End::Told(Refusal::killed())));
            }
            // What has been answered must not wait for this.
            if let Poll::Ready(Err(_)) = client.outbox.poll_flush(&mut client.stream, context) {
                return Poll::Ready(Err(End::Gone));
            }
            while client.inbox.len() < BACKLOG_BYTES && !has_closed {
                match client
                    .inbox
                    .poll_fill(&mut client.stream, BACKLOG_BYTES, spares, context)
                {
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Gone)),
                    // It may still want the answer to what it has sent; or it is gone, and another could have its place.
                    Poll::Ready(Ok(0)) => {
                        has_closed = true;
                        let soon = tokio::time::Instant::now() + FAREWELL;
                        let deadline = timeout.deadline().min(soon);
                        timeout.as_mut().reset(deadline);
                        if timeout.as_mut().poll(context).is_ready() {
                            return Poll::Ready(Ok(None));
                        }
                    }
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => break,
                }
            }
            Poll::Pending
        })
        .await;
        if was_cancelled {
            self.denied = Some(Refusal::cancelled_in_queue());
        }
        found
    }

    /// The wait is over without a connection: because none can be opened, or all are in use.
    fn why_not(&self, target: &Target, since: Instant) -> Refusal {
        let counters = &target.pool.counters;
        counters.wait_timeouts.fetch_add(1, Relaxed);
        let (waited, full) = (since.elapsed(), target.fullness());
        match target.circuit.reason() {
            Some(reason) => Refusal::unavailable(&reason).after(waited),
            // The first attempt has not come to its end yet.
            None if full.open == 0 && full.opening > 0 => {
                Refusal::unavailable(&target.server.is_late(waited))
            }
            None => Refusal::wait_timeout(waited, &full),
        }
    }

    /// The connection is ours from here on.
    fn attach(&mut self, mut lease: Lease<Opened>) {
        self.client.cancelable.attach(&lease.cancel_key);
        self.client.listed.holds(&lease.listed);
        self.tally().assignments.add(1);
        (lease.held_since, lease.queued) = (Instant::now(), Duration::ZERO);
        self.has_reports = false;
        self.server = Some(lease);
        self.bring_in_line();
    }

    /// Gives the connection the client's settings where they differ, in the same write as the client's first batch or query; nothing
    /// more is sent before that has succeeded. Where even the BEGIN fails, all up to a Sync is skipped; where the rest does, the block
    /// is failed. Either way nothing that the client has sent behind it is run.
    pub(super) fn bring_in_line(&mut self) {
        let Some(server) = &mut self.server else {
            return;
        };
        let Some(sql) = self.client.settings.statement_from(&server.settings) else {
            return;
        };
        (self.is_setting_up, self.may_ride) = (true, true);
        if self.batch_state != BatchState::Again {
            self.batch_state = BatchState::Awaited;
        }
        // What the former client has made the default could have it wait for other transactions.
        let text = b"BEGIN ISOLATION LEVEL READ COMMITTED";
        let out = server.outbox.buf();
        let (types, rest) = (Parse::NO_TYPES, Bind::NO_PARAMETERS);
        let (statement, portal, rows_max) = (b"".as_slice(), b"".as_slice(), 0);
        Parse {
            statement,
            text,
            types,
        }
        .write(out);
        Bind {
            portal,
            statement,
            rest,
        }
        .write(out);
        Execute { portal, rows_max }.write(out);
        for asked in [Asked::Parse, Asked::Bind, Asked::Execute] {
            let note = Note {
                purpose: Purpose::SettingUp,
                ..Note::default()
            };
            server.expect.push(asked, Fate::SwallowAll, note);
        }
        self.send_internal(format!("{sql};COMMIT").as_bytes(), Purpose::SetUp);
    }
}
