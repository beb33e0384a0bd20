//! The ratios of one route.

use super::{Compared, Numbers, Ratios};
use crate::bootstrap::{BlockLatencies, Draws};
use crate::intervals::ABOVE_MIN;
use crate::{Distribution, Row};
use std::time::Duration;

/// One route's row of one block.
struct Part {
    requests: u64,
    failed: u64,
    latency: Distribution,
}

/// One target's rows.
struct Side {
    parts: Vec<Part>,
    latencies: BlockLatencies,
    all: Distribution,
}

const SHARES: [f64; 3] = [0.5, 0.95, 0.99];

pub(super) fn compared<'r>(
    route: &str,
    rows: impl Iterator<Item = (&'r Row, &'r Row)>,
    block: Duration,
    seed: u64,
) -> Compared {
    let (a, b): (Vec<_>, Vec<_>) = rows.map(|(a, b)| (Part::of(a), Part::of(b))).unzip();
    let (mut a, mut b) = (Side::new(a), Side::new(b));
    let (ratio, error_difference) = match Draws::new(a.parts.len(), seed) {
        Some(draws) => ratios(&draws, &mut a, &mut b),
        None => (Ratios::default(), None),
    };
    Compared {
        route: route.to_owned(),
        a: a.numbers(block),
        b: b.numbers(block),
        ratio,
        error_difference,
    }
}

fn ratios(draws: &Draws, a: &mut Side, b: &mut Side) -> (Ratios, Option<crate::Estimate>) {
    let fewer = a.all.count().min(b.all.count()) as f64;
    let by = |b: Option<f64>, a: Option<f64>| {
        let (b, a) = b.zip(a)?;
        (a > 0.0).then(|| b / a)
    };
    let mut percentiles = draws.estimates(|weights| {
        let (a, b) = (
            a.latencies.quantiles_ms(weights, SHARES),
            b.latencies.quantiles_ms(weights, SHARES),
        );
        std::array::from_fn::<_, 3, _>(|n| by(b[n], a[n]))
    });
    for (estimate, share) in percentiles.iter_mut().zip(SHARES) {
        *estimate = estimate.filter(|_| fewer * (1.0 - share) >= ABOVE_MIN - 1e-9);
    }
    let [p50_ms, p95_ms, p99_ms] = percentiles;
    let succeeded = |w: &[u32]| by(Some(b.succeeded(w)), Some(a.succeeded(w)));
    let errors = |w: &[u32]| by(b.error_rate(w), a.error_rate(w));
    let difference = |w: &[u32]| Some(b.error_rate(w)? - a.error_rate(w)?);
    let ratios = Ratios {
        p50_ms,
        p95_ms,
        p99_ms,
        requests_per_s: draws.estimate(succeeded),
        error_rate: draws.estimate(errors),
    };
    (ratios, draws.estimate(difference))
}

impl Part {
    fn of(row: &Row) -> Self {
        Self {
            requests: row.requests,
            failed: row.errors.count() + row.dropped,
            latency: row.distribution.clone(),
        }
    }
}

impl Side {
    fn new(parts: Vec<Part>) -> Self {
        let latencies = parts.iter().map(|part| &part.latency);
        Self {
            all: Distribution::merged(latencies.clone()),
            latencies: BlockLatencies::new(latencies),
            parts,
        }
    }

    /// Successful answers to the requests of these blocks, whenever they arrived: with short blocks
    /// and long latencies those that arrive within a block are fewer than those sent.
    fn succeeded(&self, weights: &[u32]) -> f64 {
        let pairs = self.parts.iter().zip(weights);
        let succeeded = |part: &Part| (part.requests - part.failed) as f64;
        pairs.map(|(part, w)| succeeded(part) * f64::from(*w)).sum()
    }

    fn error_rate(&self, weights: &[u32]) -> Option<f64> {
        let sum = |of: fn(&Part) -> u64| -> u64 {
            let pairs = self.parts.iter().zip(weights);
            pairs.map(|(part, w)| of(part) * u64::from(*w)).sum()
        };
        let requests = sum(|part| part.requests);
        (requests > 0).then(|| sum(|part| part.failed) as f64 / requests as f64)
    }

    fn numbers(&self, block: Duration) -> Numbers {
        let once = vec![1; self.parts.len()];
        let seconds = block.as_secs_f64() * self.parts.len() as f64;
        let succeeded = self.succeeded(&once);
        Numbers {
            requests: self.parts.iter().map(|part| part.requests).sum(),
            requests_per_s: if seconds > 0.0 {
                succeeded / seconds
            } else {
                0.0
            },
            p50_ms: self.all.quantile_ms(0.5),
            p95_ms: self.all.quantile_ms(0.95),
            p99_ms: self.all.quantile_ms(0.99),
            error_rate: self.error_rate(&once).unwrap_or(0.0),
            distribution: self.all.clone(),
        }
    }
}
