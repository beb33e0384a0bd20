//! Loads against a server that the tests can make slow, silent or rude.

use crate::tests::{Answer, OK, Server, execute};
use crate::{Arrivals, Cancel, Load, Mode, Plan, Report, Scenario, Stage, Target, run};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn recovers_a_known_latency() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(30));
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(50.0);
    plan.load = Load::Open {
        rate: 50.0,
        arrivals: Arrivals::Poisson,
    };
    let report = execute(&plan);
    assert_eq!(report.mode, Mode::OpenLoop);
    let (p50, service) = (
        report.total.latency.p50_ms.unwrap(),
        report.total.service.p50_ms.unwrap(),
    );
    assert!((30.0..150.0).contains(&p50), "{report}");
    assert!((30.0..=p50 + 0.001).contains(&service), "{report}");
    assert_eq!(report.total.response_bytes, 2 * report.total.requests);
    assert_eq!(report.total.error_rate, 0.0, "{report}");
}

#[test]
fn only_the_open_loop_sees_a_stall_as_users_do() {
    // Once, half a second after the first request, the whole server stalls for a second.
    let stalling = || {
        let first = std::sync::OnceLock::new();
        Server::start(move |_| {
            let stall = *first.get_or_init(Instant::now) + Duration::from_millis(500);
            let stall_end = stall + Duration::from_secs(1);
            std::thread::sleep(Duration::from_millis(2));
            let now = Instant::now();
            if now >= stall && now < stall_end {
                std::thread::sleep(stall_end - now);
            }
            Answer::Bytes(OK)
        })
    };
    let server = stalling();
    let mut plan = server.plan(100.0);
    plan.duration = Duration::from_millis(2500);
    let open = execute(&plan);

    let server = stalling();
    let mut plan = server.plan(1.0);
    plan.duration = Duration::from_millis(2500);
    plan.load = Load::Closed { connections: 2 };
    let closed = execute(&plan);

    // Two fifths of the arrivals fell into the stall and waited half of it on average.
    assert!(open.total.latency.p90_ms > Some(500.0), "{open}");
    // Of hundreds of closed-loop requests just two did.
    assert_eq!(closed.mode, Mode::ClosedLoop);
    assert!(closed.total.latency.max_ms > Some(900.0), "{closed}");
    assert!(closed.total.latency.p90_ms < Some(500.0), "{closed}");
    assert!(closed.generator.schedule_lag_p99_ms.is_none());
}

#[test]
fn waiting_for_a_connection_is_latency_but_not_service_time() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(15));
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(100.0);
    let roomy = execute(&plan);
    // One connection at 15 ms serves fewer than 67 per second of the 100 that arrive.
    plan.max_in_flight = 1;
    let narrow = execute(&plan);
    let queueing = |r: &Report| r.total.latency.p50_ms.unwrap() - r.total.service.p50_ms.unwrap();
    assert!(queueing(&roomy) < 5.0, "{roomy}");
    assert!(queueing(&narrow) > 5.0, "{narrow}");
    assert_eq!(narrow.generator.connections_opened, 1, "{narrow}");
}

#[test]
fn drops_and_counts_what_finds_no_connection() {
    let server = Server::start(|_| {
        std::thread::sleep(Duration::from_millis(100));
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(200.0);
    plan.max_in_flight = 2;
    let report = execute(&plan);
    // The schedule does not look at the clock: exactly so many arrivals, whatever the machine does.
    assert_eq!(report.total.requests, 200, "{report}");
    let served = report.total.requests - report.total.dropped;
    assert!((2..=30).contains(&served), "{report}");
    assert_eq!(report.total.errors.count(), 0, "{report}");
    assert!((report.total.error_rate - report.total.dropped as f64 / 200.0).abs() < 1e-9);
    assert!(report.generator.in_flight_max <= 4, "{report}");
    assert!(report.generator.connections_opened <= 2, "{report}");
}

#[test]
fn counts_each_kind_of_error() {
    let check = |server: Server, kind: &str| {
        let mut plan = server.plan(50.0);
        if kind == "timeout" {
            plan.timeout = Duration::from_millis(300);
        }
        plan.duration = Duration::from_millis(500);
        let total = execute(&plan).total;
        let errors = &total.errors;
        let counts = [
            ("connect", errors.connect),
            ("timeout", errors.timeout),
            ("protocol", errors.protocol),
            ("404", errors.status.get(&404).copied().unwrap_or(0)),
            ("503", errors.status.get(&503).copied().unwrap_or(0)),
        ];
        for (counted, count) in counts {
            let expected = if counted == kind { total.requests } else { 0 };
            assert_eq!(count, expected, "{kind}: {total:?}");
        }
        assert_eq!(
            (total.requests, total.error_rate),
            (25, 1.0),
            "{kind}: {total:?}"
        );
        assert_eq!(total.requests_per_s, 0.0, "{kind}: {total:?}");
        // What was given up at the time-out lasted that long; quick failures are no latencies.
        let expected = (kind == "timeout").then_some(true);
        assert_eq!(
            total.latency.p50_ms.map(|ms| ms >= 299.0),
            expected,
            "{kind}: {total:?}"
        );
    };
    check(Server::refusing(), "connect");
    check(Server::start(|_| Answer::Silence), "timeout");
    check(
        Server::start(|_| Answer::Last(b"SSH-2.0-rude\r\n\r\n")),
        "protocol",
    );
    check(
        Server::start(|_| Answer::Last(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhal")),
        "protocol",
    );
    check(Server::start(|_| Answer::Last(b"")), "protocol");
    check(
        Server::start(|_| Answer::Bytes(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")),
        "404",
    );
    check(
        Server::start(|_| Answer::Bytes(b"HTTP/1.1 503 Nope\r\ncontent-length: 0\r\n\r\n")),
        "503",
    );
}

#[test]
fn expected_statuses_are_successes() {
    let server =
        Server::start(|_| Answer::Bytes(b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n"));
    let mut plan = server.plan(50.0);
    plan.scenario = Scenario::from_toml("[[route]]\npath = '/'\nexpect = [409]").unwrap();
    let report = execute(&plan);
    assert_eq!(
        (report.total.error_rate, report.total.errors.count()),
        (0.0, 0),
        "{report}"
    );
}

#[test]
fn keeps_connections_alive_unless_told_not_to() {
    let patient = Server::start(|_| Answer::Bytes(OK));
    let report = execute(&patient.plan(100.0));
    assert!(
        report.generator.connections_opened < report.total.requests / 2,
        "{report}"
    );

    let closing: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let closing = Server::start(move |_| Answer::Last(closing));
    let report = execute(&closing.plan(100.0));
    assert_eq!(
        report.generator.connections_opened, report.total.requests,
        "{report}"
    );
    assert_eq!(report.total.errors.count(), 0, "{report}");
}

#[test]
fn sends_what_the_scenario_says_and_reports_each_route() {
    let (sender, received) = std::sync::mpsc::channel();
    let server = Server::start(move |request| {
        sender.send(request.to_owned()).unwrap();
        Answer::Bytes(OK)
    });
    let mut plan = server.plan(100.0);
    plan.target = Target::parse(&format!("http://{}/api/", server.address)).unwrap();
    plan.scenario = Scenario::from_toml(
        "[[route]]\nname = 'list'\npath = '/a?n={7..7}'\nweight = 4\n\
         [[route]]\nname = 'make'\nmethod = 'POST'\npath = '/b'\nbody = 'hello'\n\
         headers = { x-k = 'v' }",
    )
    .unwrap();
    plan.threads = 2;
    let report = execute(&plan);
    let requests: Vec<String> = received.try_iter().collect();
    let host = format!("host: {}", server.address);
    let lists = requests
        .iter()
        .filter(|r| r.starts_with("GET /api/a?n=7 HTTP/1.1\r\n"))
        .count();
    let makes = requests
        .iter()
        .filter(|r| r.starts_with("POST /api/b HTTP/1.1\r\n"))
        .count();
    assert_eq!((lists + makes, requests.len()), (100, 100));
    assert!(requests.iter().all(|r| r.contains(&host)), "{requests:?}");
    let make = requests.iter().find(|r| r.starts_with("POST")).unwrap();
    assert!(
        make.contains("x-k: v") && make.ends_with("\r\n\r\nhello"),
        "{make}"
    );
    assert_eq!(report.route("list").unwrap().requests, lists as u64);
    assert_eq!(report.route("make").unwrap().requests, makes as u64);
    assert!(lists > 2 * makes, "{lists} {makes}");
}

#[test]
fn the_warm_up_is_not_measured() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    // Failing until half a second after its start, which is before the load's.
    let started = Instant::now();
    let server = Server::start(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        let warm = started.elapsed() > Duration::from_millis(500);
        let cold = b"HTTP/1.1 500 Cold\r\ncontent-length: 0\r\n\r\n";
        Answer::Bytes(if warm { OK } else { cold })
    });
    let mut plan = server.plan(100.0);
    plan.warmup = Duration::from_secs(1);
    let report = execute(&plan);
    assert_eq!(
        (report.total.requests, report.total.errors.count()),
        (100, 0),
        "{report}"
    );
    assert_eq!(seen.load(Ordering::Relaxed), 200);
    assert_eq!(report.generator.requests_sent, 200, "{report}");
}

#[test]
fn a_cancelled_load_reports_what_it_has() {
    let server = Server::start(|_| Answer::Bytes(OK));
    for load in [
        Load::Open {
            rate: 200.0,
            arrivals: Arrivals::Poisson,
        },
        Load::Closed { connections: 2 },
    ] {
        let mut plan = server.plan(1.0);
        plan.load = load;
        plan.duration = Duration::from_secs(3600);
        let cancel = Cancel::new();
        let pulled = cancel.clone();
        let begun = server.answered.load(Ordering::Relaxed);
        let answered = Arc::clone(&server.answered);
        let puller = std::thread::spawn(move || {
            while answered.load(Ordering::Relaxed) < begun + 20 {
                std::thread::sleep(Duration::from_millis(5));
            }
            pulled.cancel();
        });
        let report = run(&plan, &cancel).unwrap();
        puller.join().unwrap();
        assert!(report.cancelled && report.duration_s < 600.0, "{report}");
        assert!(report.total.requests >= 10, "{report}");
        assert!(report.total.requests_per_s > 0.0, "{report}");
    }
}

#[test]
fn refuses_plans_that_contradict_themselves() {
    let server = Server::refusing();
    let check = |change: &dyn Fn(&mut Plan), part: &str| {
        let mut plan = server.plan(1.0);
        change(&mut plan);
        let error = run(&plan, &Cancel::new()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    let open = |rate| Load::Open {
        rate,
        arrivals: Arrivals::Constant,
    };
    check(&|p| p.load = open(0.0), "rate");
    check(&|p| p.load = open(f64::NAN), "rate");
    check(&|p| p.load = Load::Closed { connections: 0 }, "connection");
    check(&|p| p.threads = 0, "threads");
    check(&|p| (p.threads, p.max_in_flight) = (4, 3), "in flight");
    check(&|p| p.duration = Duration::ZERO, "above zero");
    let stages = |from, stages: &[(u64, f64)]| Load::Stages {
        from,
        stages: stages
            .iter()
            .map(|(seconds, rate)| Stage {
                duration: Duration::from_secs(*seconds),
                rate: *rate,
            })
            .collect(),
        arrivals: Arrivals::Constant,
    };
    check(&|p| p.load = stages(1.0, &[]), "stages");
    check(&|p| p.load = stages(f64::NAN, &[(1, 1.0)]), "stage's rate");
    check(&|p| p.load = stages(0.0, &[(1, -1.0)]), "stage's rate");
    check(&|p| p.load = stages(0.0, &[(1, 0.0), (0, 5.0)]), "no stage");
    check(
        &|p| p.load = stages(0.0, &[(u64::MAX, 1.0), (u64::MAX, 1.0)]),
        "a week",
    );
    check(&|p| p.timeout = Duration::from_secs(7200), "an hour");
    check(
        &|p| p.target = Target::parse("http://no-such-host.invalid").unwrap(),
        "resolved",
    );
}

#[test]
fn the_json_has_the_agreed_shape() {
    let server = Server::start(|_| Answer::Bytes(OK));
    let report = execute(&server.plan(50.0));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["mode"], "open-loop");
    for row in [&json["total"], &json["routes"][0]] {
        for key in [
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "max_ms",
            "requests_per_s",
            "error_rate",
        ] {
            assert!(row[key].is_f64(), "{key} in {json}");
        }
        for key in ["requests", "dropped", "response_bytes"] {
            assert!(row[key].is_u64(), "{key} in {json}");
        }
        assert!(row["errors"]["status"].is_object() && row["service"]["p99_ms"].is_f64());
    }
    assert_eq!(json["routes"][0]["route"], "GET /");
    assert!(json["generator"]["schedule_lag_p99_ms"].is_f64(), "{json}");
    let text = report.to_string();
    assert!(
        text.contains("open-loop") && text.contains("GET /") && text.contains("total"),
        "{text}"
    );
}

#[test]
fn fetches_whole_answers_on_one_connection() {
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    let connections = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let seen = Arc::clone(&connections);
    let server = Server::start(move |_| {
        seen.lock().unwrap().insert(std::thread::current().id());
        Answer::Bytes(chunked)
    });
    let mut fetcher = crate::Fetcher::new(&server.target(), Duration::from_secs(20)).unwrap();
    for _ in 0..3 {
        let answer = fetcher.fetch(&crate::Sample::get("/x")).unwrap();
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
        assert_eq!(answer.headers["x-a"], "1");
    }
    assert_eq!(connections.lock().unwrap().len(), 1);

    // A connection that the server closed meanwhile is replaced, a server that is gone is an error.
    let closing = Server::start(|_| Answer::Last(OK));
    let mut fetcher = crate::Fetcher::new(&closing.target(), Duration::from_secs(20)).unwrap();
    for _ in 0..3 {
        assert_eq!(fetcher.fetch(&crate::Sample::get("/")).unwrap().status, 200);
    }
    let gone = Server::refusing();
    let mut fetcher = crate::Fetcher::new(&gone.target(), Duration::from_secs(20)).unwrap();
    let error = fetcher
        .fetch(&crate::Sample::get("/y"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("GET /y: "), "{error}");
}

#[test]
fn stages_are_told_apart() {
    let server = Server::start(|_| Answer::Bytes(OK));
    let mut plan = server.plan(1.0);
    plan.warmup = Duration::from_millis(200);
    let stage = |ms: u64, rate: f64| Stage {
        duration: Duration::from_millis(ms),
        rate,
    };
    plan.load = Load::Stages {
        from: 50.0,
        stages: vec![stage(1000, 150.0), stage(0, 40.0), stage(500, 40.0)],
        arrivals: Arrivals::Constant,
    };
    for threads in [1, 2] {
        plan.threads = threads;
        let report = execute(&plan);
        // What the schedule says, exactly: the warm-up's ten are not among them.
        assert_eq!(report.generator.requests_sent, 130, "{report}");
        assert_eq!(report.total.requests, 120, "{report}");
        let stages: Vec<_> = report
            .stages
            .iter()
            .map(|s| (s.rate_from, s.rate_to, s.row.requests))
            .collect();
        assert_eq!(stages, [(50.0, 150.0, 100), (40.0, 40.0, 20)], "{report}");
        assert_eq!(
            (report.mode, report.rate, report.duration_s),
            (Mode::OpenLoop, None, 1.5)
        );
        let text = report.to_string();
        assert!(text.contains("50 → 150 → 40 requests/s intended"), "{text}");
        assert!(
            text.contains("50 → 150/s in 1 s ") && text.contains("40/s for 0.5 s "),
            "{text}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (
                &json["stages"][1]["rate_to"],
                &json["stages"][1]["requests"]
            ),
            (&40.0.into(), &20.into())
        );
        assert!(json["stages"][0]["p95_ms"].is_f64(), "{json}");
    }
}

#[test]
fn blocks_are_the_whole_in_equal_parts() {
    let server = Server::start(|_| Answer::Bytes(OK));
    let report = execute(&server.plan(200.0));
    let blocks = &report.blocks;
    assert_eq!(blocks.len(), 10);
    assert!(
        blocks
            .iter()
            .all(|b| (b.length, b.requests) == (Duration::from_millis(100), 20)),
        "{blocks:?}"
    );
    let merged = crate::Distribution::merged(blocks.iter().map(|b| &b.latency));
    assert_eq!(merged, report.total.distribution);
}

#[test]
fn whoever_looks_is_told() {
    let server = Server::start(|request| {
        let fails = request.starts_with("GET /b");
        let no: &[u8] = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
        Answer::Bytes(if fails { no } else { OK })
    });
    let live = crate::Live::new();
    let mut plan = server.plan(100.0);
    plan.threads = 2;
    plan.scenario = Scenario::from_toml("[[route]]\npath='/a'\n[[route]]\npath='/b'").unwrap();
    plan.live = Some(live.clone());
    let (sender, looks) = std::sync::mpsc::channel();
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let watching = Arc::clone(&ended);
    let looker = live.clone();
    let thread = std::thread::spawn(move || {
        while !watching.load(Ordering::Relaxed) {
            sender.send(looker.look()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let report = execute(&plan);
    ended.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    let looks: Vec<_> = looks.try_iter().chain([live.look()]).collect();
    // Some while it went, all at the end, and no latency twice.
    assert!(
        looks.iter().any(|look| look.sent > 0 && look.sent < 100),
        "{looks:?}"
    );
    let last = looks.last().unwrap();
    assert_eq!(
        (last.sent, last.succeeded + last.failed),
        (100, 100),
        "{last:?}"
    );
    assert_eq!(last.failed, report.total.errors.count());
    let latencies: u64 = looks.iter().map(|look| look.recent.count()).sum();
    assert_eq!(latencies, last.succeeded);
}
