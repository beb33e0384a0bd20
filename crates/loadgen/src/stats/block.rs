//! One of the equal parts of the measured time.

use super::{Ended, Failure, Outcome, histogram, record};
use crate::distribution::Distribution;
use hdrhistogram::Histogram;
use std::time::Duration;

/// One of the equal parts into which the measured time is cut, all routes together. The bootstrap
/// draws them instead of single requests, because neighbouring requests resemble each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    /// How long it lasted.
    pub length: Duration,
    /// Requests whose intended start lies in it, dropped ones included.
    pub requests: u64,
    /// Those of them that got no successful answer.
    pub failed: u64,
    /// Those of them for which the service was not there: no answer in time, or 502, 503, 504.
    pub unavailable: u64,
    /// Successful answers that arrived in it.
    pub completed: u64,
    /// Latencies, as in [`Row`](crate::Row).
    pub latency: Distribution,
}

pub(super) struct BlockCounts {
    requests: u64,
    failed: u64,
    unavailable: u64,
    completed: u64,
    latency: Histogram<u32>,
}

impl BlockCounts {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            failed: 0,
            unavailable: 0,
            completed: 0,
            latency: histogram(),
        }
    }

    pub(super) fn dropped(&mut self) {
        self.requests += 1;
        self.failed += 1;
        self.unavailable += 1;
    }

    pub(super) fn completed(&mut self) {
        self.completed += 1;
    }

    pub(super) fn ended(&mut self, request: &Ended) {
        self.requests += 1;
        if request.has_latency() {
            record(&mut self.latency, request.ended - request.intended);
        }
        if !request.accepted {
            self.failed += 1;
            let answered = match request.outcome {
                Outcome::Answered { status, .. } => !matches!(status, 502..=504),
                Outcome::Failed(_) => false,
            };
            self.unavailable += u64::from(!answered);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.unavailable += other.unavailable;
        self.completed += other.completed;
        super::add(&mut self.latency, &other.latency);
    }

    pub(super) fn finish(self, length: Duration) -> Block {
        Block {
            length,
            requests: self.requests,
            failed: self.failed,
            unavailable: self.unavailable,
            completed: self.completed,
            latency: Distribution::of(&self.latency),
        }
    }
}

impl Ended {
    /// Whether its time counts as a latency: a quick failure must not improve them.
    pub(super) fn has_latency(&self) -> bool {
        self.accepted || matches!(self.outcome, Outcome::Failed(Failure::Timeout))
    }
}
