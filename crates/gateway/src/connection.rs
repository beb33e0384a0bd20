//! One client connection: one task that reads, forwards and answers, from the first byte to the last.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use paceline_listen::DrainSignal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;

use crate::respond::{self, Refusal};
use crate::stages::{self, Client, Hop};
use crate::stream::ClientStream;
use crate::watch::{Expiry, Patience, Watch};
use crate::worker::Worker;

/// How long a client may take to notice that we have said our last word, and how much of what it still sends is read.
/// Closing a socket with unread bytes in it would reset the connection, and take the answer with it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How a connection came to its end.
enum End {
    /// HTTP has said so.
    Closed,
    /// The peer broke HTTP, or left.
    Broken(hyper::Error),
    /// Its time was over while an answer was on its way.
    Stalled,
    /// Its time was over while a head was on its way.
    HeadTooSlow,
}

/// Serves a client until it leaves, errs, is idle for too long, or the gateway drains.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    tcp: TcpStream,
    peer: SocketAddr,
    drain: DrainSignal,
) {
    let config = &worker.config;
    let patience = Patience {
        header: config.header_timeout,
        keep_alive: config.keep_alive_timeout,
        response: config.response_timeout,
        body_idle: config.body_idle_timeout,
    };
    let watch = Rc::new(Watch::new(patience, Instant::now()));
    // hyper's own limit is a second line: it answers without a body, and ours comes first.
    let buffer_bytes_max = 2 * (config.header_bytes_max + config.uri_bytes_max);
    let client = Rc::new(Client {
        hop: Hop::new(peer.ip()),
        watch: Rc::clone(&watch),
        worker: Rc::clone(worker),
        unfinished: RefCell::default(),
    });
    let handed_over = drain.clone();
    let service = service_fn(move |request| {
        let (client, handed_over) = (Rc::clone(&client), handed_over.clone());
        async move {
            let mut answer = stages::answer(client, request).await;
            // Closing an idle connection could cross the client's next request; closing behind an answer cannot.
            if handed_over.has_handed_over() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let io = TokioIo::new(ClientStream {
        tcp,
        watch: Rc::clone(&watch),
    });
    let mut connection = http1::Builder::new()
        // Whoever was still in the kernel's queue when draining began is served one request.
        .keep_alive(!drain.is_draining())
        .max_buf_size(buffer_bytes_max.max(64 * 1024))
        .serve_connection(io, service);

    let end = run(&mut connection, &watch, &drain).await;
    let stream = connection.into_parts().io.into_inner();
    finish(stream, &watch, end).await;
}

/// Tells a client that there are too many, without reading what it wants.
pub(crate) async fn refuse(mut tcp: TcpStream) {
    let bytes = respond::problem_bytes(Refusal::Overloaded);
    if timeout(LINGER, tcp.write_all(&bytes)).await.is_ok() {
        linger(tcp).await;
    }
}

/// Drives hyper, and watches the clock and the signal to drain meanwhile.
async fn run<S, B>(
    connection: &mut http1::Connection<TokioIo<ClientStream>, S>,
    watch: &Watch,
    drain: &DrainSignal,
) -> End
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut timer = pin!(tokio::time::sleep_until(watch.deadline().into()));
    let mut draining = pin!(drain.wait());
    let mut drained = drain.is_draining();
    let mut registered = drained;
    poll_fn(|context| {
        loop {
            match Pin::new(&mut *connection).poll(context) {
                Poll::Ready(Ok(())) => return Poll::Ready(End::Closed),
                Poll::Ready(Err(error)) => return Poll::Ready(End::Broken(error)),
                Poll::Pending => {}
            }
            // Waiting takes a lock, so that it is polled once to be woken, and then only when there is something to see.
            if !drained && (!registered || drain.is_draining()) {
                registered = true;
                if draining.as_mut().poll(context).is_ready() {
                    drained = true;
                    Pin::new(&mut *connection).graceful_shutdown();
                    continue;
                }
            }
            let deadline = watch.deadline();
            if deadline < timer.deadline().into_std() {
                timer.as_mut().reset(deadline.into());
            }
            watch.armed(timer.deadline().into_std(), context.waker());
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now < deadline {
                timer.as_mut().reset(deadline.into());
                continue;
            }
            match watch.expire(now) {
                Expiry::CloseIdle => Pin::new(&mut *connection).graceful_shutdown(),
                Expiry::HeadTooSlow => return Poll::Ready(End::HeadTooSlow),
                Expiry::Abort => return Poll::Ready(End::Stalled),
                Expiry::Poll => {}
            }
            timer.as_mut().reset(watch.deadline().into());
        }
    })
    .await
}

async fn finish(stream: ClientStream, watch: &Watch, end: End) {
    let ClientStream { mut tcp, .. } = stream;
    match end {
        End::Closed => linger_unless_closed(tcp, watch).await,
        End::HeadTooSlow => {
            let bytes = respond::problem_bytes(Refusal::ClientTooSlow);
            if timeout(LINGER, tcp.write_all(&bytes)).await.is_ok() {
                linger_unless_closed(tcp, watch).await;
            }
        }
        // An answer that broke off: the missing end tells the client, and where no end is expected, a reset does.
        End::Stalled => cut(&tcp, watch),
        End::Broken(error) if error.is_user() => cut(&tcp, watch),
        End::Broken(error) => {
            debug!(%error, "A client's connection ended.");
            // hyper has answered what it could not read.
            if error.is_parse() {
                linger_unless_closed(tcp, watch).await;
            }
        }
    }
}

fn cut(tcp: &TcpStream, watch: &Watch) {
    if watch.must_reset() {
        // If this fails, the connection is gone already.
        let _ = tcp.set_zero_linger();
    }
}

async fn linger_unless_closed(tcp: TcpStream, watch: &Watch) {
    if !watch.peer_closed() {
        linger(tcp).await;
    }
}

/// Ends our side, and waits for the client to end its own.
async fn linger(mut tcp: TcpStream) {
    let reading = async {
        tcp.shutdown().await?;
        let mut buffer = [0; 4096];
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            match tcp.read(&mut buffer).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Whatever comes of it, the connection ends now.
    let _ = timeout(LINGER, reading).await;
}
