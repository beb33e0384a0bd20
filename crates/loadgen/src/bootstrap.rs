//! Intervals, by drawing blocks anew.
//!
//! Single requests are not independent: a stall hits neighbours alike. The non-overlapping block
//! bootstrap (Carlstein 1986; Künsch 1989 for the idea) therefore draws whole stretches of time,
//! with replacement, and looks how much the statistic scatters over many such draws. The interval
//! is the *expanded percentile* interval (Hesterberg, "What Teachers Should Know About the
//! Bootstrap", The American Statistician 69, 2015, section 4.1): the percentiles of the draws are
//! moved outwards by what Student's t asks for with so few blocks, without which the plain
//! percentile interval is too narrow.

use crate::distribution::{Distribution, rank};
use fastrand::Rng;
use serde::Serialize;

/// A number that was measured, and the interval in which it lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// The interval's lower bound.
    pub low: f64,
    /// The interval's upper bound.
    pub high: f64,
}

const DRAWS: usize = 1000;
/// With fewer there is no interval.
const BLOCKS_MIN: usize = 5;
/// Of 95 % on both sides.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// Draws of blocks: how often each block occurs in each draw.
pub(crate) struct Draws {
    weights: Vec<Vec<u32>>,
    blocks: usize,
}

impl Draws {
    /// Of so many blocks; `None` when they are too few.
    pub(crate) fn new(blocks: usize, seed: u64) -> Option<Self> {
        if blocks < BLOCKS_MIN {
            return None;
        }
        let mut rng = Rng::with_seed(seed);
        let mut draw = || {
            let mut weights = vec![0; blocks];
            (0..blocks).for_each(|_| weights[rng.usize(..blocks)] += 1);
            weights
        };
        Some(Self {
            weights: (0..DRAWS).map(|_| draw()).collect(),
            blocks,
        })
    }

    /// The interval of a statistic, which is given how often each block counts. `None` when it has
    /// no value, as a whole or in some draw.
    pub(crate) fn estimate(
        &self,
        mut statistic: impl FnMut(&[u32]) -> Option<f64>,
    ) -> Option<Estimate> {
        let [estimate] = self.estimates(|weights| [statistic(weights)]);
        estimate
    }

    /// The same for several statistics that are found in one go.
    pub(crate) fn estimates<const N: usize>(
        &self,
        mut statistics: impl FnMut(&[u32]) -> [Option<f64>; N],
    ) -> [Option<Estimate>; N] {
        let values = statistics(&vec![1; self.blocks]);
        let drawn: Vec<_> = self.weights.iter().map(|w| statistics(w)).collect();
        std::array::from_fn(|n| {
            let drawn: Option<Vec<f64>> = drawn.iter().map(|draw| draw[n]).collect();
            Some(self.interval(values[n]?, drawn?))
        })
    }

    fn interval(&self, value: f64, mut drawn: Vec<f64>) -> Estimate {
        drawn.sort_unstable_by(f64::total_cmp);
        let tail = expanded_tail(self.blocks);
        let place = |share: f64| drawn[rank(share, drawn.len() as f64) as usize - 1];
        Estimate {
            value,
            // The measured value belongs into its own interval, also where the draws are skewed.
            low: place(tail).min(value),
            high: place(1.0 - tail).max(value),
        }
    }
}

/// Latencies by block, so that a quantile of any draw is quick to find.
pub(crate) struct BlockLatencies {
    values: Vec<u64>,
    /// By block: the place of a value in `values`, and how often it occurred.
    blocks: Vec<Vec<(usize, u64)>>,
    scratch: Vec<u64>,
}

impl BlockLatencies {
    pub(crate) fn new<'d>(blocks: impl Iterator<Item = &'d Distribution> + Clone) -> Self {
        let all = Distribution::merged(blocks.clone());
        let values: Vec<u64> = all.counts_us().iter().map(|(us, _)| *us).collect();
        let place = |us: &u64| values.partition_point(|value| value < us);
        let places = |block: &Distribution| {
            let counts = block.counts_us().iter();
            counts.map(|(us, n)| (place(us), *n)).collect()
        };
        Self {
            blocks: blocks.map(places).collect(),
            scratch: vec![0; values.len()],
            values,
        }
    }

    /// The quantiles when each block counts so often. The shares must ascend.
    pub(crate) fn quantiles_ms<const N: usize>(
        &mut self,
        weights: &[u32],
        shares: [f64; N],
    ) -> [Option<f64>; N] {
        self.scratch.fill(0);
        for (block, weight) in self.blocks.iter().zip(weights).filter(|(_, w)| **w > 0) {
            for (place, count) in block {
                self.scratch[*place] += count * u64::from(*weight);
            }
        }
        let all = self.scratch.iter().sum::<u64>() as f64;
        let mut cumulative = self
            .values
            .iter()
            .zip(&self.scratch)
            .scan(0, |seen, (us, count)| {
                *seen += count;
                Some((*us, *seen as f64))
            });
        let mut at = cumulative.next();
        shares.map(|share| {
            let wanted = rank(share, all);
            while at.is_some_and(|(_, seen)| seen < wanted) {
                at = cumulative.next();
            }
            Some(at?.0 as f64 / 1000.0)
        })
    }
}

/// The share of requests with some fault: the bootstrap's interval, and not narrower than Wilson's
/// (1927). Without any fault every draw is without, but a hundred requests prove no error rate
/// below 3.7 %.
pub(crate) fn share_estimate(draws: &Draws, counts: &[(u64, u64)]) -> Option<Estimate> {
    let weighted = |weights: &[u32]| {
        let sum = counts
            .iter()
            .zip(weights)
            .fold((0, 0), |sum, ((part, whole), w)| {
                (sum.0 + part * u64::from(*w), sum.1 + whole * u64::from(*w))
            });
        (sum.1 > 0).then(|| sum.0 as f64 / sum.1 as f64)
    };
    let drawn = draws.estimate(weighted)?;
    let whole: u64 = counts.iter().map(|(_, whole)| whole).sum();
    let (low, high) = wilson(drawn.value, whole as f64);
    Some(Estimate {
        low: drawn.low.min(low),
        high: drawn.high.max(high),
        ..drawn
    })
}

pub(crate) fn wilson(share: f64, whole: f64) -> (f64, f64) {
    let z2 = Z * Z;
    let centre = share + z2 / (2.0 * whole);
    let spread = Z * (share * (1.0 - share) / whole + z2 / (4.0 * whole * whole)).sqrt();
    let norm = 1.0 + z2 / whole;
    (
        ((centre - spread) / norm).max(0.0),
        ((centre + spread) / norm).min(1.0),
    )
}

/// How many requests without any fault prove, by that interval, that fewer than this share fail.
pub(crate) fn requests_to_prove(share: f64) -> u64 {
    // Wilson's upper bound without faults is z² / (n + z²).
    (Z * Z * (1.0 - share) / share).ceil() as u64
}

/// The share to cut off at either end of the draws of so many blocks.
fn expanded_tail(blocks: usize) -> f64 {
    let n = blocks as f64;
    normal_tail((n / (n - 1.0)).sqrt() * student_t(n - 1.0))
}

/// The 97.5th percentile of Student's t: Cornish and Fisher's expansion (Abramowitz and Stegun
/// 26.7.5), off by less than 1 % from four degrees of freedom on.
fn student_t(freedom: f64) -> f64 {
    let z = Z;
    let power = |n: i32| z.powi(n);
    z + (power(3) + z) / (4.0 * freedom)
        + (5.0 * power(5) + 16.0 * power(3) + 3.0 * z) / (96.0 * freedom.powi(2))
        + (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * z)
            / (384.0 * freedom.powi(3))
}

/// The share of a normal distribution above so many standard deviations: Abramowitz and Stegun
/// 26.2.17, off by less than 1e-7.
fn normal_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let polynomial = coefficients.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_met() {
        let near = |got: f64, expected: f64, off: f64| {
            assert!(
                (got / expected - 1.0).abs() < off,
                "{got} instead of {expected}"
            );
        };
        for (freedom, t) in [(4.0, 2.776), (9.0, 2.262), (19.0, 2.093), (39.0, 2.023)] {
            near(student_t(freedom), t, 0.01);
        }
        near(normal_tail(1.959_964), 0.025, 1e-5);
        near(normal_tail(3.0), 0.001_349_9, 1e-4);
        // Wilson's interval of 5 among 100, from the literature, and of none.
        let (low, high) = wilson(0.05, 100.0);
        near(low, 0.0215, 0.01);
        near(high, 0.1118, 0.01);
        near(wilson(0.0, 100.0).1, 0.0370, 0.01);
        let needed = requests_to_prove(0.001) as f64;
        assert!(wilson(0.0, needed).1 <= 0.001 && wilson(0.0, needed - 2.0).1 > 0.001);
    }

    #[test]
    fn too_few_blocks_have_no_interval() {
        assert!(Draws::new(4, 1).is_none());
        let draws = Draws::new(5, 1).unwrap();
        assert!(draws.estimate(|_| None).is_none());
        assert!(
            draws
                .estimate(|weights| (weights[0] > 0).then_some(1.0))
                .is_none()
        );
    }

    #[test]
    fn equal_seeds_make_equal_intervals() {
        let estimate = |seed| {
            Draws::new(10, seed)
                .unwrap()
                .estimate(mean(&[1.0, 5.0, 2.0, 8.0, 3.0, 9.0, 1.0, 2.0, 7.0, 4.0]))
        };
        assert_eq!(estimate(7), estimate(7));
        assert_ne!(estimate(7), estimate(8));
    }

    #[test]
    fn the_interval_holds_the_truth_as_often_as_it_says() {
        // Blocks of 30 requests whose latencies share half of their variation, as those of
        // neighbours do; the true median is 0.
        let mut rng = Rng::with_seed(3);
        let mut held = 0;
        let trials = 300;
        for trial in 0..trials {
            let block = |rng: &mut Rng| {
                let common = normal(rng);
                let latencies = (0..30).map(|_| 100.0 + 10.0 * (common + normal(rng)));
                Distribution::from_ms(latencies.collect::<Vec<_>>())
            };
            let blocks: Vec<_> = (0..20).map(|_| block(&mut rng)).collect();
            let mut latencies = BlockLatencies::new(blocks.iter());
            let draws = Draws::new(20, trial).unwrap();
            let found = draws
                .estimate(|weights| latencies.quantiles_ms(weights, [0.5])[0])
                .unwrap();
            held += u32::from(found.low <= 100.0 && 100.0 <= found.high);
        }
        // Drawn as single requests they would hold it in hardly half of all trials.
        let share = f64::from(held) / trials as f64;
        assert!((0.91..=0.985).contains(&share), "{share}");
    }

    #[test]
    fn weighted_quantiles_are_those_of_the_merged_blocks() {
        let blocks = [
            Distribution::from_ms([1.0, 2.0, 3.0]),
            Distribution::from_ms([10.0, 20.0]),
            Distribution::default(),
        ];
        let mut latencies = BlockLatencies::new(blocks.iter());
        let twice = Distribution::merged([&blocks[1], &blocks[1], &blocks[0]]);
        let shares = [0.0, 0.3, 0.3, 0.5, 0.9, 1.0];
        let expected = shares.map(|share| twice.quantile_ms(share));
        assert_eq!(latencies.quantiles_ms(&[1, 2, 5], shares), expected);
        assert_eq!(latencies.quantiles_ms(&[0, 0, 3], [0.5]), [None]);
    }

    #[test]
    fn no_error_among_few_requests_proves_little() {
        let draws = Draws::new(10, 1).unwrap();
        let none = share_estimate(&draws, &[(0, 10); 10]).unwrap();
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!((0.03..0.04).contains(&none.high), "{none:?}");
        // Errors that come in one burst scatter far more than independent ones would.
        let mut burst = [(0, 1000); 10];
        burst[3] = (500, 1000);
        let burst = share_estimate(&draws, &burst).unwrap();
        assert!(burst.high > 0.14 && burst.low == 0.0, "{burst:?}");
    }

    fn mean(values: &[f64]) -> impl FnMut(&[u32]) -> Option<f64> {
        |weights| {
            let sum = |by: &dyn Fn(f64) -> f64| -> f64 {
                values
                    .iter()
                    .zip(weights)
                    .map(|(v, w)| by(*v) * f64::from(*w))
                    .sum()
            };
            Some(sum(&|v| v) / sum(&|_| 1.0))
        }
    }

    /// Box and Muller's.
    fn normal(rng: &mut Rng) -> f64 {
        let (a, b) = (1.0 - rng.f64(), rng.f64());
        (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }
}
