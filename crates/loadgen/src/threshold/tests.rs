use super::*;
use crate::{Distribution, Errors, Generator, Intervals, Mode, Percentiles, Row};

#[test]
fn judges_reports() {
    let check = |text: &str, expected: (Option<f64>, bool)| {
        let verdict = Threshold::parse(text).unwrap().judge(&report());
        assert_eq!((verdict.actual, verdict.passed), expected, "{text}");
    };
    check("p95<200ms", (Some(150.0), true));
    check("p95<150ms", (Some(150.0), false));
    check("p95<=150ms", (Some(150.0), true));
    check("p95 < 0.2s", (Some(150.0), true));
    check("p95<150001us", (Some(150.0), true));
    check("p95<100", (Some(150.0), false));
    check("p99.9>=1s", (Some(1000.0), true));
    check("p75.5<11ms", (Some(10.0), true));
    check("max<1s", (Some(1000.0), false));
    check("avg<25.8ms", (Some(25.7), true));
    check("min>=10ms", (Some(10.0), true));
    check("silent:max<1s", (None, false));
    check("error_rate<1%", (Some(0.01), false));
    check("error_rate<=0.01", (Some(0.01), true));
    check("requests_per_s>100", (Some(120.0), true));
    check("errors==1", (Some(1.0), true));
    check("dropped!=2", (Some(2.0), false));
    check("GET /jobs:p95<200ms", (Some(250.0), false));
    check("GET /jobs : p50 < 11ms", (Some(10.0), true));
    check("GET /a:b:p50<11ms", (Some(10.0), true));
    // A route that was never asked proves nothing.
    check("idle:error_rate<1%", (None, false));
}

#[test]
fn judges_as_k6_spells_it() {
    let check = |text: &str, expected: (Option<f64>, bool)| {
        let verdict = Threshold::parse(text).unwrap().judge(&report());
        assert_eq!((verdict.actual, verdict.passed), expected, "{text}");
        assert_eq!(verdict.threshold, text);
    };
    check("http_req_duration: p(95)<200", (Some(150.0), true));
    check("http_req_duration:p(95) < 150", (Some(150.0), false));
    check("http_req_duration : p(99.9)<=1000", (Some(1000.0), true));
    check("http_req_duration: med<10", (Some(10.0), false));
    check("http_req_duration: avg<26", (Some(25.7), true));
    check("http_req_duration: min===10", (Some(10.0), true));
    check("http_req_duration: max<999", (Some(1000.0), false));
    check("http_req_failed: rate<0.01", (Some(0.01), false));
    check("http_req_failed: rate<=0.01", (Some(0.01), true));
    check("http_reqs: count>97", (Some(98.0), true));
    check("http_reqs: rate>49", (Some(49.0), false));
    check("dropped_iterations: count==2", (Some(2.0), true));
    check("dropped_iterations: rate<1", (Some(1.0), false));
    check(
        "http_req_duration{name:GET /jobs}: p(95)<200",
        (Some(250.0), false),
    );
    check(
        "http_req_duration{ name: GET /a:b } : p(95)<=1000",
        (Some(10.0), true),
    );
    check("http_reqs{name:silent}: count==3", (Some(3.0), true));
}

#[test]
fn refuses_what_k6_would_not_say() {
    let check = |text: &str, part: &str| {
        let error = Threshold::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("http_req_duration: rate<200", "avg, min, med, max, p(N)");
    check("http_req_duration: p95<200", "has no \"p95\"");
    check("http_req_duration: p(101)<200", "has no");
    check("http_req_duration: p(95<200", "has no");
    check("http_req_failed: p(95)<200", "it has rate");
    check("http_reqs: rate", "compares nothing");
    check("http_reqs rate>1", "a colon is missing");
    check("http_reqs<1", "no metric \"http_reqs\"");
    check("http_reqs{status:200}: rate>1", "only the route's name");
    check("http_reqs{name:x: rate>1", "closing brace");
    check("http_req_waiting: p(95)<200", "no metric \"p(95)\"");
}

#[test]
fn what_was_measured_has_a_unit() {
    let check = |text: &str, expected: &str| {
        let verdict = Threshold::parse(text).unwrap().judge(&report());
        assert_eq!(verdict.measured(), expected, "{text}");
    };
    check("p95<200ms", "150.0 ms");
    check("error_rate<1%", "1.000%");
    check("requests_per_s>100", "120.0 requests/s");
    check("errors==1", "1");
    check("silent:max<1s", "nothing measured");
}

#[test]
fn refuses_nonsense() {
    let check = |text: &str, part: &str| {
        let error = Threshold::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("p95", "compares nothing");
    check("q95<1ms", "no metric \"q95\"");
    check("p0<1ms", "no metric");
    check("p101<1ms", "no metric");
    check("p<1ms", "no metric");
    check("pinf<1ms", "no metric");
    check("p95<", "200ms");
    check("p95<fast", "200ms");
    check("p95<10%", "200ms");
    check("error_rate<1ms", "0.1%");
    check("requests_per_s>-1", "plain number");
    check("p95<NaN", "200ms");
    check("p95<>3ms", "200ms");
}

#[test]
fn knows_the_scenarios_routes() {
    let scenario = Scenario::from_toml("[[route]]\nname = 'GET /jobs'\npath = '/jobs'").unwrap();
    let check = |text: &str| Threshold::parse(text).unwrap().check(&scenario);
    assert!(check("http_req_duration{name:GET /jobs}: avg<1").is_ok());
    assert!(check("http_req_duration{name:GET /job}: avg<1").is_err());
    assert!(check("p95<1ms").is_ok() && check("GET /jobs:p95<1ms").is_ok());
    let error = check("GET /job:p95<1ms").unwrap_err().to_string();
    assert!(error.contains("there are GET /jobs"), "{error}");
}

fn report() -> Report {
    let row = |route: &str, p95_ms: f64, requests: u64| Row {
        route: route.to_owned(),
        requests,
        requests_per_s: 120.0,
        latency: Percentiles::default(),
        service: Percentiles::default(),
        error_rate: 0.01,
        errors: Errors {
            timeout: 1,
            ..Errors::default()
        },
        dropped: 2,
        response_bytes: 0,
        distribution: if route == "silent" {
            Distribution::default()
        } else {
            let values = [(900, 10.0), (98, p95_ms), (2, 1000.0)];
            Distribution::from_ms(values.into_iter().flat_map(|(n, ms)| vec![ms; n]))
        },
    };
    Report {
        mode: Mode::OpenLoop,
        rate: Some(120.0),
        connections: None,
        duration_s: 2.0,
        cancelled: false,
        seed: 1,
        total: row("total", 150.0, 100),
        routes: vec![
            row("GET /jobs", 250.0, 10),
            row("GET /a:b", 1.0, 90),
            row("idle", 0.0, 0),
            row("silent", 0.0, 5),
        ],
        intervals: Intervals::default(),
        stages: Vec::new(),
        generator: Generator::default(),
        process: None,
        blocks: Vec::new(),
    }
}

/// Two servers of which the second has these ratios.
fn compared(p95: [f64; 3], errors: [f64; 2]) -> crate::Comparison {
    let numbers = |error_rate| crate::Numbers {
        requests: 1_000,
        requests_per_s: 50.0,
        p50_ms: None,
        p95_ms: None,
        p99_ms: None,
        error_rate,
        distribution: Distribution::default(),
    };
    let [value, low, high] = p95;
    let row = |route: &str| crate::Compared {
        route: route.to_owned(),
        a: numbers(errors[0]),
        b: numbers(errors[1]),
        ratio: crate::Ratios {
            p95_ms: Some(Estimate { value, low, high }),
            ..crate::Ratios::default()
        },
        error_difference: None,
    };
    crate::Comparison {
        a: "http://a".to_owned(),
        b: "http://b".to_owned(),
        mode: Mode::OpenLoop,
        rate: None,
        pairs: 8,
        block_s: 1.0,
        seed: 1,
        cancelled: false,
        schedule_lag_p99_ms: None,
        generator_late: false,
        total: row("total"),
        routes: vec![row("GET /a")],
        verdict: None,
    }
}

#[test]
fn who_says_that_two_servers_differ_has_to_prove_it() {
    let (equal, slower, faster, unclear) = (
        [1.01, 0.95, 1.08],
        [1.3, 1.2, 1.4],
        [0.7, 0.6, 0.8],
        [1.1, 0.85, 1.3],
    );
    let rows = [
        // A guard, which equal servers keep: missed when it certainly is.
        ("p95<1.1x", equal, true),
        ("p95<1.1x", unclear, true),
        ("p95<1.1x", slower, false),
        ("p95<1.25x", slower, true),
        ("p95 <= 1x", faster, true),
        ("http_req_duration: p(95)<1.1x", slower, false),
        ("GET /a:p95<1.1×", slower, false),
        // A claim, which equal servers miss: kept when it certainly is.
        ("p95<0.9x", equal, false),
        ("p95<0.9x", unclear, false),
        ("p95<0.9x", faster, true),
        ("p95<0.75x", faster, false),
        ("p95>1.1x", slower, true),
        // Nothing was measured.
        ("p99<9x", equal, false),
        ("GET /b:p95<9x", equal, false),
    ];
    for (text, p95, passed) in rows {
        let threshold = Threshold::parse(text).unwrap();
        threshold.check_servers(true).unwrap();
        let verdict = threshold.judge_ratio(&compared(p95, [0.0, 0.0]));
        assert_eq!(verdict.passed, passed, "{text}: {verdict:?}");
    }
    let verdict = Threshold::parse("p95<1.1x")
        .unwrap()
        .judge_ratio(&compared(slower, [0.0, 0.0]));
    assert_eq!(verdict.measured(), "1.300 ×, 1.200 to 1.400");
}

#[test]
fn errors_of_neither_are_no_difference_and_errors_of_the_second_alone_are() {
    let judge = |text: &str, errors| {
        let threshold = Threshold::parse(text).unwrap();
        threshold.judge_ratio(&compared([1.0; 3], errors)).passed
    };
    assert!(judge("error_rate<1.5x", [0.0, 0.0]));
    assert!(!judge("error_rate<1.5x", [0.0, 0.01]));
    // Both fail, and how they differ was not to be told.
    assert!(!judge("http_req_failed: rate<1.5x", [0.01, 0.01]));
}

#[test]
fn ratios_are_for_two_servers_and_have_a_few_metrics() {
    let refused = |text: &str, part: &str| {
        let error = Threshold::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    refused("p90<1.1x", "p50, p95 and p99");
    refused("avg<1.1x", "a ratio is one of");
    refused("dropped<2x", "a ratio is one of");
    refused("p95<fastx", "no ratio such as 1.1x");
    let check = |text: &str, are_two| {
        let threshold = Threshold::parse(text).unwrap();
        threshold.check_servers(are_two).map_err(|e| e.to_string())
    };
    assert!(check("p95<1.1x", true).is_ok() && check("p95<200ms", false).is_ok());
    let error = check("p95<1.1x", false).unwrap_err();
    assert!(error.contains("only one server"), "{error}");
    let error = check("p95<200ms", true).unwrap_err();
    assert!(error.contains("p95<1.1x"), "{error}");
    assert!(
        Threshold::parse("p95<1.1x")
            .unwrap()
            .check_objective()
            .is_err()
    );
}
