//! A logarithmic axis for times: from microseconds to minutes, a factor looks the same everywhere.

use crate::data::Unit;

/// Where times lie between two coordinates.
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// Sets of steps within a decade, the finest first.
const STEPS: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];

impl Axis {
    /// Whole steps of 1, 2, 5, 10 around these milliseconds, between two coordinates.
    pub(super) fn new(low_ms: f64, high_ms: f64, from: f64, to: f64) -> Self {
        let low = step_below(low_ms.max(1e-3));
        let mut high = step_above(high_ms.max(1e-3));
        if high <= low {
            high = step_above(low * 1.5);
        }
        Self {
            low,
            high,
            from,
            to,
        }
    }

    /// The coordinate of a time; of one beyond the axis, its end.
    pub(super) fn place(&self, ms: f64) -> f64 {
        let ms = ms.clamp(self.low, self.high);
        let share = (ms / self.low).ln() / (self.high / self.low).ln();
        self.from + (self.to - self.from) * share
    }

    /// Times worth a label, with it, ascending: as many as stand at least `gap` apart.
    pub(super) fn ticks(&self, gap: f64) -> Vec<(f64, String)> {
        let sets = STEPS.map(|steps| self.among(steps));
        let apart = |ticks: &&Vec<f64>| {
            let pairs = ticks.windows(2);
            pairs
                .map(|pair| (self.place(pair[1]) - self.place(pair[0])).abs())
                .all(|d| d >= gap)
        };
        let ticks = sets.iter().find(apart).unwrap_or(&sets[2]);
        ticks.iter().map(|ms| (*ms, label(*ms))).collect()
    }

    fn among(&self, steps: &[f64]) -> Vec<f64> {
        let decades = (-3..=7).map(|power| 10_f64.powi(power));
        let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
        let inside = |ms: &f64| *ms >= self.low * 0.999 && *ms <= self.high * 1.001;
        all.filter(inside).collect()
    }
}

/// A round time, without digits behind the point that say nothing.
fn label(ms: f64) -> String {
    if ms < 0.999 {
        return Unit::Microseconds.show_round(ms * 1000.0);
    }
    Unit::Milliseconds.show_round(ms)
}

fn step_below(ms: f64) -> f64 {
    let decade = 10_f64.powf(ms.log10().floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * decade);
    let below = steps.into_iter().find(|step| *step <= ms * 1.000_001);
    below.unwrap_or(decade)
}

fn step_above(ms: f64) -> f64 {
    let decade = 10_f64.powf(ms.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * decade);
    let above = steps.into_iter().find(|step| *step >= ms * 0.999_999);
    above.unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        let ticks = Axis::new(low, high, 0.0, 300.0).ticks(50.0);
        ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let gaps = |labels: Vec<String>| labels.join(" ").replace('\u{a0}', "");
        assert_eq!(gaps(labels(3.0, 42.0)), "2ms 5ms 10ms 20ms 50ms");
        assert_eq!(gaps(labels(0.3, 900.0)), "1ms 10ms 100ms 1s");
        assert_eq!(gaps(labels(0.2, 0.3)), "200µs 500µs");
        assert_eq!(gaps(labels(900.0, 12_000.0)), "500ms 1s 2s 5s 10s 20s");
        assert_eq!(gaps(labels(5.0, 5.0)), "5ms 10ms");
        assert_eq!(gaps(labels(0.0, 0.0)), "1µs 2µs");
    }

    #[test]
    fn factors_look_alike_and_nothing_leaves_the_axis() {
        let axis = Axis::new(1.0, 100.0, 50.0, 350.0);
        for (ms, expected) in [
            (1.0, 50.0),
            (10.0, 200.0),
            (100.0, 350.0),
            (0.0, 50.0),
            (1e9, 350.0),
        ] {
            assert!((axis.place(ms) - expected).abs() < 1e-9, "{ms}");
        }
    }
}
