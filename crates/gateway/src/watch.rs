//! One deadline per client connection instead of one timer per request.
//!
//! Whatever a connection waits for, it waits for one thing at a time: a head, an answer, the next piece of a body. Each
//! step moves the deadline, which is a store to a cell. The connection's only timer is armed again when it fires and
//! finds the deadline moved, or when the deadline has moved to an earlier point than it is armed for.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

/// How long each kind of wait may last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) header: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) response: Duration,
    pub(crate) body_idle: Duration,
}

/// What a client connection is waiting for, and until when. Shared by the connection's task, its two streams and the
/// bodies; all of them live on one thread.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Patience,
    phase: Cell<Phase>,
    deadline: Cell<Instant>,
    armed_for: Cell<Instant>,
    waker: RefCell<Option<Waker>>,
    /// A request's body has not come to its end, though its answer may have.
    uploading: Cell<bool>,
    /// The client owes us a piece of it.
    upload_awaited: Cell<bool>,
    expired: Cell<Option<Stalled>>,
    /// The client's request cannot be read to its end.
    upload_broken: Cell<Option<UploadFault>>,
    peer_closed: Cell<bool>,
    write_blocked: Cell<bool>,
    ends_by_closing: Cell<bool>,
}

/// Who let a request stand still until its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stalled {
    Client,
    Upstream,
}

/// Why a request's body did not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadFault {
    /// It is no valid body, or the client went away.
    Unreadable,
    /// It is larger than allowed.
    TooLarge,
}

/// What the connection's task has to do when the deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing was asked for: close as HTTP closes.
    CloseIdle,
    /// A head was begun and not ended: 408.
    HeadTooSlow,
    /// The request under way will answer for itself, if it is polled.
    Poll,
    /// Nothing is left to be said: end the connection at once.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests, or before the first.
    Idle,
    /// Some bytes of a head have come.
    Head,
    /// A request has been read; the first byte of its answer has not come.
    Waiting,
    /// The answer's body is on its way.
    Streaming,
    /// No more requests; what is left to be written has this much time.
    Closing,
}

impl Watch {
    pub(crate) fn new(patience: Patience, now: Instant) -> Self {
        Self {
            patience,
            phase: Cell::new(Phase::Idle),
            deadline: Cell::new(now + patience.header),
            armed_for: Cell::new(now + patience.header),
            waker: RefCell::new(None),
            uploading: Cell::new(false),
            upload_awaited: Cell::new(false),
            expired: Cell::new(None),
            upload_broken: Cell::new(None),
            peer_closed: Cell::new(false),
            write_blocked: Cell::new(false),
            ends_by_closing: Cell::new(false),
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.deadline.get()
    }

    /// The timer is armed for `at`, and `waker` is woken by moving the deadline before that.
    pub(crate) fn armed(&self, at: Instant, waker: &Waker) {
        self.armed_for.set(at);
        let mut kept = self.waker.borrow_mut();
        if !kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            *kept = Some(waker.clone());
        }
    }

    /// Bytes came from the client.
    pub(crate) fn read(&self) {
        if self.phase.get() == Phase::Idle && !self.uploading.get() {
            self.enter(Phase::Head, Instant::now() + self.patience.header);
        }
    }

    /// The client has sent its last byte.
    pub(crate) fn read_end(&self) {
        self.peer_closed.set(true);
    }

    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed.get()
    }

    /// The client took some bytes.
    pub(crate) fn wrote(&self) {
        self.write_blocked.set(false);
        if matches!(self.phase.get(), Phase::Streaming | Phase::Closing) {
            self.deadline.set(Instant::now() + self.patience.body_idle);
        }
    }

    /// The client takes no more bytes for now.
    pub(crate) fn write_blocked(&self) {
        self.write_blocked.set(true);
    }

    /// A whole head has been read. Returns the moment: how long the client took for it is nobody's latency, and takes
    /// nothing from the application's time.
    pub(crate) fn request(&self) -> Instant {
        let now = Instant::now();
        self.expired.set(None);
        self.upload_broken.set(None);
        self.upload_awaited.set(false);
        self.enter(Phase::Waiting, now + self.patience.response);
        now
    }

    /// The request has a body, and what is read from now on may be part of it.
    pub(crate) fn upload_began(&self) {
        self.uploading.set(true);
    }

    /// Nobody will read more of the body.
    pub(crate) fn upload_ended(&self) {
        self.uploading.set(false);
    }

    /// The request's body was asked for more, and the client has not sent it yet.
    pub(crate) fn upload_pending(&self) {
        if self.phase.get() == Phase::Waiting && !self.upload_awaited.replace(true) {
            self.move_to(Instant::now() + self.patience.body_idle);
        }
    }

    /// A piece of the request, or its end, was passed on.
    pub(crate) fn upload_moved(&self) {
        self.upload_awaited.set(false);
        match self.phase.get() {
            Phase::Waiting => self.move_to(Instant::now() + self.patience.response),
            Phase::Streaming => self.move_to(Instant::now() + self.patience.body_idle),
            // The answer was faster than the request.
            Phase::Idle => self.deadline.set(Instant::now() + self.patience.keep_alive),
            Phase::Head | Phase::Closing => {}
        }
    }

    pub(crate) fn upload_failed(&self, fault: UploadFault) {
        self.upload_broken.set(Some(fault));
    }

    pub(crate) fn upload_fault(&self) -> Option<UploadFault> {
        self.upload_broken.get()
    }

    /// The time for an answer begins again: a connection to the application stands only now.
    pub(crate) fn connected(&self, now: Instant) {
        if self.phase.get() == Phase::Waiting {
            self.deadline.set(now + self.patience.response);
        }
    }

    /// Set once the answer has been waited for too long.
    pub(crate) fn expired(&self) -> Option<Stalled> {
        self.expired.get()
    }

    /// An answer's head has come, or a piece of its body.
    pub(crate) fn answering(&self, now: Instant) {
        self.enter(Phase::Streaming, now + self.patience.body_idle);
    }

    /// The answer's last byte was handed on.
    pub(crate) fn answered(&self, now: Instant) {
        self.enter(Phase::Idle, now + self.patience.keep_alive);
    }

    /// The answer has neither length nor chunks: to its client, the end of the connection is the end of the body, and an
    /// answer cut short would look whole if the connection were not reset.
    pub(crate) fn ends_by_closing(&self, so: bool) {
        self.ends_by_closing.set(so);
    }

    pub(crate) fn must_reset(&self) -> bool {
        self.ends_by_closing.get()
    }

    /// The deadline has passed: what now?
    pub(crate) fn expire(&self, now: Instant) -> Expiry {
        match self.phase.get() {
            Phase::Idle => {
                self.enter(Phase::Closing, now + self.patience.body_idle);
                Expiry::CloseIdle
            }
            // What is not written yet belongs to the answer before; nothing can be put after it.
            Phase::Head if self.write_blocked.get() => Expiry::Abort,
            Phase::Head => Expiry::HeadTooSlow,
            Phase::Waiting => {
                let client = self.upload_awaited.get();
                self.expired.set(Some(if client {
                    Stalled::Client
                } else {
                    Stalled::Upstream
                }));
                self.enter(Phase::Closing, now + self.patience.body_idle);
                Expiry::Poll
            }
            Phase::Streaming => {
                let client = self.write_blocked.get();
                self.expired.set(Some(if client {
                    Stalled::Client
                } else {
                    Stalled::Upstream
                }));
                Expiry::Abort
            }
            Phase::Closing => Expiry::Abort,
        }
    }

    fn enter(&self, phase: Phase, deadline: Instant) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    /// Moves the deadline from a task other than the connection's, whose timer may be armed for later than that.
    fn move_to(&self, deadline: Instant) {
        self.deadline.set(deadline);
        if deadline < self.armed_for.get()
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(3),
        keep_alive: Duration::from_secs(70),
        response: Duration::from_secs(20),
        body_idle: Duration::from_secs(5),
    };

    #[test]
    fn each_phase_ends_in_its_own_way() {
        let now = Instant::now();
        let in_phase = |enter: fn(&Watch)| {
            let watch = Watch::new(PATIENCE, now);
            enter(&watch);
            (watch.expire(watch.deadline()), watch.expired())
        };
        assert_eq!(in_phase(|_| ()), (Expiry::CloseIdle, None));
        assert_eq!(in_phase(Watch::read), (Expiry::HeadTooSlow, None));
        assert_eq!(
            in_phase(|watch| {
                watch.write_blocked();
                watch.read();
            }),
            (Expiry::Abort, None)
        );
        let waiting = (Expiry::Poll, Some(Stalled::Upstream));
        assert_eq!(in_phase(|watch| _ = watch.request()), waiting);
        let uploading = |watch: &Watch| {
            watch.request();
            watch.upload_pending();
        };
        assert_eq!(in_phase(uploading), (Expiry::Poll, Some(Stalled::Client)));
        let stalled = (Expiry::Abort, Some(Stalled::Upstream));
        assert_eq!(in_phase(|watch| watch.answering(Instant::now())), stalled);
        assert_eq!(
            in_phase(|watch| watch.answered(Instant::now())),
            (Expiry::CloseIdle, None)
        );
    }

    #[test]
    fn a_close_that_does_not_come_about_is_forced() {
        let watch = Watch::new(PATIENCE, Instant::now());
        let first = watch.deadline();
        assert_eq!(watch.expire(first), Expiry::CloseIdle);
        assert_eq!(watch.deadline(), first + PATIENCE.body_idle);
        assert_eq!(watch.expire(watch.deadline()), Expiry::Abort);
    }

    #[test]
    fn every_piece_of_an_upload_grants_new_time() {
        let watch = Watch::new(PATIENCE, Instant::now());
        watch.request();
        let answer_by = watch.deadline();
        watch.upload_pending();
        assert!(
            watch.deadline() < answer_by,
            "a silent client has less time than the application"
        );
        watch.upload_moved();
        assert!(watch.deadline() >= answer_by);
        assert_eq!(watch.expire(watch.deadline()), Expiry::Poll);
        assert_eq!(watch.expired(), Some(Stalled::Upstream));
    }

    #[test]
    fn the_rest_of_an_upload_is_not_the_next_head() {
        let watch = Watch::new(PATIENCE, Instant::now());
        watch.request();
        watch.upload_began();
        watch.answered(Instant::now());
        watch.read();
        watch.upload_moved();
        assert_eq!(watch.expire(watch.deadline()), Expiry::CloseIdle);
        watch.answered(Instant::now());
        watch.upload_ended();
        watch.read();
        assert_eq!(watch.expire(watch.deadline()), Expiry::HeadTooSlow);
    }

    #[test]
    fn moving_the_deadline_forward_wakes_the_timer_once() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::task::Wake;

        struct Count(AtomicUsize);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let watch = Watch::new(PATIENCE, Instant::now());
        watch.request();
        watch.armed(watch.deadline(), &Waker::from(Arc::clone(&count)));
        watch.upload_pending();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        watch.upload_pending();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
