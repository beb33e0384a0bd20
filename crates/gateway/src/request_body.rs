//! A client's request body on its way to the application: streamed, counted, and asked for only when wanted.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use crate::watch::{UploadFault, Watch};

/// How long to wait for an application's `100 Continue` before the body is sent anyway, as RFC 9110, section 10.1.1,
/// asks of every client: many applications know nothing of it.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The body that hyper's client sends.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// None when there is no body.
    inner: Option<Incoming>,
    watch: Rc<Watch>,
    bytes_left: Option<u64>,
    gate: Option<Box<Gate>>,
}

/// Holds a body back until the application asks for it. Reading it is what makes hyper's server tell the client to go
/// on, so that the application's word is passed on.
#[derive(Debug)]
struct Gate {
    asked: Arc<Asked>,
    woken: Pin<Box<OwnedNotified>>,
    patience: Pin<Box<Sleep>>,
    fate: Rc<Cell<Fate>>,
}

/// The other end of a gate: held by whoever waits for the answer. Dropping it lets go of a body that was never asked
/// for.
#[derive(Debug)]
pub(crate) struct Expectation {
    asked: Arc<Asked>,
    fate: Rc<Cell<Fate>>,
}

/// The part of a gate that hyper's callback sees; it has to be fit for threads.
#[derive(Debug, Default)]
struct Asked {
    granted: AtomicBool,
    changed: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Neither `100 Continue` nor an answer has come.
    Open,
    /// The body is being sent.
    Sent,
    /// The answer came first: the body will not be sent.
    Declined,
    /// The answer is complete, and so is the use of this connection.
    Over,
}

/// Ends a body that cannot be sent whole, which ends the connection to the application: it must not take half a body
/// for a whole one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("the client's body could not be read: {0}")]
    Unreadable(#[from] hyper::Error),
    #[error("the client's body is larger than allowed")]
    TooLarge,
    #[error("the client's body was not wanted")]
    Unwanted,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, watch: Rc<Watch>, bytes_max: Option<u64>) -> Self {
        let inner = (!inner.is_end_stream()).then_some(inner);
        if inner.is_some() {
            watch.upload_began();
        }
        Self {
            inner,
            watch,
            bytes_left: bytes_max,
            gate: None,
        }
    }

    /// No body, for the same connection.
    pub(crate) fn empty(&self) -> Self {
        Self {
            inner: None,
            watch: Rc::clone(&self.watch),
            bytes_left: None,
            gate: None,
        }
    }

    /// Sends nothing before the application asks for it by `100 Continue`, or has let some time pass.
    pub(crate) fn wait_for_continue(&mut self) -> Expectation {
        let asked = Arc::new(Asked::default());
        let fate = Rc::new(Cell::new(Fate::Open));
        self.gate = Some(Box::new(Gate {
            woken: Box::pin(Arc::clone(&asked.changed).notified_owned()),
            asked: Arc::clone(&asked),
            patience: Box::pin(tokio::time::sleep(CONTINUE_WAIT)),
            fate: Rc::clone(&fate),
        }));
        Expectation { asked, fate }
    }

    fn counted(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, RequestBodyError> {
        if let (Some(left), Some(data)) = (&mut self.bytes_left, frame.data_ref()) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => {
                    self.watch.upload_failed(UploadFault::TooLarge);
                    return Err(RequestBodyError::TooLarge);
                }
            }
        }
        Ok(frame)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.inner.is_some() {
            self.watch.upload_ended();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        if let Some(gate) = &mut this.gate {
            match gate.poll(context) {
                Poll::Ready(Ok(())) => this.gate = None,
                Poll::Ready(Err(unwanted)) => return Poll::Ready(Some(Err(unwanted))),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        match Pin::new(inner).poll_frame(context) {
            Poll::Pending => {
                this.watch.upload_pending();
                Poll::Pending
            }
            Poll::Ready(None) => {
                this.watch.upload_moved();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                this.watch.upload_moved();
                Poll::Ready(Some(this.counted(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.watch.upload_failed(UploadFault::Unreadable);
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Gate {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), RequestBodyError>> {
        while self.woken.as_mut().poll(context).is_ready() {
            self.woken = Box::pin(Arc::clone(&self.asked.changed).notified_owned());
        }
        match self.fate.get() {
            Fate::Over => Poll::Ready(Err(RequestBodyError::Unwanted)),
            Fate::Sent => Poll::Ready(Ok(())),
            Fate::Declined => Poll::Pending,
            Fate::Open => {
                let granted = self.asked.granted.load(Ordering::Acquire);
                if granted || self.patience.as_mut().poll(context).is_ready() {
                    self.fate.set(Fate::Sent);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending
            }
        }
    }
}

impl Expectation {
    /// What the application's `100 Continue` has to call.
    pub(crate) fn on_continue(&self) -> impl Fn() + Send + Sync + use<> + 'static {
        let asked = Arc::clone(&self.asked);
        move || {
            asked.granted.store(true, Ordering::Release);
            asked.changed.notify_one();
        }
    }

    /// The answer's head has come. Returns whether the body will stay unread, so that the client's connection has to
    /// end with this answer.
    pub(crate) fn answered(&self) -> bool {
        if self.fate.get() == Fate::Open && !self.asked.granted.load(Ordering::Acquire) {
            self.fate.set(Fate::Declined);
        }
        self.fate.get() == Fate::Declined
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        if self.fate.get() != Fate::Sent {
            self.fate.set(Fate::Over);
            self.asked.changed.notify_one();
        }
    }
}
