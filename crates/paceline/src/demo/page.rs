//! The result as an HTML report.

use std::time::Duration;

use paceline_diagnose::Finding;
use paceline_loadgen::{Estimate, Report};
use paceline_report as html;
use paceline_report::{Better, Comparison, Fact, Figure, Fix, Measure, Route, Side, Unit, Value};

use super::house::POOL_SIZE;
use super::measure::{CAPACITY_CONNECTIONS, LOAD_SHARE, Measured, SEED, WARMUP};
use super::remedies::Gain;
use super::summary::{Numbers, RouteSummary, Summary};
use super::text::LAG_MS_MAX;
use crate::page;

/// What a summary does not keep: the loads, from which plots and intervals are made.
pub(super) struct Loads<'a> {
    pub(super) before: &'a Measured,
    pub(super) observe: &'a Measured,
    pub(super) after: &'a Measured,
    pub(super) remedied: &'a Measured,
    /// Before and after.
    pub(super) capacities: [Option<Estimate>; 2],
    pub(super) measured: Duration,
}

/// The whole report. The summary is complete but for what only the loads know.
pub(super) fn report(summary: &Summary, loads: &Loads<'_>) -> html::Report {
    let figures = figures(summary, loads);
    let main = before_and_after(summary, loads);
    let mut verdict = html::judge(&figures, &main);
    verdict.notes = notes(summary);
    let finding = |found: &Finding| html::Finding {
        gained: gained(found, summary, loads, &figures),
        ..page::finding(found)
    };
    let findings = summary.findings.iter().map(finding).collect();
    let fixes = vec![fix(&figures)];
    page::signed(html::Report {
        title: "The sample job board, before and after Paceline".to_owned(),
        verdict,
        figures,
        comparisons: vec![main, with_remedies(summary, loads), watching(loads)],
        grades: vec![
            page::grade(&summary.before.grade, "before"),
            page::grade(&summary.after.grade, "after"),
            page::grade(&summary.remedied.grade, "with the remedies"),
        ],
        fixes,
        findings: Some(findings),
        method: method(summary, loads),
        unmeasured: unmeasured(),
        ..html::Report::default()
    })
}

fn before_and_after(summary: &Summary, loads: &Loads<'_>) -> Comparison {
    Comparison {
        heading: "Before and after".to_owned(),
        text: format!(
            "The same requests at the same rate, {:.0} a second, each side with a fresh process and a database restored to its \
             first state. The application's code is the same.",
            summary.rate
        ),
        sides: sides(
            "before",
            "straight to the API",
            "after",
            "through Paceline, with its fixes on",
        ),
        ..compared(
            summary,
            [loads.before, loads.after],
            [&summary.before.load, &summary.after.load],
            |route| [&route.before, &route.after],
        )
    }
}

fn with_remedies(summary: &Summary, loads: &Loads<'_>) -> Comparison {
    Comparison {
        heading: "What the remedies gain".to_owned(),
        text: "The same requests at the same rate through Paceline with its fixes on: to the API as it is, and to the same API \
               written well, as the findings ask for."
            .to_owned(),
        sides: sides(
            "after",
            "the API as it is",
            "remedied",
            "the same API written well, with the indexes that it wants",
        ),
        ..compared(
            summary,
            [loads.after, loads.remedied],
            [&summary.after.load, &summary.remedied.load],
            |route| [&route.after, &route.remedied],
        )
    }
}

/// Two loads, of the whole and of each route, with the statements that the database counted.
fn compared(
    summary: &Summary,
    loads: [&Measured; 2],
    totals: [&Numbers; 2],
    numbers: fn(&RouteSummary) -> [&Numbers; 2],
) -> Comparison {
    let reports = loads.map(|measured| &measured.report);
    let statements = |sides: [&Numbers; 2], value: fn(f64) -> Value| {
        let values = sides.map(|side| Some(value(side.statements_per_request)));
        measure("statements per request", Unit::Count, Better::Lower, values)
    };
    let mut total = page::route("All routes", None, &reports);
    total.measures.push(statements(totals, Value::unsure));
    let routes = summary.routes.iter().enumerate().map(|(index, told)| {
        let mut route = page::route(&told.route, Some(index), &reports);
        let counted = statements(numbers(told), Value::counted);
        route.measures.push(counted);
        route
    });
    Comparison {
        total: Some(total),
        routes: routes.collect(),
        ..Comparison::default()
    }
}

/// What was gained for a finding: by Paceline's fixes, or by its remedy and the others on its route.
fn gained(
    found: &Finding,
    summary: &Summary,
    loads: &Loads<'_>,
    figures: &[Figure],
) -> Vec<Measure> {
    match Gain::of(found, summary) {
        None => Vec::new(),
        Some(Gain::Fixes) => {
            let figures = figures.iter().map(|figure| &figure.measure);
            let connections = figures.filter(|measure| measure.name.contains("connections"));
            connections.cloned().collect()
        }
        Some(Gain::Remedies(index, route)) => {
            let reports = [&loads.after.report, &loads.remedied.report];
            let mut measures = page::route(&route.route, Some(index), &reports).measures;
            measures.retain(|measure| ["p50", "p95"].contains(&&*measure.name));
            let statements = [&route.after, &route.remedied];
            measures.push(measure(
                "statements per request",
                Unit::Count,
                Better::Lower,
                statements.map(|side| Some(Value::counted(side.statements_per_request))),
            ));
            measures
        }
    }
}

fn watching(loads: &Loads<'_>) -> Comparison {
    let reports: [&Report; 2] = [&loads.before.report, &loads.observe.report];
    Comparison {
        heading: "What watching costs".to_owned(),
        text: "The same load straight to the API, and through Paceline in observe mode, which changes nothing.".to_owned(),
        sides: sides("direct", "straight to the API", "observed", "through Paceline in observe mode"),
        total: Some(page::route("All routes", None, &reports)),
        routes: Vec::<Route>::new(),
    }
}

fn sides(a: &str, a_text: &str, b: &str, b_text: &str) -> Vec<Side> {
    let side = |(label, text): (&str, &str)| Side {
        label: label.to_owned(),
        text: text.to_owned(),
    };
    [(a, a_text), (b, b_text)].map(side).into()
}

fn figures(summary: &Summary, loads: &Loads<'_>) -> Vec<Figure> {
    let figure = |of: &str, measure| Figure {
        of: of.to_owned(),
        measure,
    };
    let p95 = [loads.before, loads.after].map(|measured| {
        let number = measured.report.total.latency.p95_ms?;
        Some(page::value(number, measured.report.intervals.p95_ms))
    });
    let sides = [&summary.before, &summary.after];
    let connections = sides.map(|side| Some(Value::counted(side.connections_opened as f64)));
    let capacities =
        [0, 1].map(|at| Some(page::value(sides[at].capacity_rps?, loads.capacities[at])));
    vec![
        figure(
            "of all routes, at the same rate",
            measure("p95", Unit::Milliseconds, Better::Lower, p95),
        ),
        figure(
            "at the same rate",
            measure(
                "database connections opened",
                Unit::Count,
                Better::Lower,
                connections,
            ),
        ),
        figure(
            &format!("{CAPACITY_CONNECTIONS} connections, closed loop"),
            measure("capacity", Unit::PerSecond, Better::Higher, capacities),
        ),
    ]
}

fn fix(figures: &[Figure]) -> Fix {
    Fix {
        name: "Transaction pooling and prepared statements".to_owned(),
        text: format!(
            "{POOL_SIZE} server connections serve all clients, each for the length of a transaction; statements are parsed once \
             and kept prepared on each of them."
        ),
        gained: figures
            .iter()
            .map(|figure| figure.measure.clone())
            .collect(),
        note: "Both were switched on together; what each gains alone was not measured.".to_owned(),
    }
}

fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    let answers = &summary.answers;
    notes.push(match answers.different.len() {
        0 => format!(
            "{} answers compared with direct ones: all the same.",
            answers.compared
        ),
        count => format!(
            "{count} of {} answers differ from direct ones, the first: {}",
            answers.compared, answers.different[0]
        ),
    });
    let sides = [
        &summary.before,
        &summary.observe,
        &summary.after,
        &summary.remedied,
    ];
    let lags = sides.map(|side| side.schedule_lag_p99_ms.unwrap_or(0.0));
    if lags.iter().any(|lag| *lag > LAG_MS_MAX) {
        notes.push(
            "The machine was so busy that the load generator itself was late: the latencies contain its delay. Do not compare \
             them; run it again on a quiet machine."
                .to_owned(),
        );
    }
    notes
}

fn method(summary: &Summary, loads: &Loads<'_>) -> Vec<Fact> {
    let mut facts = page::circumstances();
    let (measured, warmup) = (loads.measured.as_secs(), WARMUP.as_secs());
    facts.push(Fact::new(
        "Load",
        format!(
            "open loop, {:.1} requests/s at random intervals ({:.0} % of the capacity found straight to the API), latency from the \
             intended start, {measured} s measured after {warmup} s of warm-up, seed {SEED}",
            summary.rate,
            LOAD_SHARE * 100.0
        ),
    ));
    facts.push(Fact::new(
        "Capacity",
        format!(
            "closed loop, {CAPACITY_CONNECTIONS} connections, {} s",
            loads.measured.as_secs().div_ceil(3).max(1)
        ),
    ));
    facts.push(Fact::new(
        "Statements",
        "counted by the database: of a route over five requests sent alone, of all routes over the whole load",
    ));
    let lag = |side: &super::summary::Side| match side.schedule_lag_p99_ms {
        Some(lag) => format!("{lag:.2} ms"),
        None => "unknown".to_owned(),
    };
    facts.push(Fact::new(
        "Load generator",
        format!(
            "behind its schedule at p99: {} before, {} observed, {} after, {} remedied",
            lag(&summary.before),
            lag(&summary.observe),
            lag(&summary.after),
            lag(&summary.remedied)
        ),
    ));
    if let (Some(observe), Some(after)) = (
        summary.observe.paceline_cpu_us_per_request,
        summary.after.paceline_cpu_us_per_request,
    ) {
        facts.push(Fact::new(
            "Paceline's own CPU",
            format!("{observe:.0} µs a request while it observes, {after:.0} µs with its fixes on"),
        ));
    }
    facts
}

fn unmeasured() -> Vec<String> {
    [
        "What the remedy of each finding gains alone: all were applied together, and what a route gained, all its findings share.",
        "A network: API, database, Paceline and the load generator shared one machine, and took CPU from each other.",
        "Longer than a minute: caches that grow, tables that bloat, memory that leaks.",
    ]
    .map(str::to_owned)
    .into()
}

fn measure(name: &str, unit: Unit, better: Better, values: [Option<Value>; 2]) -> Measure {
    Measure {
        name: name.to_owned(),
        unit,
        better,
        values: values.into(),
        ratio: None,
    }
}
