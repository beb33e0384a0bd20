//! Statements that take long, in the log and at the admin port.

use std::sync::OnceLock;
use std::time::Duration;

use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, RawPg, frame, http, postgres, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn slow_statements_are_logged_without_their_values_and_fast_ones_are_not() {
    let server = postgres();
    let url = server.url("postgres");
    let config = |slow: &str| {
        format!("[postgres]\nurl = \"{url}\"\n[log]\nslow_query = \"{slow}\"\nformat = \"json\"\n")
    };
    let paceline = Paceline::start(&config("300ms"));
    let mut client = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    client.rows("SELECT 'fast', 4711");
    client.query("SELECT pg_sleep(0.4), 'hush', 4711");
    client.query("SELECT 1 / (pg_sleep(0.4)::text = 'x')::int");
    let slow = || paceline.admin_json("/api/v1/slow")["statements"].clone();
    wait_until(PATIENCE, || {
        slow().as_array().is_some_and(|found| found.len() == 2)
    });
    let found = slow();
    assert_eq!(found[0]["sqlstate"], "22012", "{found:#}");
    let sleep = &found[1];
    assert!(
        sleep["duration_ms"].as_f64().is_some_and(|ms| ms >= 400.0),
        "{sleep:#}"
    );
    assert_eq!(
        (&sleep["database"], &sleep["rows"]),
        (&"postgres".into(), &1.into())
    );
    let log = paceline.log();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("A slow statement."))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].contains("pg_sleep($1)") && lines[0].contains("duration_ms"),
        "{log}"
    );
    assert!(!log.contains("hush") && !log.contains("4711"), "{log}");

    paceline.write_config(&config("off"));
    RawPg::login(paceline.pg_port(), "postgres", None, "paceline").query("RELOAD");
    client.query("SELECT pg_sleep(0.4)");
    assert_eq!(slow().as_array().map(Vec::len), Some(2));
}

#[test]
fn parameters_are_told_only_when_they_are_asked_for_and_the_request_is_when_it_is_known() {
    static PORT: OnceLock<u16> = OnceLock::new();
    let server = postgres();
    let origin = Origin::start(|request: &Request, peer: &mut Peer| {
        let trace = request.header("traceparent").expect("a trace");
        let port = *PORT.get().expect("Paceline runs");
        let mut client = RawPg::login(port, "postgres", None, "postgres");
        let text = format!("SELECT pg_sleep(0.3), $1::text, $2::int /*traceparent='{trace}'*/");
        client.send(&frame::parse("", &text, &[]));
        client.send(&frame::bind("", "", &[Some("it's hush"), None]));
        client.send(&frame::execute("", 0));
        client.send(&frame::sync());
        client.read_until_ready();
        peer.respond(200, &[], b"slept")
    });
    let (upstream, url) = (origin.url(""), server.url("postgres"));
    let config = |rest: &str| {
        format!(
            "[gateway]\nupstream = \"{upstream}\"\n[postgres]\nurl = \"{url}\"\n\
             [log]\nslow_query = \"250ms\"\nformat = \"json\"\n{rest}"
        )
    };
    let paceline = Paceline::start(&config(""));
    PORT.set(paceline.pg_port()).expect("set once");
    let sleep = |count: usize| {
        let answer = http::get(&format!("{}/sleep", paceline.http_url()));
        assert_eq!(answer.text(), "slept");
        let slow = || paceline.admin_json("/api/v1/slow")["statements"].clone();
        let is_there = || slow().as_array().is_some_and(|found| found.len() == count);
        wait_until(PATIENCE, is_there);
        slow()
    };
    let found = sleep(1);
    let requests = || paceline.admin_json("/api/v1/requests")["requests"].clone();
    wait_until(PATIENCE, || !requests()[0].is_null());
    let slow = &found[0];
    assert_eq!(slow["route"], "GET /sleep", "{slow:#}");
    assert_eq!(slow["request"], requests()[0]["id"], "{slow:#}");
    assert!(slow.get("parameters").is_none(), "{slow:#}");
    let told = |paceline: &Paceline| {
        let log = paceline.log();
        let line = log
            .lines()
            .rfind(|line| line.contains("A slow statement."))
            .map(str::to_owned);
        (line.expect("a slow statement"), log)
    };
    let (line, log) = told(&paceline);
    assert!(line.contains("GET /sleep"), "{line}");
    assert!(!log.contains("hush"), "{log}");

    paceline.write_config(&config("slow_query_parameters = true\n"));
    RawPg::login(paceline.pg_port(), "postgres", None, "paceline").query("RELOAD");
    let found = sleep(2);
    let parameters: serde_json::Value = vec![Some("it's hush"), None].into();
    assert_eq!(found[0]["parameters"], parameters, "{found:#}");
    assert!(!found[1].to_string().contains("hush"), "{found:#}");
    let (line, _) = told(&paceline);
    assert!(line.contains("$1 = 'it''s hush', $2 = NULL"), "{line}");
}
