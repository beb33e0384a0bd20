//! The faults that were planted in the job board are found, where a rule is there to find them, and on the same API written
//! well nothing is serious. The rules never read the list; this test does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use paceline_loadgen::Scenario;
use paceline_testkit::{
    ChildProcess, Paceline, PrivatePostgres, built_binary, free_port, http, options, psql,
    run_to_end, wait_for,
};
use serde_json::Value;

/// Enough for every rule to have seen what it asks for.
const REQUESTS: usize = 400;
const SELDOM: usize = 20;
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(120);
/// Pages that people never come to.
const CRAWLED: [u32; 5] = [100, 200, 300, 400, 500];

/// Rules that look at the database say which table it is, not by which route.
const NAMED_BY_TABLE: [&str; 1] = ["sequential-scans"];

/// Faults that their rule does not find. The list only shrinks.
const NOT_FOUND: [(&str, &str); 3] = [
    // Three skills in the scenario; a loop counts from five on (`journal.repeat_min`).
    ("POST /jobs", "n-plus-one-writes"),
    // Twenty descriptions of 126 bytes are less than the rule counts.
    ("GET /search", "select-star"),
    // A line of 70 bytes for a row of 190: compressed it could hold all of it.
    ("GET /export", "select-star"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/jobboard")
}

/// Where and which rule, of each row of the table.
fn faults() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder().join("FAULTS.md")).expect("FAULTS.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("|---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows
        .map(|row| {
            let mut cells = row.split('|').skip(1);
            let mut cell = || {
                cells
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .trim_matches('`')
                    .to_owned()
            };
            (cell(), cell())
        })
        .collect();
    assert!(rows.len() > 20, "only {} rows", rows.len());
    rows
}

/// The job board behind Paceline in observe mode, after some visitors.
struct House {
    server: PrivatePostgres,
    paceline: Paceline,
    _board: ChildProcess,
}

impl House {
    fn visited(more: &[&str]) -> House {
        let server = PrivatePostgres::start(options()).expect("a server");
        psql(&server, &server.url("postgres"), "CREATE DATABASE jobboard");
        let direct = server.url("jobboard");
        let board = |arguments: &[&str], database: &str| {
            let mut command = Command::new(built_binary("jobboard"));
            command
                .args(arguments)
                .args(more)
                .env("DATABASE_URL", database);
            command
        };
        let seeded = run_to_end(&mut board(&["seed"], &direct), PATIENCE);
        assert_eq!(seeded.code, Some(0), "{}", seeded.stderr);
        let port = free_port().expect("a port");
        let upstream = format!("http://127.0.0.1:{port}");
        let paceline = Paceline::launch()
            .config("mode = \"observe\"")
            .upstream(&upstream)
            .database(&direct)
            .without_backends()
            .start();
        let listen = format!("127.0.0.1:{port}");
        let command = board(
            &["serve", "--listen", &listen],
            &paceline.pg_url("postgres", "jobboard"),
        );
        let log = server.log_path().with_file_name("board.log");
        let board = ChildProcess::spawn(&command, &log).expect("the job board starts");
        wait_for(PATIENCE, || {
            board.log_tail(1).starts_with("listening on ").then_some(())
        });
        let house = House {
            server,
            paceline,
            _board: board,
        };
        house.visit();
        house
    }

    /// One request after the other, so that each statement is known to be its request's.
    fn visit(&self) {
        let text = std::fs::read_to_string(folder().join("scenario.toml")).expect("scenario.toml");
        let scenario = Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{error}"));
        let mut sampler = scenario.sampler(1);
        for _ in 0..REQUESTS {
            let sample = sampler.sample();
            let headers = sample.headers.iter();
            let headers: Vec<(&str, &str)> = headers
                .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
                // As browsers do.
                .chain([("accept-encoding", "gzip")])
                .collect();
            let url = format!("{}{}", self.paceline.http_url(), sample.path);
            let answer = http::request(sample.method.as_str(), &url, &headers, &sample.body);
            assert!(answer.status < 500, "{url}: {}", answer.text());
        }
        // What is seldom asked for must still be asked for often enough to tell that it repeats.
        for _ in 0..SELDOM {
            http::get(&format!("{}/stats", self.paceline.http_url()));
        }
        for page in CRAWLED {
            let url = format!("{}/jobs?page={page}", self.paceline.http_url());
            let answer = http::get(&url);
            assert_eq!(answer.status, 200, "{url}: {}", answer.text());
        }
    }

    fn report(&self) -> Value {
        let mut command = Paceline::command();
        command
            .args(["diagnose", "--json", "--url", &self.paceline.admin_url()])
            .args(["--database", &self.server.url("jobboard")]);
        let ended = run_to_end(&mut command, PATIENCE);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str(&ended.stdout).expect("JSON")
    }
}

fn findings(report: &Value) -> &[Value] {
    report["findings"].as_array().expect("findings")
}

#[test]
fn what_was_planted_is_found() {
    let house = House::visited(&[]);
    // Some rules compare times, which a busy machine stretches: then once more.
    let mut told = String::new();
    for _ in 0..TRIES {
        match missing_in(&house.report()) {
            Ok(()) => return,
            Err(missing) => told = missing,
        }
        house.visit();
    }
    panic!("{told}");
}

/// What of the planted faults is not in a report.
fn missing_in(report: &Value) -> Result<(), String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let found: BTreeSet<[String; 3]> = findings(report)
        .iter()
        .map(|finding| {
            let of = |key: &str| text(&finding[key]);
            [of("rule"), text(&finding["subject"]["name"]), of("title")]
        })
        .collect();
    let rules: BTreeSet<&str> = paceline_diagnose::rules().map(|rule| rule.name).collect();
    let covered = faults()
        .into_iter()
        .filter(|(_, rule)| rules.contains(&**rule));
    let (mut checked, mut missing) = (0, Vec::new());
    for (place, rule) in covered {
        let is_there = found.iter().any(|[found, subject, title]| {
            let is_place = match place.split_once('.') {
                Some((table, column)) => subject.ends_with(table) && title.contains(column),
                None => *subject == place || place == "every route",
            };
            *found == rule && (is_place || NAMED_BY_TABLE.contains(&&**found))
        });
        checked += 1;
        let is_excused = NOT_FOUND.contains(&(&*place, &*rule));
        if is_there == is_excused {
            missing.push(format!("{rule} at {place}"));
        }
    }
    assert!(checked >= 8, "only {checked} rows have a rule");
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "not found, or found against the list: {missing:#?}\nfound: {found:#?}"
    ))
}

#[test]
fn on_the_same_api_written_well_nothing_is_serious() {
    let report = House::visited(&["--tuned"]).report();
    let serious: Vec<_> = findings(&report)
        .iter()
        .filter(|finding| finding["severity"] == "high")
        .collect();
    assert!(serious.is_empty(), "{serious:#?}");
}
