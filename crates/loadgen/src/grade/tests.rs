use super::*;

fn near(value: f64) -> Option<Estimate> {
    Some(Estimate {
        value,
        low: value * 0.95,
        high: value * 1.05,
    })
}

fn faults(low: f64, value: f64, high: f64) -> Option<Estimate> {
    Some(Estimate { value, low, high })
}

/// A service that is Gold in everything.
fn best() -> (Intervals, Evidence) {
    let intervals = Intervals {
        p50_ms: near(10.0),
        p95_ms: near(50.0),
        p99_ms: near(90.0),
        requests_per_s: near(2000.0),
        error_rate: faults(0.0, 0.0, 0.00009),
        availability: faults(0.99991, 1.0, 1.0),
    };
    let evidence = Evidence {
        hit_rate: faults(0.96, 0.97, 0.98),
        instances: 1,
    };
    (intervals, evidence)
}

fn grade(change: impl FnOnce(&mut Intervals, &mut Evidence)) -> Grade {
    let (mut intervals, mut evidence) = best();
    change(&mut intervals, &mut evidence);
    let graded = Graded {
        intervals: &intervals,
        evidence,
        requests: 2_000,
        offered: Some(2000.0 / f64::from(evidence.instances)),
    };
    graded.grade()
}

#[test]
fn the_bound_decides_and_not_the_point() {
    let check = |change: fn(&mut Intervals, &mut Evidence), expected: Option<Level>, part: &str| {
        let grade = grade(change);
        assert_eq!(grade.level, expected, "{grade}");
        let missing = grade.next.iter().flat_map(|next| &next.missing);
        let missing: Vec<_> = missing.cloned().collect();
        if part.is_empty() {
            assert_eq!(missing, Vec::<String>::new());
        } else {
            assert_eq!(missing.len(), 1, "{grade}");
            assert!(missing[0].contains(part), "{grade}");
        }
    };
    let (bronze, silver, gold) = (Some(Level::Bronze), Some(Level::Silver), Some(Level::Gold));
    check(|_, _| {}, gold, "");
    // 96 ms is below 100, 1.05 times that is not.
    check(
        |i, _| i.p95_ms = near(96.0),
        silver,
        "96.0 ms, but may be as high as 100.8 ms",
    );
    check(|i, _| i.p95_ms = near(95.0), gold, "");
    check(
        |i, _| i.p95_ms = near(150.0),
        silver,
        "p95: 150.0 ms, Gold asks for less than 100.0 ms",
    );
    check(
        |i, _| i.p95_ms = near(300.0),
        bronze,
        "Silver asks for less than 200.0 ms",
    );
    check(
        |i, _| i.p95_ms = near(490.0),
        None,
        "may be as high as 514.5 ms",
    );
    check(|i, _| i.p95_ms = None, None, "too few requests");
    check(
        |i, _| i.error_rate = faults(0.0, 0.0, 0.0005),
        silver,
        "2000 requests cannot prove it, 38411 without a fault would",
    );
    check(
        |i, _| i.error_rate = faults(0.001, 0.002, 0.004),
        bronze,
        "0.2 %, Silver asks for less",
    );
    check(
        |i, _| i.availability = faults(0.995, 0.999, 1.0),
        bronze,
        "99.9 %, Silver asks for more",
    );
    check(
        |i, _| i.availability = faults(0.995, 1.0, 1.0),
        bronze,
        "3838 without a fault",
    );
    check(
        |i, _| i.requests_per_s = near(1040.0),
        silver,
        "may be as low as 988 requests/s",
    );
    check(
        |i, _| i.requests_per_s = near(90.0),
        None,
        "90 requests/s, Bronze asks for more than 100",
    );
    check(
        |_, e| e.hit_rate = faults(0.89, 0.92, 0.95),
        bronze,
        "92 %, but may be as low as 89 %",
    );
    check(
        |_, e| e.instances = 3,
        silver,
        "only 667 requests/s were sent",
    );
}

#[test]
fn what_no_cache_can_show_is_said() {
    let whole = grade(|_, _| {});
    assert!(whole.complete);
    assert_eq!(whole.headline(), "Gold");
    let partial = grade(|_, e| e.hit_rate = None);
    assert_eq!(
        (partial.level, partial.complete),
        (Some(Level::Gold), false)
    );
    assert_eq!(
        partial.headline(),
        "Gold; the hit rate was not measured, there is no cache"
    );
    let json = serde_json::to_value(&partial).unwrap();
    assert_eq!(json["level"], "gold");
    assert_eq!(json["criteria"][2]["name"], "hit_rate");
    assert!(json["criteria"][2]["measured"].is_null() && json["next"].is_null());
    assert_eq!(
        json["criteria"][0]["limits"],
        serde_json::json!([500.0, 200.0, 100.0])
    );
}

#[test]
fn critical_is_what_certainly_is() {
    let check = |change: fn(&mut Intervals, &mut Evidence), part: &str| {
        let critical = grade(change).critical.join("\n");
        assert_eq!(critical.is_empty(), part.is_empty(), "{critical}");
        assert!(critical.contains(part), "{critical}");
    };
    check(|_, _| {}, "");
    check(|i, _| i.p50_ms = near(104.0), "");
    check(
        |i, _| i.p50_ms = near(106.0),
        "p50 at 106.0 ms (at best 100.7 ms)",
    );
    check(|i, _| i.p95_ms = near(600.0), "p95 at");
    check(|i, _| i.p99_ms = near(1200.0), "p99 at");
    check(|i, _| i.error_rate = faults(0.009, 0.02, 0.03), "");
    check(
        |i, _| i.error_rate = faults(0.011, 0.02, 0.03),
        "errors at 2 % (at best 1.1 %)",
    );
    check(
        |i, _| i.availability = faults(0.9, 0.95, 0.98),
        "availability",
    );
    check(
        |_, e| e.hit_rate = faults(0.4, 0.5, 0.59),
        "hit rate at 50 %",
    );
}
