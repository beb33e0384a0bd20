use super::*;
use crate::tests::{Answer, OK, Server};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

fn objectives(texts: &[&str]) -> Vec<Threshold> {
    texts
        .iter()
        .map(|text| Threshold::parse(text).unwrap())
        .collect()
}

/// A search in which every rate below `capacity` is kept.
fn play(first: f64, capacity: f64) -> (Search, Vec<f64>) {
    let mut search = Search::new(first);
    let mut tried = Vec::new();
    while let Some(rate) = search.next() {
        tried.push(rate);
        search.learn(&step(
            rate,
            if rate < capacity {
                Outcome::Kept
            } else {
                Outcome::Missed
            },
        ));
    }
    (search, tried)
}

fn step(rate: f64, outcome: Outcome) -> Step {
    Step {
        rate,
        duration_s: 1.0,
        outcome,
        requests_per_s: rate,
        measured: Vec::new(),
        schedule_lag_p99_ms: None,
    }
}

#[test]
fn the_bracket_closes_around_the_capacity() {
    for (first, capacity) in [(50.0, 777.0), (50.0, 3.3), (50.0, 50.0), (1.0, 99_999.0)] {
        let (search, tried) = play(first, capacity);
        let (kept, missed) = search.bracket();
        let (kept, missed) = (kept.unwrap(), missed.unwrap());
        assert!(
            kept < capacity && capacity <= missed && missed <= kept * 1.05,
            "{tried:?}"
        );
        assert_eq!(search.stopped(), Stop::Close);
        assert!(tried.len() <= 25, "{tried:?}");
    }
    let (search, tried) = play(50.0, f64::INFINITY);
    assert_eq!(
        (search.stopped(), tried.last()),
        (Stop::RateMax, Some(&1_000_000.0))
    );
    let (search, tried) = play(50.0, 0.0);
    assert_eq!(
        (search.stopped(), tried.last()),
        (Stop::RateMin, Some(&(50.0 / 64.0)))
    );
}

#[test]
fn what_limits_is_what_the_lowest_missed_step_says() {
    let steps = [
        step(400.0, Outcome::Missed),
        step(100.0, Outcome::Kept),
        step(200.0, Outcome::GeneratorLate),
    ];
    assert_eq!(limit(&steps, Some(200.0)), Limit::Generator);
    assert_eq!(limit(&steps, Some(400.0)), Limit::Server);
    assert_eq!(limit(&steps, None), Limit::Unknown);
}

#[test]
fn a_server_of_known_capacity_is_measured() {
    // One request at a time, 10 ms each by the clock, however late the sleeper wakes: 100/s.
    let free_at = Mutex::new(Instant::now());
    let server = Server::start(move |_| {
        let until = {
            let mut free_at = free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + Duration::from_millis(10);
            *free_at
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(1.0);
    plan.warmup = Duration::from_millis(300);
    plan.duration = Duration::from_millis(1500);
    let found = find_capacity(&plan, 40.0, &objectives(&["p50<150ms"]), &Cancel::new()).unwrap();
    let rate = found.rate.unwrap();
    // Arrivals are even, so that nobody waits below 100/s, and ever longer beyond.
    assert!((60.0..115.0).contains(&rate), "{found}");
    assert_eq!(found.stopped, Stop::Close, "{found}");
    // On a machine without any time left the generator is late itself, and says so.
    let mut steps = found.steps.iter().rev();
    let lowest = steps.find(|step| Some(step.rate) == found.missed_at);
    let (limit, told) = match lowest.unwrap().outcome {
        Outcome::GeneratorLate => (Limit::Generator, "the load generator is the limit"),
        _ => (Limit::Server, "the server is the limit."),
    };
    assert_eq!(found.limited_by, limit, "{found}");
    assert!(found.to_string().contains(told), "{found}");
}

#[test]
fn a_queue_that_grows_is_no_capacity_however_patient_the_objective() {
    let free_at = Mutex::new(Instant::now());
    let server = Server::start(move |_| {
        let until = {
            let mut free_at = free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + Duration::from_millis(20);
            *free_at
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(1.0);
    plan.duration = Duration::from_secs(1);
    plan.load = Load::Open {
        rate: 100.0,
        arrivals: Arrivals::Constant,
    };
    let report = run(&plan, &Cancel::new()).unwrap();
    let step = Step::of(&report, 100.0, &objectives(&["p50<3600s"]));
    let expected = if report.generator.is_late() {
        Outcome::GeneratorLate
    } else {
        Outcome::Overloaded
    };
    assert_eq!(step.outcome, expected, "{report}");
}

#[test]
fn objectives_without_an_interval_are_refused() {
    let server = Server::refusing();
    let check = |text: &str, part: &str| {
        let found = find_capacity(
            &server.plan(1.0),
            50.0,
            &objectives(&[text]),
            &Cancel::new(),
        );
        let error = found.unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    };
    check("max<200ms", "a percentile");
    check("p95>200ms", "an upper limit");
    check("requests<5", "a percentile");
    check("GET /:p95<200ms", "not of one route");
    check("error_rate<0%", "above 0");
    check("error_rate<0.001%", "begin at a higher rate");
    let none = find_capacity(&server.plan(1.0), 50.0, &[], &Cancel::new());
    assert!(none.unwrap_err().to_string().contains("needs an objective"));
}

#[test]
fn steps_are_long_enough_to_judge() {
    let needed = |text: &str| objectives(&[text])[0].requests_needed();
    assert_eq!(needed("p95<1ms"), 400);
    assert_eq!(needed("http_req_duration: p(99)<1"), 2000);
    assert_eq!(needed("error_rate<1%"), 476);
}
