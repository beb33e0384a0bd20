//! The sample shop: both variants serve every route of its scenario, and answer the same where `FAULTS.md` says so.
//! `scripts/setup --tests` has installed its packages.

#[path = "shop/database.rs"]
mod database;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use paceline_loadgen::{Route, Sample, Scenario};
use paceline_testkit::{
    ChildProcess, Paceline, PrivatePostgres, free_port, http, options, psql, run_to_end,
    target_folder, wait_for,
};
use serde_json::Value;

/// How often each route is asked.
const SAMPLES: usize = 5;
/// How often when Paceline watches.
const WATCHED: usize = 7;
/// How often what only reads: enough to see what repeats.
const READ: usize = 25;
/// How long Python may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop")
}

/// `python -m shop`, by the interpreter that has its packages.
fn shop(arguments: &[&str]) -> Command {
    let target = target_folder();
    let python = target
        .parent()
        .expect("a folder above")
        .join("shop/bin/python");
    assert!(
        python.is_file(),
        "{} is missing; scripts/setup --tests installs it",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .args(["-m", "shop"])
        .args(arguments)
        .current_dir(folder())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn seed(url: &str, more: &[&str]) {
    // What comes later wins.
    let arguments = [&["seed", "--scale", "small", "--database", url], more].concat();
    let output = shop(&arguments).output().expect("Python runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The shop, on a database.
struct Variant {
    url: String,
    database: String,
    process: ChildProcess,
}

/// Both variants on one server, which logs statements. They end with the process.
struct Pair {
    server: PrivatePostgres,
    plain: Variant,
    tuned: Variant,
}

impl Pair {
    fn start() -> Pair {
        let settings = vec![("log_statement".to_owned(), "all".to_owned())];
        let server = PrivatePostgres::start(paceline_testkit::Options {
            settings,
            ..options()
        })
        .expect("a server");
        let plain = Variant::seeded(&server, "plain", &[]);
        let tuned = Variant::seeded(&server, "tuned", &["--tuned"]);
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
}

impl Variant {
    fn seeded(server: &PrivatePostgres, name: &str, more: &[&str]) -> Variant {
        make_database(server, name, more);
        Variant::serve(server, name, &server.url(name), "127.0.0.1:0", more)
    }

    fn serve(
        server: &PrivatePostgres,
        name: &str,
        database: &str,
        listen: &str,
        more: &[&str],
    ) -> Variant {
        let log = server
            .log_path()
            .with_file_name(format!("{name}{}.log", more.concat()));
        let known = ["serve", "--listen", listen, "--database", database];
        let command = shop(&[&known, more].concat());
        let process = ChildProcess::spawn(&command, &log).expect("the shop starts");
        let url = wait_for(PATIENCE, || {
            let said = process.log_tail(1);
            Some(said.strip_prefix("listening on ")?.to_owned())
        });
        Variant {
            url,
            database: database.to_owned(),
            process,
        }
    }

    fn ask(&self, sample: &Sample) -> http::Response {
        ask(&self.url, sample)
    }
}

fn make_database(server: &PrivatePostgres, name: &str, more: &[&str]) {
    let sql = format!("CREATE DATABASE {name}");
    psql(server, &server.url("postgres"), &sql);
    seed(&server.url(name), more);
}

/// Compressed answers could not be compared.
fn ask(url: &str, sample: &Sample) -> http::Response {
    let mut sample = sample.clone();
    sample.headers.remove("accept-encoding");
    visit(url, &sample)
}

/// As visitors ask.
fn visit(url: &str, sample: &Sample) -> http::Response {
    let headers: Vec<(&str, &str)> = sample
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
        .collect();
    let url = format!("{url}{}", sample.path);
    http::request(sample.method.as_str(), &url, &headers, &sample.body)
}

/// What `paceline diagnose --json` says after each route was asked some times, one request after the other, through Paceline in
/// observe mode.
fn findings(server: &PrivatePostgres, name: &str, more: &[&str]) -> Vec<Value> {
    make_database(server, name, more);
    let listen = format!("127.0.0.1:{}", free_port().expect("a port"));
    let scenario = scenario();
    // Nobody can tell from `/categories/lamps/brands` that `lamps` is a value.
    let routes: BTreeSet<&str> = scenario
        .routes()
        .iter()
        .filter_map(|route| Some(template(route).split_once(' ')?.1))
        .collect();
    let paceline = Paceline::launch()
        .config(&format!(
            "mode = \"observe\"\n[journal]\nroutes = {:?}",
            Vec::from_iter(routes)
        ))
        .upstream(&format!("http://{listen}"))
        .database(&server.url(name))
        .without_backends()
        .start();
    let through = paceline.pg_url("postgres", name);
    let _shop = Variant::serve(server, name, &through, &listen, more);
    let mut sampler = scenario.sampler(1);
    for (index, route) in scenario.routes().iter().enumerate() {
        // Some faults show in some of the answers only.
        let times = match route.name() {
            name if name.contains("similar") => 40,
            // Twenty answers that repeat.
            "GET /shipping" => 60,
            name if name.starts_with("GET") => READ,
            _ => WATCHED,
        };
        for _ in 0..times {
            visit(&paceline.http_url(), &sampler.sample_of(index));
        }
    }
    let mut command = Paceline::command();
    command.args(["diagnose", "--json", "--url", &paceline.admin_url()]);
    let ended = run_to_end(&mut command, PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    report["findings"].as_array().expect("findings").clone()
}

/// Faults of the traffic that their rule does not find. The list only shrinks.
const NOT_FOUND: [(&str, &str); 12] = [
    // Here there are 500 customers and 600 products: fewer rows than these rules ask for.
    ("GET /customers/by-email", "function-on-indexed-column"),
    ("GET /products", "deep-offset"),
    ("GET /search", "leading-wildcard"),
    // A few hits, less than the rule counts.
    ("GET /search", "select-star"),
    // Some twenty products of a brand, and dozens of reviews: less than the rule calls long.
    ("GET /feed", "unpaginated-list"),
    ("GET /products/{id}/reviews", "unpaginated-list"),
    // Three times; the journal compares from five on (`journal.repeat_min`).
    ("GET /products/{id}", "redundant-queries"),
    // A hundred kilobytes: less than the rule calls heavy.
    ("GET /feed", "overweight-answer"),
    // Told as should-be-a-job, the rule for what writes.
    ("POST /orders", "slow-outside-call"),
    // Many calls, each of them short.
    ("POST /brands/{code}/reprice", "should-be-a-job"),
    // The rule speaks of the statement, not of the route.
    ("GET /products/{id}/reviews", "unbounded-result"),
    ("GET /reports/largest-orders", "unbounded-result"),
];

#[test]
fn what_was_planted_in_the_traffic_is_found() {
    let Pair { server, .. } = Pair::shared();
    let found = findings(server, "watched", &[]);
    let found: HashSet<(&str, &str)> = found
        .iter()
        .map(|finding| (&finding["rule"], &finding["subject"]["name"]))
        .map(|(rule, subject)| {
            (
                rule.as_str().expect("text"),
                subject.as_str().expect("text"),
            )
        })
        .collect();
    let rules: HashSet<&str> = paceline_diagnose::rules()
        .filter(|rule| rule.sees_traffic())
        .map(|rule| rule.name)
        .collect();
    let (mut checked, mut missing) = (0, Vec::new());
    for [place, rule, seen, _] in faults() {
        if seen != "traffic" || !rules.contains(&*rule) {
            continue;
        }
        checked += 1;
        let is_there = found.iter().any(|(found, subject)| {
            *found == rule && (place == "every route" || *subject == place)
        });
        let is_excused = NOT_FOUND.contains(&(&*place, &*rule));
        if is_there == is_excused {
            missing.push(format!("{rule} at {place}"));
        }
    }
    assert!(checked >= 10, "only {checked} rows have a rule");
    for [place, rule] in near_misses() {
        assert!(!found.contains(&(&*rule, &*place)), "{rule} at {place}");
    }
    assert!(
        missing.is_empty(),
        "not found, or found against the list: {missing:#?}\nfound: {found:#?}"
    );
}

#[test]
fn written_well_nothing_in_the_traffic_is_serious() {
    let Pair { server, .. } = Pair::shared();
    let found = findings(server, "watched_tuned", &["--tuned"]);
    let serious: Vec<_> = found
        .iter()
        .filter(|finding| finding["severity"] == "high")
        .collect();
    assert!(serious.is_empty(), "{serious:#?}");
}

/// The rows of the first table of `FAULTS.md`: where, rule, seen in, answer.
fn faults() -> Vec<[String; 4]> {
    let rows = table(0);
    assert!(rows.len() > 60, "only {} rows", rows.len());
    rows
}

/// Those of the second, of what must not be reported: where, rule.
fn near_misses() -> Vec<[String; 2]> {
    let rows = table(1);
    assert!(rows.len() >= 6, "only {} rows", rows.len());
    rows
}

/// The first columns of a table of `FAULTS.md`.
fn table<const COLUMNS: usize>(number: usize) -> Vec<[String; COLUMNS]> {
    let text = std::fs::read_to_string(folder().join("FAULTS.md")).expect("FAULTS.md");
    let table = text.split("\n|---").nth(number + 1).expect("a table");
    let rows = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let mut cells = row
            .split('|')
            .skip(1)
            .map(|cell| cell.trim().trim_matches('`').to_owned());
        [(); COLUMNS].map(|()| cells.next().expect("enough columns"))
    };
    rows.map(cells).collect()
}

fn scenario() -> Scenario {
    let text = std::fs::read_to_string(folder().join("scenario.toml")).expect("scenario.toml");
    Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// The template in a route's name: `GET /products, crawlers` is `GET /products`.
fn template(route: &Route) -> &str {
    route.name().split(',').next().unwrap_or_default()
}

#[test]
fn both_variants_serve_the_scenario_and_answer_the_same() {
    let Pair {
        server,
        plain,
        tuned,
    } = Pair::shared();
    let faults = faults();
    let has = |route: &str, column: usize, value: &str| {
        faults
            .iter()
            .any(|fault| fault[0] == route && fault[column] == value)
    };
    let scenario = scenario();
    let mut sampler = scenario.sampler(1);
    // Whatever writes comes behind what only reads, and what writes in the background comes last.
    let mut order: Vec<(usize, &Route)> = scenario.routes().iter().enumerate().collect();
    order.sort_by_key(|(_, route)| {
        (
            !route.name().starts_with("GET"),
            route.name().contains("reprice"),
        )
    });
    for (index, route) in order {
        let template = template(route);
        let may_fail = has(template, 1, "errors");
        let mut failed = 0;
        for _ in 0..SAMPLES {
            let sample = sampler.sample_of(index);
            let (was, is) = (plain.ask(&sample), tuned.ask(&sample));
            let about = format!("{} {}", sample.method, sample.path);
            assert!(is.status < 300, "tuned, {about}: {}", is.text());
            if may_fail && was.status == 500 {
                failed += 1;
                continue;
            }
            assert_eq!(was.status, is.status, "{about}: {}", was.text());
            if has(template, 3, "changes") {
                assert!(is.json().is_object(), "{about}");
            } else {
                assert_eq!(comparable(&was), comparable(&is), "{about}");
            }
        }
        assert!(failed < SAMPLES, "{template} always fails");
    }
    let said = tuned.process.log_tail(20);
    assert!(said.starts_with("listening on"), "it complained: {said}");
    what_was_written_is_the_same(server, plain, tuned);
}

/// An answer without what is drawn by lot.
fn comparable(response: &http::Response) -> Value {
    let mut value = response.json();
    if let Some(object) = value.as_object_mut() {
        object.remove("cart");
    }
    value
}

/// Orders took from it and deliveries added to it, row by row there, at once here.
fn what_was_written_is_the_same(server: &PrivatePostgres, plain: &Variant, tuned: &Variant) {
    let sum = |variant: &Variant, sql: &str| psql(server, &variant.database, sql);
    for sql in [
        "SELECT md5(string_agg(s::text, '|' ORDER BY s::text)) FROM stock_levels s",
        "SELECT count(*), sum(total) FROM orders",
        "SELECT count(*), sum(product_id * quantity) FROM order_items",
        "SELECT sum(redeemed) FROM coupons",
        "SELECT count(*) FROM reviews",
    ] {
        assert_eq!(sum(plain, sql), sum(tuned, sql), "{sql}");
    }
}

#[test]
fn faults_name_what_exists() {
    let scenario = scenario();
    let routes: HashSet<&str> = scenario.routes().iter().map(template).collect();
    let Pair { server, plain, .. } = Pair::shared();
    let names = psql(
        server,
        &plain.database,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace \
         UNION SELECT attrelid::regclass || '.' || attname FROM pg_attribute \
         JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace",
    );
    let objects: HashSet<&str> = names.lines().collect();
    for [place, rule, seen, answer] in faults() {
        let known = place == "every route"
            || if seen == "database" {
                objects.contains(place.as_str())
            } else {
                routes.contains(place.as_str())
            };
        assert!(known, "{place} is neither a route nor in the database");
        assert!(["traffic", "database", "load"].contains(&seen.as_str()));
        assert!(["same", "changes"].contains(&answer.as_str()));
        assert!(
            rule.chars()
                .all(|letter| letter.is_ascii_lowercase() || letter == '-'),
            "{rule}"
        );
    }
}

#[test]
fn statements_bear_the_trace_unless_told_not_to() {
    let Pair {
        server,
        plain,
        tuned,
    } = Pair::shared();
    let trace = "00-c0ffee00c0ffee00c0ffee00c0ffee00-00f067aa0ba902b7-01";
    let ask = |variant: &Variant, header: &str| {
        let url = format!("{}/products/23", variant.url);
        let answer = http::request("GET", &url, &[("traceparent", header)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let tagged = || {
        let log = std::fs::read_to_string(server.log_path()).expect("the server's log");
        assert!(!log.contains("DROP TABLE products;"));
        log.matches(&format!("/*traceparent='{trace}'*/")).count()
    };
    ask(plain, "*/ DROP TABLE products; --");
    assert_eq!(tagged(), 0);
    ask(plain, trace);
    let by_plain = tagged();
    assert!(by_plain > 15, "{by_plain}");
    ask(tuned, trace);
    let by_tuned = tagged() - by_plain;
    assert!((1..=6).contains(&by_tuned), "{by_tuned}");

    let silent = Variant::serve(
        server,
        "plain",
        &server.url("plain"),
        "127.0.0.1:0",
        &["--no-trace-comments"],
    );
    let before = tagged();
    ask(&silent, trace);
    assert_eq!(tagged(), before);
}
