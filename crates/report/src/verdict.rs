//! A comparison in one sentence: what is proved, with its interval, and nothing else.

use crate::change::{Direction, change};
use crate::data::{Comparison, Figure, Measure, Route, Tone, Value, Verdict};
use crate::number::{percent, percent_interval};

/// What got worse by less is on the page, but not in the sentence: two runs of the same thing differ as much.
const SHARE_MIN: f64 = 0.05;
const WORSE_TOLD_MAX: usize = 4;

/// What the figures and the comparison amount to.
pub fn judge(figures: &[Figure], comparison: &Comparison) -> Verdict {
    let told: Vec<_> = figures
        .iter()
        .filter_map(|figure| phrase(&figure.measure))
        .collect();
    let worse = worse(comparison);
    let is_better = figures
        .iter()
        .filter_map(|figure| change(&figure.measure))
        .any(|(_, direction)| direction == Direction::Better);
    let tone = match (is_better, worse.is_empty()) {
        (true, true) => Tone::Good,
        (true, false) => Tone::Mixed,
        (false, false) => Tone::Bad,
        (false, true) => Tone::Neutral,
    };
    let last = match worse.len() {
        0 => "nothing is proved to be worse".to_owned(),
        count if count <= WORSE_TOLD_MAX => format!("worse: {}", worse.join(", ")),
        count => {
            let told = worse[..WORSE_TOLD_MAX].join(", ");
            format!("worse: {told}, and {} more", count - WORSE_TOLD_MAX)
        }
    };
    let word = match tone {
        Tone::Neutral => "No difference proved",
        _ => "",
    };
    Verdict {
        tone,
        word: word.to_owned(),
        text: capitalised(&format!("{}; {last}.", told.join("; "))),
        notes: Vec::new(),
    }
}

/// `p95 went from 102 ms to 41.0 ms (−60 %, −63 to −56 %)`.
fn phrase(measure: &Measure) -> Option<String> {
    let [Some(before), Some(after)] = measure.values[..] else {
        return None;
    };
    let (ratio, direction) = change(measure)?;
    let show = |value: Value| measure.unit.show(value.value);
    let (name, before, after) = (&measure.name, show(before), show(after));
    let by = told(ratio);
    Some(match direction {
        Direction::Unproved if ratio.counted => format!("{name} stayed at {after}"),
        Direction::Unproved => {
            format!("{name} went from {before} to {after}, which proves no difference ({by})")
        }
        _ => format!("{name} went from {before} to {after} ({by})"),
    })
}

fn told(ratio: Value) -> String {
    match ratio.interval {
        Some(interval) => format!("{}, {}", percent(ratio.value), percent_interval(interval)),
        None if ratio.counted => percent(ratio.value),
        None => "too few requests for an interval".to_owned(),
    }
}

fn worse(comparison: &Comparison) -> Vec<String> {
    let routes = comparison.total.iter().chain(&comparison.routes);
    let measures = routes.flat_map(|Route { name, measures, .. }| {
        measures.iter().map(move |measure| (name, measure))
    });
    let worse = measures.filter_map(|(route, measure)| {
        let (ratio, direction) = change(measure)?;
        let is_worse = direction == Direction::Worse && (ratio.value - 1.0).abs() >= SHARE_MIN;
        is_worse.then(|| format!("{} of {route} ({})", measure.name, told(ratio)))
    });
    worse.collect()
}

fn capitalised(sentence: &str) -> String {
    // Names of percentiles stay as they are.
    match sentence.chars().next() {
        Some(first) if !sentence.starts_with('p') => first
            .to_uppercase()
            .chain(sentence.chars().skip(1))
            .collect(),
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Better, Unit};

    fn measure(before: Value, after: Value) -> Measure {
        Measure {
            name: "p95".to_owned(),
            unit: Unit::Milliseconds,
            better: Better::Lower,
            values: vec![Some(before), Some(after)],
            ratio: None,
        }
    }

    fn around(value: f64) -> Value {
        Value::between(value, value * 0.95, value * 1.05)
    }

    fn judged(figure: Measure, route: Measure) -> (Tone, String) {
        let figures = [Figure {
            of: "all routes".to_owned(),
            measure: figure,
        }];
        let comparison = Comparison {
            routes: vec![Route {
                name: "GET /jobs".to_owned(),
                measures: vec![route],
                ..Route::default()
            }],
            ..Comparison::default()
        };
        let verdict = judge(&figures, &comparison);
        (verdict.tone, verdict.text.replace('\u{a0}', " "))
    }

    #[test]
    fn only_what_is_proved_is_told() {
        let (better, worse, same) = (
            measure(around(100.0), around(50.0)),
            measure(around(50.0), around(100.0)),
            measure(around(100.0), around(101.0)),
        );
        let rows = [
            (
                &better,
                &better,
                Tone::Good,
                "p95 went from 100 ms to 50.0 ms (\u{2212}50 %, \u{2212}53 to \u{2212}46 %); nothing is proved to be worse.",
            ),
            (
                &better,
                &worse,
                Tone::Mixed,
                "worse: p95 of GET /jobs (+100 %, +86 to +115 %).",
            ),
            (&worse, &worse, Tone::Bad, "worse: p95 of GET /jobs"),
            (
                &same,
                &same,
                Tone::Neutral,
                "which proves no difference (+1.0 %",
            ),
        ];
        for (figure, route, tone, part) in rows {
            let found = judged(figure.clone(), route.clone());
            assert_eq!(found.0, tone, "{found:?}");
            assert!(found.1.contains(part), "{part} is not in {found:?}");
        }
    }

    #[test]
    fn what_is_hardly_worse_is_left_to_the_tables() {
        let sure = |value: f64| Value::between(value, value * 0.999, value * 1.001);
        let (tone, text) = judged(
            measure(sure(100.0), sure(50.0)),
            measure(sure(100.0), sure(103.0)),
        );
        assert_eq!(tone, Tone::Good, "{text}");
    }
}
