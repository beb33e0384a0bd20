//! An accept loop that no peer and no shortage can end or make spin.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tracing::warn;

use crate::tune;

/// How long to leave a listener alone whose error will not pass by itself in no time.
const PAUSE: Duration = Duration::from_millis(20);

/// How often the same trouble is worth a line in the log.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts connections from one listening socket.
///
/// When the process is out of descriptors, a connection that cannot be accepted would stay in the kernel's queue,
/// report the socket as ready for ever and leave its client without an answer. One descriptor is therefore kept in
/// reserve: it is given up to accept that client and close it at once.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    reserve: Option<File>,
    shed: u64,
    logged: Option<Instant>,
}

impl Acceptor {
    /// Takes over a listening socket (see [`bind`](crate::bind)) for the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// Those of registering the socket and of opening the reserve descriptor.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener: TcpListener::from_std(listener)?,
            reserve: Some(reserve()?),
            shed: 0,
            logged: None,
        })
    }

    /// The address that is listened on.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, [tuned](tune). Can be cancelled without losing a connection.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let accepted = poll_fn(|context| {
                let _turn = turn();
                self.listener.poll_accept(context)
            })
            .await;
            match accepted {
                Ok((stream, peer)) => {
                    if self.reserve.is_none() {
                        self.reserve = reserve().ok();
                    }
                    if self.reserve.is_none() {
                        // This client has got the last descriptor, and all behind it would wait in vain.
                        drop(stream);
                        self.shed += 1;
                        self.reserve = reserve().ok();
                        continue;
                    }
                    tune(&stream);
                    return (stream, peer);
                }
                Err(error) if is_out_of_descriptors(&error) => self.shed(&error).await,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    self.log(&error, "Could not accept a connection; trying again.");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Gives up the reserve to accept one client and close it, then takes the reserve back. Should something that is no
    /// acceptor have taken the descriptor meanwhile, a pause follows, and the client is still in the queue.
    async fn shed(&mut self, error: &io::Error) {
        // One look, no wait: the reserve must not be away for as long as it takes a client to come.
        let accepted = poll_fn(|context| {
            let _turn = turn();
            self.reserve = None;
            let accepted = matches!(self.listener.poll_accept(context), Poll::Ready(Ok(_)));
            self.reserve = reserve().ok();
            Poll::Ready(accepted)
        })
        .await;
        self.shed += u64::from(accepted);
        self.log(
            error,
            "Out of file descriptors: closing new connections. Raise the limit (ulimit -n).",
        );
        if !accepted || self.reserve.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn log(&mut self, error: &io::Error, message: &'static str) {
        if self.logged.is_some_and(|at| at.elapsed() < LOG_INTERVAL) {
            return;
        }
        self.logged = Some(Instant::now());
        warn!(%error, closed = self.shed, "{message}");
        self.shed = 0;
    }
}

/// One acceptor at a time takes a descriptor, or the reserve that one gives up would go to another one's client, and the first
/// could send nobody away any more. Descriptors belong to the process, and so does this lock; it is held for a few
/// system calls per connection.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reserve() -> io::Result<File> {
    File::open("/dev/null")
}

// Linux's numbers; they are the same on every architecture and on the BSDs.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Whether the process, or the whole system, has no file descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Errors that the connection at the head of the queue brought with it: it is gone, the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}
