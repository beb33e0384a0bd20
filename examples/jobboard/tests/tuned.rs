//! The job board written well answers as the other does.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use paceline_loadgen::Scenario;
use paceline_testkit::{PrivatePostgres, http, psql};
use serde_json::{Value, json};
use support::{Api, bad_requests, server};

/// As many as a database of this size has.
const COMPANIES: i64 = 100;

/// Both on one server; they end with the process. Tests that write take a pair of their own.
struct Pair {
    server: PrivatePostgres,
    plain: Api,
    tuned: Api,
}

impl Pair {
    fn start() -> Pair {
        let server = server();
        let plain = Api::start(&server, "plain", &[]);
        let tuned = Api::start(&server, "tuned", &["--tuned"]);
        Pair {
            server,
            plain,
            tuned,
        }
    }

    fn shared() -> &'static Pair {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(Pair::start)
    }

    /// Asks both the same, and expects the same of both.
    fn agree(&self, method: &str, path: &str, body: Option<&Value>) -> http::Response {
        let was = self.plain.ask(method, path, body);
        let is = self.tuned.ask(method, path, body);
        let about = format!("{method} {path}: {}", is.text());
        assert_eq!(was.status, is.status, "{about}");
        assert_eq!(comparable(&was), comparable(&is), "{about}");
        is
    }

    /// How many statements a request to the tuned one takes.
    fn statements(&self, path: &str) -> usize {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let trace = format!("00-{number:032x}-00f067aa0ba902b7-01");
        let url = format!("{}{path}", self.tuned.url);
        let answer = http::request("GET", &url, &[("traceparent", &trace)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let log = std::fs::read_to_string(self.server.log_path()).unwrap();
        log.matches(&format!("/*traceparent='{trace}'*/")).count()
    }
}

/// The body, without the moment at which a job was posted if that was just now.
fn comparable(response: &http::Response) -> Value {
    let Ok(mut value) = serde_json::from_slice::<Value>(&response.body) else {
        return response.text().into();
    };
    if response.status == 201
        && let Some(object) = value.as_object_mut()
    {
        object.remove("posted_at");
    }
    value
}

#[test]
fn reads_agree() {
    let pair = Pair::shared();
    for path in [
        "/jobs",
        "/jobs?page=3",
        "/jobs?page=100",
        "/jobs?page=9999",
        "/jobs?seniority=lead&page=2",
        "/jobs?seniority=nobody",
        "/jobs?remote=true&page=4",
        "/jobs?remote=false",
        "/jobs?location=Berlin",
        "/jobs?location=Berlin&remote=true&salary=40000",
        "/jobs?location=Atlantis",
        "/jobs?salary=90000&seniority=intern&remote=false&location=Oslo",
        "/jobs/1",
        "/jobs/17",
        "/jobs/2000",
        "/companies/1",
        "/companies/99",
        "/search?q=security",
        "/search?q=engineer%2C%20pay",
        "/search?q=%25%25%25",
        "/stats",
        "/export",
        "/export?seniority=lead",
        "/export?seniority=nobody",
        "/healthz",
    ] {
        let answer = pair.agree("GET", path, None);
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[test]
fn the_scenario_and_refusals_agree() {
    let pair = Pair::start();
    for (method, path, body, status) in bad_requests() {
        let answer = pair.agree(method, path, body.as_ref());
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.toml");
    let scenario = Scenario::from_toml(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut sampler = scenario.sampler(7);
    for (index, route) in scenario.routes().iter().enumerate() {
        let mut succeeded = 0;
        for _ in 0..20 {
            let sample = sampler.sample_of(index);
            let path = within(&sample.path);
            let mut body = serde_json::from_slice::<Value>(&sample.body).ok();
            if let Some(company) = body.as_mut().and_then(|body| body.get_mut("company_id")) {
                *company = (company.as_i64().unwrap() % COMPANIES + 1).into();
            }
            let method = sample.method.as_str();
            let [was, is] =
                [&pair.plain, &pair.tuned].map(|api| api.ask(method, &path, body.as_ref()));
            let about = format!("{method} {path}: {}", is.text());
            assert_eq!(was.status, is.status, "{about}");
            if route.name() == "POST /jobs" {
                // What was refused above burnt numbers of the one, not of the other.
                assert_eq!(without_id(&was), without_id(&is), "{about}");
            } else {
                assert_eq!(comparable(&was), comparable(&is), "{about}");
            }
            succeeded += u32::from(is.status < 300);
        }
        assert!(succeeded > 0, "{}", route.name());
    }
}

/// The scenario's numbers are for a larger database than this one.
fn within(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.parse::<i64>() {
        Ok(number) => (number % COMPANIES + 1).to_string(),
        Err(_) => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

fn without_id(response: &http::Response) -> Value {
    let mut value = comparable(response);
    if let Some(object) = value.as_object_mut() {
        object.remove("id");
    }
    value
}

#[test]
fn pages_follow_each_other_by_key() {
    let pair = Pair::shared();
    for filter in ["", "&seniority=mid", "&remote=true&salary=50000"] {
        let mut before = String::new();
        for page in 1..=4 {
            let numbered = pair.tuned.get(&format!("/jobs?page={page}{filter}"));
            let keyed = pair.tuned.get(&format!("/jobs?{before}{filter}"));
            assert_eq!(numbered["jobs"], keyed["jobs"], "page {page}{filter}");
            let last = keyed["jobs"].as_array().unwrap().last().unwrap();
            before = format!("before={}", last["id"]);
        }
    }
}

#[test]
fn answers_are_validated_and_compressed() {
    let pair = Pair::shared();
    for path in ["/jobs?page=2", "/export?seniority=mid", "/companies/5"] {
        let url = format!("{}{path}", pair.tuned.url);
        let plain = http::get(&url);
        let tag = plain.header("etag").unwrap().to_owned();
        let again = http::request("GET", &url, &[("if-none-match", &tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        let other = http::request("GET", &url, &[("if-none-match", "W/\"0\"")], b"");
        assert_eq!(other.body, plain.body, "{path}");
        let packed = http::request("GET", &url, &[("accept-encoding", "br, gzip")], b"");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert!(packed.body.len() * 2 < plain.body.len(), "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&packed.body[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, plain.body, "{path}");
    }
}

#[test]
fn few_statements_are_enough() {
    let pair = Pair::shared();
    for (path, statements) in [
        ("/jobs?page=2&seniority=lead", 2),
        ("/jobs/17", 3),
        ("/companies/5", 3),
        ("/search?q=security", 1),
        ("/export", 2),
    ] {
        assert_eq!(pair.statements(path), statements, "{path}");
    }
}

#[test]
fn an_address_gets_one_account_however_many_come_at_once() {
    let pair = Pair::start();
    let url = format!("{}/jobs/5/applications", pair.tuned.url);
    let person = json!({ "name": "Ada", "email": "ada@new.example", "password": "secret" });
    let users: HashSet<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..30)
            .map(|_| scope.spawn(|| http::send_json("POST", &url, &person)))
            .collect();
        let answers = threads.into_iter().map(|thread| thread.join().unwrap());
        answers
            .map(|answer| {
                assert_eq!(answer.status, 201, "{}", answer.text());
                answer.json()["user_id"].as_i64().unwrap()
            })
            .collect()
    });
    assert_eq!(users.len(), 1);
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jobboard' \
               AND datname = 'tuned'";
    let connections: i64 = psql(&pair.server, &pair.tuned.database, sql)
        .parse()
        .unwrap();
    assert!((1..=10).contains(&connections), "{connections}");
}
