use super::Share;
use crate::Arrivals;
use fastrand::Rng;
use std::time::{Duration, Instant};

/// When one thread's requests should start. It never looks at the clock: what is late stays due.
pub(super) struct Schedule {
    rng: Rng,
    arrivals: Arrivals,
    /// Between this thread's arrivals, on average.
    gap_s: f64,
    begin: Instant,
    end: Instant,
    /// Of the next arrival, from `begin`. Kept as a sum of seconds, so that rounding each gap to
    /// nanoseconds does not add up.
    offset_s: f64,
}

impl Schedule {
    pub(super) fn new(share: &Share<'_>, rate: f64, arrivals: Arrivals) -> Self {
        let gap_s = share.plan.threads as f64 / rate;
        // Not the seed of the sampler, or times and routes would be drawn from the same numbers.
        let seed = !share.plan.seed ^ (share.index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut schedule = Self {
            rng: Rng::with_seed(seed),
            arrivals,
            gap_s,
            begin: share.begin,
            end: share.window.end,
            offset_s: 0.0,
        };
        schedule.offset_s = match arrivals {
            // The threads' arrivals interleave.
            Arrivals::Constant => share.index as f64 / rate,
            Arrivals::Poisson => schedule.gap_s(),
        };
        schedule
    }

    fn gap_s(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => self.gap_s,
            // 1 - [0, 1) is never 0, so the logarithm is finite.
            Arrivals::Poisson => -(1.0 - self.rng.f64()).ln() * self.gap_s,
        }
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        let at = self.begin + Duration::from_secs_f64(self.offset_s);
        let gap = self.gap_s();
        self.offset_s += gap;
        (at < self.end).then_some(at)
    }
}
