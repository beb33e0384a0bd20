//! Latency by percentile, the tail stretched: each further nine has the same room.

use std::fmt::{self, Write as _};

use super::axis::Axis;
use super::{at, class, close, described, open};
use crate::data::{Distribution, Route, Side};

const HEIGHT: f64 = 200.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 344.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 168.0;
/// Percentiles with a label, and the measures whose intervals are drawn.
const TICKS: [(f64, &str); 6] = [
    (0.0, "0"),
    (0.5, "p50"),
    (0.9, "p90"),
    (0.95, "p95"),
    (0.99, "p99"),
    (0.999, "p99.9"),
];
/// Latencies that must lie above a percentile for it to be drawn.
const ABOVE_MIN: f64 = 10.0;
const POINTS: u32 = 160;

/// Writes the figure, if there are enough requests.
pub(crate) fn write(route: &Route, sides: &[Side], id: &str, page: &mut String) -> fmt::Result {
    let most = route
        .latencies
        .iter()
        .map(Distribution::count)
        .max()
        .unwrap_or(0);
    let share_max = last_share(most);
    if share_max < 0.9 {
        return Ok(());
    }
    let title = format!("{}: latency by percentile", route.name);
    open(id, &title, &described(route, sides), HEIGHT, page)?;
    let ends = route.latencies.iter().flat_map(|latencies| {
        let high = last_share(latencies.count());
        [0.001, high]
            .into_iter()
            .filter_map(|share| latencies.quantile_ms(share))
    });
    let whiskers = whiskers(route);
    let bounds = whiskers
        .iter()
        .flat_map(|whisker| [whisker.low, whisker.high]);
    let (low, high) = ends
        .chain(bounds)
        .fold((f64::MAX, 0.0_f64), |(low, high), ms| {
            (low.min(ms), high.max(ms))
        });
    let times = Axis::new(low, high, BOTTOM, TOP);
    write_axes(&times, share_max, page)?;
    for (n, latencies) in route.latencies.iter().enumerate() {
        let path = curve(latencies, share_max, &times);
        write!(
            page,
            "<path class=\"curve {}\" d=\"{path}\"/>",
            class(n, sides.len())
        )?;
    }
    for whisker in whiskers.iter().filter(|whisker| whisker.share <= share_max) {
        let shift = if whisker.side + 1 == sides.len() {
            2.0
        } else {
            -2.0
        };
        let x = place(whisker.share, share_max) + shift;
        let (low, high) = (at(times.place(whisker.low)), at(times.place(whisker.high)));
        let class = class(whisker.side, sides.len());
        write!(
            page,
            "<path class=\"whisker {class}\" d=\"M{x} {low}V{high}M{left} {low}H{right}M{left} {high}H{right}\"/>",
            x = at(x),
            left = at(x - 4.0),
            right = at(x + 4.0)
        )?;
    }
    close(
        "Latency by percentile, the tail stretched. Bars: 95 % intervals.",
        page,
    )
}

/// The last percentile that is more than the slowest few.
fn last_share(count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    (1.0 - ABOVE_MIN / count as f64).clamp(0.0, 0.999)
}

/// Where a percentile lies: by its distance to all, in factors.
fn place(share: f64, share_max: f64) -> f64 {
    let nines = |share: f64| -(1.0 - share).ln();
    LEFT + (RIGHT - LEFT) * nines(share) / nines(share_max)
}

fn curve(latencies: &Distribution, share_max: f64, times: &Axis) -> String {
    let end = last_share(latencies.count()).min(share_max);
    let (mut path, mut last) = (String::new(), None);
    for n in 0..=POINTS {
        // Equal steps on the stretched scale.
        let share = 1.0 - (1.0 - share_max).powf(f64::from(n) / f64::from(POINTS));
        let Some(ms) = latencies.quantile_ms(share).filter(|_| share <= end) else {
            break;
        };
        let (x, y) = (at(place(share, share_max)), at(times.place(ms)));
        path.push_str(&match &last {
            None => format!("M{x} {y}"),
            Some(last) if *last == y => continue,
            Some(_) => format!("H{x}V{y}"),
        });
        last = Some(y);
    }
    if last.is_some() {
        path.push_str(&format!("H{}", at(place(end, share_max))));
    }
    path
}

/// An interval of a percentile.
struct Whisker {
    side: usize,
    share: f64,
    low: f64,
    high: f64,
}

fn whiskers(route: &Route) -> Vec<Whisker> {
    let mut found = Vec::new();
    for (share, name) in TICKS {
        let measures = route.measures.iter().filter(|measure| measure.name == name);
        for (side, value) in measures.flat_map(|measure| measure.values.iter().enumerate()) {
            if let Some((low, high)) = value.and_then(|value| value.interval) {
                found.push(Whisker {
                    side,
                    share,
                    low,
                    high,
                });
            }
        }
    }
    found
}

fn write_axes(times: &Axis, share_max: f64, page: &mut String) -> fmt::Result {
    let (left, right) = (at(LEFT), at(RIGHT));
    for (ms, label) in times.ticks(16.0) {
        let y = times.place(ms);
        write!(
            page,
            "<path class=\"grid\" d=\"M{left} {line}H{right}\"/><text x=\"{x}\" y=\"{text}\" text-anchor=\"end\" class=\"side\">{label}</text>",
            line = at(y),
            x = at(LEFT - 6.0),
            text = at(y + 4.0)
        )?;
    }
    let (top, bottom, text) = (at(TOP), at(BOTTOM), at(BOTTOM + 18.0));
    for (share, name) in TICKS.into_iter().filter(|(share, _)| *share <= share_max) {
        let x = at(place(share, share_max));
        write!(
            page,
            "<path class=\"grid\" d=\"M{x} {top}V{bottom}\"/><text x=\"{x}\" y=\"{text}\" class=\"tick\">{name}</text>"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_percentiles_that_mean_something_are_drawn() {
        assert!((last_share(200) - 0.95).abs() < 1e-9);
        assert_eq!((last_share(5), last_share(0)), (0.0, 0.0));
        let few = Route {
            latencies: vec![Distribution(vec![(1.0, 50)])],
            ..Route::default()
        };
        let mut page = String::new();
        write(&few, &[Side::default()], "p", &mut page).unwrap();
        assert_eq!(page, "");
    }

    #[test]
    fn a_curve_climbs_and_each_nine_has_the_same_room() {
        let nine = place(0.9, 0.999) - place(0.0, 0.999);
        assert!((place(0.99, 0.999) - place(0.9, 0.999) - nine).abs() < 1e-6);
        let latencies = Distribution((1..=1000).map(|ms| (f64::from(ms), 1)).collect());
        let path = curve(&latencies, 0.99, &Axis::new(1.0, 1000.0, BOTTOM, TOP));
        let heights = path.split('V').skip(1).map(|part| {
            let number = part.split('H').next().unwrap();
            number.parse::<f64>().unwrap()
        });
        let heights: Vec<_> = heights.collect();
        assert!(
            heights.len() > 50 && heights.is_sorted_by(|a, b| a > b),
            "{path}"
        );
    }
}
