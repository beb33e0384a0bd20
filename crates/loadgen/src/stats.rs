//! What threads count while the load runs, and how it becomes a report.

use crate::plan::TIMEOUT_MAX;
use crate::report::{Errors, Generator, Mode, Percentiles, Report, Row};
use crate::{Load, Plan};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The measured time: from the end of the warm-up to the end of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) end: Instant,
}

impl Window {
    pub(crate) fn contains(&self, at: Instant) -> bool {
        self.start <= at && at < self.end
    }
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answered { status: u16, response_bytes: u64 },
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) enum Failure {
    Connect(String),
    Timeout,
    Protocol(String),
}

/// One request that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) route: usize,
    /// When it should have started.
    pub(crate) intended: Instant,
    /// When work on it began.
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) accepted: bool,
    pub(crate) outcome: Outcome,
}

/// One thread's counts.
pub(crate) struct Recorder {
    window: Window,
    routes: Vec<Counts>,
    lag: Histogram<u64>,
    pub(crate) requests_sent: u64,
    pub(crate) connections_opened: u64,
    pub(crate) in_flight_max: u64,
}

struct Counts {
    requests: u64,
    dropped: u64,
    /// Successes that arrived within the window, whenever they were meant to start.
    completed: u64,
    errors: Errors,
    response_bytes: u64,
    latency: Histogram<u64>,
    service: Histogram<u64>,
}

impl Recorder {
    pub(crate) fn new(window: Window, routes: usize) -> Self {
        Self {
            window,
            routes: (0..routes).map(|_| Counts::new()).collect(),
            lag: histogram(),
            requests_sent: 0,
            connections_opened: 0,
            in_flight_max: 0,
        }
    }

    /// A request left its schedule, this much late.
    pub(crate) fn dispatched(&mut self, intended: Instant, lag: Duration) {
        if self.window.contains(intended) {
            record(&mut self.lag, lag);
        }
    }

    pub(crate) fn dropped(&mut self, route: usize, intended: Instant) {
        if self.window.contains(intended) {
            self.routes[route].requests += 1;
            self.routes[route].dropped += 1;
        }
    }

    pub(crate) fn ended(&mut self, request: Ended) {
        let counts = &mut self.routes[request.route];
        if request.accepted && self.window.contains(request.ended) {
            counts.completed += 1;
        }
        if !self.window.contains(request.intended) {
            return;
        }
        counts.requests += 1;
        if let Outcome::Answered { response_bytes, .. } = request.outcome {
            counts.response_bytes += response_bytes;
        }
        let timed_out = matches!(request.outcome, Outcome::Failed(Failure::Timeout));
        if request.accepted || timed_out {
            record(&mut counts.latency, request.ended - request.intended);
            record(&mut counts.service, request.ended - request.began);
        }
        if !request.accepted {
            counts.fail(request.outcome);
        }
    }

    /// Adds another thread's counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.routes.iter_mut().zip(&other.routes) {
            mine.merge(theirs);
        }
        add(&mut self.lag, &other.lag);
        self.requests_sent += other.requests_sent;
        self.connections_opened += other.connections_opened;
        self.in_flight_max += other.in_flight_max;
    }

    /// `ended` is when the load stopped early, if it did.
    pub(crate) fn report(self, plan: &Plan, ended: Option<Instant>) -> Report {
        let until = ended.map_or(self.window.end, |at| {
            at.clamp(self.window.start, self.window.end)
        });
        let measured = until - self.window.start;
        let mut total = Counts::new();
        let mut rows = Vec::new();
        for (route, counts) in plan.scenario.routes().iter().zip(self.routes) {
            total.merge(&counts);
            rows.push(counts.row(route.name(), measured));
        }
        let (rate, connections) = match plan.load {
            Load::Open { rate, .. } => (Some(rate), None),
            Load::Closed { connections } => (None, Some(connections)),
        };
        Report {
            mode: Mode::of(plan.load),
            rate,
            connections,
            duration_s: measured.as_secs_f64(),
            cancelled: ended.is_some(),
            seed: plan.seed,
            total: total.row("total", measured),
            routes: rows,
            generator: Generator {
                schedule_lag_p99_ms: quantile_ms(&self.lag, 0.99),
                schedule_lag_max_ms: quantile_ms(&self.lag, 1.0),
                requests_sent: self.requests_sent,
                connections_opened: self.connections_opened,
                in_flight_max: self.in_flight_max,
            },
        }
    }
}

impl Counts {
    fn new() -> Self {
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

    fn fail(&mut self, outcome: Outcome) {
        let (kind, example) = match outcome {
            Outcome::Answered { status, .. } => {
                *self.errors.status.entry(status).or_default() += 1;
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
        self.errors.examples.entry(kind).or_insert(example);
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.dropped += other.dropped;
        self.completed += other.completed;
        self.response_bytes += other.response_bytes;
        self.errors.connect += other.errors.connect;
        self.errors.timeout += other.errors.timeout;
        self.errors.protocol += other.errors.protocol;
        for (status, count) in &other.errors.status {
            *self.errors.status.entry(*status).or_default() += count;
        }
        for (kind, example) in &other.errors.examples {
            self.errors
                .examples
                .entry(kind)
                .or_insert_with(|| example.clone());
        }
        add(&mut self.latency, &other.latency);
        add(&mut self.service, &other.service);
    }

    fn row(self, name: &str, measured: Duration) -> Row {
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
        }
    }
}

/// Microseconds, three significant digits.
fn histogram() -> Histogram<u64> {
    // Twice the longest time-out: nothing that is recorded lasts longer, and what does is clamped.
    let highest = 2 * TIMEOUT_MAX.as_micros() as u64;
    Histogram::new_with_bounds(1, highest, 3)
        .expect("the bounds are constants that hdrhistogram accepts")
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn add(to: &mut Histogram<u64>, from: &Histogram<u64>) {
    to.add(from).expect("all histograms have the same bounds");
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

fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1000.0)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
