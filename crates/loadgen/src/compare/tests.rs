use super::*;
use crate::tests::{Answer, OK, Server};
use std::sync::{Arc, Mutex};
use std::time::Instant;

fn sleeping(ms: u64) -> Server {
    Server::start(move |_| {
        std::thread::sleep(Duration::from_millis(ms));
        Answer::Bytes(OK)
    })
}

fn plan(server: &Server) -> Plan {
    let mut plan = server.plan(100.0);
    plan.warmup = Duration::from_millis(100);
    plan.duration = Duration::from_millis(2400);
    plan
}

#[test]
fn a_slower_server_is_told() {
    let (a, b) = (sleeping(5), sleeping(150));
    let found = compare(&plan(&a), &b.target(), &Cancel::new()).unwrap();
    assert_eq!(
        (found.pairs, found.total.a.requests, found.total.b.requests),
        (8, 240, 240)
    );
    let ratio = found.total.ratio.p50_ms.unwrap();
    // 28 on a quiet machine; on a busy one either sleep may be stretched.
    assert!(
        ratio.low > 1.5 && ratio.value < 60.0 && ratio.low < ratio.high,
        "{found}"
    );
    assert!(
        found.total.ratio.p99_ms.is_none(),
        "240 requests have no p99: {found}"
    );
    let verdict = found.verdict.clone().unwrap();
    assert!(verdict.contains("p50 is higher: "), "{verdict}");
    // The rate is the schedule's: throughput does not differ.
    assert!(!verdict.contains("throughput"), "{verdict}");
    assert!(found.to_string().contains(&verdict));
    assert_eq!(found.routes[0].ratio, found.total.ratio);
}

#[test]
fn the_same_server_is_no_faster_than_itself() {
    let one = sleeping(5);
    let found = compare(&plan(&one), &one.target(), &Cancel::new()).unwrap();
    let ratio = found.total.ratio.p50_ms.unwrap();
    assert!(ratio.low < 1.0 + 0.1 && ratio.high > 1.0 - 0.1, "{found}");
    assert_eq!(found.total.ratio.error_rate, None);
    assert_eq!(found.total.error_difference.unwrap().value, 0.0);
}

#[test]
fn errors_of_one_side_are_told() {
    let failing = Server::start(|_| Answer::Bytes(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let good = Server::start(|_| Answer::Bytes(OK));
    let found = compare(&plan(&good), &failing.target(), &Cancel::new()).unwrap();
    let verdict = found.verdict.unwrap();
    assert!(
        verdict.contains("the error rate is higher: 100.000 % instead of 0.000 %"),
        "{verdict}"
    );
    assert!(
        verdict.contains("throughput is lower: 0.000 ×"),
        "{verdict}"
    );
}

#[test]
fn blocks_take_turns_and_pairs_send_the_same() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let recording = |name: char| {
        let log = Arc::clone(&log);
        Server::start(move |request| {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            log.lock().unwrap().push((name, path, Instant::now()));
            Answer::Bytes(OK)
        })
    };
    let (a, b) = (recording('a'), recording('b'));
    let mut plan = plan(&a);
    plan.warmup = Duration::ZERO;
    plan.scenario = crate::Scenario::from_toml("[[route]]\npath = '/{1..1000000}'").unwrap();
    compare(&plan, &b.target(), &Cancel::new()).unwrap();
    let log = log.lock().unwrap();
    let order: String = log.iter().map(|(name, ..)| *name).collect();
    // 36 requests a block (six of them warm-up), each block of one server.
    let blocks: Vec<&str> = (0..16).map(|n| &order[n * 36..(n + 1) * 36]).collect();
    let first = |n: usize| blocks[n].chars().next().unwrap();
    assert!(
        (0..16).all(|n| blocks[n].chars().all(|c| c == first(n))),
        "{order}"
    );
    for quad in 0..4 {
        let [w, x, y, z] = [0, 1, 2, 3].map(|n| first(quad * 4 + n));
        assert!(w == z && x == y && w != x, "{order}");
    }
    let paths = |of: char| -> Vec<&String> {
        log.iter()
            .filter(|(name, ..)| *name == of)
            .map(|(_, path, _)| path)
            .collect()
    };
    let (mut a, mut b) = (paths('a'), paths('b'));
    a.sort_unstable();
    b.sort_unstable();
    assert_eq!(a, b);
}

/// Blocks of 200 requests whose latencies scatter by a quarter, and drift: each block of a pair is
/// slowed by the same factor, between 1 and 3.
fn drifting(factor: f64, seed: u64) -> Vec<(crate::Row, crate::Row)> {
    let mut rng = Rng::with_seed(seed);
    let mut row = |base: f64| {
        let mut values = Vec::new();
        for _ in 0..200 {
            values.push(base * (0.75 + 0.5 * rng.f64()));
        }
        crate::Row {
            route: "x".to_owned(),
            requests: 200,
            requests_per_s: 200.0,
            latency: crate::Percentiles::default(),
            service: crate::Percentiles::default(),
            error_rate: 0.0,
            errors: crate::Errors::default(),
            dropped: 0,
            response_bytes: 0,
            distribution: Distribution::from_ms(values),
        }
    };
    let drift = (0..20_u32).map(|n| 10.0 * (1.0 + f64::from(n) / 10.0));
    drift.map(|base| (row(base), row(base * factor))).collect()
}

#[test]
fn a_known_ratio_is_found_under_drift() {
    let compared = |factor: f64, seed: u64| {
        let pairs = drifting(factor, seed);
        let rows = pairs.iter().map(|(a, b)| (a, b));
        ratios::compared("x", rows, Duration::from_secs(1), seed)
    };
    let mut held = 0;
    for seed in 0..40 {
        let ratio = compared(0.9, seed).ratio.p50_ms.unwrap();
        // Within 2 %, although the drift is twenty times that.
        assert!((ratio.value / 0.9 - 1.0).abs() < 0.02, "{ratio:?}");
        assert!(
            ratio.high < 1.0 && ratio.high - ratio.low < 0.1,
            "{ratio:?}"
        );
        held += u32::from(ratio.low <= 0.9 && 0.9 <= ratio.high);
    }
    assert!(held >= 35, "{held} of 40 intervals hold the ratio");
    // No difference: a verdict in hardly more than one of twenty.
    let told = (0..60).filter(|seed| {
        let ratio = compared(1.0, *seed).ratio.p50_ms.unwrap();
        ratio.low > 1.0 || ratio.high < 1.0
    });
    assert!(told.count() <= 7);
}

#[test]
fn stages_are_refused() {
    let server = Server::refusing();
    let mut plan = plan(&server);
    plan.load = Load::Stages {
        from: 1.0,
        stages: Vec::new(),
        arrivals: crate::Arrivals::Constant,
    };
    let error = compare(&plan, &server.target(), &Cancel::new()).unwrap_err();
    assert!(error.to_string().contains("stages"), "{error}");
}
