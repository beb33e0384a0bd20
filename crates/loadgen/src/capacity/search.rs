//! Which rate to try next.

use super::{Outcome, Step};
use serde::Serialize;

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The rates that were kept and missed are within 5 % of each other.
    Close,
    /// No objective was missed at the highest rate that is tried.
    RateMax,
    /// None was kept at a 64th of the first rate, or at the lowest that can be judged in time.
    RateMin,
    /// It took too many steps.
    Steps,
    /// Somebody ended it.
    Cancelled,
}

/// The bracket around the capacity.
pub(super) struct Search {
    first: f64,
    kept: Option<f64>,
    missed: Option<f64>,
    steps: u32,
    stopped: Option<Stop>,
}

/// Kept and missed rates that differ by this factor are close enough.
const CLOSE: f64 = 1.05;
const RATE_MAX: f64 = 1_000_000.0;
/// The search does not go below this part of the first rate.
const DESCENT_MAX: f64 = 64.0;
const STEPS_MAX: u32 = 30;

impl Search {
    pub(super) fn new(first: f64) -> Self {
        Self {
            first,
            kept: None,
            missed: None,
            steps: 0,
            stopped: None,
        }
    }

    /// The next rate to try; `None` when the search is over, for the reason that
    /// [`stopped`](Self::stopped) tells.
    pub(super) fn next(&mut self) -> Option<f64> {
        let next = match (self.kept, self.missed) {
            (None, None) => Ok(self.first),
            (Some(kept), None) if kept >= RATE_MAX => Err(Stop::RateMax),
            (Some(kept), None) => Ok((kept * 2.0).min(RATE_MAX)),
            (None, Some(missed)) if missed <= self.first / DESCENT_MAX => Err(Stop::RateMin),
            (None, Some(missed)) => Ok(missed / 2.0),
            (Some(kept), Some(missed)) if missed <= kept * CLOSE => Err(Stop::Close),
            // The middle by ratio: it is a ratio that ends the search.
            (Some(kept), Some(missed)) => Ok((kept * missed).sqrt()),
        };
        let next = next.and_then(|rate| {
            let is_over = self.steps == STEPS_MAX;
            if is_over { Err(Stop::Steps) } else { Ok(rate) }
        });
        match (self.stopped, next) {
            (None, Ok(rate)) => Some(rate),
            (stopped, next) => {
                self.stopped = stopped.or(next.err());
                None
            }
        }
    }

    pub(super) fn learn(&mut self, step: &Step) {
        self.steps += 1;
        match step.outcome {
            Outcome::Kept => self.kept = Some(step.rate),
            _ => self.missed = Some(step.rate),
        }
    }

    /// Ends the search for a reason that it cannot see.
    pub(super) fn stop(&mut self, why: Stop) {
        self.stopped = Some(why);
    }

    /// The highest rate that was kept and the lowest that was not.
    pub(super) fn bracket(&self) -> (Option<f64>, Option<f64>) {
        (self.kept, self.missed)
    }

    pub(super) fn stopped(&self) -> Stop {
        self.stopped.unwrap_or(Stop::Cancelled)
    }

    /// Where it stands, for people.
    pub(super) fn told(&self) -> String {
        let step = self.steps + 1;
        match (self.kept, self.missed) {
            (None, None) => format!("step {step}"),
            (Some(kept), None) => format!("step {step}, kept at {kept:.0}/s"),
            (None, Some(missed)) => format!("step {step}, missed at {missed:.0}/s"),
            (Some(kept), Some(missed)) => {
                format!("step {step}, kept at {kept:.0}/s, missed at {missed:.0}/s")
            }
        }
    }
}
