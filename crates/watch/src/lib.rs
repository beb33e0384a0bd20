//! What a process uses over time: CPU and resident memory, children included, and whether its memory grows without end.
#![warn(missing_docs)]

mod proc;
mod slope;
#[cfg(test)]
mod tests;

pub use proc::Usage;
use serde::Serialize;
use slope::Slope;
use std::fmt;
use std::time::{Duration, Instant};

/// What a process and its children used during the measured time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Watched {
    /// The process that was watched.
    pub pid: u32,
    /// CPU time, in user and kernel, also of children that ended meanwhile.
    pub cpu_s: f64,
    /// CPU time of each request, successful or not; `None` without requests.
    pub cpu_ms_per_request: Option<f64>,
    /// Resident memory at the beginning, in MiB.
    pub memory_mib_first: f64,
    /// At the end.
    pub memory_mib_last: f64,
    /// The most.
    pub memory_mib_max: f64,
    /// How fast resident memory grew, in MiB per hour, after the first fifth of the time; `None`
    /// with too few samples.
    pub growth_mib_per_h: Option<Growth>,
    /// What that means.
    pub memory: Memory,
    /// How many times it was looked at.
    pub samples: usize,
    /// Whether the process had ended before the load did.
    pub ended: bool,
}

/// How fast memory grew: Theil and Sen's slope, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Growth {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Whether memory leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// It grew certainly, by more than a process at rest would, and did so until the end.
    Leak,
    /// It did not.
    Stable,
    /// The load was too short to tell, or its rate changed.
    NotEnoughData,
}

/// Looks at a process from time to time.
#[derive(Debug)]
pub struct Watch {
    pid: u32,
    samples: Vec<Sample>,
    ended: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    usage: Usage,
}

/// How often to look.
pub const INTERVAL: Duration = Duration::from_millis(250);
/// Fewer samples, or less time, say nothing of growth.
const SAMPLES_MIN: usize = 20;
const TIME_MIN: Duration = Duration::from_secs(5);
/// So much of the beginning is left out: pools fill, caches warm up.
const SETTLING_SHARE: f64 = 0.2;
/// Growth within this share of memory over the whole time is none worth speaking of.
const GROWTH_SHARE_MIN: f64 = 0.01;
/// What only warms up grows ever more slowly. In the second half of the time a leak still grows, at this share of the whole's
/// speed at least.
const LATE_SHARE_MIN: f64 = 0.4;
/// Beyond that slope's interval must exclude 0, and its lower bound be worth this much.
const GROWTH_MIB_MIN: f64 = 0.25;

impl Watch {
    /// Nothing is seen yet.
    pub fn new(pid: u32) -> Self {
        Self {
            pid,
            samples: Vec::new(),
            ended: false,
        }
    }

    /// Looks once.
    pub fn look(&mut self) {
        match Usage::of(self.pid) {
            Some(usage) => self.samples.push(Sample {
                at: Instant::now(),
                usage,
            }),
            None => self.ended = true,
        }
    }

    /// What the samples amount to. `is_steady`: whether the load was the same all the time.
    pub fn finish(self, requests: u64, is_steady: bool) -> Option<Watched> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let cpu = last.usage.cpu.saturating_sub(first.usage.cpu).as_secs_f64();
        let mib = |sample: &Sample| sample.usage.resident as f64 / f64::from(1 << 20);
        let points: Vec<(f64, f64)> = self
            .samples
            .iter()
            .map(|sample| ((sample.at - first.at).as_secs_f64() / 3600.0, mib(sample)))
            .collect();
        let growth = growth(&points);
        let memory = match growth {
            Some(growth) if is_steady && !self.ended => judge(&growth, &points),
            _ => Memory::NotEnoughData,
        };
        Some(Watched {
            pid: self.pid,
            cpu_s: cpu,
            cpu_ms_per_request: (requests > 0).then(|| cpu * 1000.0 / requests as f64),
            memory_mib_first: mib(first),
            memory_mib_last: mib(last),
            memory_mib_max: points.iter().map(|(_, mib)| *mib).fold(0.0, f64::max),
            growth_mib_per_h: growth,
            memory,
            samples: self.samples.len(),
            ended: self.ended,
        })
    }
}

/// The slope after settling; `None` when there is too little.
fn growth(points: &[(f64, f64)]) -> Option<Growth> {
    let whole = points.last()?.0;
    let settled: Vec<_> = points
        .iter()
        .filter(|(hours, _)| *hours >= whole * SETTLING_SHARE)
        .copied()
        .collect();
    if settled.len() < SAMPLES_MIN || whole * 3600.0 < TIME_MIN.as_secs_f64() {
        return None;
    }
    let Slope { value, low, high } = slope::theil_sen(&settled)?;
    Some(Growth { value, low, high })
}

fn judge(growth: &Growth, points: &[(f64, f64)]) -> Memory {
    let hours = points.last().map_or(0.0, |(hours, _)| *hours);
    let size = points.first().map_or(0.0, |(_, mib)| *mib);
    // At its slowest, over the time that was watched.
    let grown = growth.low * hours;
    if grown > GROWTH_MIB_MIN
        && grown > size * GROWTH_SHARE_MIN
        && grows_until_the_end(growth, points)
    {
        Memory::Leak
    } else {
        Memory::Stable
    }
}

fn grows_until_the_end(growth: &Growth, points: &[(f64, f64)]) -> bool {
    let half = points.last().map_or(0.0, |(hours, _)| hours / 2.0);
    let late: Vec<_> = points
        .iter()
        .filter(|(at, _)| *at >= half)
        .copied()
        .collect();
    slope::theil_sen(&late).is_some_and(|late| late.value >= growth.value * LATE_SHARE_MIN)
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, cpu_s, .. } = self;
        write!(f, "process {pid}: {cpu_s:.2} s of CPU")?;
        if let Some(ms) = self.cpu_ms_per_request {
            write!(f, ", {ms:.3} ms per request")?;
        }
        write!(
            f,
            "; memory {:.1} to {:.1} MiB, at most {:.1}",
            self.memory_mib_first, self.memory_mib_last, self.memory_mib_max
        )?;
        if let Some(Growth { value, low, high }) = self.growth_mib_per_h {
            write!(f, "; growth {value:.1} MiB/h ({low:.1} to {high:.1})")?;
        }
        let memory = match self.memory {
            Memory::Leak => "it leaks",
            Memory::Stable => "stable",
            Memory::NotEnoughData => "not enough data to tell whether it leaks",
        };
        write!(f, ": {memory}")?;
        if self.ended {
            write!(f, " (it ended before the load did)")?;
        }
        writeln!(f)
    }
}
