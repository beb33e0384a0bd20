//! What a load showed of one route, and how certainly.
//!
//! Blocks are kept of all routes together: of each they would take much memory, and most would be nearly empty. A route's
//! interval is therefore that of a sample of independent requests (order statistics for percentiles: Hahn and Meeker,
//! "Statistical Intervals", 2nd edition, 2017, section 5.2; Wilson's for shares), widened by the *design effect* (Kish,
//! "Survey Sampling", 1965): by as much as the whole's interval, which blocks made, is wider than independent requests would
//! make it. Requests that resemble their neighbours count as so many fewer.

use crate::bootstrap::{Estimate, Z, wilson};
use crate::intervals::ABOVE_MIN;
use crate::{Distribution, Intervals, Report, Row};

impl Report {
    /// The intervals of a route's latencies and errors, as far as it had enough requests. Throughput and availability have
    /// none: an open loop's schedule decides the one, and the other is counted for the whole.
    pub fn intervals_of(&self, route: &Row) -> Intervals {
        let latency = |share: f64, whole: Option<Estimate>| {
            let effect = design_effect(
                whole?,
                quantile(&self.total.distribution, share, 1.0)?,
                |bound| bound.ln(),
            );
            quantile(&route.distribution, share, effect)
        };
        let errors = || {
            let whole = self.intervals.error_rate?;
            let (low, high) = wilson(whole.value, self.total.requests as f64);
            let independent = Estimate { low, high, ..whole };
            let effect = design_effect(whole, independent, |bound| bound);
            let requests = route.requests as f64 / effect;
            let (low, high) = (requests > 0.0).then(|| wilson(route.error_rate, requests))?;
            Some(Estimate {
                value: route.error_rate,
                low: low.min(route.error_rate),
                high: high.max(route.error_rate),
            })
        };
        Intervals {
            p50_ms: latency(0.5, self.intervals.p50_ms),
            p95_ms: latency(0.95, self.intervals.p95_ms),
            p99_ms: latency(0.99, self.intervals.p99_ms),
            error_rate: errors(),
            ..Intervals::default()
        }
    }
}

/// How many requests count as one.
fn design_effect(blocks: Estimate, independent: Estimate, scale: fn(f64) -> f64) -> f64 {
    let width = |estimate: Estimate| scale(estimate.high) - scale(estimate.low);
    let (blocks, independent) = (width(blocks), width(independent));
    if independent <= 0.0 || !blocks.is_finite() {
        return 1.0;
    }
    (blocks / independent).powi(2).max(1.0)
}

/// A percentile and its interval, when so many requests count as one; `None` with too few.
fn quantile(latency: &Distribution, share: f64, effect: f64) -> Option<Estimate> {
    let count = latency.count() as f64;
    if count * (1.0 - share) < ABOVE_MIN - 1e-9 {
        return None;
    }
    let spread = Z * (share * (1.0 - share) * effect / count).sqrt();
    if share + spread >= 1.0 || share - spread <= 0.0 {
        return None;
    }
    Some(Estimate {
        value: latency.quantile_ms(share)?,
        low: latency.quantile_ms(share - spread)?,
        high: latency.quantile_ms(share + spread)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    /// Exponential, with a mean of 10 ms.
    fn drawn(rng: &mut Rng, count: usize) -> Distribution {
        Distribution::from_ms((0..count).map(|_| -10.0 * (1.0 - rng.f64()).ln()))
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        let mut rng = Rng::with_seed(7);
        let truth = |share: f64| -10.0 * (1.0 - share).ln();
        for (share, count) in [(0.5, 100), (0.95, 400), (0.99, 1500)] {
            let held = (0..400).filter(|_| {
                let found = quantile(&drawn(&mut rng, count), share, 1.0).unwrap();
                (found.low..=found.high).contains(&truth(share))
            });
            let held = held.count();
            assert!((365..=398).contains(&held), "{share}: {held} of 400");
        }
    }

    #[test]
    fn requests_that_resemble_their_neighbours_count_for_fewer() {
        let latency = drawn(&mut Rng::with_seed(8), 4000);
        let independent = quantile(&latency, 0.5, 1.0).unwrap();
        let dependent = quantile(&latency, 0.5, 9.0).unwrap();
        let width = |estimate: Estimate| (estimate.high / estimate.low).ln();
        let ratio = width(dependent) / width(independent);
        assert!((2.5..3.5).contains(&ratio), "{ratio}");
        let found = design_effect(dependent, independent, f64::ln);
        assert!((6.25..12.25).contains(&found), "{found}");
        // Blocks that happen to look alike make nothing narrower.
        assert_eq!(design_effect(independent, dependent, f64::ln), 1.0);
    }

    #[test]
    fn few_requests_have_no_interval() {
        let latency = drawn(&mut Rng::with_seed(9), 199);
        assert_eq!(quantile(&latency, 0.95, 1.0), None);
        assert!(quantile(&latency, 0.5, 1.0).is_some());
        assert_eq!(quantile(&latency, 0.5, 60.0), None);
        assert_eq!(quantile(&Distribution::default(), 0.5, 1.0), None);
    }
}
