//! Cancel requests: they reach the statement of the client that asked, or nothing.
//!
//! Each client has a key of its own. Whether it leads to a server process is decided under the lock of the client's entry: a
//! session puts the process there when it takes a server connection and takes it away before it gives the connection
//! back. A connection for which a request was sent in between is marked, and closed instead of being reused: a signal that
//! is still on its way must not hit the next client.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use paceline_pgwire::startup::CancelRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::pool::Lease;
use crate::random::Random;
use crate::server::{CancelKey, Opened};

/// How long a cancel request may take on its way to the server.
const RELAY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often, and in which distance, a server is asked to stop what a vanished client has left behind.
const STOP_ATTEMPTS: u32 = 10;
const STOP_INTERVAL: Duration = Duration::from_millis(500);
const SHARDS: usize = 16;
/// Requests for clients of another process that may wait at once.
const STRAYS_MAX: usize = 64;

/// The keys of all clients.
pub(crate) struct CancelKeys {
    shards: [Mutex<Shard>; SHARDS],
    /// Where requests go for clients that are not here.
    elsewhere: OnceLock<mpsc::Sender<Stray>>,
}

/// A cancel request for a client that is not here: it may be one of the process that was here before.
#[derive(Debug)]
pub struct Stray {
    /// The number of the client that is meant.
    pub process_id: u32,
    /// What proves that the request is its own.
    pub secret: Vec<u8>,
    is_done: oneshot::Sender<()>,
}

impl Stray {
    /// It was dealt with: whoever asked is told by the end of the connection. Dropping it says the same.
    pub fn done(self) {
        // Whoever asked may be gone.
        let _ = self.is_done.send(());
    }
}

type Shard = HashMap<u32, Arc<Entry>>;

struct Entry {
    secret: [u8; 4],
    target: Mutex<Target>,
}

#[derive(Default)]
struct Target {
    key: Option<Arc<CancelKey>>,
    /// Wakes the client's session, which waits for a server connection.
    waiting: Option<Waker>,
    was_cancelled: bool,
}

/// What a request has led to.
enum Found {
    Server(Arc<CancelKey>),
    /// The client was in the queue for one, and has been woken.
    Waiting,
}

impl CancelKeys {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: Default::default(),
            elsewhere: OnceLock::new(),
        })
    }

    /// From now on requests for clients that are not here are to be had from what is returned, once.
    pub(crate) fn strays(&self) -> Option<mpsc::Receiver<Stray>> {
        let (sender, strays) = mpsc::channel(STRAYS_MAX);
        self.elsewhere.set(sender).ok()?;
        Some(strays)
    }

    /// Gives a client a key.
    pub(crate) fn register(self: &Arc<Self>, random: &Random) -> io::Result<Cancelable> {
        loop {
            let secret = random.bytes()?;
            // Some clients read the number as signed and expect it to be positive.
            let process_id = u32::from_be_bytes(random.bytes()?) & 0x7fff_ffff;
            let entry = Arc::new(Entry {
                secret,
                target: Mutex::default(),
            });
            let mut shard = self.shard(process_id);
            if process_id != 0 && !shard.contains_key(&process_id) {
                shard.insert(process_id, Arc::clone(&entry));
                return Ok(Cancelable {
                    keys: Arc::clone(self),
                    process_id,
                    entry,
                });
            }
        }
    }

    /// The server process that a request means, marked as cancelled; or the wait for one.
    fn find(&self, request: &CancelRequest<'_>) -> Option<Found> {
        let entry = Arc::clone(self.shard(request.process_id).get(&request.process_id)?);
        if !is_equal(&entry.secret, request.secret) {
            return None;
        }
        let mut target = lock(&entry.target);
        let found = match target.key.clone() {
            Some(key) => Found::Server(key),
            None => {
                target.waiting.take()?.wake();
                Found::Waiting
            }
        };
        target.was_cancelled = true;
        Some(found)
    }

    /// Passes a request on. Returns when the server has dealt with it. A request that leads nowhere is dropped in silence, as
    /// by Postgres.
    pub(crate) async fn relay(&self, request: &CancelRequest<'_>) {
        match self.find(request) {
            Some(Found::Server(key)) => return cancel(&key).await,
            Some(Found::Waiting) => return,
            None => {}
        }
        let Some(elsewhere) = self.elsewhere.get() else {
            return;
        };
        let (is_done, done) = oneshot::channel();
        let stray = Stray {
            process_id: request.process_id,
            secret: request.secret.to_vec(),
            is_done,
        };
        // A flood of them, or a process that has gone: as if they led nowhere.
        if elsewhere.try_send(stray).is_ok() {
            let _ = timeout(RELAY_TIMEOUT, done).await;
        }
    }

    fn shard(&self, process_id: u32) -> MutexGuard<'_, Shard> {
        lock(&self.shards[process_id as usize % SHARDS])
    }
}

/// A client's key. It is valid until this is dropped.
pub(crate) struct Cancelable {
    keys: Arc<CancelKeys>,
    process_id: u32,
    entry: Arc<Entry>,
}

impl Cancelable {
    pub(crate) fn process_id(&self) -> u32 {
        self.process_id
    }

    pub(crate) fn secret(&self) -> [u8; 4] {
        self.entry.secret
    }

    /// From now on requests reach this server process.
    pub(crate) fn attach(&self, key: &Arc<CancelKey>) {
        *lock(&self.entry.target) = Target {
            key: Some(Arc::clone(key)),
            ..Target::default()
        };
    }

    /// The server process that works for the client, marked as if the client had asked to cancel it.
    pub(crate) fn cancel(&self) -> Option<Arc<CancelKey>> {
        let mut target = lock(&self.entry.target);
        let key = target.key.clone()?;
        target.was_cancelled = true;
        Some(key)
    }

    /// Ready when the client's wait for a server connection has been cancelled. Requests end it until [`Cancelable::detach`].
    pub(crate) fn poll_wait(&self, context: &Context<'_>) -> Poll<()> {
        let mut target = lock(&self.entry.target);
        if std::mem::take(&mut target.was_cancelled) {
            return Poll::Ready(());
        }
        match &mut target.waiting {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// From now on requests reach nothing. Says whether one was sent since `attach`.
    pub(crate) fn detach(&self) -> bool {
        std::mem::take(&mut *lock(&self.entry.target)).was_cancelled
    }
}

impl Drop for Cancelable {
    fn drop(&mut self) {
        self.keys.shard(self.process_id).remove(&self.process_id);
    }
}

/// Cancels what this server process does. Returns when the server has dealt with it, or does not in time.
pub(crate) async fn cancel(key: &CancelKey) {
    match timeout(RELAY_TIMEOUT, send(key)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "Could not pass a cancel request on."),
        Err(_) => tracing::warn!("The server did not take a cancel request in time."),
    }
}

/// Sends a request and waits until the server closes, which it does after it has signalled the process.
async fn send(key: &CancelKey) -> io::Result<()> {
    let mut stream = key.route.connect().await?;
    let mut packet = Vec::with_capacity(16);
    CancelRequest {
        process_id: key.process_id,
        secret: &key.secret,
    }
    .write(&mut packet);
    stream.write_all(&packet).await?;
    let mut rest = [0];
    match stream.read(&mut rest).await {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

/// Ends a session that nobody wants any more, and what its process is doing for it: a server that is at work does not notice by
/// itself that its client has gone. The connection keeps its place in the pool until the server has closed it, so that there
/// are never more processes at work than places; but no longer than for [`STOP_ATTEMPTS`].
pub(crate) async fn stop(mut connection: Lease<Opened>) {
    connection.condemn();
    // What was due is lost now, not later.
    drop(connection.expect.take_all());
    connection.runs.clear();
    let key = Arc::clone(&connection.cancel_key);
    for _ in 0..STOP_ATTEMPTS {
        // Each request ends one statement at most, and a client may have sent several; nor does it reach one that the
        // server has not begun yet.
        match timeout(STOP_INTERVAL, send(&key)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return tracing::warn!(%error, "Could not stop what a client left behind.");
            }
            Err(_) => continue,
        }
        if timeout(STOP_INTERVAL, connection.end()).await.is_ok() {
            return;
        }
    }
    tracing::warn!(
        process = key.process_id,
        "The server goes on with what a client left behind."
    );
}

/// Compares without telling by its time where the difference is.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (one, other)| difference | (one ^ other))
            == 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Route;

    #[test]
    fn a_key_leads_to_its_owners_server_process_and_to_no_other() {
        let random = Random::open().unwrap();
        let keys = CancelKeys::new();
        let (mine, other) = (
            keys.register(&random).unwrap(),
            keys.register(&random).unwrap(),
        );
        let target = |process_id| {
            Arc::new(CancelKey {
                route: Arc::new(Route::clear(([127, 0, 0, 1], 1).into())),
                process_id,
                secret: Arc::new([1, 2, 3, 4]),
            })
        };
        let secret = mine.secret();
        let request = CancelRequest {
            process_id: mine.process_id(),
            secret: &secret,
        };
        let find = |request: CancelRequest<'_>| match keys.find(&request) {
            Some(Found::Server(key)) => Some(key.process_id),
            Some(Found::Waiting) => Some(0),
            None => None,
        };

        assert_eq!(find(request), None, "idle");
        let context = Context::from_waker(Waker::noop());
        assert!(mine.poll_wait(&context).is_pending());
        assert_eq!(find(request), Some(0), "waits");
        assert!(mine.poll_wait(&context).is_ready());
        assert!(other.poll_wait(&context).is_pending());
        mine.attach(&target(7));
        other.attach(&target(8));
        let wrong = [secret[0] ^ 1, secret[1], secret[2], secret[3]];
        assert_eq!(
            find(CancelRequest {
                secret: &wrong,
                ..request
            }),
            None
        );
        assert_eq!(
            find(CancelRequest {
                secret: &secret[..3],
                ..request
            }),
            None
        );
        assert_eq!(find(request), Some(7));
        assert!(mine.detach(), "the connection must not be reused");
        assert!(!other.detach());
        assert_eq!(find(request), None, "detached");
        drop(mine);
        assert_eq!(find(request), None, "gone");
    }

    #[tokio::test]
    async fn what_leads_nowhere_here_is_asked_elsewhere_and_waited_for() {
        let keys = CancelKeys::new();
        let request = CancelRequest {
            process_id: 7,
            secret: &[1, 2, 3, 4],
        };
        keys.relay(&request).await;
        let mut strays = keys.strays().unwrap();
        assert!(
            keys.strays().is_none(),
            "there is one process before this one"
        );
        let elsewhere = async {
            let stray = strays.recv().await.unwrap();
            assert_eq!((stray.process_id, &*stray.secret), (7, &[1, 2, 3, 4][..]));
            stray.done();
        };
        tokio::join!(keys.relay(&request), elsewhere);
        drop(strays);
        keys.relay(&request).await;
    }
}
