//! One request at a time, with the whole answer kept.

use crate::client::{Client, Connection, describe};
use crate::scenario::Sample;
use crate::{Error, Target};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full, Limited};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// Sends requests one after the other on one connection, and blocks for the answers.
pub struct Fetcher {
    runtime: Runtime,
    local: LocalSet,
    client: Client,
    connection: Option<Connection>,
    timeout: Duration,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, chunks joined.
    pub body: Bytes,
}

/// Larger answers are an error.
const BODY_BYTES_MAX: usize = 256 << 20;

impl Fetcher {
    /// Prepares for requests to `target`, each of which may take as long as `timeout`.
    ///
    /// # Errors
    /// When the target's name has no address, or the system refuses an event queue.
    pub fn new(target: &Target, timeout: Duration) -> Result<Self, Error> {
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            local: LocalSet::new(),
            client: Client::new(target)?,
            connection: None,
            timeout,
        })
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::Fetch`] when there is no whole answer.
    pub fn fetch(&mut self, sample: &Sample) -> Result<Answer, Error> {
        let Self {
            runtime,
            local,
            client,
            connection,
            timeout,
        } = self;
        let reused = connection.take();
        let exchange = async {
            tokio::time::timeout(*timeout, exchange(client, reused, sample.clone())).await
        };
        let outcome = local.block_on(runtime, exchange);
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")));
        let (answer, kept) = outcome.map_err(|reason| Error::Fetch {
            request: format!("{} {}", sample.method, sample.path),
            reason,
        })?;
        *connection = kept;
        Ok(answer)
    }
}

/// A reused connection may turn out to have been closed by the server meanwhile. The request is then
/// sent again on a fresh one, unless it may have been carried out (RFC 9110, section 9.2.2).
async fn exchange(
    client: &Client,
    reused: Option<Connection>,
    sample: Sample,
) -> Result<(Answer, Option<Connection>), String> {
    if let Some(connection) = reused.filter(Connection::is_usable) {
        let request = client.request(sample.clone()).map_err(|e| e.to_string())?;
        match send(connection, request).await {
            Err(failed) if failed.unsent || sample.method.is_safe() => {}
            outcome => return outcome.map_err(|failed| failed.reason),
        }
    }
    let request = client.request(sample).map_err(|e| e.to_string())?;
    let connection = client.connect().await?;
    send(connection, request)
        .await
        .map_err(|failed| failed.reason)
}

struct Failed {
    /// Whether no byte of the request has left.
    unsent: bool,
    reason: String,
}

async fn send(
    mut connection: Connection,
    request: Request<Full<Bytes>>,
) -> Result<(Answer, Option<Connection>), Failed> {
    let response = connection
        .sender
        .try_send_request(request)
        .await
        .map_err(|mut error| Failed {
            unsent: error.take_message().is_some(),
            reason: describe(&error.into_error()),
        })?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|e| Failed {
        unsent: false,
        reason: describe(&*e),
    })?;
    let answer = Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: body.to_bytes(),
    };
    let kept = connection
        .sender
        .ready()
        .await
        .is_ok()
        .then_some(connection);
    Ok((answer, kept))
}
