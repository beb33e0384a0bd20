//! A histogram of durations.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer durations are counted as this one: it bounds a histogram to about 13 KiB.
const LONGEST: Duration = Duration::from_secs(3600);

/// As many durations are kept as they are before a histogram is made of them.
const FEW: usize = 4;

/// Durations in microseconds to two significant digits (an error of at most 1 %), with an exact sum.
///
/// The first few are kept inline, so that what is seen once costs nothing on the heap. Then it takes
/// about 1 KiB and grows with the longest duration seen, to at most about 13 KiB.
#[derive(Clone)]
pub struct Latencies {
    few: [u64; FEW],
    count: u64,
    sum: Duration,
    /// All of them, once there are more than a few. Counts of 32 bits saturate after four thousand
    /// million in one bucket, and halve the memory.
    histogram: Option<Box<Histogram<u32>>>,
}

impl Latencies {
    /// Nothing recorded yet.
    pub fn new() -> Self {
        Self {
            few: [0; FEW],
            count: 0,
            sum: Duration::ZERO,
            histogram: None,
        }
    }

    /// Adds one duration.
    pub fn record(&mut self, duration: Duration) {
        let micros = duration.min(LONGEST).as_micros();
        // The shortest that a histogram tells apart is 1 µs.
        self.record_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
        self.sum = self.sum.saturating_add(duration);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their exact sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The duration that the share `quantile` (0 to 1) does not exceed; `None` when empty.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let value = || self.full().value_at_quantile(quantile.clamp(0.0, 1.0));
        (self.count > 0).then(|| Duration::from_micros(value()))
    }

    /// The longest, to two significant digits; `None` when empty.
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// The exact mean; `None` when empty.
    pub fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| self.sum.div_f64(self.count as f64))
    }

    /// Adds all that the other one has recorded.
    pub fn merge(&mut self, other: &Self) {
        match &other.histogram {
            None => other
                .few()
                .iter()
                .for_each(|micros| self.record_micros(*micros)),
            Some(theirs) => {
                // Fails only when the target cannot grow, and this one can.
                let _ = self.grown().add(theirs.as_ref());
                self.count += other.count;
            }
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// For each bound, how many do not exceed it: the cumulative buckets of a Prometheus histogram,
    /// without the last one (`+Inf`), which is [`count`](Self::count). Bounds must ascend.
    pub fn cumulative(&self, bounds: &[Duration]) -> Vec<u64> {
        let full = self.full();
        let mut counts = vec![0; bounds.len()];
        for step in full.iter_recorded() {
            // A bucket belongs where its lower end lies, so that a value that equals a bound is
            // within it, although its bucket reaches a little further.
            let value = Duration::from_micros(full.lowest_equivalent(step.value_iterated_to()));
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
    pub fn heap_bytes(&self) -> usize {
        self.histogram.as_ref().map_or(0, |histogram| {
            size_of::<Histogram<u32>>() + histogram.distinct_values() * size_of::<u32>()
        })
    }

    fn record_micros(&mut self, micros: u64) {
        let at = usize::try_from(self.count).unwrap_or(usize::MAX);
        match self.few.get_mut(at) {
            Some(place) if self.histogram.is_none() => *place = micros,
            // An auto-resizing histogram takes any value.
            _ => {
                let _ = self.grown().record(micros);
            }
        }
        self.count += 1;
    }

    fn few(&self) -> &[u64] {
        let kept = usize::try_from(self.count).unwrap_or(FEW).min(FEW);
        if self.histogram.is_none() {
            &self.few[..kept]
        } else {
            &[]
        }
    }

    /// The histogram, made of the few if there is none yet.
    fn grown(&mut self) -> &mut Histogram<u32> {
        if self.histogram.is_none() {
            self.histogram = Some(Box::new(histogram_of(self.few())));
        }
        self.histogram
            .get_or_insert_with(|| Box::new(histogram_of(&[])))
    }

    fn full(&self) -> Cow<'_, Histogram<u32>> {
        match &self.histogram {
            Some(histogram) => Cow::Borrowed(histogram),
            None => Cow::Owned(histogram_of(self.few())),
        }
    }
}

fn histogram_of(values: &[u64]) -> Histogram<u32> {
    let mut histogram = Histogram::new(2).expect("two significant digits are within 0 to 5");
    for micros in values {
        let _ = histogram.record(*micros);
    }
    histogram
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
        for _ in 0..FEW {
            latencies.record(Duration::from_micros(50));
        }
        assert_eq!(latencies.heap_bytes(), 0);
        latencies.record(Duration::ZERO);
        assert!(
            latencies.heap_bytes() <= 2 << 10,
            "{}",
            latencies.heap_bytes()
        );
        latencies.record(Duration::MAX);
        assert_eq!(latencies.count(), FEW as u64 + 2);
        assert_eq!(latencies.cumulative(&[LONGEST * 2]), [FEW as u64 + 2]);
        assert!(
            latencies.heap_bytes() <= 14 << 10,
            "{}",
            latencies.heap_bytes()
        );
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
