//! What has happened since somebody was told last.

use super::counts::{histogram, record};
use super::{Ended, Moment};
use crate::Distribution;
use hdrhistogram::Histogram;

pub(super) struct News {
    /// Of the requests sent, those that were told.
    sent_told: u64,
    succeeded: u64,
    pub(super) failed: u64,
    recent: Histogram<u32>,
}

impl News {
    pub(super) fn new() -> Self {
        Self {
            sent_told: 0,
            succeeded: 0,
            failed: 0,
            recent: histogram(),
        }
    }

    pub(super) fn ended(&mut self, request: &Ended) {
        if request.accepted {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
        if request.has_latency() {
            record(&mut self.recent, request.ended - request.intended);
        }
    }

    pub(super) fn take(&mut self, sent: u64) -> Moment {
        let moment = Moment {
            phase: String::new(),
            sent: sent - self.sent_told,
            succeeded: std::mem::take(&mut self.succeeded),
            failed: std::mem::take(&mut self.failed),
            recent: Distribution::of(&self.recent),
        };
        self.sent_told = sent;
        self.recent.reset();
        moment
    }
}
