//! How many requests take how long: one hill for each side.

use std::fmt::{self, Write as _};

use super::axis::Axis;
use super::{at, class, close, described, open};
use crate::data::{Distribution, Route, Side};
use crate::escape::Text;

const HEIGHT: f64 = 176.0;
const LEFT: f64 = 26.0;
const RIGHT: f64 = 332.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 146.0;

/// Writes the figure.
pub(crate) fn write(route: &Route, sides: &[Side], id: &str, page: &mut String) -> fmt::Result {
    let title = format!("{}: how many requests take how long", route.name);
    open(id, &title, &described(route, sides), HEIGHT, page)?;
    let fewest = route.latencies.iter().map(Distribution::count);
    let steps = steps_per_doubling(fewest.filter(|count| *count > 0).min().unwrap_or(0));
    let hills: Vec<_> = route
        .latencies
        .iter()
        .map(|one| Hill::of(one, steps))
        .collect();
    let ends = hills.iter().flat_map(|hill| &hill.bins);
    let (low, high) = ends.fold((f64::MAX, 0.0_f64), |(low, high), (from, to, _)| {
        (low.min(*from), high.max(*to))
    });
    let axis = Axis::new(low, high, LEFT, RIGHT);
    let peaks = hills.iter().flat_map(|hill| &hill.bins);
    let peak = peaks
        .map(|(_, _, share)| *share)
        .fold(0.0, f64::max)
        .max(1e-9);
    write_axis(&axis, page)?;
    for (n, hill) in hills.iter().enumerate() {
        let path = hill.path(&axis, peak);
        let class = class(n, sides.len());
        write!(page, "<path class=\"hill {class}\" d=\"{path}\"/>")?;
    }
    for (n, (latencies, side)) in route.latencies.iter().zip(sides).enumerate() {
        write_p95(latencies, side, n, sides.len(), &axis, page)?;
    }
    close("How many requests take how long. Upright lines: p95.", page)
}

/// Bins in which a time doubles: the fewer requests, the wider, or it would be all spikes.
fn steps_per_doubling(count: u64) -> u32 {
    match count {
        0..200 => 2,
        200..3000 => 4,
        _ => 8,
    }
}

/// The shape of one side.
struct Hill {
    /// From, to, and the share of all.
    bins: Vec<(f64, f64, f64)>,
}

impl Hill {
    fn of(latencies: &Distribution, steps: u32) -> Self {
        let steps = f64::from(steps);
        let total = latencies.count().max(1) as f64;
        let mut bins: Vec<(f64, f64, f64)> = Vec::new();
        for (bound, count) in &latencies.0 {
            // A bound stands for what lies just below it.
            let step = (bound.max(1e-3).log2() * steps - 1e-3).ceil();
            let to = (step / steps).exp2();
            let share = *count as f64 / total;
            match bins.last_mut() {
                Some(last) if (last.1 / to - 1.0).abs() < 1e-9 => last.2 += share,
                _ => bins.push((((step - 1.0) / steps).exp2(), to, share)),
            }
        }
        Self { bins }
    }

    fn path(&self, axis: &Axis, peak: f64) -> String {
        let mut path = String::new();
        let mut end = None;
        for (from, to, share) in &self.bins {
            let (x, next) = (at(axis.place(*from)), at(axis.place(*to)));
            let y = at(BOTTOM - (BOTTOM - TOP) * share / peak);
            // Where nothing lies between, the line goes down to the ground.
            path.push_str(&match end {
                Some(end) if end == x => format!("V{y}H{next}"),
                Some(_) => format!("V{}H{x}V{y}H{next}", at(BOTTOM)),
                None => format!("M{x} {}V{y}H{next}", at(BOTTOM)),
            });
            end = Some(next);
        }
        if end.is_some() {
            path.push_str(&format!("V{}Z", at(BOTTOM)));
        }
        path
    }
}

/// The ground and its labels.
fn write_axis(axis: &Axis, page: &mut String) -> fmt::Result {
    let (left, right, bottom) = (at(LEFT), at(RIGHT), at(BOTTOM));
    write!(
        page,
        "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>"
    )?;
    let (below, text) = (at(BOTTOM + 5.0), at(BOTTOM + 20.0));
    for (ms, label) in axis.ticks(50.0) {
        let x = at(axis.place(ms));
        write!(
            page,
            "<path class=\"axis\" d=\"M{x} {bottom}V{below}\"/><text x=\"{x}\" y=\"{text}\" class=\"tick\">{label}</text>"
        )?;
    }
    Ok(())
}

/// Where the slowest twentieth begins.
fn write_p95(
    latencies: &Distribution,
    side: &Side,
    n: usize,
    sides: usize,
    axis: &Axis,
    page: &mut String,
) -> fmt::Result {
    let Some(ms) = latencies.quantile_ms(0.95) else {
        return Ok(());
    };
    let (x, class) = (axis.place(ms), class(n, sides));
    // One line of text for each, so that they never cross.
    let y = 12.0 + 15.0 * n as f64;
    let (anchor, text_at) = if x > (LEFT + RIGHT) / 2.0 {
        ("end", x - 5.0)
    } else {
        ("start", x + 5.0)
    };
    let name = match sides {
        1 => "p95".to_owned(),
        _ => format!("p95 {}", Text(&short(&side.label))),
    };
    write!(
        page,
        "<path class=\"line {class}\" d=\"M{x} {from}V{to}\"/>\
         <text x=\"{text_at}\" y=\"{y}\" text-anchor=\"{anchor}\" class=\"{class}\">{name}</text>",
        x = at(x),
        from = at(y - 9.0),
        to = at(BOTTOM),
        text_at = at(text_at)
    )
}

/// A label has little room.
fn short(label: &str) -> String {
    super::overview::shortened(label, 18)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hill_holds_all_requests_and_touches_the_ground_between() {
        let latencies = Distribution(vec![(1.0, 10), (1.05, 10), (8.0, 20)]);
        let hill = Hill::of(&latencies, 2);
        let shares: f64 = hill.bins.iter().map(|(_, _, share)| share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{:?}", hill.bins);
        assert!((hill.bins[0].1 - 1.0).abs() < 1e-9, "{:?}", hill.bins);
        let path = hill.path(&Axis::new(0.5, 10.0, LEFT, RIGHT), 0.5);
        assert!(path.starts_with('M') && path.ends_with('Z'), "{path}");
        assert_eq!(path.matches("V146").count(), 2, "{path}");
    }

    #[test]
    fn few_requests_make_wide_bins() {
        assert_eq!([10, 500, 9000].map(steps_per_doubling), [2, 4, 8]);
    }
}
