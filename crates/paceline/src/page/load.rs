//! What a load measured, in the report's form.

use paceline_loadgen::{Distribution, Estimate, Grade, Intervals, Mode, Report, Row, Verdict};
use paceline_report as page;
use paceline_report::{Better, Comparison, Fact, Measure, Side, Tone, Unit, Value};

/// A number with its interval, if it has one.
pub(crate) fn value(number: f64, interval: Option<Estimate>) -> Value {
    match interval {
        Some(Estimate { low, high, .. }) => Value::between(number, low, high),
        None => Value::unsure(number),
    }
}

/// Latencies as a plot needs them.
pub(super) fn distribution(latencies: &Distribution) -> page::Distribution {
    page::Distribution(latencies.buckets())
}

/// One route (or all: `None`) of one load, or of two.
pub(crate) fn route(name: &str, index: Option<usize>, reports: &[&Report]) -> page::Route {
    let sides: Vec<(&Row, Intervals)> = reports
        .iter()
        .map(|report| match index {
            None => (&report.total, report.intervals),
            Some(index) => {
                let row = &report.routes[index];
                (row, report.intervals_of(row))
            }
        })
        .collect();
    page::Route {
        name: name.to_owned(),
        requests: sides.iter().map(|(row, _)| row.requests).collect(),
        measures: measures(&sides),
        latencies: sides
            .iter()
            .map(|(row, _)| distribution(&row.distribution))
            .collect(),
    }
}

fn measures(sides: &[(&Row, Intervals)]) -> Vec<Measure> {
    type Of = fn(&Row, &Intervals) -> (Option<f64>, Option<Estimate>);
    let latencies: [(&str, Of); 3] = [
        ("p50", |row, known| (row.latency.p50_ms, known.p50_ms)),
        ("p95", |row, known| (row.latency.p95_ms, known.p95_ms)),
        ("p99", |row, known| (row.latency.p99_ms, known.p99_ms)),
    ];
    let errors: Of = |row, known| (Some(row.error_rate), known.error_rate);
    let measure = |name: &str, unit: Unit, of: Of| {
        let values = sides.iter().map(|(row, known)| {
            let (number, interval) = of(row, known);
            Some(value(number?, interval))
        });
        Measure {
            name: name.to_owned(),
            unit,
            better: Better::Lower,
            values: values.collect(),
            ratio: None,
        }
    };
    let latencies = latencies.map(|(name, of)| measure(name, Unit::Milliseconds, of));
    let errors = measure("errors", Unit::Share, errors);
    latencies.into_iter().chain([errors]).collect()
}

/// A grade in the report's form.
pub(crate) fn grade(grade: &Grade, of: &str) -> page::Grade {
    let hits = grade.criteria.iter().find(|one| one.name == "hit_rate");
    let note = match hits {
        Some(hits) if hits.measured.is_none() => {
            "Without a cache there is no hit rate; the grade speaks of the rest."
        }
        _ => "",
    };
    page::Grade {
        of: of.to_owned(),
        level: grade.level.map(|level| level.to_string()),
        note: note.to_owned(),
        criteria: grade.criteria.iter().map(criterion).collect(),
        next: grade.next.as_ref().map(|next| page::Next {
            level: next.level.to_string(),
            missing: next.missing.clone(),
        }),
        critical: grade.critical.clone(),
    }
}

fn criterion(judged: &paceline_loadgen::Judged) -> page::Criterion {
    let (name, unit, better) = match judged.name {
        "p95_ms" => ("p95", Unit::Milliseconds, Better::Lower),
        "error_rate" => ("errors", Unit::Share, Better::Lower),
        "hit_rate" => ("hit rate of the cache", Unit::Share, Better::Higher),
        "availability" => ("availability", Unit::Share, Better::Higher),
        "requests_per_s" => (
            "requests per second and instance",
            Unit::PerSecond,
            Better::Higher,
        ),
        other => (other, Unit::Count, Better::Neither),
    };
    let levels = ["Bronze", "Silver", "Gold"].map(str::to_owned);
    page::Criterion {
        name: name.to_owned(),
        unit,
        better,
        measured: judged
            .measured
            .map(|measured| value(measured.value, Some(measured))),
        limits: levels.into_iter().zip(judged.limits).collect(),
        level: judged.level.map(|level| level.to_string()),
    }
}

/// One load of one target.
pub(crate) fn of_load(
    target: &str,
    report: &Report,
    graded: &Grade,
    thresholds: &[Verdict],
) -> page::Report {
    let names = report.routes.iter().enumerate();
    let routes = names.map(|(index, row)| route(&row.route, Some(index), &[report]));
    let comparison = Comparison {
        heading: "What was measured".to_owned(),
        text: String::new(),
        sides: vec![Side {
            label: "measured".to_owned(),
            text: String::new(),
        }],
        total: Some(route("All routes", None, &[report])),
        routes: routes.collect(),
    };
    let mut method = super::circumstances();
    method.push(Fact::new("Target", target));
    method.push(Fact::new("Load", load_told(report)));
    method.extend(generator_told(report));
    page::Report {
        title: format!("Load on {target}"),
        verdict: load_verdict(report, graded, thresholds),
        comparisons: vec![comparison],
        grades: vec![grade(graded, "")],
        method,
        unmeasured: vec![
            "What the database did: a load sees the API from outside. `paceline diagnose` looks inside.".to_owned(),
            "Other rates than this one, and other mixes of routes.".to_owned(),
        ],
        ..page::Report::default()
    }
}

fn load_verdict(report: &Report, graded: &Grade, thresholds: &[Verdict]) -> page::Verdict {
    let missed: Vec<_> = thresholds.iter().filter(|one| !one.passed).collect();
    let level = graded
        .level
        .map_or("No grade".to_owned(), |level| format!("{level}"));
    let kept = match (thresholds.len(), missed.len()) {
        (0, _) => String::new(),
        (all, 0) => format!(" All {all} thresholds were kept."),
        (all, count) => format!(" {count} of {all} thresholds were missed."),
    };
    let sentence = |name: &str, estimate: Option<Estimate>| {
        estimate.map(|Estimate { value, low, high }| {
            format!("{name} was {value:.1} ms ({low:.1} to {high:.1})")
        })
    };
    let known = &report.intervals;
    let latency = sentence("p95", known.p95_ms).or_else(|| sentence("p50", known.p50_ms));
    let latency = latency.unwrap_or("too few requests for an interval".to_owned());
    let mut notes: Vec<_> = missed
        .iter()
        .map(|one| format!("Missed: {} ({})", one.threshold, one.measured()))
        .collect();
    if graded.generator_late {
        notes.push(
            "The load generator itself was late; the latencies contain its delay.".to_owned(),
        );
    }
    if report.cancelled {
        notes.push("The load was ended before its time.".to_owned());
    }
    let (tone, word) = match (missed.is_empty(), thresholds.is_empty()) {
        (false, _) => (Tone::Bad, "Thresholds missed"),
        (true, false) => (Tone::Good, "Thresholds kept"),
        (true, true) => (Tone::Neutral, ""),
    };
    page::Verdict {
        tone,
        word: word.to_owned(),
        text: format!("{level}: {latency}.{kept}"),
        notes,
    }
}

/// How a load was made.
fn load_told(report: &Report) -> String {
    let what = match (report.mode, report.rate, report.connections) {
        (Mode::OpenLoop, Some(rate), _) => {
            format!("open loop, {rate:.1} requests/s intended, latency from the intended start")
        }
        (Mode::OpenLoop, None, _) => {
            "open loop in stages, latency from the intended start".to_owned()
        }
        (Mode::ClosedLoop, _, connections) => format!(
            "closed loop, {} connections: stalls are hidden",
            connections.unwrap_or(0)
        ),
    };
    format!(
        "{what}; {:.1} s measured, {} requests, seed {}",
        report.duration_s, report.total.requests, report.seed
    )
}

/// How well the generator kept up.
fn generator_told(report: &Report) -> Option<Fact> {
    let lag = report.generator.schedule_lag_p99_ms?;
    let text = format!("{lag:.2} ms behind its schedule at p99");
    Some(Fact::new("Load generator", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_criterion_of_a_grade_has_a_name_and_a_unit() {
        let empty = paceline_loadgen::Judged {
            name: "p95_ms",
            measured: None,
            limits: [1.0, 2.0, 3.0],
            level: None,
        };
        for name in [
            "p95_ms",
            "error_rate",
            "hit_rate",
            "availability",
            "requests_per_s",
        ] {
            let found = criterion(&paceline_loadgen::Judged {
                name,
                ..empty.clone()
            });
            assert_ne!(found.better, Better::Neither, "{name}");
            assert_eq!(found.limits[2], ("Gold".to_owned(), 3.0));
        }
    }

    #[test]
    fn what_has_no_interval_is_not_sure() {
        assert_eq!(value(1.0, None), Value::unsure(1.0));
        let sure = Estimate {
            value: 1.0,
            low: 0.5,
            high: 2.0,
        };
        assert_eq!(value(1.0, Some(sure)), Value::between(1.0, 0.5, 2.0));
    }
}
