//! Every route, on a small seeded database.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;

use paceline_loadgen::{Route, Scenario};
use paceline_testkit::{PrivatePostgres, http, psql};
use serde_json::{Value, json};
use support::{Api, JOBS, bad_requests, seed, server};

/// One API for all tests of this file; it ends with the process.
fn api() -> &'static Api {
    &started().1
}

fn started() -> &'static (PrivatePostgres, Api) {
    static API: OnceLock<(PrivatePostgres, Api)> = OnceLock::new();
    API.get_or_init(|| {
        let server = server();
        let api = Api::start(&server, "jobboard", &[]);
        (server, api)
    })
}

impl Api {
    fn send(&self, method: &str, path: &str, body: &Value) -> http::Response {
        self.ask(method, path, Some(body))
    }

    fn sql(&self, sql: &str) -> String {
        psql(&started().0, &self.database, sql)
    }
}

fn ids(jobs: &Value) -> Vec<i64> {
    jobs.as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_i64().unwrap())
        .collect()
}

#[test]
fn the_list_is_in_order_and_its_pages_do_not_overlap() {
    let api = api();
    let mut seen = HashSet::new();
    let mut last = (i64::MAX, i64::MAX);
    for page in 1..=3 {
        let answer = api.get(&format!("/jobs?page={page}&salary=40000"));
        assert_eq!(answer["page"], page);
        let jobs = answer["jobs"].as_array().unwrap();
        assert_eq!(jobs.len(), 20);
        for job in jobs {
            let key = (
                job["posted_at"].as_i64().unwrap(),
                job["id"].as_i64().unwrap(),
            );
            assert!(key < last, "not in order");
            assert!(seen.insert(key), "seen on another page");
            last = key;
            assert!(job["salary_min"].as_i64().unwrap() >= 40_000);
            assert_eq!(job["company"]["id"], job["company_id"]);
            assert_eq!(job["location"]["id"], job["location_id"]);
            assert!((3..=6).contains(&job["skills"].as_array().unwrap().len()));
        }
    }
}

#[test]
fn each_filter_filters() {
    let api = api();
    let all_hold = |path: &str, holds: &dyn Fn(&Value) -> bool| {
        let answer = api.get(path);
        let jobs = answer["jobs"].as_array().unwrap();
        assert!(
            !jobs.is_empty() && jobs.iter().all(holds),
            "{path}: {jobs:?}"
        );
    };
    all_hold("/jobs?seniority=lead", &|job| job["seniority"] == "lead");
    all_hold("/jobs?remote=true", &|job| job["remote"] == true);
    all_hold("/jobs?location=Berlin", &|job| {
        job["location"]["city"] == "Berlin"
    });
    all_hold("/jobs?location=Berlin&remote=false&salary=31000", &|job| {
        job["location"]["city"] == "Berlin" && job["remote"] == false
    });
    assert_eq!(api.get("/jobs?location=Atlantis")["jobs"], json!([]));
    assert_eq!(api.get("/jobs?page=9999")["jobs"], json!([]));
}

#[test]
fn one_job_and_its_company() {
    let api = api();
    let job = api.get("/jobs/17");
    assert_eq!(job["id"], 17);
    assert!(job["applications"].is_i64());
    let company = api.get(&format!("/companies/{}", job["company_id"]));
    assert_eq!(company["name"], job["company"]["name"]);
    assert!(ids(&company["jobs"]).contains(&17));
    let count = api.sql(&format!(
        "SELECT count(*) FROM jobs WHERE company_id = {}",
        job["company_id"]
    ));
    assert_eq!(ids(&company["jobs"]).len().to_string(), count);
}

#[test]
fn search_takes_its_terms_literally() {
    let api = api();
    let hits = api.get("/search?q=security");
    assert!(!hits.as_array().unwrap().is_empty());
    for hit in hits.as_array().unwrap() {
        assert!(hit["title"].as_str().unwrap().contains("Security"));
    }
    assert_eq!(api.get("/search?q=%25%25%25"), json!([]));
    assert_eq!(api.get("/search?q=__"), json!([]));
}

#[test]
fn stats_add_up() {
    let stats = api().get("/stats");
    let parts: Vec<i64> = stats["by_seniority"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["jobs"].as_i64().unwrap())
        .collect();
    assert_eq!(parts.len(), 5);
    assert_eq!(parts.iter().sum::<i64>(), stats["jobs"].as_i64().unwrap());
    assert!(stats["jobs"].as_i64().unwrap() >= JOBS);
    assert_eq!(stats["top_locations"].as_array().unwrap().len(), 10);
}

#[test]
fn the_export_is_csv_with_a_tag() {
    let url = format!("{}/export?seniority=lead", api().url);
    let export = http::get(&url);
    assert_eq!(
        export.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    assert_eq!(export.header("etag").map(str::len), Some(66));
    let text = export.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "id,title,company,seniority,remote,salary_min,salary_max"
    );
    assert!((100..=501).contains(&lines.len()), "{}", lines.len());
    assert!(lines[1..].iter().all(|line| line.contains(",lead,")));
    assert_eq!(
        lines[1].matches('"').count(),
        2,
        "titles have a comma: {}",
        lines[1]
    );
    assert_eq!(http::get(&url).header("etag"), export.header("etag"));
}

#[test]
fn create_then_update_then_apply() {
    let api = api();
    let new = json!({
        "company_id": 3, "location_id": 4, "title": "Lamplighter", "description": "At dusk.",
        "seniority": "mid", "remote": true, "salary_min": 1, "salary_max": 2, "skills": [5, 9, 5],
    });
    let created = api.send("POST", "/jobs", &new);
    assert_eq!(created.status, 201, "{}", created.text());
    let job = created.json();
    assert_eq!(ids(&job["skills"]).len(), 2);
    let path = format!("/jobs/{}", job["id"]);
    assert_eq!(api.get(&path)["title"], "Lamplighter");

    let updated = api.send(
        "PATCH",
        &path,
        &json!({ "salary_max": 30_000, "remote": false }),
    );
    assert_eq!(updated.status, 200, "{}", updated.text());
    let after = api.get(&path);
    assert_eq!(
        (&after["salary_max"], &after["remote"]),
        (&json!(30_000), &json!(false))
    );
    assert_eq!(
        (&after["title"], &after["salary_min"]),
        (&json!("Lamplighter"), &json!(1))
    );

    let person = json!({ "name": "Ada", "email": "ada@new.example", "password": "secret" });
    let first = api.send("POST", &format!("{path}/applications"), &person);
    assert_eq!(first.status, 201, "{}", first.text());
    let second = api
        .send("POST", &format!("{path}/applications"), &person)
        .json();
    assert_eq!(
        first.json()["user_id"],
        second["user_id"],
        "the account is made once"
    );
    assert_eq!(api.get(&path)["applications"], 2);
    let hash = api.sql("SELECT length(password_hash) FROM users WHERE email = 'ada@new.example'");
    assert_eq!(hash, "64");
}

#[test]
fn bad_requests_are_refused_as_json() {
    let api = api();
    for (method, path, body, status) in bad_requests() {
        let response = api.ask(method, path, body.as_ref());
        assert_eq!(
            response.status,
            status,
            "{method} {path}: {}",
            response.text()
        );
        assert!(response.json()["error"].is_string(), "{method} {path}");
    }
    assert_eq!(
        api.sql("SELECT count(*) FROM jobs WHERE title = 'rolled back'"),
        "0"
    );
    assert_eq!(http::get(&format!("{}/healthz", api.url)).text(), "ok\n");
}

#[test]
fn statements_bear_the_trace_of_their_request() {
    let api = api();
    let trace = "00-c0ffee00c0ffee00c0ffee00c0ffee00-00f067aa0ba902b7-01";
    let get = |header: &str| {
        let url = format!("{}/jobs/23", api.url);
        assert_eq!(
            http::request("GET", &url, &[("traceparent", header)], b"").status,
            200
        );
    };
    get(trace);
    get("*/ DROP TABLE jobs; --");
    let log = std::fs::read_to_string(started().0.log_path()).unwrap();
    let comment = format!("/*traceparent='{trace}'*/");
    let tagged: Vec<&str> = log.lines().filter(|line| line.contains(&comment)).collect();
    assert_eq!(tagged.len(), 5, "one job takes five statements: {tagged:?}");
    assert!(tagged.iter().all(|line| line.ends_with(&comment)));
    assert!(!log.contains("DROP TABLE jobs"));
}

#[test]
fn seeding_is_deterministic_and_careful() {
    let server = paceline_testkit::postgres();
    let other = api();
    let url = server.url("postgres");
    assert!(seed(&url, &[]).status.success());
    let again = seed(&url, &[]);
    assert_eq!(again.status.code(), Some(2));
    let complaint = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(complaint.contains("--replace"), "{complaint}");
    assert!(seed(&url, &["--replace"]).status.success());
    for table in ["companies", "locations", "skills", "job_skills", "jobs"] {
        // The other database's jobs beyond the seeded ones were created by other tests.
        let column = match table {
            "job_skills" => "job_id",
            _ => "id",
        };
        let sql = format!(
            "SELECT count(*), md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t \
             WHERE {column} <= {JOBS}"
        );
        let digest = psql(&server, &url, &sql);
        assert_eq!(digest, other.sql(&sql), "{table}");
        assert!(!digest.starts_with("0|"), "{table}");
    }
    let next = "SELECT nextval(pg_get_serial_sequence('jobs', 'id'))";
    assert_eq!(psql(&server, &url, next), (JOBS + 1).to_string());
}

#[test]
fn faults_name_what_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(folder.join("FAULTS.md")).unwrap();
    let scenario = std::fs::read_to_string(folder.join("scenario.toml")).unwrap();
    let scenario = Scenario::from_toml(&scenario).unwrap();
    let rows: Vec<(&str, &str)> = text
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    assert!(rows.len() > 20, "{rows:?}");
    for (place, rule) in rows {
        let place = place.trim_matches('`');
        let is_route = scenario.routes().iter().any(|route| route.name() == place);
        let is_column = || {
            let (table, column) = place.split_once('.').unwrap_or((place, ""));
            let sql = format!(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('{table}') \
                 AND attname = '{column}'"
            );
            api().sql(&sql) == "1"
        };
        assert!(place == "every route" || is_route || is_column(), "{place}");
        let is_name = rule
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '-');
        assert!(is_name || rule == "–", "{rule}");
    }
}

#[test]
fn the_scenario_asks_only_for_what_exists() {
    let api = api();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.toml");
    let scenario = Scenario::from_toml(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        scenario.routes().iter().map(Route::weight).sum::<f64>(),
        100.0
    );
    let mut sampler = scenario.sampler(1);
    for (index, route) in scenario.routes().iter().enumerate() {
        let sample = sampler.sample_of(index);
        let headers: Vec<(&str, &str)> = sample
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let url = format!("{}{}", api.url, sample.path);
        let answer = http::request(sample.method.as_str(), &url, &headers, &sample.body);
        // The numbers are for a larger database than this one.
        let is_beyond_this_database = answer.status == 404
            && ["job not found", "company not found"]
                .iter()
                .any(|message| answer.json()["error"] == *message);
        assert!(
            answer.status < 300 || is_beyond_this_database,
            "{}: {} {}",
            route.name(),
            answer.status,
            answer.text()
        );
    }
}
