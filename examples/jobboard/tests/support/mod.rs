//! A seeded database, and the job board on it.
#![allow(dead_code, reason = "each file of tests uses a part")]

use std::process::{Command, Output};
use std::time::Duration;

use paceline_testkit::{ChildProcess, PrivatePostgres, http, options, psql, wait_for};
use serde_json::{Value, json};

pub(crate) const JOBS: i64 = 2_000;

/// An API on a database of its own.
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) database: String,
    _process: ChildProcess,
}

/// A server that logs statements, so that tests can see the comments on them.
pub(crate) fn server() -> PrivatePostgres {
    let settings = vec![("log_statement".to_owned(), "all".to_owned())];
    PrivatePostgres::start(paceline_testkit::Options {
        settings,
        ..options()
    })
    .unwrap()
}

pub(crate) fn seed(url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobboard"))
        .args(["seed", url, "--jobs", &JOBS.to_string()])
        .args(arguments)
        .output()
        .unwrap()
}

impl Api {
    /// Makes the database, seeds it and serves it; `arguments` go to both commands.
    pub(crate) fn start(server: &PrivatePostgres, name: &str, arguments: &[&str]) -> Api {
        let sql = format!("CREATE DATABASE {name}");
        psql(server, &server.url("postgres"), &sql);
        let database = server.url(name);
        let seeded = seed(&database, arguments);
        assert!(
            seeded.status.success(),
            "{}",
            String::from_utf8_lossy(&seeded.stderr)
        );
        let log = server.log_path().with_file_name(format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobboard"));
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("DATABASE_URL", &database);
        let process = ChildProcess::spawn(&command, &log).unwrap();
        let url = wait_for(Duration::from_secs(20), || {
            Some(
                process
                    .log_tail(1)
                    .strip_prefix("listening on ")?
                    .to_owned(),
            )
        });
        Api {
            url,
            database,
            _process: process,
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> http::Response {
        let url = format!("{}{path}", self.url);
        match body {
            Some(body) => http::send_json(method, &url, body),
            None => http::request(method, &url, &[], b""),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let response = self.ask("GET", path, None);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    }
}

/// What is refused: method, path, body and the status of the answer.
pub(crate) fn bad_requests() -> Vec<(&'static str, &'static str, Option<Value>, u16)> {
    let job = |change: Value| {
        let mut job = json!({
            "company_id": 1, "location_id": 1, "title": "t", "description": "d",
            "seniority": "mid", "salary_min": 1, "salary_max": 2,
        });
        job.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        Some(job)
    };
    let person = json!({ "name": "", "email": "", "password": "" });
    let visitor = json!({ "name": "A", "email": "a@new.example", "password": "p" });
    vec![
        ("GET", "/nowhere", None, 404),
        ("GET", "/jobs/999999999", None, 404),
        ("GET", "/jobs/many", None, 400),
        ("GET", "/jobs/99999999999", None, 400),
        ("GET", "/jobs?page=0", None, 400),
        ("GET", "/jobs?page=x", None, 400),
        ("GET", "/companies/0", None, 404),
        ("GET", "/search", None, 400),
        ("GET", "/search?q=a", None, 400),
        ("DELETE", "/jobs/1", None, 405),
        ("POST", "/jobs", Some(json!({ "title": "alone" })), 400),
        ("POST", "/jobs", job(json!({ "company_id": 999_999 })), 404),
        ("POST", "/jobs", job(json!({ "location_id": 999_999 })), 404),
        ("POST", "/jobs", job(json!({ "seniority": "wizard" })), 400),
        ("POST", "/jobs", job(json!({ "salary_min": 5 })), 400),
        (
            "POST",
            "/jobs",
            job(json!({ "title": "rolled back", "skills": [1, 100_000] })),
            400,
        ),
        ("PATCH", "/jobs/999999999", Some(json!({})), 404),
        (
            "PATCH",
            "/jobs/999999999",
            Some(json!({ "title": " " })),
            404,
        ),
        ("PATCH", "/jobs/1", Some(json!({ "title": " " })), 400),
        (
            "PATCH",
            "/jobs/1",
            Some(json!({ "seniority": "wizard" })),
            400,
        ),
        ("PATCH", "/jobs/1", Some(json!({ "salary_max": 0 })), 400),
        ("PATCH", "/jobs/1", Some(json!({ "salary_min": -1 })), 400),
        (
            "PATCH",
            "/jobs/1",
            Some(json!({ "salary_min": 9_000_000 })),
            400,
        ),
        ("POST", "/jobs/1/applications", Some(person), 400),
        ("POST", "/jobs/999999999/applications", Some(visitor), 404),
    ]
}
