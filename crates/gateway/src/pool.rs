//! A worker's connections to the application.
//!
//! The connection used last is taken first: it is the least likely to be on its way out, and the rest grow old and are
//! closed. Connections are opened when none is idle; their number is bounded by the number of clients.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tracing::debug;

use crate::config::Upstream;
use crate::request_body::RequestBody;
use crate::stats::{Open, Tally};
use crate::stream::UpstreamStream;

// The numbers are the same on all of Linux's architectures.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// The pool, and the way to get a new connection.
#[derive(Debug)]
pub(crate) struct Pool {
    upstream: Upstream,
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_max: usize,
    /// The oldest in front.
    idle: RefCell<VecDeque<Idle>>,
    tally: Arc<Tally>,
}

/// A connection to the application that one request has for itself. Dropping it closes it, unless it is
/// [given back](Pool::give_back).
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<RequestBody>,
    heard: Rc<Cell<bool>>,
    driver: Driver,
}

/// The task that moves a connection's bytes. Dropping this ends it at once, also when the application neither reads nor
/// closes.
#[derive(Debug)]
pub(crate) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why no connection could be opened.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Timeout,
    /// Not the application's fault: the process, or the machine, has none left.
    OutOfDescriptors,
    Io(io::Error),
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(config: &crate::Config, tally: Arc<Tally>) -> Self {
        Self {
            upstream: config.upstream.clone(),
            connect_timeout: config.connect_timeout,
            idle_timeout: config.upstream_idle_timeout,
            idle_max: config.upstream_idle_max,
            idle: RefCell::default(),
            tally,
        }
    }

    /// A connection that was used before and looks alive. It may still be closed while the request is on its way.
    pub(crate) fn reuse(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { connection, since }) = idle.pop_back() {
            if now.saturating_duration_since(since) >= self.idle_timeout {
                // All others are older.
                idle.clear();
                return None;
            }
            if connection.sender.is_ready() {
                connection.heard.set(false);
                return Some(connection);
            }
        }
        None
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let tcp = tokio::time::timeout(self.connect_timeout, self.dial())
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(|error| match error.raw_os_error() {
                Some(ENFILE | EMFILE) => ConnectError::OutOfDescriptors,
                _ => ConnectError::Io(error),
            })?;
        paceline_listen::tune(&tcp);
        let heard = Rc::new(Cell::new(false));
        let stream = UpstreamStream {
            tcp,
            heard: Rc::clone(&heard),
        };
        let (sender, mut connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| ConnectError::Io(io::Error::other(error)))?;
        let open = Open::new(&self.tally);
        // Not hyper's own end of a connection: that waits until all is written, and an application that does not read
        // would keep it for ever.
        let driver = tokio::task::spawn_local(async move {
            let _open = open;
            if let Err(error) = poll_fn(|context| connection.poll_without_shutdown(context)).await {
                debug!(%error, "A connection to the application ended.");
            }
        });
        Ok(Connection {
            sender,
            heard,
            driver: Driver(driver.abort_handle()),
        })
    }

    /// Keeps a connection for the next request. One whose application has answered while it is still being sent the
    /// request comes back: it lives as long as there is somebody to send the rest.
    pub(crate) fn give_back(&self, connection: Connection, now: Instant) -> Option<Driver> {
        if !connection.sender.is_ready() {
            let unfinished = !connection.sender.is_closed();
            return unfinished.then_some(connection.driver);
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= self.idle_max {
            idle.pop_front();
        }
        if self.idle_max > 0 {
            idle.push_back(Idle {
                connection,
                since: now,
            });
        }
        None
    }

    /// Closes what was not used for too long. Returns how long until there may be something to close again.
    pub(crate) fn sweep(&self, now: Instant) -> Duration {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| {
            !idle.connection.sender.is_closed()
                && now.saturating_duration_since(idle.since) < self.idle_timeout
        });
        let oldest = idle.front().map(|idle| idle.since + self.idle_timeout);
        let wait = oldest.map_or(self.idle_timeout, |at| at.saturating_duration_since(now));
        wait.clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Closes all connections that carry no request.
    pub(crate) fn close_idle(&self) {
        self.idle.borrow_mut().clear();
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        match self.upstream.literal() {
            Some(address) => TcpStream::connect::<SocketAddr>(address).await,
            None => TcpStream::connect((self.upstream.host(), self.upstream.port())).await,
        }
    }
}

impl Connection {
    /// Sends a request and waits for the head of its answer.
    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>> {
        self.sender.try_send_request(request)
    }

    /// Whether a byte of the present answer has come.
    pub(crate) fn heard(&self) -> bool {
        self.heard.get()
    }
}
