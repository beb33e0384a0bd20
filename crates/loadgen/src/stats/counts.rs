//! What is counted alike of a route, of a stage and of the whole.

use super::{Ended, Failure, Outcome};
use crate::distribution::Distribution;
use crate::plan::TIMEOUT_MAX;
use crate::report::{Errors, Percentiles, Row};
use hdrhistogram::{Counter, Histogram};
use std::time::Duration;

pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) dropped: u64,
    /// Successes that arrived within the measured time, whenever they were meant to start.
    pub(super) completed: u64,
    pub(super) errors: Errors,
    pub(super) response_bytes: u64,
    pub(super) latency: Histogram<u64>,
    pub(super) service: Histogram<u64>,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            dropped: 0,
            completed: 0,
            errors: Errors::default(),
            response_bytes: 0,
            latency: histogram(),
            service: histogram(),
        }
    }

    /// A request whose intended start lies within the time that is counted here.
    pub(super) fn ended(&mut self, request: &Ended) {
        self.requests += 1;
        if let Outcome::Answered { response_bytes, .. } = request.outcome {
            self.response_bytes += response_bytes;
        }
        if request.has_latency() {
            record(&mut self.latency, request.ended - request.intended);
            record(&mut self.service, request.ended - request.began);
        }
        if !request.accepted {
            self.fail(&request.outcome);
        }
    }

    fn fail(&mut self, outcome: &Outcome) {
        let (kind, example) = match outcome {
            Outcome::Answered { status, .. } => {
                *self.errors.status.entry(*status).or_default() += 1;
                return;
            }
            Outcome::Failed(Failure::Connect(message)) => {
                self.errors.connect += 1;
                ("connect", message)
            }
            Outcome::Failed(Failure::Protocol(message)) => {
                self.errors.protocol += 1;
                ("protocol", message)
            }
            Outcome::Failed(Failure::Timeout) => {
                self.errors.timeout += 1;
                return;
            }
        };
        let examples = &mut self.errors.examples;
        examples.entry(kind).or_insert_with(|| example.clone());
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.dropped += other.dropped;
        self.completed += other.completed;
        self.response_bytes += other.response_bytes;
        self.errors.merge(&other.errors);
        add(&mut self.latency, &other.latency);
        add(&mut self.service, &other.service);
    }

    pub(super) fn row(self, name: &str, measured: Duration) -> Row {
        let bad = self.errors.count() + self.dropped;
        Row {
            route: name.to_owned(),
            requests: self.requests,
            requests_per_s: ratio(self.completed as f64, measured.as_secs_f64()),
            latency: percentiles(&self.latency),
            service: percentiles(&self.service),
            error_rate: ratio(bad as f64, self.requests as f64),
            errors: self.errors,
            dropped: self.dropped,
            response_bytes: self.response_bytes,
            distribution: Distribution::of(&self.latency),
        }
    }
}

/// Microseconds, three significant digits. It grows with what it holds: a scenario may have a
/// thousand routes, and few of them take minutes.
pub(super) fn histogram<C: Counter>() -> Histogram<C> {
    Histogram::new(3).expect("three digits are among those that hdrhistogram accepts")
}

pub(super) fn record<C: Counter>(histogram: &mut Histogram<C>, time: Duration) {
    // Nothing that is recorded lasts longer than the longest time-out by much.
    let highest = 2 * TIMEOUT_MAX.as_micros() as u64;
    let us = u64::try_from(time.as_micros()).unwrap_or(highest);
    histogram
        .record(us.clamp(1, highest))
        .expect("a histogram that grows takes every number");
}

pub(super) fn add<C: Counter>(to: &mut Histogram<C>, from: &Histogram<C>) {
    to.add(from)
        .expect("a histogram that grows takes every other");
}

pub(super) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1000.0)
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    Percentiles {
        p50_ms: quantile_ms(histogram, 0.5),
        p90_ms: quantile_ms(histogram, 0.9),
        p95_ms: quantile_ms(histogram, 0.95),
        p99_ms: quantile_ms(histogram, 0.99),
        p999_ms: quantile_ms(histogram, 0.999),
        max_ms: quantile_ms(histogram, 1.0),
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
