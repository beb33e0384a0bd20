//! `paceline demo` on the real programs, with little data and short loads.
#![expect(clippy::unwrap_used, reason = "a test may panic anywhere")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use paceline_testkit::{Browser, built_binary, run_to_end, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);
const POOL_SIZE: u64 = 10;

#[test]
fn the_whole_loop_is_told_as_json() {
    let folder = temporary();
    let mut command = demo(&folder);
    let elsewhere = tempfile::tempdir().unwrap();
    let page = elsewhere.path().join("report.html");
    command.args(["--json", "--seconds", "4", "--jobs", "3000", "--html"]);
    let ended = run_to_end(command.arg(&page), PATIENCE);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    check_page(&fs::read_to_string(&page).unwrap());
    Browser::start().look_everywhere(&page, false);
    let told: Value = serde_json::from_str(&ended.stdout).expect("one JSON object and no more");
    let (before, after) = (&told["before"], &told["after"]);

    for side in [before, after] {
        check_numbers(side);
        assert_eq!(side["error_rate"], 0.0, "{told:#}");
        assert!(side["capacity_rps"].as_f64().unwrap() > 0.0, "{told:#}");
    }
    // The same API written well has what its findings ask for.
    check_numbers(&told["remedied"]);
    assert_eq!(told["remedied"]["error_rate"], 0.0, "{told:#}");
    for side in [before, after, &told["remedied"]] {
        let grade = &side["grade"];
        let next = &grade["next"]["missing"];
        assert!(
            grade["level"].is_string() || next.as_array().is_some_and(|why| !why.is_empty()),
            "{grade:#}"
        );
    }
    // One connection for each request, and then no more than the pool has.
    let sent = before["requests_sent"].as_u64().unwrap();
    let opened = before["connections_opened"].as_u64().unwrap();
    assert!((sent..=sent + 5 + sent / 50).contains(&opened), "{told:#}");
    assert!(
        after["connections_opened"].as_u64().unwrap() <= POOL_SIZE,
        "{told:#}"
    );
    // Counted by the database both times.
    let per_request = |route: &Value| route["statements_per_request"].as_f64().unwrap();

    let routes = told["routes"].as_array().unwrap();
    for route in routes {
        check_numbers(&route["before"]);
        check_numbers(&route["after"]);
    }
    let route = |name: &str| routes.iter().find(|r| r["route"] == name).expect(name);
    assert!(
        per_request(&route("GET /jobs")["before"]) > 20.0,
        "{told:#}"
    );
    assert!(
        per_request(&route("GET /jobs")["remedied"]) < 5.0,
        "{told:#}"
    );
    assert!(
        per_request(&route("GET /jobs/{id}")["before"]) < 20.0,
        "{told:#}"
    );

    let findings = told["findings"].as_array().unwrap();
    let n_plus_one = |route: &str| {
        findings
            .iter()
            .find(|f| f["rule"] == "n-plus-one" && f["subject"]["name"] == route)
    };
    let found = n_plus_one("GET /jobs").expect("the N+1 of the list");
    assert!(
        found["severity"].is_string() && found["remedy"]["text"].is_string(),
        "{found:#}"
    );
    assert!(
        !found["evidence"].as_object().unwrap().is_empty(),
        "{found:#}"
    );
    assert_eq!(n_plus_one("GET /jobs/{id}"), None);

    assert!(
        told["answers"]["compared"].as_u64().unwrap() >= 60,
        "{told:#}"
    );
    assert_eq!(
        told["answers"]["different"],
        Value::Array(Vec::new()),
        "{told:#}"
    );
    assert!(
        told["verdict"].as_str().unwrap().contains("connections"),
        "{told:#}"
    );
    nothing_is_left(&folder);
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let moments = [
        ("[1/7]", Signal::TERM),
        ("[2/7]", Signal::INT),
        ("[3/7]", Signal::INT),
        ("[4/7]", Signal::TERM),
    ];
    for (moment, signal) in moments {
        let folder = temporary();
        let mut command = demo(&folder);
        command.args(["--seconds", "3", "--jobs", "2000"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = read_until(&mut child, moment);
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).unwrap();
        let status = end_of(&mut child);
        assert_eq!(
            status.code(),
            Some(128 + signal.as_raw()),
            "{moment}: {said}"
        );
        nothing_is_left(&folder);
    }
}

#[test]
fn what_is_kept_is_gone_after_ctrl_c() {
    let folder = temporary();
    let mut command = demo(&folder);
    command.args(["--keep", "--seconds", "2", "--jobs", "2000"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = read_until(&mut child, "SQL directly");
    let through = said
        .lines()
        .find(|line| line.contains("HTTP through Paceline"))
        .unwrap();
    let url = through.split_whitespace().last().unwrap();
    let answer = paceline_testkit::http::get(&format!("{url}/jobs/1"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    end_of(&mut child);
    nothing_is_left(&folder);
}

#[test]
fn without_the_sample_api_it_says_how_to_build_it() {
    let folder = temporary();
    let lonely = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let binary = lonely.path().join("paceline");
    fs::hard_link(built_binary("paceline"), &binary).unwrap();
    let mut command = Command::new(binary);
    let ended = run_to_end(command.arg("demo").env("TMPDIR", folder.path()), PATIENCE);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("cargo build -p jobboard"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
    nothing_is_left(&folder);
}

/// The report says what was measured and found, and how. (What it looks like is tested in `crates/report`.)
fn check_page(page: &str) {
    for part in [
        "<h2 id=\"measured-1-h\">Before and after</h2>",
        "<h3 id=\"measured-1-all-h\">All routes</h3>",
        "GET /jobs/{id}",
        "database connections opened",
        "What is missing for",
        "GET /jobs executes",
        "What watching costs",
        "What the remedies gain",
        "<dt>Gained</dt>",
        "with the remedies",
        "--seconds 4 --jobs 3000 --html",
        "seed 20",
        "answers compared with direct ones: all the same",
        "What was not measured",
    ] {
        assert!(page.contains(part), "{part} is not in:\n{page}");
    }
    // A plot for each route and three for the whole at least; each has numbers to read instead.
    assert!(
        page.matches("<svg").count() >= 6 && !page.contains("NaN"),
        "{page}"
    );
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

fn check_numbers(numbers: &Value) {
    let keys = [
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "requests_per_s",
        "error_rate",
        "statements_per_request",
    ];
    for key in keys {
        // A route that was drawn for no request has no latency.
        let silent = numbers["requests"] == 0 && key.ends_with("_ms");
        assert!(
            numbers[key].is_f64() || (silent && numbers[key].is_null()),
            "{key}: {numbers:#}"
        );
    }
}

/// A folder for all that the demo makes, which its unprivileged Postgres can reach.
fn temporary() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn demo(folder: &TempDir) -> Command {
    // Cargo builds it for other tests, but not for this crate's.
    built_binary("jobboard");
    let mut command = Command::new(built_binary("paceline"));
    command
        .arg("demo")
        .env("TMPDIR", folder.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// What the demo says until this, which it must say.
fn read_until(child: &mut Child, part: &str) -> String {
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    while !said.contains(part) {
        assert_ne!(
            stderr.read_line(&mut said).unwrap(),
            0,
            "it ended before {part}: {said}"
        );
    }
    // Somebody must go on reading, or its next line would break.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    said
}

fn end_of(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it did not end after the signal");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// No file in its folder, and no process that was told of it.
fn nothing_is_left(folder: &TempDir) {
    let files: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert!(files.is_empty(), "{files:?}");
    // What was sent a signal may take a moment to be reaped by whoever inherits it.
    wait_until(Duration::from_secs(20), || {
        processes_of(folder.path()).is_empty()
    });
}

fn processes_of(folder: &Path) -> Vec<String> {
    let needle = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        if read("cmdline").contains(needle) || read("environ").contains(needle) {
            found.push(read("cmdline"));
        }
    }
    found
}
