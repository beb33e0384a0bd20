use super::Share;
use crate::{Arrivals, Load, Plan};
use fastrand::Rng;
use std::time::{Duration, Instant};

/// When one thread's requests should start. It never looks at the clock: what is late stays due.
///
/// It counts in arrivals, and asks the [`Course`] when so many are due. For random arrivals that
/// is time-rescaling: unit-rate exponential gaps become a Poisson process of any rate.
pub(super) struct Schedule {
    rng: Rng,
    arrivals: Arrivals,
    /// Arrivals of all threads between two of this one's, on average.
    gap: f64,
    begin: Instant,
    course: Course,
    /// Arrivals of all threads before this thread's next one.
    due: f64,
}

impl Schedule {
    pub(super) fn new(share: &Share<'_>, arrivals: Arrivals) -> Self {
        // Not the seed of the sampler, or times and routes would be drawn from the same numbers.
        let seed = !share.plan.seed ^ (share.index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut schedule = Self {
            rng: Rng::with_seed(seed),
            arrivals,
            gap: share.plan.threads as f64,
            begin: share.begin,
            course: Course::of(share.plan),
            due: 0.0,
        };
        schedule.due = match arrivals {
            // The threads' arrivals interleave.
            Arrivals::Constant => share.index as f64,
            Arrivals::Poisson => schedule.gap(),
        };
        schedule
    }

    fn gap(&mut self) -> f64 {
        match self.arrivals {
            Arrivals::Constant => self.gap,
            // 1 - [0, 1) is never 0, so the logarithm is finite.
            Arrivals::Poisson => -(1.0 - self.rng.f64()).ln() * self.gap,
        }
    }
}

impl Iterator for Schedule {
    type Item = Instant;

    fn next(&mut self) -> Option<Instant> {
        let at_s = self.course.at(self.due)?;
        self.due += self.gap();
        Some(self.begin + Duration::from_secs_f64(at_s))
    }
}

/// The rate over time, warm-up first: pieces of straight lines.
struct Course {
    pieces: Vec<Piece>,
}

struct Piece {
    start_s: f64,
    length_s: f64,
    from: f64,
    to: f64,
    /// Arrivals until its start, and until its end.
    before: f64,
    after: f64,
}

impl Course {
    fn of(plan: &Plan) -> Self {
        let mut course = Self { pieces: Vec::new() };
        match &plan.load {
            Load::Open { rate, .. } => {
                course.push(plan.warmup + plan.duration, *rate, *rate);
            }
            Load::Stages { from, stages, .. } => {
                course.push(plan.warmup, *from, *from);
                let mut before = *from;
                for stage in stages {
                    course.push(stage.duration, before, stage.rate);
                    before = stage.rate;
                }
            }
            Load::Closed { .. } => {}
        }
        course
    }

    fn push(&mut self, length: Duration, from: f64, to: f64) {
        let (start_s, before) = self
            .pieces
            .last()
            .map_or((0.0, 0.0), |p| (p.start_s + p.length_s, p.after));
        let length_s = length.as_secs_f64();
        self.pieces.push(Piece {
            start_s,
            length_s,
            from,
            to,
            before,
            after: before + length_s * (from + to) / 2.0,
        });
    }

    /// When so many requests have been due, in seconds; `None` when there are not that many.
    fn at(&self, arrivals: f64) -> Option<f64> {
        let piece = self.pieces.partition_point(|p| p.after <= arrivals);
        let piece = self.pieces.get(piece)?;
        let inside = arrivals - piece.before;
        // The root of from·t + slope·t²/2 = inside, in the form that loses no digits when the
        // slope is small.
        let slope = (piece.to - piece.from) / piece.length_s;
        let root = (piece.from * piece.from + 2.0 * slope * inside)
            .max(0.0)
            .sqrt();
        let inside_s = if inside > 0.0 {
            2.0 * inside / (piece.from + root)
        } else {
            0.0
        };
        Some(piece.start_s + inside_s.min(piece.length_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, Stage, Target};

    fn course(warmup_s: u64, from: f64, stages: &[(u64, f64)]) -> Course {
        let scenario = Scenario::from_toml("[[route]]\npath = '/'").unwrap();
        let mut plan = Plan::new(Target::parse("http://localhost").unwrap(), scenario);
        plan.warmup = Duration::from_secs(warmup_s);
        let stages = stages.iter().map(|(seconds, rate)| Stage {
            duration: Duration::from_secs(*seconds),
            rate: *rate,
        });
        plan.load = Load::Stages {
            from,
            stages: stages.collect(),
            arrivals: Arrivals::Constant,
        };
        Course::of(&plan)
    }

    #[test]
    fn the_rate_goes_in_straight_lines() {
        let check = |course: &Course, arrivals: f64, expected: Option<f64>| {
            let at = course.at(arrivals);
            let same = match (at, expected) {
                (Some(at), Some(expected)) => (at - expected).abs() < 1e-9,
                (at, expected) => at == expected,
            };
            assert!(same, "{arrivals}: {at:?} instead of {expected:?}");
        };
        // From 0 to 100/s in 10 s: 500 arrivals, half of them after 10/√2 seconds.
        let up = course(0, 0.0, &[(10, 100.0)]);
        check(&up, 0.0, Some(0.0));
        check(&up, 250.0, Some(10.0 / 2_f64.sqrt()));
        check(&up, 500.0, None);
        // And down to nothing again, which is the same in reverse.
        let down = course(0, 100.0, &[(10, 0.0)]);
        check(&down, 250.0, Some(10.0 - 10.0 / 2_f64.sqrt()));
        check(&down, 499.999, Some(10.0 - (2.0 * 0.001 / 10.0_f64).sqrt()));
        // Warm-up, hold, jump, silence, hold.
        let steps = course(
            2,
            10.0,
            &[
                (5, 10.0),
                (0, 50.0),
                (1, 50.0),
                (0, 0.0),
                (4, 0.0),
                (0, 8.0),
                (1, 8.0),
            ],
        );
        check(&steps, 10.0, Some(1.0));
        check(&steps, 69.0, Some(6.9));
        check(&steps, 95.0, Some(7.5));
        check(&steps, 120.0, Some(12.0));
        check(&steps, 124.0, Some(12.5));
        check(&steps, 128.0, None);
    }
}
