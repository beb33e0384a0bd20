use super::*;

#[test]
fn the_slope_is_robust_and_honest() {
    // A line of slope 3 with a tenth of the points far off.
    let mut rng = fastrand::Rng::with_seed(5);
    let mut line = |slope: f64, outliers: bool| -> Vec<(f64, f64)> {
        let noise: Vec<f64> = (0..100).map(|_| rng.f64() - 0.5).collect();
        let off = |n: usize| if outliers && n % 10 == 3 { 500.0 } else { 0.0 };
        (0..100)
            .map(|n| (n as f64, slope * n as f64 + noise[n] + off(n)))
            .collect()
    };
    let found = slope::theil_sen(&line(3.0, true)).unwrap();
    assert!(
        (found.value - 3.0).abs() < 0.05 && found.low < 3.0 && found.high > 3.0,
        "{found:?}"
    );
    let mut held = 0;
    for _ in 0..100 {
        let found = slope::theil_sen(&line(0.0, false)).unwrap();
        held += u32::from(found.low <= 0.0 && 0.0 <= found.high);
    }
    assert!((88..=100).contains(&held), "{held}");
    assert_eq!(slope::theil_sen(&[(0.0, 1.0), (1.0, 2.0)]), None);
    assert_eq!(slope::theil_sen(&[(1.0, 1.0); 5]), None);
}

#[test]
fn a_random_walk_is_no_leak() {
    // Memory that wanders: each sample follows the one before. Without regard to that, most of
    // these would be called leaks.
    let mut rng = fastrand::Rng::with_seed(11);
    let mut leaks = 0;
    for _ in 0..100 {
        let mut at = 0.0;
        let points: Vec<(f64, f64)> = (0..100)
            .map(|n| {
                at = 0.8 * at + rng.f64() - 0.5;
                (f64::from(n), 100.0 + at)
            })
            .collect();
        leaks += u32::from(slope::theil_sen(&points).unwrap().low > 0.0);
    }
    assert!(leaks <= 8, "{leaks} of 100");
}

/// A minute of samples, four a second, of what `mib` says of the time (0 to 1) and some noise (-1 to 1).
fn minute(mut mib: impl FnMut(f64, f64) -> f64) -> Vec<(f64, f64)> {
    let mut rng = fastrand::Rng::with_seed(3);
    let samples = 240;
    (0..samples)
        .map(|n| {
            let at = f64::from(n) / f64::from(samples - 1);
            (at / 60.0, mib(at, rng.f64() * 2.0 - 1.0))
        })
        .collect()
}

#[test]
fn what_grows_until_the_end_leaks_and_nothing_else_does() {
    let rows = [
        (
            "a steady leak",
            minute(|at, noise| 100.0 + 6.0 * at + 0.3 * noise),
            Memory::Leak,
        ),
        (
            "a leak in steps",
            minute(|at, _| 100.0 + (at * 10.0).floor()),
            Memory::Leak,
        ),
        (
            "noise",
            minute(|_, noise| 100.0 + 5.0 * noise),
            Memory::Stable,
        ),
        (
            "a saw, as of a garbage collector",
            minute(|at, _| 100.0 + 20.0 * (at * 12.0).fract()),
            Memory::Stable,
        ),
        (
            "warming up, then flat",
            minute(|at, noise| 150.0 - 50.0 * (-at / 0.15).exp() + 0.1 * noise),
            Memory::Stable,
        ),
        (
            "one jump, then flat",
            minute(|at, noise| 100.0 + if at > 0.3 { 30.0 } else { 0.0 } + 0.1 * noise),
            Memory::Stable,
        ),
        (
            "too little to speak of",
            minute(|at, _| 100.0 + 0.2 * at),
            Memory::Stable,
        ),
        (
            "shrinking",
            minute(|at, noise| 200.0 - 50.0 * at + noise),
            Memory::Stable,
        ),
    ];
    for (what, points, expected) in rows {
        let growth = growth(&points).expect("enough samples");
        assert_eq!(judge(&growth, &points), expected, "{what}: {growth:?}");
    }
    assert_eq!(growth(&minute(|at, _| at)[..19]), None);
}
