//! What the requests of one thread share, and one exchange.

use crate::Plan;
use crate::client::{Client, Connection, describe};
use crate::scenario::{Route, Sample};
use crate::stats::{Ended, Failure, Outcome, Recorder, Timeline};
use http_body_util::BodyExt;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// What all requests of one thread share.
pub(super) struct Bench {
    client: Client,
    routes: Vec<Route>,
    pub(super) timeout: Duration,
    recorder: RefCell<Recorder>,
    timeline: Timeline,
}

/// What a request leaves behind.
pub(super) struct Performed {
    /// The connection, if it can be used again.
    pub(super) connection: Option<Connection>,
    /// Whether no connection could be made.
    pub(super) refused: bool,
}

/// A request that is due.
pub(super) struct Job {
    pub(super) intended: Instant,
    pub(super) sample: Sample,
}

impl Bench {
    pub(super) fn new(plan: &Plan, client: &Client, timeline: &Timeline) -> Self {
        let routes = plan.scenario.routes().to_vec();
        Self {
            client: client.clone(),
            timeout: plan.timeout,
            recorder: RefCell::new(Recorder::new(timeline.clone(), plan)),
            routes,
            timeline: timeline.clone(),
        }
    }

    pub(super) fn record<T>(&self, with: impl FnOnce(&mut Recorder) -> T) -> T {
        with(&mut self.recorder.borrow_mut())
    }

    pub(super) fn take_recorder(&self, plan: &Plan) -> Recorder {
        let empty = Recorder::new(self.timeline.clone(), plan);
        self.recorder.replace(empty)
    }

    /// Carries out a request and records it. Takes a connection if there is one, and gives one back
    /// if it can be used again.
    pub(super) async fn perform(&self, connection: Option<Connection>, job: Job) -> Performed {
        let Job { intended, sample } = job;
        let began = Instant::now();
        self.record(|r| r.requests_sent += 1);
        let route = sample.route;
        let deadline = intended + self.timeout;
        let exchange = tokio::time::timeout_at(deadline.into(), self.exchange(connection, sample));
        let (connection, outcome) = exchange
            .await
            .unwrap_or((None, Outcome::Failed(Failure::Timeout)));
        let ended = Instant::now();
        let accepted = match outcome {
            Outcome::Answered { status, .. } => self.routes[route].accepts(status),
            Outcome::Failed(_) => false,
        };
        let refused = matches!(outcome, Outcome::Failed(Failure::Connect(_)));
        self.record(|r| {
            r.ended(&Ended {
                route,
                intended,
                began,
                ended,
                accepted,
                outcome,
            })
        });
        Performed {
            connection: kept_alive(connection).await,
            refused,
        }
    }

    async fn exchange(
        &self,
        connection: Option<Connection>,
        sample: Sample,
    ) -> (Option<Connection>, Outcome) {
        let mut request = match self.client.request(sample) {
            Ok(request) => request,
            Err(error) => return (None, Outcome::Failed(Failure::Protocol(error.to_string()))),
        };
        let mut reused = connection;
        loop {
            let fresh = reused.is_none();
            let mut connection = match reused.take() {
                Some(connection) => connection,
                None => match self.connect().await {
                    Ok(connection) => connection,
                    Err(error) => return (None, Outcome::Failed(Failure::Connect(error))),
                },
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => return read(connection, response).await,
                Err(mut error) => match error.take_message() {
                    // The server had closed the idle connection, and no byte of the request has
                    // left.
                    Some(unsent) if !fresh => request = unsent,
                    _ => {
                        let message = describe(&error.into_error());
                        return (None, Outcome::Failed(Failure::Protocol(message)));
                    }
                },
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        self.record(|r| r.connections_opened += 1);
        self.client.connect().await
    }
}

/// The connection, unless the server wants it closed. That is known once the connection's own task
/// has seen the answer's end; the wait is bounded, because a peer's odd framing must not hold us
/// here.
async fn kept_alive(connection: Option<Connection>) -> Option<Connection> {
    let mut connection = connection?;
    let ready = tokio::time::timeout(Duration::from_millis(100), connection.sender.ready()).await;
    matches!(ready, Ok(Ok(()))).then_some(connection)
}

async fn read(
    connection: Connection,
    response: http::Response<hyper::body::Incoming>,
) -> (Option<Connection>, Outcome) {
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut response_bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Err(error) => return (None, Outcome::Failed(Failure::Protocol(describe(&error)))),
        }
    }
    (
        Some(connection),
        Outcome::Answered {
            status,
            response_bytes,
        },
    )
}
