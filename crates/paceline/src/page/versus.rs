//! Two servers compared in turns, in the report's form.

use paceline_loadgen::{Compared, Comparison, Estimate, Mode, Verdict};
use paceline_report as page;
use paceline_report::{Better, Fact, Figure, Measure, Route, Side, Tone, Unit, Value};

/// The comparison of two servers.
pub(crate) fn of_comparison(found: &Comparison, thresholds: &[Verdict]) -> page::Report {
    let total = route(&found.total, "All routes");
    let figures = total.measures.iter();
    let figures = figures.filter(|one| ["p50", "p95", "throughput"].contains(&&*one.name));
    let figures: Vec<_> = figures
        .map(|measure| Figure {
            of: "of all routes".to_owned(),
            measure: measure.clone(),
        })
        .collect();
    let side = |label: &str, text: &str| Side {
        label: label.to_owned(),
        text: text.to_owned(),
    };
    let comparison = page::Comparison {
        heading: "In turns".to_owned(),
        text: format!(
            "Both were sent the same requests, block by block in the order A B B A: {} blocks of {:.1} s each. The change is that \
             of B against A; its interval comes from drawing pairs of blocks anew.",
            found.pairs, found.block_s
        ),
        sides: vec![side("A", &found.a), side("B", &found.b)],
        total: Some(total),
        routes: found
            .routes
            .iter()
            .map(|one| route(one, &one.route))
            .collect(),
    };
    let mut verdict = page::judge(&figures, &comparison);
    gated(&mut verdict, thresholds);
    if found.generator_late {
        verdict.notes.push(
            "The load generator itself was late; the latencies contain its delay.".to_owned(),
        );
    }
    if found.cancelled {
        verdict
            .notes
            .push("The comparison was ended before its time.".to_owned());
    }
    let mut method = super::circumstances();
    method.push(Fact::new("Load", load_told(found)));
    page::Report {
        title: format!("{} against {}", found.b, found.a),
        verdict,
        figures,
        comparisons: vec![comparison],
        method,
        unmeasured: vec!["Other rates than this one, and other mixes of routes.".to_owned()],
        ..page::Report::default()
    }
}

/// What was asked of the ratios, and whether it was kept.
fn gated(verdict: &mut page::Verdict, thresholds: &[Verdict]) {
    if thresholds.is_empty() {
        return;
    }
    let missed = thresholds.iter().filter(|one| !one.passed).count();
    if missed > 0 {
        (verdict.tone, verdict.word) = (Tone::Bad, "Thresholds missed".to_owned());
    }
    verdict.notes.extend(thresholds.iter().map(|one| {
        let mark = if one.passed { "Kept" } else { "Missed" };
        format!("{mark}: {} ({})", one.threshold, one.measured())
    }));
}

fn load_told(found: &Comparison) -> String {
    let what = match (found.mode, found.rate) {
        (Mode::OpenLoop, Some(rate)) => {
            format!("open loop, {rate:.1} requests/s to each, latency from the intended start")
        }
        (Mode::OpenLoop, None) => "open loop, latency from the intended start".to_owned(),
        (Mode::ClosedLoop, _) => "closed loop: stalls are hidden".to_owned(),
    };
    format!("{what}; seed {}", found.seed)
}

fn route(found: &Compared, name: &str) -> Route {
    let (a, b, ratio) = (&found.a, &found.b, &found.ratio);
    let latency = |name: &str, values: [Option<f64>; 2], ratio| {
        measure(name, Unit::Milliseconds, Better::Lower, values, ratio)
    };
    Route {
        name: name.to_owned(),
        requests: vec![a.requests, b.requests],
        measures: vec![
            latency("p50", [a.p50_ms, b.p50_ms], ratio.p50_ms),
            latency("p95", [a.p95_ms, b.p95_ms], ratio.p95_ms),
            latency("p99", [a.p99_ms, b.p99_ms], ratio.p99_ms),
            measure(
                "throughput",
                Unit::PerSecond,
                Better::Higher,
                [a.requests_per_s, b.requests_per_s].map(Some),
                ratio.requests_per_s,
            ),
            measure(
                "errors",
                Unit::Share,
                Better::Lower,
                [a.error_rate, b.error_rate].map(Some),
                ratio.error_rate,
            ),
        ],
        latencies: [a, b]
            .map(|side| super::load::distribution(&side.distribution))
            .into(),
    }
}

fn measure(
    name: &str,
    unit: Unit,
    better: Better,
    values: [Option<f64>; 2],
    ratio: Option<Estimate>,
) -> Measure {
    Measure {
        name: name.to_owned(),
        unit,
        better,
        values: values.map(|value| value.map(Value::unsure)).into(),
        ratio: ratio.map(|Estimate { value, low, high }| Value::between(value, low, high)),
    }
}
