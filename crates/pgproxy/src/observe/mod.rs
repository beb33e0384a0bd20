//! Observe mode: each client has a server connection of its own, from its startup packet to its end, and every byte passes
//! as it came, authentication included. The [`tap`] only reads along.

mod offer;
mod tap;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_pgwire::startup::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::buffer::{BULK_BYTES, Inbox, Outbox};
use crate::client::startup::Arrival;
use crate::databases::Target;
use crate::error::Refusal;
use crate::proxy::Proxy;
use crate::stream::Stream;
use offer::Offer;
use tap::Tap;

/// How long a last word, or a cancel request, may take.
const FAREWELL: Duration = Duration::from_secs(1);
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client and its own server connection.
struct Relay {
    arrival: Arrival,
    server: Stream,
    server_in: Inbox,
    server_out: Outbox,
    tap: Tap,
    offer: Offer,
    _counted: Counted,
    is_client_closed: bool,
    is_server_closed: bool,
}

/// Counts a server connection for as long as it is there.
struct Counted(Arc<Target>);

impl Counted {
    fn new(target: Arc<Target>) -> Self {
        target.pool.counters.observed.fetch_add(1, Relaxed);
        Self(target)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.pool.counters.observed.fetch_sub(1, Relaxed);
    }
}

/// Why a relay ends.
enum End {
    Over,
    Draining,
}

/// Connects a client to the server and passes on what they say to each other. The startup packet stands at the beginning of what
/// the client has sent.
pub(crate) async fn run(mut arrival: Arrival, packet_bytes: usize) {
    let proxy = Arc::clone(&arrival.worker.proxy);
    let Some(target) = proxy.databases.main() else {
        return;
    };
    let server = match connect(&target).await {
        Ok(server) => server,
        Err(refusal) => return arrival.tell(&refusal).await,
    };
    let Ok(cancelable) = proxy.cancel_keys.register(&proxy.means.random) else {
        return;
    };
    let packet = &arrival.inbox.bytes()[..packet_bytes];
    let is_replication = asks_for_replication(packet);
    let mut server_out = Outbox::default();
    server_out.put(packet);
    arrival.inbox.consume(packet_bytes);
    let mut relay = Relay {
        tap: Tap::new(
            Arc::clone(&proxy),
            u64::from(cancelable.process_id()),
            is_replication,
        ),
        _counted: Counted::new(target),
        arrival,
        offer: Offer::new(server.tls().is_some()),
        server,
        server_in: Inbox::default(),
        server_out,
        is_client_closed: false,
        is_server_closed: false,
    };
    let end = loop {
        match relay.turn().await {
            Ok(()) => {}
            Err(end) => break end,
        }
    };
    if matches!(end, End::Draining) {
        let _ = timeout(FAREWELL, relay.arrival.tell(&Refusal::shutting_down())).await;
    }
}

fn asks_for_replication(packet: &[u8]) -> bool {
    match Packet::parse(packet) {
        Ok(Some((Packet::Startup(startup), _))) => startup.get("replication").is_some(),
        _ => false,
    }
}

/// Passes a cancel request on as it came: in this mode clients hold the keys of the server itself.
pub(crate) async fn relay_cancel(proxy: &Arc<Proxy>, packet: &[u8]) {
    let Some(target) = proxy.databases.main() else {
        return;
    };
    let relayed = timeout(CANCEL_TIMEOUT, async {
        let settings = target.settings();
        let connected = target.server.connect_in_time(&settings).await;
        let mut server = connected.map_err(|error| io::Error::other(error.to_string()))?;
        server.write_all(packet).await?;
        // It closes when the signal is sent.
        server.read(&mut [0]).await
    });
    if let Ok(Err(error)) = relayed.await {
        tracing::warn!(%error, "Could not pass a cancel request on.");
    }
}

async fn connect(target: &Target) -> Result<Stream, Refusal> {
    let counters = &target.pool.counters;
    match target.server.connect_in_time(&target.settings()).await {
        Ok(stream) => {
            counters.connects.fetch_add(1, Relaxed);
            Ok(stream)
        }
        Err(error) => {
            counters.connect_errors.fetch_add(1, Relaxed);
            Err(Refusal::unavailable(&error))
        }
    }
}

impl Relay {
    async fn turn(&mut self) -> Result<(), End> {
        self.pass_on().await;
        if self.is_client_closed && self.server_out.is_empty() {
            // The server ends the session when it sees the end, after what it has still to say.
            let _ = self.server.shutdown().await;
        }
        if self.is_server_closed && self.arrival.outbox.is_empty() {
            return Err(End::Over);
        }
        poll_fn(|context| self.poll(context)).await
    }

    /// Moves what the tap has read from the inboxes to the outboxes.
    async fn pass_on(&mut self) {
        let Arrival {
            inbox,
            outbox,
            seat,
            worker,
            ..
        } = &mut self.arrival;
        if !self.server_out.is_backed_up() {
            let count = self.tap.read_client(inbox.bytes());
            self.server_out.put(&inbox.bytes()[..count]);
            inbox.consume(count);
        }
        if !outbox.is_backed_up() {
            let before = self.tap.transactions();
            let limits = &worker.proxy.server_limits;
            match self.offer.replace(limits, self.server_in.bytes()) {
                Some((instead, count)) => {
                    self.tap.read_server(&instead);
                    outbox.put(&instead);
                    self.server_in.consume(count);
                }
                None => {
                    let count = self.tap.read_server(self.server_in.bytes());
                    outbox.put(&self.server_in.bytes()[..count]);
                    self.server_in.consume(count);
                }
            }
            (before..self.tap.transactions()).for_each(|_| seat.count_transaction());
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        let Arrival {
            worker,
            stream,
            inbox,
            outbox,
            ..
        } = &mut self.arrival;
        if worker.is_draining() && self.tap.is_at_rest() && inbox.is_empty() {
            return Poll::Ready(Err(End::Draining));
        }
        let (was_up, was_down) = (self.server_out.is_backed_up(), outbox.is_backed_up());
        let up = self.server_out.poll_flush(&mut self.server, context);
        let down = outbox.poll_flush(stream, context);
        // A server that goes away may have said why: it is read to its end first.
        if matches!(down, Poll::Ready(Err(_))) {
            return Poll::Ready(Err(End::Over));
        }
        let spares = &worker.spares;
        let mut progress = was_up && !self.server_out.is_backed_up();
        progress |= was_down && !outbox.is_backed_up();
        if !self.is_client_closed && !self.server_out.is_backed_up() {
            if inbox.is_large() && self.server_out.is_empty() {
                inbox.shrink();
                self.server_out.shrink();
            }
            let wanted = self.tap.wants_of_client(inbox.bytes());
            if wanted > BULK_BYTES && !inbox.finds_room(wanted, &worker.proxy.room) {
                self.tap.let_pass(inbox.bytes());
                return Poll::Ready(Ok(()));
            }
            match inbox.poll_fill(stream, wanted, spares, context) {
                Poll::Ready(Ok(0)) => {
                    self.is_client_closed = true;
                    progress = true;
                }
                Poll::Ready(Ok(count)) => {
                    worker.count_from_clients(count);
                    progress = true;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Over)),
                Poll::Pending => {}
            }
        }
        if !self.is_server_closed && !outbox.is_backed_up() {
            let wanted = self.tap.wants_of_server(self.server_in.bytes());
            match self
                .server_in
                .poll_fill(&mut self.server, wanted, spares, context)
            {
                Poll::Ready(Ok(0) | Err(_)) => {
                    self.is_server_closed = true;
                    progress = true;
                }
                Poll::Ready(Ok(count)) => {
                    worker.count_from_servers(count);
                    progress = true;
                }
                Poll::Pending => {}
            }
        }
        if matches!(up, Poll::Ready(Err(_))) && !progress && !self.is_server_closed {
            return Poll::Ready(Err(End::Over));
        }
        // Nobody reads on while the last bytes leave: look again when they have.
        progress |= self.is_server_closed && outbox.is_empty();
        if progress {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}
