//! Theil and Sen's slope: the median of the slopes between all pairs of points, which no outlier
//! moves far; with Sen's interval (1968), from the distribution of Kendall's S.

/// A slope and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// More points are thinned out: pairs grow with their square.
const POINTS_MAX: usize = 600;
const Z: f64 = 1.959_963_984_540_054;

/// `None` with fewer than three points, or when all have the same place.
pub(super) fn theil_sen(points: &[(f64, f64)]) -> Option<Slope> {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let points: Vec<_> = points.iter().step_by(step).copied().collect();
    let mut slopes: Vec<f64> = Vec::with_capacity(points.len() * points.len() / 2);
    for (n, (x, y)) in points.iter().enumerate() {
        let later = points[n + 1..].iter().filter(|(later, _)| later != x);
        slopes.extend(later.map(|(later_x, later_y)| (later_y - y) / (later_x - x)));
    }
    if points.len() < 3 || slopes.is_empty() {
        return None;
    }
    slopes.sort_unstable_by(f64::total_cmp);
    // Neighbouring samples of memory resemble each other, which Kendall's variance knows nothing
    // of: it is that of as many independent points as the residuals' correlation leaves.
    let n = points.len() as f64;
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0 * inflation(&points, &slopes)).sqrt();
    let pairs = slopes.len() as f64;
    let place = |rank: f64| slopes[(rank.round().max(0.0) as usize).min(slopes.len() - 1)];
    Some(Slope {
        value: place((pairs - 1.0) / 2.0),
        low: place((pairs - Z * deviation) / 2.0 - 1.0),
        high: place((pairs + Z * deviation) / 2.0),
    })
}

/// How much autocorrelation widens the variance: Hamed and Rao's correction (1998) for residuals
/// that follow their predecessor, (1 + ρ) / (1 - ρ).
fn inflation(points: &[(f64, f64)], sorted_slopes: &[f64]) -> f64 {
    let slope = sorted_slopes[sorted_slopes.len() / 2];
    let residuals: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let mean = residuals.iter().sum::<f64>() / residuals.len() as f64;
    let squares: f64 = residuals.iter().map(|r| (r - mean).powi(2)).sum();
    let products: f64 = residuals
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean))
        .sum();
    if squares <= 0.0 {
        return 1.0;
    }
    let rho = (products / squares).clamp(0.0, 0.95);
    (1.0 + rho) / (1.0 - rho)
}
