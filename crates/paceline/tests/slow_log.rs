//! Statements that take long, in the log and at the admin port.

use std::time::Duration;

use paceline_testkit::{Paceline, RawPg, postgres, wait_until};

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
