//! An answer's body on its way to the client, and what has to happen when it ends, however it ends.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use paceline_journal::LoadError;

use crate::pool::Connection;
use crate::request_body::Expectation;
use crate::stages::Client;
use crate::stages::observe::Record;
use crate::watch::Stalled;

/// The body that hyper's server sends.
#[expect(
    clippy::large_enum_variant,
    reason = "almost all are streamed; a box would be one more allocation for each"
)]
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// Written by the gateway.
    Own(Option<Bytes>),
    /// Streamed from the application.
    Upstream {
        incoming: Incoming,
        exchange: Exchange,
    },
}

/// What a request holds until the last byte of its answer has passed.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) connection: Option<Connection>,
    pub(crate) record: Record,
    pub(crate) client: Rc<Client>,
    /// Only held: dropping it lets go of a request body that nobody asked for.
    pub(crate) _expectation: Option<Expectation>,
}

impl ResponseBody {
    /// A body whose end is the end of its request's exchange.
    pub(crate) fn streamed(incoming: Incoming, mut exchange: Exchange) -> Self {
        if incoming.is_end_stream() {
            exchange.complete();
        }
        Self::Upstream { incoming, exchange }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Own(Some(bytes))
    }
}

impl Exchange {
    fn complete(&mut self) {
        let now = Instant::now();
        self.record.complete(now);
        self.client.watch.answered(now);
        if let Some(connection) = self.connection.take() {
            *self.client.unfinished.borrow_mut() =
                self.client.worker.pool.give_back(connection, now);
        }
    }

    fn failed(&mut self) {
        self.connection = None;
        self.record.fail(LoadError::UpstreamBroken, Instant::now());
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Complete or failed, this changes nothing. Otherwise the client has gone, which the record says by itself, or
        // the connection's time was over.
        if self.client.watch.expired() == Some(Stalled::Upstream) {
            self.record.fail(LoadError::BodyTimeout, Instant::now());
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (incoming, exchange) = match &mut *self {
            Self::Own(bytes) => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Upstream { incoming, exchange } => (incoming, exchange),
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    exchange.record.passes(data);
                }
                // hyper does not ask for more when the length is known and reached, nor after trailers.
                if incoming.is_end_stream() || frame.is_trailers() {
                    exchange.complete();
                } else {
                    exchange.client.watch.answering(Instant::now());
                }
            }
            Some(Err(_)) => exchange.failed(),
            None => exchange.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Upstream { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Upstream { incoming, .. } => incoming.size_hint(),
        }
    }
}
