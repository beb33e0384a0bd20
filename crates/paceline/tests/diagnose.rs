//! `paceline diagnose --database`: a real database, with and without an instance.

use paceline_testkit::origin::{Next, Origin, Peer, Request};
use paceline_testkit::{
    Auth, Browser, Options, Paceline, PrivatePostgres, View, options, psql, run_to_end,
};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

const SCHEMA: &str = "
CREATE TABLE owners (id bigint PRIMARY KEY);
CREATE TABLE pets (id bigint PRIMARY KEY, owner_id bigint REFERENCES owners);
CREATE TABLE toys (id bigint PRIMARY KEY, pet_id bigint REFERENCES pets);
CREATE INDEX toys_pet_id ON toys (pet_id);
INSERT INTO owners SELECT generate_series(1, 5000);
INSERT INTO pets SELECT n, n FROM generate_series(1, 5000) AS n;
INSERT INTO toys SELECT n, n FROM generate_series(1, 5000) AS n;
ANALYZE;
";

fn diagnose(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Paceline::command();
    command.arg("diagnose").args(args);
    let ended = run_to_end(&mut command, PATIENCE);
    (ended.code, ended.stdout, ended.stderr)
}

#[test]
fn a_database_is_looked_at_without_an_instance() {
    let server = PrivatePostgres::start(options()).expect("a server");
    psql(&server, &server.url("postgres"), SCHEMA);
    let url = server.url("postgres");
    let (code, text, errors) = diagnose(&["--database", &url]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(
        text.contains(
            "No index serves the foreign key from public.pets (owner_id) to public.owners."
        ),
        "{text}"
    );
    assert!(
        text.contains("CREATE INDEX CONCURRENTLY ON public.pets (owner_id)"),
        "{text}"
    );
    assert!(
        text.contains("rules that need the traffic of a running instance (--url)"),
        "{text}"
    );
    assert!(text.contains("Quick wins"), "{text}");
    assert!(!text.contains("public.toys"), "{text}");
    let (code, text, _) = diagnose(&["--database", &url, "--json", "--fail-on", "low"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, Some(1));
    let finding = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["rule"] == "missing-foreign-key-index");
    let finding = finding.expect("the finding");
    assert_eq!(
        finding["subject"],
        json!({"kind": "table", "name": "public.pets"})
    );
    assert_eq!(finding["evidence"]["rows"], json!(5000));
}

/// An instance that has found one thing.
fn instance() -> Origin {
    Origin::start(|_: &Request, peer: &mut Peer| {
        let finding = json!({
            "id": "n-plus-one.x", "rule": "n-plus-one", "subject": {"kind": "route", "name": "GET /jobs"},
            "severity": "high", "title": "GET /jobs asks twenty times.", "evidence": {},
            "remedy": {"text": "Ask once.", "statement": null}, "effort": "small", "time_lost_ms": 5.0
        });
        let unseen = json!([
            {"needs": "database", "rules": ["missing-foreign-key-index"]},
            {"needs": "statements", "rules": ["slow-statement"]}
        ]);
        let body = json!({"findings": [finding], "not_looked_at": unseen}).to_string();
        let _: Next = peer.respond(
            200,
            &[("content-type", "application/json")],
            body.as_bytes(),
        );
        Next::Keep
    })
}

#[test]
fn the_page_is_readable_everywhere_and_leads_to_the_quick_wins() {
    let server = PrivatePostgres::start(options()).expect("a server");
    psql(&server, &server.url("postgres"), SCHEMA);
    let folder = tempfile::tempdir().expect("a folder");
    let suppress = "[[diagnose.suppress]]\nrule = \"n-plus-one\"\nreason = \"known since May\"\n";
    let config = folder.path().join("paceline.toml");
    std::fs::write(&config, suppress).expect("a file");
    let origin = instance();
    let database = server.url("postgres");
    let (url, config) = (origin.url(""), config.to_str().expect("UTF-8"));
    let looked = ["--url", &url, "--database", &database, "--format", "html"];
    for (name, more) in [("all", &[][..]), ("suppressed", &["--config", config])] {
        let (code, page, errors) = diagnose(&[&looked[..], more].concat());
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        let file = folder.path().join(format!("findings-{name}.html"));
        std::fs::write(&file, page).expect("a file");
        let mut browser = Browser::start();
        browser.look_everywhere(&file, true);
        let scripts = true;
        let (width, dark) = (1280, false);
        browser.view(View {
            width,
            dark,
            scripts,
        });
        browser.open(&file);
        let text = browser.evaluate("document.body.innerText");
        let text = text.as_str().expect("text");
        let is_suppressed = !more.is_empty();
        assert_eq!(text.contains("known since May"), is_suppressed, "{text}");
        let asks = "GET /jobs asks twenty times.";
        assert_eq!(text.contains(asks), !is_suppressed, "{text}");
        for part in [
            "No index serves the foreign key from public.pets (owner_id) to public.owners.",
            "CREATE INDEX CONCURRENTLY ON public.pets (owner_id)",
            "What was not looked at",
            "rule that needs the extension pg_stat_statements",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
        // A quick win leads to the finding that it names.
        let led = "[...document.querySelectorAll('#quick-wins a')].map(one => [one.textContent, \
                   document.querySelector(one.getAttribute('href')).querySelector('h3').textContent])";
        let led = browser.evaluate(led);
        let led = led.as_array().expect("a list");
        assert!(!led.is_empty());
        for pair in led {
            let [win, finding] = [0, 1].map(|at| pair[at].as_str().expect("text"));
            assert!(finding.ends_with(win), "{win} leads to {finding}");
        }
    }
}

#[test]
fn findings_of_an_instance_and_a_database_are_one_report() {
    let server = PrivatePostgres::start(options()).expect("a server");
    psql(&server, &server.url("postgres"), SCHEMA);
    let origin = instance();
    let (code, text, errors) = diagnose(&[
        "--url",
        &origin.url(""),
        "--database",
        &server.url("postgres"),
        "--json",
    ]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let rules: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["rule"].clone())
        .collect();
    assert_eq!(rules[0], json!("n-plus-one"));
    assert!(
        rules.contains(&json!("missing-foreign-key-index")),
        "{rules:?}"
    );
    let unseen = report["not_looked_at"].as_array().unwrap();
    assert!(
        unseen.iter().all(|one| one["needs"] != "database"),
        "{unseen:?}"
    );
}

#[test]
fn why_a_database_cannot_be_looked_at_is_one_sentence() {
    let server = PrivatePostgres::start(Options {
        auth: Auth::Scram {
            password: "right".to_owned(),
        },
        ..options()
    });
    let server = server.expect("a server");
    let url = server.url("postgres");
    let rows = [
        (
            url.replace("right", "wrong"),
            "did not accept the password of user \"postgres\"",
        ),
        (
            url.replace(":right", ""),
            "asks for the password of user \"postgres\"",
        ),
        (
            format!("{url}?sslmode=require"),
            "the server does not do TLS, and sslmode demands it",
        ),
        (server.url("nothing"), "has no database \"nothing\""),
        (
            "mysql://a".to_owned(),
            "a database URL begins with postgres://",
        ),
    ];
    for (url, expected) in rows {
        let (code, text, errors) = diagnose(&["--database", &url]);
        assert_eq!((code, text.as_str()), (Some(2), ""), "{url}");
        assert!(
            errors.contains(expected) && errors.lines().count() == 1,
            "{errors}"
        );
        assert!(
            !errors.contains("wrong") && !errors.contains("right"),
            "{errors}"
        );
    }
}

/// What an instance reports: the rules that found something, those that could not look for want of the database, and what it
/// could not read.
fn seen_by(config: &str) -> (Vec<Value>, bool, String) {
    let paceline = Paceline::launch().config(config).start();
    let report = paceline.admin_json("/api/v1/findings");
    let list = |name: &str| report[name].as_array().expect("a list").clone();
    let rules = list("findings").into_iter().map(|one| one["rule"].clone());
    let unseen = list("not_looked_at");
    let lacks_database = unseen.iter().any(|one| one["needs"] == "database");
    (
        rules.collect(),
        lacks_database,
        json!(list("not_read")).to_string(),
    )
}

#[test]
fn an_instance_looks_at_its_database_itself() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let url = server.url("postgres");
    psql(&server, &url, SCHEMA);
    let found = json!("missing-foreign-key-index");
    let postgres = |rest: &str| format!("[postgres]\nurl = \"{url}\"\n{rest}");

    let (rules, lacks_database, _) = seen_by(&postgres(""));
    assert!(rules.contains(&found) && !lacks_database, "{rules:?}");
    // It need not.
    let (rules, lacks_database, gaps) = seen_by(&postgres("[diagnose]\nreads_database = false"));
    assert!(
        rules.is_empty() && lacks_database && gaps == "[]",
        "{rules:?} {gaps}"
    );
    // It cannot: the main URL names no user, as whom it could log in.
    let nobody = url.replace("postgres@", "");
    assert_ne!(nobody, url);
    let nobody = format!(
        "[postgres]\nurl = \"{nobody}\"\n[[postgres.users]]\nname = \"postgres\"\npassword = \"x\"\n"
    );
    let (rules, lacks_database, _) = seen_by(&nobody);
    assert!(rules.is_empty() && lacks_database, "{rules:?}");
    // But with a URL of its own it can.
    let (rules, lacks_database, _) = seen_by(&format!("{nobody}[diagnose]\ndatabase = \"{url}\""));
    assert!(rules.contains(&found) && !lacks_database, "{rules:?}");
    // What is wrong with the database is said, and keeps nothing else from being looked at.
    let elsewhere = format!("[diagnose]\ndatabase = \"{}\"", server.url("nothing"));
    let (rules, lacks_database, gaps) = seen_by(&postgres(&elsewhere));
    assert!(rules.is_empty() && lacks_database, "{rules:?}");
    assert!(gaps.contains("has no database \\\"nothing\\\""), "{gaps}");
}

#[test]
fn what_an_instance_reads_of_its_database_is_kept_for_a_while() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let url = server.url("postgres");
    psql(&server, &url, "CREATE DATABASE looked_at");
    let config = format!(
        "[postgres]\nurl = \"{url}\"\n[diagnose]\ndatabase = \"{}\"",
        server.url("looked_at")
    );
    let paceline = Paceline::launch().config(&config).start();
    let sessions = || {
        // Counted when a session ends, which reaches the statistics a little later.
        let text = "SELECT pg_stat_force_next_flush(); SELECT sessions FROM pg_stat_database WHERE datname = 'looked_at'";
        psql(&server, &url, text).trim().to_owned()
    };
    for _ in 0..3 {
        paceline.admin_json("/api/v1/findings");
    }
    paceline_testkit::wait_until(PATIENCE, || sessions().ends_with('1'));
    for _ in 0..3 {
        paceline.admin_json("/api/v1/findings");
    }
    assert!(sessions().ends_with('1'), "{}", sessions());
    let text = diagnose(&["--url", &paceline.admin_url()]).1;
    assert!(!text.contains("rules that need the database"), "{text}");
}
