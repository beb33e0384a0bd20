//! From before to after: by how much, and how certainly.

use crate::data::{Better, Measure, Value};

/// Which way a change goes, if its interval proves that there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Better, with the whole interval.
    Better,
    /// Worse, with the whole interval.
    Worse,
    /// The interval contains "no change", or there is none.
    Unproved,
    /// There is a difference, and neither way is better.
    Differs,
}

/// The second value by the first, with the interval of that ratio; `None` with less than two values, or where there is
/// nothing to divide by.
///
/// Where the measure does not bring its own ratio, both sides were measured independently of each other, and the interval is
/// made of theirs: on a logarithmic scale the distances of the bounds are added in squares (the *method of variance estimates
/// recovery*: Donner and Zou, "Closed-form confidence intervals for functions of the normal mean and standard deviation",
/// Statistical Methods in Medical Research 21, 2012).
pub fn change(measure: &Measure) -> Option<(Value, Direction)> {
    let [Some(before), Some(after)] = measure.values[..] else {
        return None;
    };
    let ratio = match measure.ratio {
        Some(ratio) => ratio,
        None => ratio(before, after)?,
    };
    Some((ratio, direction(ratio, measure.better)))
}

fn ratio(before: Value, after: Value) -> Option<Value> {
    if before.value <= 0.0 || after.value < 0.0 {
        return None;
    }
    let value = after.value / before.value;
    if before.counted && after.counted {
        return Some(Value::counted(value));
    }
    let (Some(a), Some(b)) = (bounds(before), bounds(after)) else {
        return Some(Value::unsure(value));
    };
    if a.0 <= 0.0 || b.0 <= 0.0 {
        return Some(Value::unsure(value));
    }
    let apart = |high: f64, low: f64| (high / low).ln();
    let down = apart(after.value, b.0).hypot(apart(a.1, before.value));
    let up = apart(b.1, after.value).hypot(apart(before.value, a.0));
    Some(Value::between(
        value,
        value * (-down).exp(),
        value * up.exp(),
    ))
}

/// What was counted lies where it lies.
fn bounds(value: Value) -> Option<(f64, f64)> {
    value
        .interval
        .or(value.counted.then_some((value.value, value.value)))
}

fn direction(ratio: Value, better: Better) -> Direction {
    let (low, high) = match ratio.interval {
        Some(interval) => interval,
        None if ratio.counted => (ratio.value, ratio.value),
        None => return Direction::Unproved,
    };
    if low <= 1.0 && high >= 1.0 {
        return Direction::Unproved;
    }
    match (better, high < 1.0) {
        (Better::Neither, _) => Direction::Differs,
        (Better::Lower, true) | (Better::Higher, false) => Direction::Better,
        (Better::Lower, false) | (Better::Higher, true) => Direction::Worse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Unit;

    fn measure(better: Better, before: Value, after: Value) -> Measure {
        Measure {
            name: "p95".to_owned(),
            unit: Unit::Milliseconds,
            better,
            values: vec![Some(before), Some(after)],
            ratio: None,
        }
    }

    #[test]
    fn a_change_is_proved_by_its_whole_interval() {
        let rows = [
            // 100 (90 to 110) against 50 (45 to 55): far apart.
            (
                (100.0, 90.0, 110.0),
                (50.0, 45.0, 55.0),
                Better::Lower,
                Direction::Better,
            ),
            (
                (100.0, 90.0, 110.0),
                (50.0, 45.0, 55.0),
                Better::Higher,
                Direction::Worse,
            ),
            (
                (100.0, 90.0, 110.0),
                (50.0, 45.0, 55.0),
                Better::Neither,
                Direction::Differs,
            ),
            (
                (50.0, 45.0, 55.0),
                (100.0, 90.0, 110.0),
                Better::Lower,
                Direction::Worse,
            ),
            (
                (100.0, 80.0, 120.0),
                (90.0, 70.0, 110.0),
                Better::Lower,
                Direction::Unproved,
            ),
        ];
        for (a, b, better, expected) in rows {
            let of = |(value, low, high)| Value::between(value, low, high);
            let (_, found) = change(&measure(better, of(a), of(b))).unwrap();
            assert_eq!(found, expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn intervals_of_ratios_are_wider_than_either_side_and_symmetric_in_logarithms() {
        let side = |value: f64| Value::between(value, value / 1.1, value * 1.1);
        let (ratio, _) = change(&measure(Better::Lower, side(100.0), side(50.0))).unwrap();
        let (low, high) = ratio.interval.unwrap();
        let expected = 1.1_f64.powf(std::f64::consts::SQRT_2);
        assert!((low - 0.5 / expected).abs() < 1e-9 && (high - 0.5 * expected).abs() < 1e-9);
        // One side that was counted adds nothing.
        let counted = measure(Better::Lower, Value::counted(100.0), side(50.0));
        let (low, high) = change(&counted).unwrap().0.interval.unwrap();
        assert!((low - 0.5 / 1.1).abs() < 1e-9 && (high - 0.55).abs() < 1e-9);
    }

    #[test]
    fn nothing_is_claimed_without_an_interval() {
        let unsure = measure(
            Better::Lower,
            Value::unsure(100.0),
            Value::between(1.0, 0.9, 1.1),
        );
        let (ratio, direction) = change(&unsure).unwrap();
        assert_eq!(
            (ratio, direction),
            (Value::unsure(0.01), Direction::Unproved)
        );
        let counted = measure(Better::Lower, Value::counted(100.0), Value::counted(10.0));
        assert_eq!(change(&counted).unwrap().1, Direction::Better);
        let from_nothing = measure(Better::Lower, Value::counted(0.0), Value::counted(10.0));
        assert_eq!(change(&from_nothing), None);
        let mut one = measure(Better::Lower, Value::counted(1.0), Value::counted(1.0));
        one.values.pop();
        assert_eq!(change(&one), None);
    }

    #[test]
    fn what_was_measured_in_turns_brings_its_own_ratio() {
        let mut paired = measure(Better::Lower, Value::unsure(100.0), Value::unsure(95.0));
        paired.ratio = Some(Value::between(0.95, 0.93, 0.97));
        assert_eq!(change(&paired).unwrap().1, Direction::Better);
    }
}
