//! Two targets under the same load, in turns: which is faster, by how much, and how certainly.
//!
//! What else the machine does meets both alike, since they take turns block by block in the order
//! A B B A, of which a seed decides who begins. Both blocks of a pair send the same requests at the
//! same moments. Ratios get an interval by drawing *pairs* anew (see [`crate::bootstrap`]), so
//! that a disturbance that lasts longer than a block cancels out.

mod ratios;
#[cfg(test)]
mod tests;
mod text;

use crate::{Cancel, Distribution, Error, Estimate, Load, Mode, Plan, Report, Target, run};
use fastrand::Rng;
use serde::Serialize;
use std::time::Duration;

/// Two targets compared. Ratios are B's numbers by A's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first target.
    pub a: String,
    /// The second.
    pub b: String,
    /// Open or closed loop.
    pub mode: Mode,
    /// Requests per second that an open loop sent to each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Blocks that each target had.
    pub pairs: usize,
    /// How long a block was measured.
    pub block_s: f64,
    /// What decided order, requests and intervals.
    pub seed: u64,
    /// Whether it was ended before its time; what was whole until then is compared.
    pub cancelled: bool,
    /// How late the generator was at the 99th percentile, in its worst block.
    pub schedule_lag_p99_ms: Option<f64>,
    /// Whether the generator was late itself in some block.
    pub generator_late: bool,
    /// All routes together.
    pub total: Compared,
    /// One for each route, in the scenario's order.
    pub routes: Vec<Compared>,
    /// What is certain of the whole, as a sentence; `None` when nothing is.
    pub verdict: Option<String>,
}

/// One route of both targets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The route's name, or `total`.
    pub route: String,
    /// The first target's numbers.
    pub a: Numbers,
    /// The second's.
    pub b: Numbers,
    /// B's numbers by A's, with 95 % intervals.
    pub ratio: Ratios,
    /// B's share of failed requests less A's.
    pub error_difference: Option<Estimate>,
}

/// What one target did over all its blocks.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it, and they are those of `Row`")]
pub struct Numbers {
    pub requests: u64,
    pub requests_per_s: f64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub error_rate: f64,
    pub distribution: Distribution,
}

/// Ratios; `None` where one side has too little of it (a percentile needs ten latencies above it)
/// or none at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it, and they are those of `Row`")]
pub struct Ratios {
    pub p50_ms: Option<Estimate>,
    pub p95_ms: Option<Estimate>,
    pub p99_ms: Option<Estimate>,
    pub requests_per_s: Option<Estimate>,
    pub error_rate: Option<Estimate>,
}

const PAIRS_MIN: u128 = 8;
const PAIRS_MAX: u128 = 30;
/// What a block should last, where the time allows.
const BLOCK: Duration = Duration::from_secs(1);

/// Compares the plan's target (A) with another (B). Each is measured for the plan's duration in
/// all, in blocks; each has the plan's warm-up once, and a short one before each block, in which
/// connections are opened.
///
/// # Errors
/// As [`run`](crate::run()), and for a plan with stages.
pub fn compare(plan: &Plan, b: &Target, cancel: &Cancel) -> Result<Comparison, Error> {
    if matches!(plan.load, Load::Stages { .. }) {
        let reason = "stages cannot be compared: each block needs the same rate";
        return Err(Error::Plan(reason.to_owned()));
    }
    plan.check()?;
    let pairs = plan.duration.as_millis() / BLOCK.as_millis();
    let pairs = pairs.clamp(PAIRS_MIN, PAIRS_MAX) as u32;
    let block = plan.duration / pairs;
    if !plan.warmup.is_zero() {
        for target in [&plan.target, b] {
            run(&part(plan, target, Duration::ZERO, plan.warmup), cancel)?;
        }
    }
    let mut rng = Rng::with_seed(plan.seed);
    let mut a_first = false;
    let mut done: Vec<(Report, Report)> = Vec::new();
    for pair in 0..pairs {
        a_first = if pair % 2 == 0 { rng.bool() } else { !a_first };
        plan.tell(|| format!("pair {} of {pairs}", pair + 1));
        let measure = |target: &Target| {
            let mut part = part(plan, target, block / 5, block);
            part.seed = plan.seed.wrapping_add(u64::from(pair));
            run(&part, cancel)
        };
        let (a, b) = if a_first {
            let a = measure(&plan.target)?;
            (a, measure(b)?)
        } else {
            let b = measure(b)?;
            (measure(&plan.target)?, b)
        };
        if cancel.is_cancelled() {
            break;
        }
        done.push((a, b));
    }
    Ok(Comparison::of(plan, b, block, &done, cancel.is_cancelled()))
}

fn part(plan: &Plan, target: &Target, warmup: Duration, duration: Duration) -> Plan {
    Plan {
        target: target.clone(),
        warmup,
        duration,
        ..plan.clone()
    }
}

impl Comparison {
    fn of(plan: &Plan, b: &Target, block: Duration, done: &[(Report, Report)], cut: bool) -> Self {
        let lags = done.iter().flat_map(|(a, b)| [a, b]);
        let lags = lags.filter_map(|report| report.generator.schedule_lag_p99_ms);
        let routes = plan.scenario.routes().iter().enumerate();
        let routes = routes.map(|(n, route)| {
            let rows = done.iter().map(|(a, b)| (&a.routes[n], &b.routes[n]));
            ratios::compared(route.name(), rows, block, plan.seed)
        });
        let totals = done.iter().map(|(a, b)| (&a.total, &b.total));
        let total = ratios::compared("total", totals, block, plan.seed);
        Self {
            a: plan.target.to_string(),
            b: b.to_string(),
            mode: Mode::of(&plan.load),
            rate: match plan.load {
                Load::Open { rate, .. } => Some(rate),
                _ => None,
            },
            pairs: done.len(),
            block_s: block.as_secs_f64(),
            seed: plan.seed,
            cancelled: cut,
            schedule_lag_p99_ms: lags.reduce(f64::max),
            generator_late: done
                .iter()
                .any(|(a, b)| a.generator.is_late() || b.generator.is_late()),
            routes: routes.collect(),
            verdict: text::verdict(&total),
            total,
        }
    }
}
