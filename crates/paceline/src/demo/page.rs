//! The result as an HTML report.

use std::time::Duration;

use paceline_loadgen::{Estimate, Evidence, Grade, Report};
use paceline_report as html;
use paceline_report::{Better, Comparison, Fact, Figure, Fix, Measure, Route, Side, Unit, Value};

use super::house::POOL_SIZE;
use super::measure::{CAPACITY_CONNECTIONS, LOAD_SHARE, Measured, SEED, WARMUP};
use super::summary::Summary;
use super::text::LAG_MS_MAX;
use crate::page;

/// What a summary does not keep: the loads, from which plots and intervals are made.
pub(super) struct Loads<'a> {
    pub(super) before: &'a Measured,
    pub(super) observe: &'a Measured,
    pub(super) after: &'a Measured,
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
    let graded = |measured: &Measured| Grade::of(&measured.report, Evidence::default());
    let findings = summary.findings.iter().map(page::finding);
    let fixes = vec![fix(&figures)];
    page::signed(html::Report {
        title: "The sample job board, before and after Paceline".to_owned(),
        verdict,
        figures,
        comparisons: vec![main, watching(loads)],
        grades: vec![
            page::grade(&graded(loads.before), "before"),
            page::grade(&graded(loads.after), "after"),
        ],
        fixes,
        findings: Some(findings.collect()),
        method: method(summary, loads),
        unmeasured: unmeasured(),
        ..html::Report::default()
    })
}

fn before_and_after(summary: &Summary, loads: &Loads<'_>) -> Comparison {
    let reports = [&loads.before.report, &loads.after.report];
    let mut total = page::route("All routes", None, &reports);
    total.measures.push(measure(
        "statements per request",
        Unit::Count,
        Better::Lower,
        [&summary.before, &summary.after]
            .map(|side| Value::unsure(side.load.statements_per_request))
            .map(Some),
    ));
    let routes = summary.routes.iter().enumerate().map(|(index, told)| {
        let mut route = page::route(&told.route, Some(index), &reports);
        let statements = [&told.before, &told.after];
        let statements = statements.map(|side| Some(Value::counted(side.statements_per_request)));
        route.measures.push(measure(
            "statements per request",
            Unit::Count,
            Better::Lower,
            statements,
        ));
        route
    });
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
        total: Some(total),
        routes: routes.collect(),
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
    let sides = [&summary.before, &summary.observe, &summary.after];
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
            "behind its schedule at p99: {} before, {} observed, {} after",
            lag(&summary.before),
            lag(&summary.observe),
            lag(&summary.after)
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
        "What the remedies of the findings gain: they are changes of the application or its schema, and neither was changed.",
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
