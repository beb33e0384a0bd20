//! Sends a request to the application and waits for the head of its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;

use super::Client;
use super::observe::Record;
use crate::pool::{ConnectError, Connection};
use crate::request_body::{Expectation, RequestBody};
use crate::respond::Refusal;
use crate::stats::count;
use crate::watch::{Stalled, UploadFault};

/// The stage.
#[derive(Debug)]
pub(crate) struct Upstream<'a> {
    client: &'a Rc<Client>,
}

/// The head of an answer, and what its body still needs.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    pub(crate) connection: Connection,
    pub(crate) expectation: Option<Expectation>,
    /// When the head had come.
    pub(crate) at: Instant,
}

/// Why one attempt came to nothing.
enum Failed {
    /// The application has not seen the request, or may see it twice: here it is again.
    Again(Box<Request<RequestBody>>),
    For(Refusal),
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(client: &'a Rc<Client>) -> Self {
        Self { client }
    }

    /// Sends it on a connection that is open already, if there is one. An application may close such a connection just
    /// when we use it; then the request goes out once more, on a new one, if that cannot do harm (RFC 9110, section
    /// 9.2.2).
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
        expectation: Option<Expectation>,
        record: &mut Record,
    ) -> Result<Answered, Refusal> {
        if let Some(expectation) = &expectation {
            let go_on = expectation.on_continue();
            hyper::ext::on_informational(&mut request, move |head| {
                if head.status() == StatusCode::CONTINUE {
                    go_on();
                }
            });
        }
        let answered = |(connection, response, at)| Answered {
            response,
            connection,
            expectation,
            at,
        };
        if let Some(connection) = self.client.worker.pool.reuse(record.started()) {
            record.connected(record.started());
            let copy = is_repeatable(&request).then(|| copy_of(&request));
            match self.attempt(connection, request, copy, record).await {
                Ok(sent) => return Ok(answered(sent)),
                Err(Failed::For(refusal)) => return Err(refusal),
                Err(Failed::Again(same)) => request = *same,
            }
            count(&self.client.worker.tally.upstream_retries);
        }
        let connection = self.connect().await?;
        let now = Instant::now();
        record.connected(now);
        self.client.watch.connected(now);
        match self.attempt(connection, request, None, record).await {
            Ok(sent) => Ok(answered(sent)),
            Err(Failed::For(refusal)) => Err(refusal),
            Err(Failed::Again(_)) => Err(Refusal::UpstreamClosed),
        }
    }

    async fn connect(&self) -> Result<Connection, Refusal> {
        let worker = &self.client.worker;
        match worker.pool.connect().await {
            Ok(connection) => {
                worker.reach.succeeded();
                Ok(connection)
            }
            Err(ConnectError::Timeout) => {
                worker.reach.failed("connecting took too long".to_owned());
                Err(Refusal::UpstreamConnectTimeout)
            }
            Err(ConnectError::OutOfDescriptors) => Err(Refusal::OutOfDescriptors),
            Err(ConnectError::Io(error)) => {
                worker.reach.failed(error.to_string());
                Err(Refusal::UpstreamUnreachable)
            }
        }
    }

    async fn attempt(
        &self,
        mut connection: Connection,
        request: Request<RequestBody>,
        copy: Option<Request<RequestBody>>,
        record: &mut Record,
    ) -> Result<(Connection, Response<Incoming>, Instant), Failed> {
        let watch = &self.client.watch;
        let sent = {
            let mut sending = pin!(connection.send(request));
            // The connection's one timer wakes this task, and leaves word here that the time is over.
            poll_fn(|context| match watch.expired() {
                Some(stalled) => Poll::Ready(Err(stalled)),
                None => sending.as_mut().poll(context).map(Ok),
            })
            .await
        };
        match sent {
            Ok(Ok(response)) => {
                let now = Instant::now();
                record.first_byte(response.status().as_u16(), now);
                Ok((connection, response, now))
            }
            Ok(Err(error)) => Err(self.failure(&connection, error, copy)),
            Err(Stalled::Client) => Err(Failed::For(Refusal::ClientTooSlow)),
            Err(Stalled::Upstream) => Err(Failed::For(Refusal::UpstreamTimeout)),
        }
    }

    fn failure(
        &self,
        connection: &Connection,
        mut error: TrySendError<Request<RequestBody>>,
        copy: Option<Request<RequestBody>>,
    ) -> Failed {
        match self.client.watch.upload_fault() {
            Some(UploadFault::TooLarge) => return Failed::For(Refusal::BodyTooLarge),
            Some(UploadFault::Unreadable) => return Failed::For(Refusal::BodyUnreadable),
            None => {}
        }
        // hyper hands back what it has not begun to write.
        if let Some(unsent) = error.take_message() {
            return Failed::Again(Box::new(unsent));
        }
        if error.error().is_parse() {
            return Failed::For(Refusal::UpstreamGarbage);
        }
        match copy {
            Some(copy) if !connection.heard() => Failed::Again(Box::new(copy)),
            _ => Failed::For(Refusal::UpstreamClosed),
        }
    }
}

/// Whether sending it twice does what sending it once does, and nothing of it is lost on the way.
fn is_repeatable(request: &Request<RequestBody>) -> bool {
    let method = request.method();
    (method.is_safe() || method == Method::PUT || method == Method::DELETE)
        && request.body().is_end_stream()
}

/// A copy of a request that has no body. Names and values are shared, not copied.
fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(request.body().empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
