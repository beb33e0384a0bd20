//! Limits on the ratio of two servers: `p95<1.1x`.

use super::metric::Metric;
use super::{Threshold, Verdict};
use crate::{Compared, Comparison, Error, Estimate};

/// Reads `1.1x`; `None` when it is no ratio.
pub(super) fn read(value: &str, metric: Metric) -> Option<Result<f64, String>> {
    let number = value.strip_suffix(['x', '×'])?;
    let read = match number.trim_end().parse::<f64>() {
        Ok(limit) if limit.is_finite() && limit >= 0.0 => Ok(limit),
        _ => Err(format!("\"{value}\" is no ratio such as 1.1x")),
    };
    let known = |limit| match metric {
        Metric::Quantile(share) if ![0.5, 0.95, 0.99].contains(&share) => {
            Err("of percentiles the ratios of p50, p95 and p99 are measured".to_owned())
        }
        Metric::Quantile(_) | Metric::ErrorRate | Metric::RequestsPerSecond => Ok(limit),
        _ => Err("a ratio is one of p50, p95, p99, error_rate or requests_per_s".to_owned()),
    };
    Some(read.and_then(known))
}

impl Threshold {
    /// Refuses a ratio where one server is measured, and all else where two are.
    ///
    /// # Errors
    /// [`Error::Threshold`] saying how to write it.
    pub fn check_servers(&self, are_two: bool) -> Result<(), Error> {
        let reason = match (self.is_ratio, are_two) {
            (true, false) => "it limits a ratio, and there is only one server",
            (false, true) => {
                "of two servers the ratio is limited, the second's by the first's: write for example p95<1.1x"
            }
            _ => return Ok(()),
        };
        Err(Error::Threshold {
            text: self.text.clone(),
            reason: reason.to_owned(),
        })
    }

    /// Judges the ratio of two servers by its interval. Who says that there is a difference has to prove it: a limit that equal
    /// servers keep is missed only when the whole interval lies beyond it, and one that they miss is kept only when the whole
    /// interval lies within.
    pub fn judge_ratio(&self, comparison: &Comparison) -> Verdict {
        let mut rows = comparison.routes.iter();
        let row = match &self.route {
            Some(route) => rows.find(|row| row.route == *route),
            None => Some(&comparison.total),
        };
        let ratio = row.and_then(|row| ratio(row, self.metric));
        let holds = |value| self.operator.holds(value, self.limit);
        let is_guard = holds(1.0);
        let passed = ratio.is_some_and(|ratio| {
            let (low, high) = (holds(ratio.low), holds(ratio.high));
            // Of an equality neither bound tells; what was measured does.
            if is_guard {
                low || high || holds(ratio.value)
            } else {
                low && high
            }
        });
        Verdict {
            threshold: self.text.clone(),
            actual: ratio.map(|ratio| ratio.value),
            unit: "ratio",
            interval: ratio,
            passed,
        }
    }
}

fn ratio(row: &Compared, metric: Metric) -> Option<Estimate> {
    match metric {
        Metric::Quantile(0.5) => row.ratio.p50_ms,
        Metric::Quantile(0.95) => row.ratio.p95_ms,
        Metric::Quantile(0.99) => row.ratio.p99_ms,
        Metric::RequestsPerSecond => row.ratio.requests_per_s,
        // Where neither fails there is no difference; where only the second does, it is beyond any limit.
        Metric::ErrorRate
            if row.a.error_rate == 0.0 && row.a.requests > 0 && row.b.requests > 0 =>
        {
            let value = if row.b.error_rate == 0.0 {
                1.0
            } else {
                f64::INFINITY
            };
            Some(Estimate {
                value,
                low: value,
                high: value,
            })
        }
        Metric::ErrorRate => row.ratio.error_rate,
        _ => None,
    }
}
