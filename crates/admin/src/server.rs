//! The HTTP server of the admin port: HTTP/1.1, few connections, no bodies.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use paceline_listen::{Acceptor, DrainSignal};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::api::probe;
use crate::{Admin, host, reload, respond, router};

/// Connections at the same time. A monitor and a few people need a handful; the rest waits in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for its headers, and keep an idle connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How long one answer and its client may take in all, so that nobody holds a place for ever.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);

/// Serves until the signal. Must run inside a `LocalSet`.
pub(crate) async fn serve(
    admin: Arc<Admin>,
    listener: std::net::TcpListener,
    end: DrainSignal,
) -> std::io::Result<()> {
    let mut acceptor = Acceptor::new(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            // Never closed, so that a place always comes.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, acceptor.accept().await.0)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = end.wait() => return Ok(()),
        };
        let admin = Arc::clone(&admin);
        tokio::task::spawn_local(async move {
            let _place = place;
            // An end by time is as good as any: the client is told by the closed connection.
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection(admin, stream)).await;
        });
    }
}

async fn connection(admin: Arc<Admin>, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(answer(&admin, &request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "An admin client's connection ended with an error.");
    }
}

async fn answer(admin: &Arc<Admin>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if !host::is_ours(request.uri(), request.headers(), &admin.parts.allowed_hosts) {
        let detail = "The Host header is none of this server's names; see admin.allowed_hosts.";
        return respond::problem(StatusCode::MISDIRECTED_REQUEST, detail);
    }
    if request.uri().path() == reload::PATH {
        return reload::reload(admin, request).await;
    }
    if probe::is_for_us(request.uri().path()) {
        return probe::answer(admin, request).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return respond::method_not_allowed("GET, HEAD");
    }
    router::route(admin, request).await
}
