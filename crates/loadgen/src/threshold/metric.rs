//! What a threshold can speak of.

use crate::bootstrap::{BlockLatencies, Draws, requests_to_prove, share_estimate};
use crate::intervals::ABOVE_MIN;
use crate::{Block, Estimate, Report, Row};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Metric {
    /// The latency that this share does not exceed.
    Quantile(f64),
    Mean,
    Min,
    ErrorRate,
    /// Successful answers.
    RequestsPerSecond,
    Requests,
    Errors,
    Dropped,
    /// Requests that were sent, whatever became of them.
    Sent,
    SentPerSecond,
    DroppedPerSecond,
}

pub(super) const NAMES: &str = "p50 (any percentile, such as p99.9), avg, min, max, error_rate, \
     requests_per_s, requests, errors, dropped";

impl Metric {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "max" => Self::Quantile(1.0),
            "avg" => Self::Mean,
            "min" => Self::Min,
            "error_rate" => Self::ErrorRate,
            "requests_per_s" => Self::RequestsPerSecond,
            "requests" => Self::Requests,
            "errors" => Self::Errors,
            "dropped" => Self::Dropped,
            _ => return Self::percentile(name.strip_prefix('p')?),
        })
    }

    /// Of a number above 0 and at most 100.
    pub(super) fn percentile(number: &str) -> Option<Self> {
        let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let percent: f64 = number.parse().ok().filter(|_| plain)?;
        (percent > 0.0 && percent <= 100.0).then_some(Self::Quantile(percent / 100.0))
    }

    pub(super) fn of(self, row: &Row, report: &Report) -> Option<f64> {
        let sent = (row.requests - row.dropped) as f64;
        let seconds = report.duration_s;
        match self {
            Self::Quantile(share) => row.distribution.quantile_ms(share),
            Self::Mean => row.distribution.mean_ms(),
            Self::Min => row.distribution.min_ms(),
            Self::ErrorRate => Some(row.error_rate),
            Self::RequestsPerSecond => Some(row.requests_per_s),
            Self::Requests => Some(row.requests as f64),
            Self::Errors => Some(row.errors.count() as f64),
            Self::Dropped => Some(row.dropped as f64),
            Self::Sent => Some(sent),
            Self::SentPerSecond => (seconds > 0.0).then(|| sent / seconds),
            Self::DroppedPerSecond => (seconds > 0.0).then(|| row.dropped as f64 / seconds),
        }
    }

    /// How many requests it takes until its interval is narrow enough to judge; `None` when it has
    /// no interval.
    pub(super) fn requests_needed(self, limit: f64) -> Option<u64> {
        match self {
            // Twice what an interval needs at least, so that it is one of some use.
            Self::Quantile(share) if share < 1.0 => {
                Some((2.0 * ABOVE_MIN / (1.0 - share)).ceil() as u64)
            }
            Self::Mean => Some(200),
            Self::ErrorRate if limit < 1.0 => Some(requests_to_prove(limit) * 5 / 4),
            _ => None,
        }
    }

    /// Its interval, of all routes together.
    pub(super) fn estimate(self, blocks: &[Block], seed: u64) -> Option<Estimate> {
        let draws = Draws::new(blocks.len(), seed)?;
        match self {
            Self::Quantile(share) => {
                let count: u64 = blocks.iter().map(|block| block.latency.count()).sum();
                let enough = count as f64 * (1.0 - share) >= ABOVE_MIN - 1e-9;
                let mut latencies = BlockLatencies::new(blocks.iter().map(|b| &b.latency));
                let quantile = |w: &[u32]| latencies.quantiles_ms(w, [share])[0];
                draws.estimate(quantile).filter(|_| enough)
            }
            Self::Mean => {
                let sum = |block: &Block| {
                    let count = block.latency.count() as f64;
                    (block.latency.mean_ms().unwrap_or(0.0) * count, count)
                };
                let sums: Vec<_> = blocks.iter().map(sum).collect();
                draws.estimate(|weights| {
                    let add = |to: (f64, f64), ((sum, count), w): (&(f64, f64), &u32)| {
                        (to.0 + sum * f64::from(*w), to.1 + count * f64::from(*w))
                    };
                    let (sum, count) = sums.iter().zip(weights).fold((0.0, 0.0), add);
                    (count > 0.0).then(|| sum / count)
                })
            }
            Self::ErrorRate => {
                let counts: Vec<_> = blocks.iter().map(|b| (b.failed, b.requests)).collect();
                share_estimate(&draws, &counts)
            }
            _ => None,
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Min => "ms",
            Self::ErrorRate => "fraction",
            Self::RequestsPerSecond | Self::SentPerSecond | Self::DroppedPerSecond => "requests/s",
            Self::Requests | Self::Errors | Self::Dropped | Self::Sent => "",
        }
    }

    /// Reads a limit.
    pub(super) fn read(self, text: &str) -> Result<f64, String> {
        let (units, otherwise): (&[(&str, f64)], &str) = match self {
            Self::Quantile(_) | Self::Mean | Self::Min => (
                &[("ms", 1.0), ("us", 0.001), ("µs", 0.001), ("s", 1000.0)],
                "a time such as 200ms",
            ),
            Self::ErrorRate => (&[("%", 0.01)], "a share such as 0.1%"),
            _ => (&[], "a plain number"),
        };
        let unit = units
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (number, factor) = unit.unwrap_or((text, 1.0));
        match number.trim_end().parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(value * factor),
            _ => Err(format!("\"{text}\" is not {otherwise}")),
        }
    }
}
