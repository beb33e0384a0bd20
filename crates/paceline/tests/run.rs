//! The whole of it: the real binary between real clients, a real API and a real database.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use paceline_testkit::origin::Origin;
use paceline_testkit::{
    ChildProcess, Paceline, PrivatePostgres, RawPg, Signal, built_binary, free_port, http,
    postgres, psql, run_to_end, wait_for, wait_until,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// A page of the list takes one statement, and three more for each of its twenty jobs.
const LIST_STATEMENTS: usize = 61;
const JOB_STATEMENTS: usize = 5;

/// The job board behind Paceline, both halves on, and beside it the same directly on the database.
struct Board {
    server: PrivatePostgres,
    paceline: Paceline,
    _behind: ChildProcess,
    direct: String,
    _beside: ChildProcess,
    _logs: tempfile::TempDir,
}

impl Board {
    fn start(options: &[&str]) -> Board {
        let server = postgres();
        let database = server.url("postgres");
        let mut seed = Command::new(built_binary("jobboard"));
        let seeded = run_to_end(
            seed.args(["seed", &database, "--jobs", "2000"]),
            PATIENCE * 2,
        );
        assert_eq!(seeded.code, Some(0), "{}", seeded.stderr);
        let logs = tempfile::tempdir().unwrap();
        // The API's address and Paceline's are each other's configuration.
        let port = free_port().unwrap();
        let paceline = Paceline::launch()
            .upstream(&format!("http://127.0.0.1:{port}"))
            .database(&database)
            .args(options.iter().copied())
            .without_backends()
            .start();
        let behind = api(
            port,
            &paceline.pg_url("postgres", "postgres"),
            &logs.path().join("a"),
        );
        wait_until(PATIENCE, || {
            assert!(behind.exit_status().is_none(), "{}", behind.log_tail(20));
            http::try_get(&format!("{}/readyz", paceline.admin_url()))
                .is_ok_and(|response| response.status == 200)
        });
        let beside = api(0, &database, &logs.path().join("b"));
        let direct = wait_for(PATIENCE, || {
            Some(beside.log_tail(1).strip_prefix("listening on ")?.to_owned())
        });
        Board {
            server,
            paceline,
            _behind: behind,
            direct,
            _beside: beside,
            _logs: logs,
        }
    }

    fn get(&self, path: &str) -> http::Response {
        let response = http::get(&format!("{}{path}", self.paceline.http_url()));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response
    }

    /// The finished requests of a route, each with its statements.
    fn requests(&self, route: &str) -> Vec<Value> {
        let all = self.paceline.admin_json("/api/v1/requests?limit=1000");
        let ids = all["requests"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|request| request["route"] == route && !request["duration_ms"].is_null());
        ids.map(|request| {
            let id = request["id"].as_str().unwrap();
            self.paceline.admin_json(&format!("/api/v1/requests/{id}"))
        })
        .collect()
    }

    /// Waits until so many requests of a route are on record: a record is closed after the client
    /// has its answer.
    fn wait_for_requests(&self, route: &str, count: usize) -> Vec<Value> {
        wait_for(PATIENCE, || {
            Some(self.requests(route)).filter(|requests| requests.len() == count)
        })
    }
}

fn api(port: u16, database: &str, log: &std::path::Path) -> ChildProcess {
    let mut command = Command::new(built_binary("jobboard"));
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
    ChildProcess::spawn(command.env("DATABASE_URL", database), log).unwrap()
}

/// Asserts that a request was charged with exactly so many statements, each of them by its tag.
fn assert_exact(request: &Value, statements: usize) {
    let list = request["statement_list"].as_array().unwrap();
    assert_eq!(list.len(), statements, "{request:#}");
    assert_eq!(request["statements"], statements, "{request:#}");
    assert_eq!(request["statements_unlisted"], 0);
    for statement in list {
        assert_eq!(statement["attribution"], "tagged", "{statement}");
        assert_eq!(statement["ending"], "done", "{statement}");
        assert!(statement["duration_ms"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(request["database_ms"], request["database_exact_ms"]);
    assert!(request["database_ms"].as_f64().unwrap() <= request["duration_ms"].as_f64().unwrap());
}

fn each_statement_is_charged_to_its_request(options: &[&str]) {
    let board = Board::start(options);
    let job = board.get("/jobs/17").json();
    let one = board.wait_for_requests("GET /jobs/{id}", 1).remove(0);
    assert_exact(&one, JOB_STATEMENTS);
    let summaries: Vec<&str> = one["statement_list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|statement| statement["summary"].as_str().unwrap())
        .collect();
    let tables = ["jobs", "companies", "locations", "skills", "applications"];
    for (summary, table) in summaries.iter().zip(tables) {
        assert!(
            summary.starts_with("SELECT") && summary.contains(table),
            "{summaries:?}"
        );
    }
    let texts = one["statement_list"].to_string();
    assert!(
        !texts.contains("traceparent"),
        "the comment is no part of the shape: {texts}"
    );
    assert_eq!(one["status"], 200);
    assert_eq!(job["id"], 17);

    // Many at once: each is still charged with its own statements and no other's.
    let board = &board;
    std::thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for round in 0..4 {
                    board.get(&format!("/jobs/{}", 1 + client * 10 + round));
                    board.get(&format!("/jobs?page={}", 1 + client + round));
                }
            });
        }
    });
    for request in board.wait_for_requests("GET /jobs/{id}", 33) {
        assert_exact(&request, JOB_STATEMENTS);
    }
    for request in board.wait_for_requests("GET /jobs", 32) {
        assert_exact(&request, LIST_STATEMENTS);
    }
    let routes = board.paceline.admin_json("/api/v1/routes");
    let list = routes["routes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["route"] == "GET /jobs");
    let list = list.expect("the list is a route of its own");
    assert_eq!(list["exact_share"], 1.0, "{list}");
    assert_eq!(
        list["statements_per_request"], LIST_STATEMENTS as f64,
        "{list}"
    );
}

#[test]
fn each_statement_is_charged_to_its_request_in_fix_mode() {
    each_statement_is_charged_to_its_request(&["--mode", "fix"]);
}

#[test]
fn each_statement_is_charged_to_its_request_in_observe_mode() {
    each_statement_is_charged_to_its_request(&["--mode", "observe"]);
}

#[test]
fn answers_are_those_of_the_application() {
    let board = Board::start(&["--mode", "fix"]);
    let paths = [
        "/jobs",
        "/jobs?page=3&remote=true&salary=50000",
        "/jobs?location=Berlin",
        "/jobs/42",
        "/companies/9",
        "/search?q=engineer",
        "/stats",
        "/export?seniority=lead",
        "/healthz",
        "/jobs/0",
        "/jobs?page=x",
        "/nowhere",
    ];
    // Twice, since the second time meets statements that are prepared already.
    for path in paths.iter().chain(&paths) {
        let direct = http::get(&format!("{}{path}", board.direct));
        let through = http::get(&format!("{}{path}", board.paceline.http_url()));
        assert_eq!(
            (through.status, through.text()),
            (direct.status, direct.text()),
            "{path}"
        );
        for header in ["content-type", "etag", "allow"] {
            assert_eq!(through.header(header), direct.header(header), "{path}");
        }
    }
}

#[test]
fn the_pool_opens_a_few_connections_for_many_requests() {
    let board = Board::start(&["--mode", "fix", "--set", "postgres.pool_size=3"]);
    let sessions = || -> i64 {
        let sql = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'";
        psql(&board.server, &board.server.url("postgres"), sql)
            .parse()
            .unwrap()
    };
    let before = sessions();
    let board_ref = &board;
    std::thread::scope(|scope| {
        for client in 0..6 {
            scope.spawn(move || {
                for round in 0..10 {
                    board_ref.get(&format!("/jobs/{}", 1 + client * 100 + round));
                }
            });
        }
    });
    // Counted by the server itself; one session is the second look's own.
    let opened = sessions() - before - 1;
    assert!(
        (0..=3).contains(&opened),
        "{opened} connections for 60 requests"
    );
    let pools = board.paceline.admin_json("/api/v1/pools");
    let pool = &pools["pools"][0];
    assert!(pool["connections_open"].as_i64().unwrap() <= 3, "{pools}");
    wait_until(PATIENCE, || {
        board.paceline.admin_json("/api/v1/pools")["pools"][0]["connections_used"] == 0
    });
}

#[test]
fn diagnose_finds_the_n_plus_one_where_it_is_and_only_there() {
    let board = Board::start(&["--mode", "observe"]);
    for round in 1..=6 {
        board.get(&format!("/jobs?page={round}"));
        board.get(&format!("/jobs/{}", round * 7));
        board.get(&format!("/companies/{round}"));
        board.get("/search?q=engineer");
    }
    board.wait_for_requests("GET /jobs", 6);
    let findings = board.paceline.admin_json("/api/v1/findings");
    let findings = findings["findings"].as_array().unwrap();
    let of = |rule: &str| -> Vec<&str> {
        let found = findings.iter().filter(|finding| finding["rule"] == rule);
        found
            .map(|finding| finding["subject"]["name"].as_str().unwrap())
            .collect()
    };
    let n_plus_one = of("n-plus-one");
    assert_eq!(
        n_plus_one
            .iter()
            .filter(|route| **route == "GET /jobs")
            .count(),
        3,
        "{findings:#?}"
    );
    assert!(
        n_plus_one.contains(&"GET /companies/{id}"),
        "{n_plus_one:?}"
    );
    assert!(!n_plus_one.contains(&"GET /jobs/{id}") && !n_plus_one.contains(&"GET /search"));
    // A company's page loads the same company again for each of its jobs.
    assert_eq!(
        of("redundant-queries"),
        ["GET /companies/{id}"],
        "{findings:#?}"
    );
    for finding in findings {
        assert!(
            finding["evidence"].is_object() && finding["remedy"]["text"].is_string(),
            "{finding}"
        );
    }

    let mut diagnose = Paceline::command();
    diagnose.args(["diagnose", "--json", "--url", &board.paceline.admin_url()]);
    let ended = run_to_end(&mut diagnose, PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let printed: Value = serde_json::from_str(&ended.stdout).expect("one JSON value on stdout");
    assert_eq!(
        printed["findings"].as_array().map(Vec::len),
        Some(findings.len()),
        "{printed}"
    );
    let mut diagnose = Paceline::command();
    diagnose.args(["diagnose", "--url", &board.paceline.admin_url()]);
    let ended = run_to_end(&mut diagnose, PATIENCE);
    assert!(ended.stdout.contains("GET /jobs"), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("ANY($1)"),
        "the batched statement: {}",
        ended.stdout
    );
}

#[test]
fn each_half_runs_alone() {
    let server = postgres();
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"hello"));
    let gateway = Paceline::launch().upstream(&origin.url("")).start();
    assert_eq!(http::get(&gateway.http_url()).text(), "hello");
    let proxy = Paceline::launch().database(&server.url("postgres")).start();
    assert_eq!(
        psql(
            &server,
            &proxy.pg_url("postgres", "postgres"),
            "SELECT 6 * 7"
        ),
        "42"
    );
}

#[test]
fn it_leaves_when_asked_and_finishes_what_runs() {
    let server = postgres();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let origin = Origin::start(move |_, peer| {
        released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        peer.respond(200, &[], b"slow")
    });
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(&server.url("postgres"))
        .start();
    let mut session = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    session.query("BEGIN");
    let url = paceline.http_url();
    let request = std::thread::spawn(move || http::get(&url).text());
    wait_until(PATIENCE, || origin.requests().len() == 1);
    paceline.process().signal(Signal::Terminate);
    wait_until(PATIENCE, || {
        let status = http::try_get(&format!("{}/readyz", paceline.admin_url()));
        status.is_ok_and(|response| response.status == 503)
    });
    assert_eq!(session.value("SELECT 'still here'"), "still here");
    session.query("COMMIT");
    release.send(()).unwrap();
    assert_eq!(request.join().unwrap(), "slow");
    let status = paceline.process().wait(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", paceline.log());
    assert!(http::try_get(&paceline.http_url()).is_err());
}
