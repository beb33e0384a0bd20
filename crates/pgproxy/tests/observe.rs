//! Observe mode: everything passes as it came, and is accounted.

mod support;

use std::time::Duration;

use paceline_journal::{LoadStart, Outcome, ValueCounts};
use paceline_pgproxy::{Mode, PoolSnapshot};
use paceline_testkit::{PrivatePostgres, RawPg, frame, postgres, scram_postgres, wait_until};
use support::{PATIENCE, Rig, sqlstates, tags};

fn observe(server: PrivatePostgres) -> Rig {
    Rig::before(server, |config| config.mode = Mode::Observe)
}

#[test]
fn each_client_has_a_connection_and_a_session_of_its_own() {
    let rig = observe(postgres());
    let (mut one, mut other) = (rig.client(), rig.client());
    assert_ne!(
        one.value("SELECT pg_backend_pid()"),
        other.value("SELECT pg_backend_pid()")
    );
    one.query("SET application_name = 'one'");
    assert_eq!(one.value("SHOW application_name"), "one");
    assert_eq!(other.value("SHOW application_name"), "");
    let PoolSnapshot {
        connects_total,
        max,
        open,
        used,
        idle,
        ..
    } = rig.pool();
    assert_eq!((connects_total, max), (2, None));
    assert_eq!((open, used, idle), (2, 2, 0));
    // Any name and any order: nothing is rewritten.
    let batch = [
        frame::parse("mine", "SELECT $1::int", &[]),
        frame::describe(b'S', "mine"),
        frame::bind("p", "mine", &[Some("7")]),
        frame::execute("p", 0),
        frame::sync(),
    ];
    other.send(&batch.concat());
    assert_eq!(tags(&other.read_until_ready()), "1tT2DCZ");
    assert_eq!(
        other.value("SELECT name FROM pg_prepared_statements"),
        "mine"
    );
    drop(one);
    rig.wait_for_pool(|pool| (pool.open, pool.used) == (1, 1));
}

#[test]
fn authentication_and_cancel_requests_pass_through() {
    let server = scram_postgres("s3cret");
    let rig = Rig::before(server, |config| {
        // Not needed, and not used: clients prove themselves to the server.
        config.databases[0].url.password = Some("wrong".into());
        config.mode = Mode::Observe;
    });
    let login = |password| RawPg::try_login(rig.port, &[("user", "postgres")], Some(password));
    assert_eq!(
        login("wrong").unwrap_err().sqlstate().as_deref(),
        Some("28P01")
    );
    let mut client = login("s3cret").unwrap();
    client.send(&frame::query("SELECT pg_sleep(600)"));
    wait_until(PATIENCE, || {
        client.cancel();
        !client.is_silent_for(Duration::from_millis(50))
    });
    // Whether the row's description came first depends on how far the query was.
    assert_eq!(sqlstates(&client.read_until_ready()), ["57014"]);
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn statements_are_accounted_and_keep_their_comment() {
    let rig = observe(postgres());
    let mut client = rig.client();
    client.query("CREATE TABLE seats (n int)");
    client.query("INSERT INTO seats VALUES (1), (2), (3)");
    let start = LoadStart {
        method: "GET",
        path: "/seats",
        caller: None,
        now: std::time::Instant::now(),
    };
    let load = rig.journal.open_load(start);
    let id = load.request_id();
    let comment = format!("/*traceparent='{}'*/", load.traceparent());
    let text = format!(
        "SELECT n, (SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()) FROM seats {comment}"
    );
    let batch = [
        frame::parse("", &text, &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&batch.concat());
    let answers = client.read_until_ready();
    assert_eq!(tags(&answers), "12DDDCZ");
    assert!(
        answers[2].values()[1]
            .as_deref()
            .unwrap()
            .ends_with(&comment)
    );
    load.finish(
        Outcome {
            status: Some(200),
            error: None,
            response_bytes: 0,
            ..Outcome::default()
        },
        std::time::Instant::now(),
    );
    let request = rig.journal.request(&id).expect("the request is remembered");
    assert_eq!(request.statements.len(), 1, "{request:?}");
    let shapes = rig.journal.shapes();
    let shape = shapes
        .iter()
        .find(|shape| shape.shape.text.starts_with("SELECT n"));
    let shape = shape.unwrap_or_else(|| panic!("{shapes:?}"));
    assert_eq!((shape.executions, shape.rows, shape.errors), (1, 3, 0));
}

#[test]
fn large_values_and_copies_pass_and_accounting_finds_its_way_back() {
    let rig = observe(postgres());
    let mut client = rig.client();
    client.query("CREATE TABLE t (n int)");
    // The Sync that a COPY swallows puts the count of answers out of step.
    let copy = [
        frame::parse("", "COPY t FROM STDIN", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&copy.concat());
    let began: Vec<_> = (0..3).map(|_| client.read()).collect();
    assert_eq!(tags(&began), "12G");
    client.send(
        &[
            frame::message(b'd', b"5\n"),
            frame::message(b'c', b""),
            frame::sync(),
        ]
        .concat(),
    );
    assert_eq!(tags(&client.read_until_ready()), "CZ");
    let value = "v".repeat(9 << 20);
    let batch = [
        frame::parse("", "SELECT $1::text", &[]),
        frame::bind("", "", &[Some(&value)]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&batch.concat());
    let answers = client.read_until_ready();
    assert_eq!(answers[2].values()[0].as_deref(), Some(value.as_str()));
    for _ in 0..3 {
        client.query("SELECT n FROM t");
    }
    let shapes = rig.journal.shapes();
    let shape = shapes
        .iter()
        .find(|shape| &*shape.shape.text == "SELECT n FROM t");
    assert!(
        shape.is_some_and(|shape| shape.executions >= 2 && shape.lost == 0),
        "{shapes:?}"
    );
}

#[test]
fn a_client_that_leaves_and_a_drain_end_the_server_session() {
    let rig = observe(postgres());
    let mut direct = rig.direct();
    let mut others = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        direct.value(sql) != "1"
    };
    let mut client = rig.client();
    client.query("BEGIN");
    assert!(others());
    client.vanish();
    wait_until(PATIENCE, || !others());
    let mut idle = rig.client();
    idle.query("SELECT 1");
    rig.start_drain();
    assert_eq!(idle.rest()[0].sqlstate().as_deref(), Some("57P01"));
    wait_until(PATIENCE, || rig.has_ended() && !others());
}

#[test]
fn of_values_only_offsets_and_the_beginnings_of_patterns_are_counted() {
    for rig in [observe(postgres()), Rig::start()] {
        let mut client = rig.client();
        client.query("CREATE TABLE seats (n int, name text)");
        // The numbers are those of the client's text, in whatever order.
        let text = "SELECT n FROM seats WHERE name LIKE $2 LIMIT 5 OFFSET $1";
        for (offset, pattern) in [("3000", "%x"), ("7", "x%"), ("20", "_x")] {
            let batch = [
                frame::parse("", text, &[]),
                frame::bind("", "", &[Some(offset), Some(pattern)]),
                frame::execute("", 0),
                frame::sync(),
            ];
            client.send(&batch.concat());
            client.read_until_ready();
        }
        client.query("SELECT n FROM seats WHERE name LIKE '%y' LIMIT 8 OFFSET 50000");
        client.query("SELECT n FROM seats WHERE name = '%y'");
        let shapes = rig.journal.shapes();
        let of = |start: &str| {
            let mut shapes = shapes.iter();
            let shape = shapes.find(|shape| shape.shape.text.starts_with(start));
            &shape.unwrap_or_else(|| panic!("{shapes:?}")).values
        };
        let values = of("SELECT n FROM seats WHERE name LIKE");
        assert_eq!((values.offsets, values.offset_max), (4, 50_000));
        assert_eq!(values.offset_sum, 53_027);
        assert_eq!(values.deep_offsets(), 2);
        assert_eq!(values.leading_wildcards, [3, 0, 0, 0]);
        assert_eq!(
            of("SELECT n FROM seats WHERE name ="),
            &ValueCounts::default()
        );
    }
}
