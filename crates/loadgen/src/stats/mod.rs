//! What threads count while the load runs, and how it becomes a report.

mod block;
mod counts;
mod news;
mod timeline;

use crate::report::{Generator, Mode, Report, StageRow};
use crate::{Intervals, Load, Moment, Plan};
pub use block::Block;
use block::BlockCounts;
use counts::{Counts, add, histogram, quantile_ms, record};
use hdrhistogram::Histogram;
use news::News;
use std::time::{Duration, Instant};
pub(crate) use timeline::Timeline;

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
    timeline: Timeline,
    routes: Vec<Counts>,
    /// None when the plan has no stages.
    stages: Vec<Counts>,
    /// Of the whole.
    blocks: Vec<BlockCounts>,
    lag: Histogram<u64>,
    /// What nobody was told yet; none when nobody looks.
    news: Option<News>,
    /// CPU time, and the share of the time that was on a CPU: of this thread, or the most.
    pub(crate) cpu: Duration,
    pub(crate) busiest_thread: f64,
    pub(crate) requests_sent: u64,
    pub(crate) connections_opened: u64,
    pub(crate) in_flight_max: u64,
}

impl Recorder {
    pub(crate) fn new(timeline: Timeline, plan: &Plan) -> Self {
        let stages = match &plan.load {
            Load::Stages { stages, .. } => stages.len(),
            _ => 0,
        };
        let counts = |many: usize| (0..many).map(|_| Counts::new()).collect();
        Self {
            routes: counts(plan.scenario.routes().len()),
            stages: counts(stages),
            blocks: (0..timeline.blocks()).map(|_| BlockCounts::new()).collect(),
            timeline,
            lag: histogram(),
            news: plan.live.is_some().then(News::new),
            cpu: Duration::ZERO,
            busiest_thread: 0.0,
            requests_sent: 0,
            connections_opened: 0,
            in_flight_max: 0,
        }
    }

    /// A request left its schedule, this much late.
    pub(crate) fn dispatched(&mut self, intended: Instant, lag: Duration) {
        if self.timeline.contains(intended) {
            record(&mut self.lag, lag);
        }
    }

    pub(crate) fn dropped(&mut self, route: usize, intended: Instant) {
        if let Some(news) = &mut self.news {
            news.failed += 1;
        }
        if !self.timeline.contains(intended) {
            return;
        }
        let stage = self.timeline.stage_of(intended);
        let stage = stage.map(|stage| &mut self.stages[stage]);
        for counts in [Some(&mut self.routes[route]), stage].into_iter().flatten() {
            counts.requests += 1;
            counts.dropped += 1;
        }
        self.blocks[self.timeline.block_of(intended)].dropped();
    }

    pub(crate) fn ended(&mut self, request: &Ended) {
        if let Some(news) = &mut self.news {
            news.ended(request);
        }
        if request.accepted && self.timeline.contains(request.ended) {
            self.routes[request.route].completed += 1;
            if let Some(stage) = self.timeline.stage_of(request.ended) {
                self.stages[stage].completed += 1;
            }
            self.blocks[self.timeline.block_of(request.ended)].completed();
        }
        if !self.timeline.contains(request.intended) {
            return;
        }
        self.routes[request.route].ended(request);
        if let Some(stage) = self.timeline.stage_of(request.intended) {
            self.stages[stage].ended(request);
        }
        self.blocks[self.timeline.block_of(request.intended)].ended(request);
    }

    /// What happened since this was asked last; `None` when nobody looks.
    pub(crate) fn news(&mut self) -> Option<Moment> {
        let sent = self.requests_sent;
        self.news.as_mut().map(|news| news.take(sent))
    }

    /// Adds another thread's counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        let mine = self.routes.iter_mut().chain(&mut self.stages);
        for (mine, theirs) in mine.zip(other.routes.iter().chain(&other.stages)) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.blocks.iter_mut().zip(&other.blocks) {
            mine.merge(theirs);
        }
        add(&mut self.lag, &other.lag);
        self.cpu += other.cpu;
        self.busiest_thread = self.busiest_thread.max(other.busiest_thread);
        self.requests_sent += other.requests_sent;
        self.connections_opened += other.connections_opened;
        self.in_flight_max += other.in_flight_max;
    }

    /// `ended` is when the load stopped early, if it did.
    pub(crate) fn report(self, plan: &Plan, ended: Option<Instant>) -> Report {
        let Timeline { start, end, .. } = self.timeline;
        let until = ended.map_or(end, |at| at.clamp(start, end));
        let measured = until - start;
        let mut total = Counts::new();
        let mut rows = Vec::new();
        for (route, counts) in plan.scenario.routes().iter().zip(self.routes) {
            total.merge(&counts);
            rows.push(counts.row(route.name(), measured));
        }
        let (rate, connections) = match plan.load {
            Load::Open { rate, .. } => (Some(rate), None),
            Load::Stages { .. } => (None, None),
            Load::Closed { connections } => (None, Some(connections)),
        };
        let lengths = self.timeline.stages_until(until);
        // A block that was cut short is no block.
        let length = self.timeline.block_length();
        let whole = measured.as_nanos() / length.as_nanos().max(1);
        let blocks = self.blocks.into_iter().take(whole as usize);
        let blocks: Vec<Block> = blocks.map(|block| block.finish(length)).collect();
        Report {
            mode: Mode::of(&plan.load),
            rate,
            connections,
            duration_s: measured.as_secs_f64(),
            cancelled: ended.is_some(),
            seed: plan.seed,
            total: total.row("total", measured),
            routes: rows,
            stages: stage_rows(plan, self.stages, &lengths),
            generator: Generator {
                schedule_lag_p99_ms: quantile_ms(&self.lag, 0.99),
                schedule_lag_max_ms: quantile_ms(&self.lag, 1.0),
                cpu_s: self.cpu.as_secs_f64(),
                busiest_thread: self.busiest_thread,
                requests_sent: self.requests_sent,
                connections_opened: self.connections_opened,
                in_flight_max: self.in_flight_max,
            },
            process: None,
            intervals: Intervals::of(&blocks, plan.seed),
            blocks,
        }
    }
}

fn stage_rows(plan: &Plan, counts: Vec<Counts>, lengths: &[Duration]) -> Vec<StageRow> {
    let Load::Stages { from, stages, .. } = &plan.load else {
        return Vec::new();
    };
    let mut before = *from;
    let rows = stages.iter().zip(counts).zip(lengths);
    rows.filter_map(|((stage, counts), length)| {
        let rate_from = std::mem::replace(&mut before, stage.rate);
        // A jump lasts no time, and has no row.
        (!stage.duration.is_zero()).then(|| StageRow {
            rate_from,
            rate_to: stage.rate,
            duration_s: length.as_secs_f64(),
            row: counts.row(&stage_name(rate_from, stage), *length),
        })
    })
    .collect()
}

fn stage_name(from: f64, stage: &crate::Stage) -> String {
    let (to, seconds) = (stage.rate, stage.duration.as_secs_f64());
    if from == to {
        format!("{to}/s for {seconds} s")
    } else {
        format!("{from} → {to}/s in {seconds} s")
    }
}
