//! What a client may not do for ever, where it was configured so: run a statement, do nothing in a transaction, do nothing at
//! all.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::{End, Session};
use crate::cancel;
use crate::error::Refusal;
use crate::server::Status;

/// How long a server has to obey before it is asked again to cancel a statement.
const CANCEL_AGAIN: Duration = Duration::from_secs(1);

/// What a client is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Waiting for answers. The number tells one batch from the next.
    Statement(u32),
    /// Nothing, with a transaction open.
    IdleInTransaction,
    /// Nothing.
    Idle,
    /// Nothing that has a limit.
    Other,
}

/// Rings when a client has done the same for too long. One word large where nothing was configured.
#[derive(Default)]
pub(super) struct Alarm(Option<Box<Timer>>);

/// Kept for the next time when it is not set.
struct Timer {
    set_for: Option<(Doing, Duration)>,
    since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    /// It rings when this has gone on for the whole limit.
    fn set(&mut self, doing: Doing, limit: Duration) {
        let set_for = Some((doing, limit));
        match &mut self.0 {
            Some(timer) if timer.set_for == set_for => {}
            Some(timer) => {
                // Another limit for the same counts from where that began.
                if timer.set_for.is_none_or(|(other, _)| other != doing) {
                    timer.since = Instant::now();
                }
                timer.set_for = set_for;
                timer.sleep.as_mut().reset(timer.since + limit);
            }
            None => {
                self.0 = Some(Box::new(Timer {
                    set_for,
                    since: Instant::now(),
                    sleep: Box::pin(sleep(limit)),
                }));
            }
        }
    }

    fn stop(&mut self) {
        if let Some(timer) = &mut self.0 {
            timer.set_for = None;
        }
    }

    /// Ready when it rings. What it rings for is over then, or is told again after a moment.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Doing> {
        let Some(Timer {
            set_for: Some((doing, _)),
            sleep,
            ..
        }) = self.0.as_deref_mut()
        else {
            return Poll::Pending;
        };
        let doing = *doing;
        sleep.as_mut().poll(context).map(|()| {
            sleep.as_mut().reset(Instant::now() + CANCEL_AGAIN);
            doing
        })
    }
}

impl Session {
    /// Sets the alarm for what the client does now. Called whenever the session is about to wait.
    pub(super) fn set_alarm(&mut self) {
        let doing = self.doing();
        if let Some(server) = &mut self.server {
            server.set_idle_in_transaction(doing == Doing::IdleInTransaction);
        }
        let limit = match doing {
            Doing::Other => None,
            doing => self.client.target.time_limit(doing),
        };
        match limit {
            Some(limit) => self.alarm.set(doing, limit),
            None => self.alarm.stop(),
        }
    }

    fn doing(&self) -> Doing {
        let is_ours = self.is_setting_up || self.is_resetting || self.listening.is_moving();
        if self.is_leaving() || is_ours {
            return Doing::Other;
        }
        match &self.server {
            None => Doing::Idle,
            Some(server) if !server.expect.is_empty() => Doing::Statement(self.answered),
            Some(server) if server.status != Status::Idle || server.is_unsynced => {
                Doing::IdleInTransaction
            }
            Some(_) => Doing::Idle,
        }
    }

    /// The client has done this for too long.
    pub(super) fn ring(&mut self, doing: Doing) -> Result<(), End> {
        let limit = self.client.target.time_limit(doing).unwrap_or_default();
        match doing {
            Doing::Statement(_) => {
                // As if the client had asked for it: the connection is not reused, lest the request hit somebody else.
                if let Some(key) = self.client.cancelable.cancel() {
                    tokio::task::spawn_local(async move { cancel::cancel(&key).await });
                }
                Ok(())
            }
            Doing::IdleInTransaction => {
                let refusal = Refusal::idle_in_transaction(limit);
                refusal.write_fatal(self.client.outbox.buf());
                self.leave()
            }
            Doing::Idle => Err(End::Told(Refusal::client_idle(limit))),
            Doing::Other => Ok(()),
        }
    }
}
