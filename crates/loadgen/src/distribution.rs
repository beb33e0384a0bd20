//! Latencies as counts by value: what percentiles, intervals and plots are made of.

use hdrhistogram::{Counter, Histogram};
use serde::{Serialize, Serializer};

/// How often each latency occurred, with three significant digits.
///
/// As JSON it is a list of `[upper bound in milliseconds, count]`, empty buckets left out. The
/// bounds are powers of the 16th root of two, so that a bucket is 4.4 % wide.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    /// Microseconds and how often, ascending.
    counts: Vec<(u64, u64)>,
}

/// Buckets of the JSON in which a latency doubles.
const BUCKETS_PER_DOUBLING: f64 = 16.0;

impl Distribution {
    pub(crate) fn of<C: Counter>(histogram: &Histogram<C>) -> Self {
        let recorded = histogram.iter_recorded();
        Self {
            counts: recorded
                .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
                .collect(),
        }
    }

    /// All of several together.
    pub fn merged<'d>(parts: impl IntoIterator<Item = &'d Self>) -> Self {
        let mut all: Vec<(u64, u64)> = Vec::new();
        for part in parts {
            all.extend(&part.counts);
        }
        all.sort_unstable();
        let mut counts: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for (value, count) in all {
            match counts.last_mut() {
                Some(last) if last.0 == value => last.1 += count,
                _ => counts.push((value, count)),
            }
        }
        Self { counts }
    }

    /// Microseconds and how often each occurred, ascending.
    pub fn counts_us(&self) -> &[(u64, u64)] {
        &self.counts
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// The latency that this share (0 to 1) of all do not exceed.
    pub fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = rank(share, self.count() as f64);
        let mut seen = 0.0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += *count as f64;
            seen >= wanted
        });
        Some(found?.0 as f64 / 1000.0)
    }

    /// The average.
    pub fn mean_ms(&self) -> Option<f64> {
        let sum: f64 = self
            .counts
            .iter()
            .map(|(us, n)| *us as f64 * *n as f64)
            .sum();
        let count = self.count();
        (count > 0).then(|| sum / count as f64 / 1000.0)
    }

    /// The smallest.
    pub fn min_ms(&self) -> Option<f64> {
        self.counts.first().map(|(us, _)| *us as f64 / 1000.0)
    }

    /// Upper bounds in milliseconds and counts, for plots.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for (us, count) in &self.counts {
            let step = ((*us).max(1) as f64).log2() * BUCKETS_PER_DOUBLING;
            let bound = (step.ceil() / BUCKETS_PER_DOUBLING).exp2() / 1000.0;
            // A few digits are enough to plot, and half as long.
            let digits = 10_f64.powf(3.0 - bound.log10().floor());
            let bound = (bound * digits).round() / digits;
            match buckets.last_mut() {
                Some(last) if last.0 == bound => last.1 += count,
                _ => buckets.push((bound, *count)),
            }
        }
        buckets
    }
}

/// The place, from 1, of a quantile among so many.
pub(crate) fn rank(share: f64, count: f64) -> f64 {
    // A product that should be whole must not be rounded up for its last binary digit.
    (share * count - 1e-9 * count).ceil().max(1.0)
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.buckets())
    }
}

#[cfg(test)]
impl Distribution {
    /// Of these latencies in milliseconds.
    pub(crate) fn from_ms(values: impl IntoIterator<Item = f64>) -> Self {
        let each = values.into_iter().map(|ms| Self {
            counts: vec![((ms * 1000.0).round() as u64, 1)],
        });
        let each: Vec<Self> = each.collect();
        Self::merged(&each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_values() {
        let known = Distribution::from_ms((1..=1000).map(f64::from));
        for (share, expected) in [
            (0.5, 500.0),
            (0.95, 950.0),
            (0.999, 999.0),
            (1.0, 1000.0),
            (0.0, 1.0),
        ] {
            assert_eq!(known.quantile_ms(share), Some(expected), "{share}");
        }
        assert_eq!((known.mean_ms(), known.min_ms()), (Some(500.5), Some(1.0)));
        let none = Distribution::default();
        assert_eq!(
            (none.quantile_ms(0.5), none.mean_ms(), none.min_ms()),
            (None, None, None)
        );
    }

    #[test]
    fn it_agrees_with_the_histogram_it_is_made_of() {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for n in 0..20_000_u64 {
            histogram.record(100 + n * n % 987_654).unwrap();
        }
        let distribution = Distribution::of(&histogram);
        assert_eq!(distribution.count(), 20_000);
        for share in [0.01, 0.5, 0.9, 0.95, 0.99, 0.999] {
            let expected = histogram.value_at_quantile(share) as f64 / 1000.0;
            assert_eq!(distribution.quantile_ms(share), Some(expected), "{share}");
        }
    }

    #[test]
    fn buckets_are_few_and_lose_nothing() {
        let known = Distribution::from_ms((1..=50_000).map(|n| f64::from(n) / 50.0));
        let buckets = known.buckets();
        assert!(buckets.len() < 250, "{}", buckets.len());
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 50_000);
        assert!(
            buckets.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{buckets:?}"
        );
        // Half of them are at most the median, give or take a bucket.
        let below: u64 = buckets
            .iter()
            .filter(|(to, _)| *to <= 500.0)
            .map(|(_, n)| n)
            .sum();
        assert!((23_800..=25_000).contains(&below), "{below}");
        let json = serde_json::to_string(&Distribution::from_ms([1.0, 1.0, 3.0])).unwrap();
        assert_eq!(json, "[[1.024,2],[3.025,1]]");
    }

    #[test]
    fn merged_counts_add_up() {
        let merged = Distribution::merged(&[
            Distribution::from_ms([1.0, 2.0]),
            Distribution::from_ms([2.0, 3.0]),
        ]);
        assert_eq!(merged.counts_us(), [(1000, 1), (2000, 2), (3000, 1)]);
    }
}
