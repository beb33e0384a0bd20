//! `paceline diagnose --probe`: the job board, whose statements bear no trace comment here, asked one request at a time.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use paceline_testkit::{
    ChildProcess, Ended, Paceline, PrivatePostgres, built_binary, free_port, http, options, psql,
    run_to_end, wait_for,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

const SCENARIO: &str = r#"
[[route]]
path = "/jobs?page={1..5}"

[[route]]
path = "/jobs/{1..1000}"

[[route]]
method = "PATCH"
path = "/jobs/{1..1000}"
headers = { content-type = "application/json" }
body = '{"salary_max": 150000}'
"#;

/// The job board behind Paceline. Between them the trace header is lost, as it is in an application that knows nothing of it.
struct House {
    server: PrivatePostgres,
    paceline: Paceline,
    _board: ChildProcess,
}

impl House {
    fn open() -> House {
        let server = PrivatePostgres::start(options()).expect("a server");
        psql(&server, &server.url("postgres"), "CREATE DATABASE jobboard");
        let direct = server.url("jobboard");
        let board = |arguments: &[&str], database: &str| {
            let mut command = Command::new(built_binary("jobboard"));
            command.args(arguments).env("DATABASE_URL", database);
            command
        };
        let seeded = run_to_end(&mut board(&["seed"], &direct), PATIENCE);
        assert_eq!(seeded.code, Some(0), "{}", seeded.stderr);
        let port = free_port().expect("a port");
        let upstream = forgetful(([127, 0, 0, 1], port).into());
        let paceline = Paceline::launch()
            .config("mode = \"observe\"\n[diagnose]\nreads_database = false")
            .upstream(&format!("http://{upstream}"))
            .database(&direct)
            .without_backends()
            .start();
        let listen = format!("127.0.0.1:{port}");
        let database = paceline.pg_url("postgres", "jobboard");
        let command = board(&["serve", "--listen", &listen], &database);
        let log = server.log_path().with_file_name("board.log");
        let board = ChildProcess::spawn(&command, &log).expect("the job board starts");
        wait_for(PATIENCE, || {
            board.log_tail(1).starts_with("listening on ").then_some(())
        });
        House {
            server,
            paceline,
            _board: board,
        }
    }

    fn probe(&self, scenario: &Path, more: &[&str]) -> Ended {
        let mut command = Paceline::command();
        command
            .args(["diagnose", "--json", "--url", &self.paceline.admin_url()])
            .arg("--probe")
            .arg(scenario)
            .args(more);
        run_to_end(&mut command, PATIENCE)
    }
}

/// Carries bytes to `upstream` and back, and makes another header of `traceparent`.
fn forgetful(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(upstream) else {
                continue;
            };
            let pairs = [
                (client.try_clone(), server.try_clone(), true),
                (Ok(server), Ok(client), false),
            ];
            for (from, to, forgets) in pairs {
                let (from, to) = (from.expect("a socket"), to.expect("a socket"));
                thread::spawn(move || carry(from, to, forgets));
            }
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream, forgets: bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let name = b"traceparent";
        let bytes = &mut buffer[..count];
        let places = bytes.windows(name.len());
        let place = places.enumerate().find(|(_, text)| text == name);
        if let (true, Some((at, _))) = (forgets, place) {
            bytes[at..at + name.len()].copy_from_slice(b"x-forgotten");
        }
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

fn scenario(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file
}

/// Rule and subject of each finding.
fn found(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().expect("findings").iter();
    findings
        .filter_map(|one| Some((one["rule"].as_str()?, one["subject"]["name"].as_str()?)))
        .collect()
}

#[test]
fn a_probe_finds_what_no_trace_comment_tells_and_only_in_its_own_requests() {
    let house = House::open();
    let file = scenario(SCENARIO);
    // Somebody else's traffic before it, on a route that has an N+1 too: not the probe's business.
    for id in 1..20 {
        http::get(&format!("{}/companies/{id}", house.paceline.http_url()));
    }
    let ended = house.probe(file.path(), &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Not sent") && ended.stderr.contains("PATCH /jobs/{1..1000}"),
        "{}",
        ended.stderr
    );
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let all = found(&report);
    assert!(all.contains(&("n-plus-one", "GET /jobs")), "{all:?}");
    assert!(
        all.iter()
            .all(|(_, subject)| !subject.contains("companies")),
        "{all:?}"
    );
    let n_plus_one = report["findings"].as_array().unwrap().iter();
    let mut n_plus_one = n_plus_one.filter(|one| one["subject"]["name"] == "GET /jobs");
    let evidence = n_plus_one.next().map(|one| one["evidence"].clone());
    let evidence = evidence.expect("evidence");
    assert_eq!(evidence["route_requests"], 5, "{evidence}");
    assert_eq!(evidence["exact_share"], 1.0, "{evidence}");
    assert_eq!(report["not_read"].to_string(), "[]");
    let status = house.paceline.admin_json("/api/v1/status");
    assert_eq!(status["journal"]["attributed_total"]["tagged"], 0);

    // With writes, and more often.
    let ended = house.probe(file.path(), &["--allow-writes", "--repeat", "3"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let changed = "SELECT count(*) FROM jobs WHERE salary_max = 150000";
    let changed = psql(&house.server, &house.server.url("jobboard"), changed);
    assert!(
        changed.trim().parse::<u32>().is_ok_and(|count| count >= 1),
        "{changed}"
    );

    // Somebody else comes meanwhile: that is said.
    let stop = Arc::new(AtomicBool::new(false));
    let (url, stopped) = (house.paceline.http_url(), Arc::clone(&stop));
    let other = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            http::get(&format!("{url}/companies/1"));
        }
    });
    let ended = house.probe(file.path(), &["--repeat", "3"]);
    stop.store(true, Ordering::Relaxed);
    other.join().expect("the other one");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let gaps = report["not_read"].to_string();
    assert!(gaps.contains("requests of others came meanwhile"), "{gaps}");
}

#[test]
fn why_there_is_nothing_to_probe_is_one_sentence() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let paceline = Paceline::launch().database(&server.url("postgres")).start();
    let admin = paceline.admin_url();
    let nowhere = format!("http://127.0.0.1:{}", free_port().expect("a port"));
    let good = scenario("[[route]]\npath = \"/\"");
    let writes = scenario("[[route]]\nmethod = \"POST\"\npath = \"/\"");
    let wrong = scenario("[[route]]\npth = \"/\"");
    let rows: [(&Path, &[&str], &str); 5] = [
        (
            good.path(),
            &["--url", &admin],
            "The HTTP half of this instance does not run",
        ),
        (
            good.path(),
            &["--url", &admin, "--target", &nowhere],
            "Connection refused",
        ),
        (
            writes.path(),
            &["--url", &admin],
            "--allow-writes sends the others too",
        ),
        (wrong.path(), &["--url", &admin], "pth"),
        (good.path(), &["--url", &nowhere], "is `paceline run` there"),
    ];
    for (file, args, expected) in rows {
        let mut command = Paceline::command();
        command.arg("diagnose").arg("--probe").arg(file).args(args);
        let ended = run_to_end(&mut command, PATIENCE);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{expected}"
        );
        assert!(
            ended.stderr.contains(expected),
            "{expected}: {}",
            ended.stderr
        );
    }
    // A web page cannot begin one.
    let begun = http::request("POST", &format!("{admin}/api/v1/probe"), &[], b"");
    assert_eq!(begun.status, 403);
}
