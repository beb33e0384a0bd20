//! The few kinds of families that we write, over the encoder's many steps.

use std::fmt;
use std::time::Duration;

use paceline_journal::Latencies;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The labels of one series.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A family: name without unit and suffix, help without a stop at its end, unit.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
}

/// A family without a unit.
pub(super) const fn family(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        help,
        unit: None,
    }
}

/// A family of seconds.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        help,
        unit: Some(Unit::Seconds),
    }
}

/// A family of bytes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        help,
        unit: Some(Unit::Bytes),
    }
}

pub(super) struct Sheet<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self { encoder }
    }

    /// Counters, which only grow.
    pub(super) fn counters(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Counter, series, |encoder, value| {
            // Whole numbers without a fraction: most counters count.
            if value.fract() == 0.0 && *value < 9e15 {
                encoder.encode_counter::<NoLabelSet, u64, f64>(&(*value as u64), None)
            } else {
                encoder.encode_counter::<NoLabelSet, f64, f64>(value, None)
            }
        })
    }

    /// Gauges, which go up and down.
    pub(super) fn gauges(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        self.each(family, MetricType::Gauge, series, |encoder, value| {
            if value.fract() == 0.0 && value.abs() < 9e15 {
                encoder.encode_gauge(&(*value as i64))
            } else {
                encoder.encode_gauge(value)
            }
        })
    }

    /// Histograms over these bounds.
    pub(super) fn histograms<'l>(
        &mut self,
        family: &Family,
        bounds: &[Duration],
        series: impl IntoIterator<Item = (Labels, &'l Latencies)>,
    ) -> fmt::Result {
        self.each(
            family,
            MetricType::Histogram,
            series,
            |encoder, latencies| {
                let buckets = buckets(latencies, bounds);
                let sum = latencies.sum().as_secs_f64();
                encoder.encode_histogram::<NoLabelSet>(sum, latencies.count(), &buckets, None)
            },
        )
    }

    /// A family without series is not written at all.
    fn each<T>(
        &mut self,
        family: &Family,
        metric_type: MetricType,
        series: impl IntoIterator<Item = (Labels, T)>,
        encode: impl Fn(&mut MetricEncoder<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        let mut series = series.into_iter().peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let Family { name, help, unit } = family;
        let mut encoder = self
            .encoder
            .encode_descriptor(name, help, unit.as_ref(), metric_type)?;
        for (labels, value) in series {
            if labels.is_empty() {
                encode(&mut encoder, &value)?;
            } else {
                encode(&mut encoder.encode_family(&labels)?, &value)?;
            }
        }
        Ok(())
    }
}

/// The counts between neighbouring bounds, the last above all of them. The encoder adds them up.
fn buckets(latencies: &Latencies, bounds: &[Duration]) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut buckets = Vec::with_capacity(bounds.len() + 1);
    for (bound, cumulative) in bounds.iter().zip(latencies.cumulative(bounds)) {
        buckets.push((bound.as_secs_f64(), cumulative - below));
        below = cumulative;
    }
    buckets.push((f64::INFINITY, latencies.count().saturating_sub(below)));
    buckets
}
