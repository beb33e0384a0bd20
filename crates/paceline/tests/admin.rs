//! The admin port of the running binary, over a scripted application.

use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use paceline_testkit::http::{self, Connection};
use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, RawPg, Signal, frame, postgres, wait_until};
use serde_json::Value;

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn application() -> Origin {
    Origin::start(
        |request: &Request, peer: &mut Peer| match request.path.as_str() {
            "/broken" => peer.respond(500, &[], b"no"),
            _ => peer.respond(200, &[], b"yes"),
        },
    )
}

fn admin_address(paceline: &Paceline) -> std::net::SocketAddr {
    let url = paceline.admin_url();
    url.trim_start_matches("http://")
        .parse()
        .expect("the admin port's address")
}

/// Sends raw bytes to the admin port and reads one answer.
fn raw(paceline: &Paceline, bytes: &str) -> http::Response {
    let mut connection = Connection::to(admin_address(paceline));
    connection.send(bytes);
    connection.response()
}

#[test]
fn every_endpoint_answers_and_nothing_else_does() {
    let origin = application();
    let paceline = Paceline::launch().upstream(&origin.url("")).start();
    let rows = [
        ("/", 200, "text/plain"),
        ("/livez", 200, "application/json"),
        ("/readyz", 200, "application/json"),
        ("/metrics", 200, "text/plain; version=0.0.4"),
        ("/api/v1/status", 200, "application/json"),
        ("/api/v1/routes", 200, "application/json"),
        ("/api/v1/shapes", 200, "application/json"),
        ("/api/v1/findings", 200, "application/json"),
        ("/api/v1/requests", 200, "application/json"),
        (
            "/api/v1/requests?limit=1&route=GET%20/",
            200,
            "application/json",
        ),
        ("/api/v1/pools", 200, "application/json"),
        ("/api/v1/requests?limit=0", 400, "application/problem+json"),
        ("/api/v1/requests?lmit=1", 400, "application/problem+json"),
        ("/api/v1/requests/nonsense", 400, "application/problem+json"),
        (
            "/api/v1/requests/0af7651916cd43dd8448eb211c80319c",
            404,
            "application/problem+json",
        ),
        ("/api/v1", 404, "application/problem+json"),
        ("/api/v1/routes/", 404, "application/problem+json"),
        ("/metricsx", 404, "application/problem+json"),
    ];
    for (path, status, kind) in rows {
        let answer = http::get(&format!("{}{path}", paceline.admin_url()));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        let found = answer.header("content-type").unwrap_or_default();
        assert!(found.starts_with(kind), "{path}: {found}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        if status >= 400 {
            let problem = answer.json();
            assert_eq!(problem["status"], status, "{path}");
            assert!(
                problem["detail"]
                    .as_str()
                    .is_some_and(|detail| detail.ends_with('.')),
                "{path}"
            );
        }
    }
    let index = http::get(&format!("{}/", paceline.admin_url())).text();
    for (path, ..) in rows
        .iter()
        .filter(|(path, status, _)| *status == 200 && !path.contains('?'))
    {
        assert!(index.contains(path), "{path} is not in\n{index}");
    }
}

#[test]
fn only_reading_is_possible_and_only_under_our_names() {
    let origin = application();
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .args(["--set", "admin.allowed_hosts=Paceline.Internal"])
        .start();
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = raw(
            &paceline,
            &format!("{method} /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"),
        );
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    let head = http::request("HEAD", &format!("{}/livez", paceline.admin_url()), &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let rows = [
        ("host: evil.example:9090\r\n", 421),
        ("host: localhost.evil.example\r\n", 421),
        ("host: localhost\r\nhost: evil.example\r\n", 421),
        ("host: paceline.internal:9090\r\n", 200),
        ("host: 10.1.2.3\r\n", 200),
        ("host: localhost:9090\r\n", 200),
    ];
    for (headers, status) in rows {
        let answer = raw(
            &paceline,
            &format!("GET /livez HTTP/1.1\r\n{headers}connection: close\r\n\r\n"),
        );
        assert_eq!(answer.status, status, "{headers}");
    }
    let rebound = raw(
        &paceline,
        "GET http://evil.example/livez HTTP/1.1\r\nhost: localhost\r\n\r\n",
    );
    assert_eq!(rebound.status, 421);
    // Garbage ends its own connection and no other.
    let mut garbage = Connection::to(admin_address(&paceline));
    garbage.send("\u{0}\u{1}garbage\r\n\r\n");
    let answer = garbage.try_response("GET");
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 400));
    assert_eq!(paceline.admin_json("/livez")["status"], "alive");
}

#[test]
fn requests_show_up_in_tables_and_metrics() {
    let origin = application();
    let paceline = Paceline::launch()
        .config(&format!(
            "[gateway]\nupstream = \"{}\"\n[journal]\nroutes = [\"/people/{{name}}\"]\n",
            origin.url("")
        ))
        .start();
    for path in ["/jobs/1", "/jobs/2", "/people/ada", "/broken"] {
        http::get(&format!("{}{path}", paceline.http_url()));
    }
    // The answer reaches the client before the last counter moves.
    // Until all four requests are recorded.
    wait_until(SOON, || {
        paceline.admin_json("/api/v1/status")["journal"]["requests_open"] == 0
            && paceline.admin_json("/api/v1/requests")["requests"]
                .as_array()
                .map(Vec::len)
                == Some(4)
    });
    let routes = paceline.admin_json("/api/v1/routes");
    let of = |name: &str| {
        let routes = routes["routes"].as_array().expect("routes");
        routes
            .iter()
            .find(|route| route["route"] == name)
            .unwrap_or_else(|| panic!("{name}: {routes:?}"))
            .clone()
    };
    assert_eq!(of("GET /jobs/{id}")["requests"], 2);
    assert_eq!(of("GET /people/{name}")["configured"], true);
    assert_eq!(
        (
            &of("GET /broken")["errors"],
            &of("GET /broken")["statuses"]["5xx"]
        ),
        (&1.into(), &1.into())
    );
    assert!(of("GET /jobs/{id}")["latency_ms"]["p99"].as_f64() > Some(0.0));

    let listed = paceline.admin_json("/api/v1/requests?route=GET%20/jobs/%7Bid%7D");
    let listed = listed["requests"].as_array().expect("requests");
    assert_eq!(listed.len(), 2, "{listed:?}");
    let id = listed[0]["id"].as_str().expect("an id");
    let sent = origin.requests().iter().find_map(|request| {
        let trace = request.header("traceparent")?.to_owned();
        (request.path == "/jobs/2").then_some(trace)
    });
    assert!(
        sent.is_some_and(|trace| trace.contains(id)),
        "the newest first, by the id that was sent upstream"
    );
    let request = paceline.admin_json(&format!("/api/v1/requests/{id}"));
    assert_eq!(
        (&request["route"], &request["status"]),
        (&"GET /jobs/{id}".into(), &200.into())
    );
    assert_eq!(request["statement_list"], Value::Array(Vec::new()));

    let page = http::get(&format!("{}/metrics", paceline.admin_url())).text();
    let count = "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"/jobs/{id}\"} 2\n";
    assert!(page.contains(count), "{page}");
    assert!(
        page.contains("# TYPE process_cpu_seconds_total counter\n"),
        "{page}"
    );
    assert!(
        !page.contains("# EOF") && !page.contains("/people/ada"),
        "{page}"
    );
    let accept = [(
        "accept",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
    )];
    let open = http::request(
        "GET",
        &format!("{}/metrics", paceline.admin_url()),
        &accept,
        b"",
    );
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(open.text().ends_with("# EOF\n") && open.text().contains(count));
}

#[test]
fn readiness_follows_the_application() {
    let origin = application();
    let port = origin.address().port();
    let paceline = Paceline::launch().upstream(&origin.url("")).start();
    let ready = || http::get(&format!("{}/readyz", paceline.admin_url()));
    assert_eq!(
        (ready().status, ready().json()["status"].clone()),
        (200, "ready".into())
    );
    drop(origin);
    // A success is believed for a second.
    // Until the lost application is noticed.
    wait_until(SOON, || ready().status == 503);
    let state = ready().json();
    assert_eq!(
        (&state["status"], &state["gateway"]["ready"]),
        (&"not ready".into(), &false.into())
    );
    let reason = state["reasons"][0].as_str().expect("a reason").to_owned();
    assert!(
        reason.starts_with(&format!(
            "The application at 127.0.0.1:{port} could not be reached: "
        )),
        "{reason}"
    );
    assert_eq!(paceline.admin_json("/livez")["status"], "alive");
    let origin = Origin::start_at(port, |_, peer: &mut Peer| peer.respond(200, &[], b"back"));
    // Until the application's return is noticed.
    wait_until(SOON, || ready().status == 200);
    drop(origin);
}

#[test]
fn leaving_is_not_ready_first_and_open_requests_are_finished() {
    let (arrived, arrivals) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let origin = Origin::start(move |request: &Request, peer: &mut Peer| {
        if request.path == "/slow" {
            arrived.send(()).expect("the test waits");
            released
                .lock()
                .expect("one at a time")
                .recv()
                .expect("a release");
        }
        peer.respond(200, &[], b"done")
    });
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .args(["--set", "drain_delay=300ms", "--set", "drain_timeout=20s"])
        .start();
    let url = format!("{}/slow", paceline.http_url());
    let slow = thread::spawn(move || http::get(&url));
    arrivals
        .recv_timeout(Duration::from_secs(10))
        .expect("the slow request arrives");
    paceline.process().signal(Signal::Terminate);
    let readyz = format!("{}/readyz", paceline.admin_url());
    // Until it is not ready any more.
    wait_until(SOON, || http::get(&readyz).status == 503);
    let state = http::get(&readyz).json();
    assert_eq!(
        (&state["status"], &state["reasons"][0]),
        (&"draining".into(), &"The process is leaving.".into())
    );
    let refused = || http::try_get(&format!("{}/", paceline.http_url())).is_err();
    // Until no connection is accepted any more.
    wait_until(SOON, refused);
    assert_eq!(
        http::get(&readyz).status,
        503,
        "the admin port outlasts the halves"
    );
    release.send(()).expect("the origin waits");
    let answer = slow.join().expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    let status = paceline
        .process()
        .wait(Duration::from_secs(10))
        .expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", paceline.log());
    assert!(
        paceline
            .log()
            .contains("All connections came to their end."),
        "{}",
        paceline.log()
    );
}

#[test]
fn a_log_that_nobody_reads_does_not_end_the_process() {
    let origin = application();
    let port = paceline_testkit::free_port().expect("a free port");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = Paceline::command()
        .args([
            "run",
            "--upstream",
            &origin.url(""),
            "--listen",
            "127.0.0.1:0",
        ])
        .args([
            "--admin-listen",
            &format!("127.0.0.1:{port}"),
            "--log-level",
            "trace",
        ])
        .stderr(writer)
        .spawn();
    let mut child = Ended(child.expect("the binary starts"));
    let livez = format!("http://127.0.0.1:{port}/livez");
    // Until it serves.
    wait_until(SOON, || {
        http::try_get(&livez).is_ok_and(|answer| answer.status == 200)
    });
    assert_eq!(http::get(&livez).json()["status"], "alive");
    assert_eq!(child.0.try_wait().expect("a child"), None);
}

/// A child that does not outlive its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_done_with_a_pool_is_counted_for_it() {
    let server = postgres();
    let config = format!("[postgres]\nurl = \"{}\"\n", server.url("postgres"));
    let paceline = Paceline::start(&config);
    let login = |database: &str| RawPg::login(paceline.pg_port(), "postgres", None, database);
    let mut client = login("postgres");
    client.send(&frame::parse("s", "SELECT $1::text", &[]));
    client.send(&frame::sync());
    client.read_until_ready();
    let execute = |client: &mut RawPg| {
        client.send(&frame::bind("", "s", &[Some("x")]));
        client.send(&frame::execute("", 0));
        client.send(&frame::sync());
        client.read_until_ready();
    };
    (0..3).for_each(|_| execute(&mut client));
    client.query("SELECT 1/0");
    client.query("SELECT 1/0");
    client.query("SELECT * FROM nowhere");
    client.query("DO $$BEGIN RAISE SQLSTATE 'ZZ001'; END$$");
    // Nobody knows what the block has done: the connection was made as new.
    execute(&mut client);
    client.query("CREATE TEMPORARY TABLE t (a int)");
    let page = || http::get(&format!("{}/metrics", paceline.admin_url())).text();
    let pool = "database=\"postgres\",user=\"postgres\"";
    let value = |page: &str, name: &str, label: &str| -> Option<u64> {
        let series = format!("{name}{{{pool}{label}}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&series))?;
        Some(line.parse().expect("a whole number"))
    };
    let temporary = || {
        let label = ",reason=\"temporary\"";
        value(&page(), "paceline_pool_connections_pinned_by", label)
    };
    // The server is asked for it when the statement has ended.
    wait_until(SOON, || temporary() == Some(1));
    let now = page();
    let rows: &[(&str, &str, Option<u64>)] = &[
        ("paceline_pool_queries_total", "", Some(9)),
        // That of the Parse, too.
        ("paceline_pool_transactions_total", "", Some(10)),
        ("paceline_pool_prepared_hits_total", "", Some(3)),
        ("paceline_pool_prepared_misses_total", "", Some(2)),
        (
            "paceline_pool_errors_total",
            ",sqlstate_class=\"22\"",
            Some(2),
        ),
        (
            "paceline_pool_errors_total",
            ",sqlstate_class=\"42\"",
            Some(1),
        ),
        (
            "paceline_pool_errors_total",
            ",sqlstate_class=\"other\"",
            Some(1),
        ),
        ("paceline_pool_errors_total", ",sqlstate_class=\"23\"", None),
        ("paceline_pool_pins_total", ",reason=\"temporary\"", Some(1)),
        ("paceline_pool_pins_total", ",reason=\"cursor\"", Some(0)),
    ];
    for (name, label, expected) in rows {
        assert_eq!(value(&now, name, label), *expected, "{name} {label}\n{now}");
    }
    for from in ["clients", "servers"] {
        let label = format!(",from=\"{from}\"");
        let bytes = value(&now, "paceline_pool_received_bytes_total", &label);
        assert!(bytes > Some(100), "{bytes:?} from {from}");
    }
    let port =
        client.value("SELECT client_port FROM pg_stat_activity WHERE pid = pg_backend_pid()");
    let mut console = login("paceline");
    let servers = console.rows("SHOW SERVERS");
    let cell = |index: usize| servers[0][index].as_deref();
    assert_eq!((cell(7), cell(8)), (Some("127.0.0.1"), Some(&*port)));
    assert_eq!(cell(19), Some("1"), "prepared statements: {servers:?}");
    let stats = console.rows("SHOW STATS_TOTALS").remove(0);
    let counts: Vec<_> = stats[9..12].iter().map(Option::as_deref).collect();
    assert_eq!(counts, [Some("1"), Some("2"), Some("4")], "{stats:?}");
    client.query("DROP TABLE t");
    wait_until(SOON, || temporary() == Some(0));
}
