//! Reports to look at: one with everything, one of a single load, one that is nearly empty.

use paceline_report::{
    Better, Comparison, Criterion, Distribution, Fact, Figure, Finding, Fix, Grade, Measure, Next,
    QuickWin, Report, Route, Severity, Side, Tone, Unit, Value, Verdict,
};

/// Names as an attacker would choose them.
pub(crate) const HOSTILE: [&str; 4] = [
    "GET /</title><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>",
    "GET /\"'&lt;/style><style>@import url(http://evil.example/)</style>",
    "GET /\u{202e}gnp.\u{0}exe\u{1b}[31m",
    "GET /averyveryveryverylongnamewithoutanyplacetobreakitaveryveryveryverylongnamewithoutanyplacetobreakit",
];
const HOSTILE_SQL: &str = "SELECT '</code></pre><script src=\"http://evil.example/a.js\"></script>' -- <!-- \nFROM jobs WHERE a < 3 && b > 4";

/// Before and after, with findings, fixes, grades: as `paceline demo` makes it.
pub(crate) fn whole() -> Report {
    Report {
        title: "Job board: before and after Paceline".to_owned(),
        verdict: Verdict {
            word: String::new(),
            tone: Tone::Mixed,
            text: "At the same 60 requests/s p95 went from 102 to 41 ms (−60 %), connections opened from 900 to 10, capacity from 101 to 214 requests/s; worse: p50 of GET /companies.".to_owned(),
            notes: vec!["The machine was so busy that the load generator itself was late.".to_owned()],
        },
        figures: vec![
            figure("all routes", latency("p95", 102.0, 41.0)),
            figure("sent at the same rate", measure("database connections opened", Unit::Count, Better::Lower, Value::counted(912.0), Value::counted(10.0))),
            figure("closed loop", measure("capacity", Unit::PerSecond, Better::Higher, Value::between(101.0, 97.0, 104.0), Value::between(214.0, 208.0, 219.0))),
        ],
        comparisons: vec![comparison(), overhead()],
        grades: vec![
            grade("before", None),
            grade("after", Some("Bronze")),
            grade("with the remedies", Some("Silver")),
        ],
        fixes: vec![Fix {
            name: "Transaction pooling".to_owned(),
            text: "Ten server connections serve all requests.".to_owned(),
            gained: vec![latency("p95", 102.0, 41.0), measure("connections opened", Unit::Count, Better::Lower, Value::counted(912.0), Value::counted(10.0))],
            note: "Measured together with prepared statements, not each by itself.".to_owned(),
        }],
        findings: Some(findings()),
        quick_wins: vec![
            win(1, "GET /jobs executes `SELECT companies` 20 times for each request."),
            win(2, HOSTILE[1]),
        ],
        suppressed: vec![Fact::new(HOSTILE[0], HOSTILE[3])],
        method: vec![
            Fact::code("Command", "paceline demo --html report.html --seconds 12"),
            Fact::new("Load", "open loop, 60 requests/s at random intervals, 12 s measured after 2 s of warm-up, seed 20"),
            Fact::new("Machine", "2 CPUs, Linux"),
        ],
        unmeasured: vec!["The network: everything ran on one machine.".to_owned()],
        made_at: "2026-11-20 17:45 UTC".to_owned(),
        made_by: "paceline 0.1.0".to_owned(),
    }
}

/// One load of one target.
pub(crate) fn single() -> Report {
    let side = vec![Side {
        label: "measured".to_owned(),
        text: String::new(),
    }];
    let one = |name: &str, n: f64| Route {
        name: name.to_owned(),
        requests: vec![400],
        measures: vec![
            Measure {
                values: vec![Some(Value::between(n, n * 0.9, n * 1.1))],
                ..latency("p50", n, n)
            },
            Measure {
                values: vec![Some(Value::unsure(3.0 * n))],
                ..latency("p99", n, n)
            },
        ],
        latencies: vec![hill(n, 400)],
    };
    Report {
        title: "http://127.0.0.1:8080".to_owned(),
        verdict: Verdict {
            word: String::new(),
            tone: Tone::Neutral,
            text: "Bronze.".to_owned(),
            notes: Vec::new(),
        },
        comparisons: vec![Comparison {
            heading: "What was measured".to_owned(),
            sides: side,
            total: Some(one("All routes", 20.0)),
            routes: (1..=70)
                .map(|n| one(&format!("GET /route/{n}"), f64::from(n)))
                .collect(),
            ..Comparison::default()
        }],
        grades: vec![grade("", Some("Bronze"))],
        ..Report::default()
    }
}

/// What is left when there is hardly anything.
pub(crate) fn empty() -> Report {
    Report {
        title: "Nothing".to_owned(),
        findings: Some(Vec::new()),
        ..Report::default()
    }
}

fn comparison() -> Comparison {
    let names = [
        "GET /jobs",
        "GET /jobs/{id}",
        "POST /jobs/{id}/applications",
        "GET /companies",
        "GET /search",
    ];
    let names = names.into_iter().chain(HOSTILE);
    let routes = names.enumerate().map(|(n, name)| {
        let after = [0.4, 0.6, 1.0, 1.4, 0.2][n % 5];
        route(name, 12.0 * (n + 1) as f64, after, 90 * (n as u64 + 1))
    });
    Comparison {
        heading: "Before and after".to_owned(),
        text: "The same requests at the same rate, once straight to the API, once through Paceline with its fixes on.".to_owned(),
        sides: sides("before", "after"),
        total: Some(route("All routes", 30.0, 0.4, 5000)),
        routes: routes.collect(),
    }
}

fn overhead() -> Comparison {
    Comparison {
        heading: "What watching costs".to_owned(),
        text: "The same load straight to the API, and through Paceline in observe mode.".to_owned(),
        sides: sides("direct", "observed"),
        total: Some(route("All routes", 30.0, 1.01, 5000)),
        routes: Vec::new(),
    }
}

fn sides(a: &str, b: &str) -> Vec<Side> {
    let side = |label: &str, text: &str| Side {
        label: label.to_owned(),
        text: text.to_owned(),
    };
    vec![side(a, "straight to the API"), side(b, "through Paceline")]
}

fn route(name: &str, p50: f64, factor: f64, requests: u64) -> Route {
    let mut p99 = latency("p99", 3.0 * p50, 3.0 * p50 * factor);
    if requests < 1000 {
        p99.values = vec![
            Some(Value::unsure(3.0 * p50)),
            Some(Value::unsure(3.0 * p50 * factor)),
        ];
    }
    Route {
        name: name.to_owned(),
        requests: vec![requests, requests + 3],
        measures: vec![
            latency("p50", p50, p50 * factor),
            latency("p95", 2.0 * p50, 2.0 * p50 * factor),
            p99,
            measure(
                "errors",
                Unit::Share,
                Better::Lower,
                Value::between(0.0, 0.0, 0.008),
                Value::between(0.0, 0.0, 0.007),
            ),
            measure(
                "statements per request",
                Unit::Count,
                Better::Lower,
                Value::counted(61.0),
                Value::counted(61.0),
            ),
        ],
        latencies: vec![hill(p50, requests), hill(p50 * factor, requests)],
    }
}

fn hill(p50: f64, requests: u64) -> Distribution {
    let heights = [
        1, 3, 8, 20, 45, 80, 100, 90, 60, 35, 20, 12, 8, 5, 3, 2, 1, 0, 0, 1,
    ];
    let total: u64 = heights.iter().sum();
    let bins = heights
        .iter()
        .enumerate()
        .filter(|(_, height)| **height > 0);
    let bins = bins.map(|(n, height)| {
        (
            p50 * 1.15_f64.powi(n as i32 - 7),
            (height * requests / total).max(1),
        )
    });
    Distribution(bins.collect())
}

fn findings() -> Vec<Finding> {
    let finding = |severity: Option<Severity>, title: &str| Finding {
        id: format!("n-plus-one-{}", HOSTILE[0]),
        rule: "n-plus-one".to_owned(),
        severity,
        title: title.to_owned(),
        evidence: vec![
            Fact::code("Statement", HOSTILE_SQL),
            Fact::new(
                "Seen",
                "12 of 12 requests, 20 executions each, 4.5 ms of 12 ms",
            ),
        ],
        remedy: "Write one statement for all of them.".to_owned(),
        statement: Some(HOSTILE_SQL.to_owned()),
        effort: "small".to_owned(),
        expected: "4.5 ms of each request, by what the executions after the first took".to_owned(),
        gained: Vec::new(),
    };
    let mut tried = finding(Some(Severity::Medium), HOSTILE[1]);
    tried.gained = vec![latency("p95 of GET /jobs", 102.0, 41.0)];
    vec![
        finding(
            Some(Severity::High),
            "GET /jobs executes one statement 20 times for each request: SELECT companies.",
        ),
        tried,
        finding(Some(Severity::Low), "GET /jobs/{id} asks the same twice."),
        finding(None, "The index jobs_title_idx is unused, and small."),
    ]
}

fn grade(of: &str, level: Option<&str>) -> Grade {
    let limits = |limits: [f64; 3]| {
        let levels = ["Bronze", "Silver", "Gold"].map(str::to_owned);
        levels.into_iter().zip(limits).collect::<Vec<_>>()
    };
    let criterion = |name: &str, unit, better, measured, limit| Criterion {
        name: name.to_owned(),
        unit,
        better,
        measured,
        limits: limits(limit),
        level: level.map(str::to_owned),
    };
    Grade {
        of: of.to_owned(),
        level: level.map(str::to_owned),
        note: "The hit rate was not measured: there is no cache.".to_owned(),
        criteria: vec![
            criterion(
                "p95",
                Unit::Milliseconds,
                Better::Lower,
                Some(Value::between(102.0, 95.0, 110.0)),
                [500.0, 200.0, 100.0],
            ),
            criterion(
                "errors",
                Unit::Share,
                Better::Lower,
                Some(Value::between(0.0, 0.0, 0.008)),
                [0.01, 0.001, 0.0001],
            ),
            criterion(
                "hit rate of the cache",
                Unit::Share,
                Better::Higher,
                None,
                [0.8, 0.9, 0.95],
            ),
            criterion(
                "requests per second and instance",
                Unit::PerSecond,
                Better::Higher,
                Some(Value::between(60.0, 58.0, 62.0)),
                [100.0, 500.0, 1000.0],
            ),
        ],
        next: Some(Next {
            level: "Silver".to_owned(),
            missing: vec![
                "errors: 0 %, but may be as high as 0.8 %; Silver asks for less than 0.1 %"
                    .to_owned(),
                HOSTILE[0].to_owned(),
            ],
        }),
        critical: match level {
            None => vec!["p50 at 130 ms (at best 120 ms), critical from 100 ms on".to_owned()],
            Some(_) => Vec::new(),
        },
    }
}

fn win(finding: usize, title: &str) -> QuickWin {
    QuickWin {
        finding,
        title: title.to_owned(),
        gain: "4.5 ms of `each` request".to_owned(),
    }
}

fn figure(of: &str, measure: Measure) -> Figure {
    Figure {
        of: of.to_owned(),
        measure,
    }
}

fn latency(name: &str, before: f64, after: f64) -> Measure {
    let around = |value: f64| Value::between(value, value * 0.94, value * 1.07);
    measure(
        name,
        Unit::Milliseconds,
        Better::Lower,
        around(before),
        around(after),
    )
}

fn measure(name: &str, unit: Unit, better: Better, before: Value, after: Value) -> Measure {
    Measure {
        name: name.to_owned(),
        unit,
        better,
        values: vec![Some(before), Some(after)],
        ratio: None,
    }
}
