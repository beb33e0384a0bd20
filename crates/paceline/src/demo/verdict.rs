//! The one sentence at the end, which also says what got worse.

use super::summary::{Numbers, Summary};

/// Changes within both of these are called noise: two runs of the same thing differ as much.
const NOISE_SHARE: f64 = 0.1;
const NOISE_MS: f64 = 1.0;
/// Percentiles of fewer requests are not judged.
const REQUESTS_MIN: u64 = 50;
const WORSE_SHOWN_MAX: usize = 4;

/// What the numbers amount to.
pub(super) fn verdict(summary: &Summary) -> String {
    let (before, after) = (&summary.before, &summary.after);
    let capacity = match (before.capacity_rps, after.capacity_rps) {
        (Some(before), Some(after)) => {
            format!(
                ", capacity from {before:.0} to {after:.0} requests/s ({})",
                change(before, after)
            )
        }
        _ => String::new(),
    };
    let p95 = match (before.load.p95_ms, after.load.p95_ms) {
        (Some(before), Some(after)) => {
            format!(
                "p95 went from {before:.1} to {after:.1} ms ({})",
                change(before, after)
            )
        }
        _ => "too few answers to speak of latencies".to_owned(),
    };
    let worse = worse(summary);
    let worse = match worse.len() {
        0 => "nothing got worse beyond noise".to_owned(),
        count if count <= WORSE_SHOWN_MAX => format!("worse: {}", worse.join(", ")),
        count => format!(
            "worse: {}, and {} more",
            worse[..WORSE_SHOWN_MAX].join(", "),
            count - WORSE_SHOWN_MAX
        ),
    };
    format!(
        "At the same {:.0} requests/s {p95}, connections opened from {} to {}{capacity}; {worse}.",
        summary.rate, before.connections_opened, after.connections_opened
    )
}

/// Whether `after` is worse than `before` beyond noise, or better; for times.
pub(super) fn is_worse_ms(before: f64, after: f64) -> bool {
    after - before > NOISE_MS && after > before * (1.0 + NOISE_SHARE)
}

fn worse(summary: &Summary) -> Vec<String> {
    let mut worse = Vec::new();
    let (before, after) = (&summary.before, &summary.after);
    worse.extend(worse_numbers("all routes", &before.load, &after.load));
    if let (Some(before), Some(after)) = (before.capacity_rps, after.capacity_rps)
        && after < before * (1.0 - NOISE_SHARE)
    {
        worse.push(format!("capacity {before:.0} → {after:.0}/s"));
    }
    if after.connections_opened > before.connections_opened {
        worse.push("connections opened".to_owned());
    }
    for route in &summary.routes {
        worse.extend(worse_numbers(&route.route, &route.before, &route.after));
    }
    worse
}

fn worse_numbers(name: &str, before: &Numbers, after: &Numbers) -> Vec<String> {
    let mut worse = Vec::new();
    if after.error_rate > before.error_rate {
        let (before, after) = (before.error_rate * 100.0, after.error_rate * 100.0);
        worse.push(format!("errors of {name} {before:.2} → {after:.2} %"));
    }
    if after.statements_per_request > before.statements_per_request + 0.05 {
        let (before, after) = (before.statements_per_request, after.statements_per_request);
        worse.push(format!(
            "statements per request of {name} {before:.1} → {after:.1}"
        ));
    }
    if before.requests.min(after.requests) < REQUESTS_MIN {
        return worse;
    }
    // The 99th percentile of few requests is one request.
    let percentiles = [
        ("p50", before.p50_ms, after.p50_ms, REQUESTS_MIN),
        ("p95", before.p95_ms, after.p95_ms, REQUESTS_MIN * 4),
        ("p99", before.p99_ms, after.p99_ms, REQUESTS_MIN * 20),
    ];
    for (percentile, earlier, later, needed) in percentiles {
        if let (Some(earlier), Some(later)) = (earlier, later)
            && before.requests.min(after.requests) >= needed
            && is_worse_ms(earlier, later)
        {
            worse.push(format!(
                "{percentile} of {name} {earlier:.1} → {later:.1} ms"
            ));
        }
    }
    worse
}

fn change(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return "from nothing".to_owned();
    }
    let percent = (after / before - 1.0) * 100.0;
    format!("{percent:+.0} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::summary::tests::summary;

    #[test]
    fn gains_and_losses_are_told() {
        let check = |change: &dyn Fn(&mut Summary), parts: &[&str]| {
            let mut summary = summary();
            change(&mut summary);
            let sentence = verdict(&summary);
            for part in parts {
                assert!(sentence.contains(part), "{part} is not in: {sentence}");
            }
        };
        check(
            &|_| {},
            &[
                "the same 60 requests/s p95 went from 80.0 to 40.0 ms (-50 %)",
                "connections opened from 600 to 10",
                "capacity from 100 to 200 requests/s (+100 %); nothing got worse beyond noise.",
            ],
        );
        check(
            &|s| s.routes[0].after.p50_ms = Some(50.0),
            &["; worse: p50 of GET /jobs 40.0 → 50.0 ms."],
        );
        check(
            &|s| s.routes[0].after.p50_ms = Some(40.9),
            &["nothing got worse"],
        );
        check(
            &|s| s.after.capacity_rps = Some(80.0),
            &["(-20 %); worse: capacity 100 → 80/s"],
        );
        check(
            &|s| s.after.load.error_rate = 0.01,
            &["worse: errors of all routes 0.00 → 1.00 %"],
        );
        check(
            &|s| s.routes[0].after.statements_per_request = 62.0,
            &["worse: statements per request of GET /jobs 61.0 → 62.0"],
        );
        // Of a few requests nothing is said.
        check(
            &|s| (s.routes[0].after.requests, s.routes[0].after.p50_ms) = (9, Some(500.0)),
            &["nothing got worse"],
        );
        check(&|s| s.after.load.p95_ms = None, &["too few answers"]);
    }
}
