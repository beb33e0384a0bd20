//! The highest rate at which a service keeps its objectives.
//!
//! An open-loop search: the rate is doubled until an objective is missed (or halved until all are
//! kept), then the bracket is bisected. A step is kept when the *worse* bound of each objective's
//! interval keeps the limit, missed when the better bound of one does not, and measured again, twice
//! as long, while neither is certain. What stays uncertain counts as missed.

mod search;
#[cfg(test)]
mod tests;
mod text;

use crate::{Arrivals, Cancel, Error, Estimate, Load, Plan, Report, Threshold, run};
use search::Search;
pub use search::Stop;
use serde::Serialize;
use std::time::Duration;

/// What a search for the capacity found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capacity {
    /// The highest rate, in requests per second, at which all objectives were kept; `None` when
    /// there was none.
    pub rate: Option<f64>,
    /// The lowest at which one was missed; `None` when the search ended before.
    pub missed_at: Option<f64>,
    /// What was asked for.
    pub objectives: Vec<String>,
    /// What kept the rate from going higher.
    pub limited_by: Limit,
    /// Why the search ended.
    pub stopped: Stop,
    /// Each step, in order.
    pub steps: Vec<Step>,
}

/// What a capacity is limited by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The service missed an objective while the generator kept its schedule.
    Server,
    /// The generator was late itself, or its busiest thread had no time left: the service may well
    /// do more.
    Generator,
    /// Nothing yet: the search ended before anything was missed.
    Unknown,
}

/// A rate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Requests per second.
    pub rate: f64,
    /// How long it was measured.
    pub duration_s: f64,
    /// How it went.
    pub outcome: Outcome,
    /// What was answered successfully, per second.
    pub requests_per_s: f64,
    /// Each objective's number with its interval; `None` when there was too little.
    pub measured: Vec<Option<Estimate>>,
    /// How late the generator was at the 99th percentile.
    pub schedule_lag_p99_ms: Option<f64>,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every objective was certainly kept.
    Kept,
    /// One was certainly missed.
    Missed,
    /// Neither is certain.
    Unsure,
    /// Fewer requests were answered than sent: a queue grew, and would have grown on.
    Overloaded,
    /// The generator was the one that was late.
    GeneratorLate,
}

/// The share of what was sent that must be answered within a step.
const ANSWERED_MIN: f64 = 0.95;
/// How often a step that is not certain is measured again, each time twice as long.
const REPEATS_MAX: u32 = 2;
/// A step that cannot be judged within this is none; nor is one measured again for longer.
const STEP_MAX: Duration = Duration::from_secs(120);

/// Searches from `rate` on. Each step takes the plan's warm-up, and its duration or as long as the
/// objectives need at that rate.
///
/// # Errors
/// As [`run`](crate::run()), for objectives that have no interval (of one route, of a maximum or a
/// count), and when the first rate is too low to judge them within two minutes.
pub fn find_capacity(
    plan: &Plan,
    rate: f64,
    objectives: &[Threshold],
    cancel: &Cancel,
) -> Result<Capacity, Error> {
    for objective in objectives {
        objective.check_objective()?;
    }
    if objectives.is_empty() {
        return Err(Error::Plan(
            "a capacity needs an objective, such as p95<200ms".to_owned(),
        ));
    }
    let arrivals = match plan.load {
        Load::Open { arrivals, .. } => arrivals,
        _ => Arrivals::default(),
    };
    let mut search = Search::new(rate);
    let mut steps = Vec::new();
    while let Some(rate) = search.next() {
        if seconds_needed(objectives, rate) > STEP_MAX.as_secs_f64() {
            if steps.is_empty() {
                let reason = format!(
                    "at {rate:.1} requests/s the objective cannot be judged within {} s; begin at a higher rate",
                    STEP_MAX.as_secs()
                );
                return Err(Error::Plan(reason));
            }
            search.stop(Stop::RateMin);
            break;
        }
        plan.tell(|| search.told());
        let mut plan = plan.clone();
        plan.load = Load::Open { rate, arrivals };
        let Some(step) = measure(&mut plan, rate, objectives, cancel)? else {
            search.stop(Stop::Cancelled);
            break;
        };
        search.learn(&step);
        steps.push(step);
    }
    let (kept, missed) = search.bracket();
    Ok(Capacity {
        rate: kept,
        missed_at: missed,
        objectives: objectives.iter().map(ToString::to_string).collect(),
        limited_by: limit(&steps, missed),
        stopped: search.stopped(),
        steps,
    })
}

/// How long it takes at a rate until every objective can be judged.
fn seconds_needed(objectives: &[Threshold], rate: f64) -> f64 {
    let needed = objectives.iter().map(Threshold::requests_needed);
    needed.max().unwrap_or(0) as f64 / rate
}

/// One rate; `None` when it was cancelled.
fn measure(
    plan: &mut Plan,
    rate: f64,
    objectives: &[Threshold],
    cancel: &Cancel,
) -> Result<Option<Step>, Error> {
    let needed = Duration::from_secs_f64(seconds_needed(objectives, rate));
    plan.duration = plan.duration.max(needed);
    let mut repeats = 0;
    loop {
        let report = run(plan, cancel)?;
        if report.cancelled {
            return Ok(None);
        }
        let step = Step::of(&report, rate, objectives);
        let is_last = repeats == REPEATS_MAX || plan.duration * 2 > STEP_MAX;
        if step.outcome != Outcome::Unsure || is_last {
            return Ok(Some(step));
        }
        repeats += 1;
        plan.duration *= 2;
        plan.seed = plan.seed.wrapping_add(1);
    }
}

/// What kept the search from going higher: the step at the lowest rate that was not kept says it.
fn limit(steps: &[Step], missed: Option<f64>) -> Limit {
    let step = steps.iter().rev().find(|step| Some(step.rate) == missed);
    match step.map(|step| step.outcome) {
        None => Limit::Unknown,
        Some(Outcome::GeneratorLate) => Limit::Generator,
        Some(_) => Limit::Server,
    }
}

impl Step {
    fn of(report: &Report, rate: f64, objectives: &[Threshold]) -> Self {
        let estimate = |o: &Threshold| o.estimate(&report.blocks, report.seed);
        let measured: Vec<Option<Estimate>> = objectives.iter().map(estimate).collect();
        let judged = objectives.iter().zip(&measured);
        let judged: Vec<_> = judged.map(|(o, m)| m.and_then(|m| o.keeps(&m))).collect();
        let total = &report.total;
        let arrived = total.requests_per_s * report.duration_s;
        let sent = total.requests - total.errors.count();
        let is_answered = arrived >= ANSWERED_MIN * sent as f64;
        let outcome = if is_answered && judged.iter().all(|kept| *kept == Some(true)) {
            Outcome::Kept
        } else if report.generator.is_late() {
            Outcome::GeneratorLate
        } else if !is_answered {
            Outcome::Overloaded
        } else if judged.contains(&Some(false)) {
            Outcome::Missed
        } else {
            Outcome::Unsure
        };
        Self {
            rate,
            duration_s: report.duration_s,
            outcome,
            requests_per_s: total.requests_per_s,
            measured,
            schedule_lag_p99_ms: report.generator.schedule_lag_p99_ms,
        }
    }
}
