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
