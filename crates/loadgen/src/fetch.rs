//! One request at a time, with the whole answer kept.

use crate::client::{Client, Connection, describe};
use crate::scenario::Sample;
use crate::{Error, Target};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Limited};
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

async fn exchange(
    client: &Client,
    reused: Option<Connection>,
    sample: Sample,
) -> Result<(Answer, Option<Connection>), String> {
    let mut request = client.request(sample).map_err(|e| e.to_string())?;
    let mut reused = reused;
    loop {
        let fresh = reused.is_none();
        let mut connection = match reused.take() {
            Some(connection) => connection,
            None => client.connect().await?,
        };
        let response = match connection.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => match error.take_message() {
                // The server had closed the idle connection, and no byte has left.
                Some(unsent) if !fresh => {
                    request = unsent;
                    continue;
                }
                _ => return Err(describe(&error.into_error())),
            },
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| describe(&*e))?.to_bytes();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        };
        let kept = connection
            .sender
            .ready()
            .await
            .is_ok()
            .then_some(connection);
        return Ok((answer, kept));
    }
}
