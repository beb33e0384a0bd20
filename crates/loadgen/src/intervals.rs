//! What a load showed, and how certainly.

use crate::Block;
use crate::bootstrap::{BlockLatencies, Draws, Estimate, share_estimate};
use serde::Serialize;

/// What a load showed of the whole, each with the interval in which it lies with 95 % confidence.
///
/// `None` where the load was too short or too small to say. A percentile needs ten latencies above
/// it: the 99th of fewer than a thousand requests is hardly more than the slowest of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Intervals {
    /// The median latency.
    pub p50_ms: Option<Estimate>,
    /// The 95th percentile.
    pub p95_ms: Option<Estimate>,
    /// The 99th percentile.
    pub p99_ms: Option<Estimate>,
    /// Successful answers per second.
    pub requests_per_s: Option<Estimate>,
    /// The share of requests without a successful answer.
    pub error_rate: Option<Estimate>,
    /// The share of requests for which the service was there: answered in time, and not with 502,
    /// 503 or 504.
    pub availability: Option<Estimate>,
}

/// Latencies that must lie above a percentile.
pub(crate) const ABOVE_MIN: f64 = 10.0;
const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

impl Intervals {
    /// By drawing the blocks anew; equal seeds make equal intervals.
    pub fn of(blocks: &[Block], seed: u64) -> Self {
        let Some(draws) = Draws::new(blocks.len(), seed) else {
            return Self::default();
        };
        let mut latencies = BlockLatencies::new(blocks.iter().map(|block| &block.latency));
        let count: u64 = blocks.iter().map(|block| block.latency.count()).sum();
        let enough = SHARES.map(|share| count as f64 * (1.0 - share) >= ABOVE_MIN - 1e-9);
        let quantiles = draws.estimates(|weights| latencies.quantiles_ms(weights, SHARES));
        let mut known = quantiles.into_iter().zip(enough);
        let mut next = || known.next().and_then(|(q, enough)| q.filter(|_| enough));
        let faults = |faults: fn(&Block) -> u64| {
            let counts: Vec<_> = blocks.iter().map(|b| (faults(b), b.requests)).collect();
            share_estimate(&draws, &counts)
        };
        let unavailable = faults(|block| block.unavailable);
        Self {
            p50_ms: next(),
            p95_ms: next(),
            p99_ms: next(),
            requests_per_s: draws.estimate(|weights| throughput(blocks, weights)),
            error_rate: faults(|block| block.failed),
            availability: unavailable.map(|Estimate { value, low, high }| Estimate {
                value: 1.0 - value,
                low: 1.0 - high,
                high: 1.0 - low,
            }),
        }
    }
}

fn throughput(blocks: &[Block], weights: &[u32]) -> Option<f64> {
    let weighted = |of: &dyn Fn(&Block) -> f64| -> f64 {
        let pairs = blocks.iter().zip(weights);
        pairs.map(|(block, w)| of(block) * f64::from(*w)).sum()
    };
    let seconds = weighted(&|block| block.length.as_secs_f64());
    (seconds > 0.0).then(|| weighted(&|block| block.completed as f64) / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Distribution;
    use std::time::Duration;

    fn blocks(each: u64, failed: u64) -> Vec<Block> {
        let block = |n: u64| Block {
            length: Duration::from_secs(1),
            requests: each,
            failed,
            unavailable: failed,
            completed: each - failed,
            latency: Distribution::from_ms((0..each).map(|at| (1 + n + at % 50) as f64)),
        };
        (0..10).map(block).collect()
    }

    #[test]
    fn intervals_surround_what_was_measured() {
        let found = Intervals::of(&blocks(100, 1), 1);
        for estimate in [
            found.p50_ms,
            found.p95_ms,
            found.p99_ms,
            found.error_rate,
            found.availability,
        ] {
            let Estimate { value, low, high } = estimate.unwrap();
            assert!(low < value && value < high, "{estimate:?}");
        }
        assert_eq!(found.error_rate.unwrap().value, 0.01);
        assert_eq!(found.availability.unwrap().value, 0.99);
        assert_eq!(found.requests_per_s.unwrap().value, 99.0);
    }

    #[test]
    fn too_few_requests_say_nothing_of_high_percentiles() {
        let few = Intervals::of(&blocks(20, 0), 1);
        assert!(few.p50_ms.is_some() && few.p95_ms.is_some() && few.p99_ms.is_none());
        let fewer = Intervals::of(&blocks(19, 0), 1);
        assert!(fewer.p50_ms.is_some() && fewer.p95_ms.is_none());
        assert_eq!(Intervals::of(&blocks(100, 0)[..4], 1), Intervals::default());
    }
}
