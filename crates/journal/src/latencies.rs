//! A histogram of durations.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations are counted as this one: it bounds a histogram to about 13 KiB.
const LONGEST: Duration = Duration::from_secs(3600);

/// Durations in microseconds to two significant digits (an error of at most 1 %), with an exact sum.
///
/// It starts at about 1 KiB and grows with the longest duration seen, to at most about 13 KiB.
#[derive(Clone)]
pub struct Latencies {
    // Counts of 32 bits saturate after four thousand million in one bucket, and halve the memory.
    histogram: Histogram<u32>,
    sum: Duration,
}

impl Latencies {
    /// An empty histogram.
    pub fn new() -> Self {
        let histogram = Histogram::new(2).expect("two significant digits are within 0 to 5");
        Self {
            histogram,
            sum: Duration::ZERO,
        }
    }

    /// Adds one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = duration.min(LONGEST).as_micros();
        // An auto-resizing histogram of 64-bit values takes any value; the shortest is 1 µs.
        let _ = self
            .histogram
            .record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
        self.sum = self.sum.saturating_add(duration);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Their exact sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The duration that the share `quantile` (0 to 1) does not exceed; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let value = || self.histogram.value_at_quantile(quantile.clamp(0.0, 1.0));
        (!self.histogram.is_empty()).then(|| Duration::from_micros(value()))
    }

    /// The longest, to two significant digits; `None` when empty.
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// The exact mean; `None` when empty.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| self.sum.div_f64(count as f64))
    }

    /// Adds all that the other one has counted.
    pub fn merge(&mut self, other: &Self) {
        // Fails only when the target cannot grow, and this one can.
        let _ = self.histogram.add(&other.histogram);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// For each bound, how many do not exceed it: the cumulative buckets of a Prometheus histogram,
    /// without the last one (`+Inf`), which is [`count`](Self::count). Bounds must ascend.
    pub fn cumulative(&self, bounds: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for step in self.histogram.iter_recorded() {
            // A bucket belongs where its lower end lies, so that a value that equals a bound is
            // within it, although its bucket reaches a little further.
            let value =
                Duration::from_micros(self.histogram.lowest_equivalent(step.value_iterated_to()));
            let first = bounds.partition_point(|bound| *bound < value);
            if let Some(count) = counts.get_mut(first) {
                *count += step.count_since_last_iteration();
            }
        }
        let mut total = 0;
        for count in &mut counts {
            total += *count;
            *count = total;
        }
        counts
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.histogram.distinct_values() * size_of::<u32>()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latencies")
            .field("count", &self.count())
            .field("sum", &self.sum)
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_has_no_quantiles() {
        let empty = Latencies::new();
        assert_eq!(
            (empty.quantile(0.5), empty.mean(), empty.max()),
            (None, None, None)
        );
        assert_eq!(empty.cumulative(&[Duration::from_secs(1)]), [0]);
    }

    #[test]
    fn buckets_are_cumulative_and_take_their_bound_in() {
        let mut latencies = Latencies::new();
        for millis in [1, 5, 5, 10, 250, 9_000] {
            latencies.record(Duration::from_millis(millis));
        }
        let bounds = [1, 5, 10, 100, 1_000].map(Duration::from_millis);
        assert_eq!(latencies.cumulative(&bounds), [1, 3, 4, 4, 5]);
        assert_eq!(latencies.count(), 6);
        assert_eq!(latencies.sum(), Duration::from_millis(9_271));
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost_at_the_ends() {
        let mut latencies = Latencies::new();
        let small = latencies.bytes();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::MAX);
        assert_eq!(latencies.count(), 2);
        assert!(small <= 2 << 10, "{small}");
        assert!(latencies.bytes() <= 14 << 10, "{}", latencies.bytes());
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_hundredth(mut micros in prop::collection::vec(1u64..100_000_000, 1..200),
                                            quantile in 0.0f64..1.0) {
            let mut latencies = Latencies::new();
            micros.iter().for_each(|value| latencies.record(Duration::from_micros(*value)));
            micros.sort_unstable();
            let rank = ((quantile * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
            let exact = micros[rank - 1] as f64;
            let shown = latencies.quantile(quantile).unwrap().as_micros() as f64;
            prop_assert!((shown - exact).abs() <= exact * 0.01 + 1.0, "{} for {}", shown, exact);
        }

        #[test]
        fn merging_is_recording_into_one(one in prop::collection::vec(0u64..1 << 30, 0..50),
                                         two in prop::collection::vec(0u64..1 << 30, 0..50)) {
            let recorded = |values: &[u64]| {
                let mut latencies = Latencies::new();
                values.iter().for_each(|value| latencies.record(Duration::from_micros(*value)));
                latencies
            };
            let mut merged = recorded(&one);
            merged.merge(&recorded(&two));
            let all = recorded(&[one, two].concat());
            prop_assert_eq!(merged.count(), all.count());
            prop_assert_eq!(merged.sum(), all.sum());
            for quantile in [0.0, 0.5, 0.9, 1.0] {
                prop_assert_eq!(merged.quantile(quantile), all.quantile(quantile));
            }
        }
    }
}
