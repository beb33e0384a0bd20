//! The proxy before a real server: what must work.

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use paceline_pgproxy::{Config, Database, DatabaseUrl, Error, Unavailable};
use paceline_testkit::{
    Frame, PrivatePostgres, RawPg, frame, keepalive_timers, postgres, scram_postgres, wait_until,
};
use support::{PATIENCE, Rig, sqlstates, tags};

fn first_value(frames: &[Frame]) -> String {
    let row = frames
        .iter()
        .find(|frame| frame.tag == b'D')
        .expect("a row");
    row.values()[0].clone().expect("a value")
}

/// One worker, so that what the tests count is in one place.
fn start() -> Rig {
    start_with(|_| {})
}

fn start_with(change: impl FnOnce(&mut Config)) -> Rig {
    before(postgres(), change)
}

fn before(server: PrivatePostgres, change: impl FnOnce(&mut Config)) -> Rig {
    Rig::before(server, |config| {
        config.workers = 1;
        change(config);
    })
}

fn send(client: &mut RawPg, messages: &[Vec<u8>]) {
    client.send(&messages.concat());
}

#[test]
fn simple_queries_share_one_server_connection() {
    let rig = start();
    let mut clients: Vec<_> = (0..5).map(|_| rig.client()).collect();
    let pids: HashSet<_> = clients
        .iter_mut()
        .map(|client| client.value("SELECT pg_backend_pid()"))
        .collect();
    assert_eq!(pids.len(), 1);
    assert_eq!(tags(&clients[0].query("SELECT 1; SELECT 2")), "TDCTDCZ");
    assert_eq!(tags(&clients[0].query("")), "IZ");
    assert_eq!(tags(&clients[0].query("-- nothing")), "IZ");
    assert_eq!(sqlstates(&clients[0].query("SELECT 1/0")), ["22012"]);
    assert_eq!(clients[0].value("SELECT 3"), "3");
    let pool = rig.pool();
    assert_eq!((pool.open, pool.connects_total), (1, 1));
    assert_eq!(rig.proxy.stats().clients_per_worker, [5]);
}

#[test]
fn a_transaction_keeps_its_connection_and_a_waiting_client_gets_it_afterwards() {
    let rig = start_with(|config| config.pool_size = 1);
    let (mut first, mut second) = (rig.client(), rig.client());
    first.query("BEGIN");
    first.query("CREATE TABLE t (n int)");
    second.send(&frame::query(
        "SELECT count(*) FROM pg_class WHERE relname = 't'",
    ));
    rig.wait_for_pool(|pool| pool.waiting == 1);
    assert_eq!(rig.pool().used, 1);
    first.query("COMMIT");
    assert_eq!(first_value(&second.read_until_ready()), "1");
    // The first one waited, too: for the connection to be opened.
    assert_eq!(rig.pool().waits.count(), 2);
}

#[test]
fn waiting_is_bounded_and_the_session_goes_on() {
    let rig = start_with(|config| {
        config.pool_size = 1;
        // The login of the first needs a connection, which takes its time on a busy machine.
        config.wait_timeout = Duration::from_millis(700);
    });
    let (mut first, mut second) = (rig.client(), rig.client());
    first.query("BEGIN");
    let refused = second.query("SELECT 1");
    assert_eq!(
        (tags(&refused).as_str(), sqlstates(&refused)),
        ("EZ", vec!["53300".to_owned()])
    );
    let message = refused[0].field(b'M').unwrap();
    assert!(
        message.contains("all are in use (pool_size is 1)"),
        "{message}"
    );
    send(
        &mut second,
        &[
            frame::parse("", "SELECT 1", &[]),
            frame::bind("", "", &[]),
            frame::execute("", 0),
            frame::sync(),
        ],
    );
    assert_eq!(tags(&second.read_until_ready()), "EZ");
    first.query("COMMIT");
    assert_eq!(second.value("SELECT 2"), "2");
    assert_eq!(rig.pool().wait_timeouts_total, 2);
    assert_eq!(rig.pool().waiting, 0);
}

#[test]
fn named_statements_follow_their_client_to_any_connection() {
    let rig = start_with(|config| config.pool_size = 2);
    let (mut one, mut other, mut third) = (rig.client(), rig.client(), rig.client());
    let mut pids = HashSet::new();
    for (client, text) in [(&mut one, "'one'"), (&mut other, "'other'")] {
        let text = format!("SELECT $1::text || {text} || pg_backend_pid()");
        send(
            client,
            &[
                frame::parse("s", &text, &[]),
                frame::describe(b'S', "s"),
                frame::sync(),
            ],
        );
        assert_eq!(tags(&client.read_until_ready()), "1tTZ");
    }
    // Alternating who holds which connection, each runs its own text on both.
    for round in 0..6 {
        // The connection that was given back last is taken first.
        third.query(if round % 2 == 0 { "BEGIN" } else { "COMMIT" });
        for (client, name) in [(&mut one, "one"), (&mut other, "other")] {
            send(
                client,
                &[
                    frame::bind("", "s", &[Some("x")]),
                    frame::execute("", 0),
                    frame::sync(),
                ],
            );
            let answers = client.read_until_ready();
            assert_eq!(tags(&answers), "2DCZ");
            let value = first_value(&answers);
            let rest = value
                .strip_prefix(&format!("x{name}"))
                .expect("its own text");
            pids.insert(rest.to_owned());
        }
    }
    assert_eq!(pids.len(), 2);
}

#[test]
fn the_same_text_is_prepared_once_on_a_connection() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    for client in [&mut one, &mut other] {
        send(
            client,
            &[
                frame::parse("mine", "SELECT 42", &[]),
                frame::bind("", "mine", &[]),
                frame::execute("", 0),
                frame::sync(),
            ],
        );
        assert_eq!(tags(&client.read_until_ready()), "12DCZ");
    }
    let prepared = other.value("SELECT count(*) FROM pg_prepared_statements");
    assert_eq!(prepared, "1");
    // A name is taken until it is closed.
    send(
        &mut one,
        &[frame::parse("mine", "SELECT 43", &[]), frame::sync()],
    );
    let answers = one.read_until_ready();
    assert_eq!(sqlstates(&answers), ["42P05"]);
    send(
        &mut one,
        &[
            frame::close(b'S', "mine"),
            frame::parse("mine", "SELECT 43", &[]),
            frame::bind("", "mine", &[]),
            frame::execute("", 0),
            frame::sync(),
        ],
    );
    let answers = one.read_until_ready();
    assert_eq!(
        (tags(&answers).as_str(), first_value(&answers).as_str()),
        ("312DCZ", "43")
    );
}

#[test]
fn what_is_prepared_is_bounded_on_both_sides() {
    let rig = start_with(|config| {
        config.prepared_statements_max = 3;
        config.client_statements_max = 5;
    });
    let mut client = rig.client();
    for round in 0..3 {
        for number in 0..5 {
            let name = format!("s{number}");
            if round == 0 {
                client.send(&frame::parse(&name, &format!("SELECT {number}"), &[]));
            }
            send(
                &mut client,
                &[
                    frame::bind("", &name, &[]),
                    frame::execute("", 0),
                    frame::sync(),
                ],
            );
            assert_eq!(first_value(&client.read_until_ready()), number.to_string());
        }
    }
    assert_eq!(
        client.value("SELECT count(*) FROM pg_prepared_statements"),
        "3"
    );
    send(
        &mut client,
        &[frame::parse("s5", "SELECT 5", &[]), frame::sync()],
    );
    assert_eq!(sqlstates(&client.read_until_ready()), ["54000"]);
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn a_failed_parse_keeps_no_name_and_is_not_remembered() {
    let rig = start();
    let mut client = rig.client();
    for _ in 0..2 {
        send(
            &mut client,
            &[
                frame::parse("s", "SELECT * FROM later", &[]),
                frame::describe(b'S', "s"),
                frame::sync(),
            ],
        );
        let answers = client.read_until_ready();
        assert_eq!(
            (tags(&answers).as_str(), sqlstates(&answers)),
            ("EZ", vec!["42P01".to_owned()])
        );
    }
    send(&mut client, &[frame::bind("", "s", &[]), frame::sync()]);
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    paceline_testkit::psql(
        &rig.server,
        &rig.server.url("postgres"),
        "CREATE TABLE later (n int)",
    );
    send(
        &mut client,
        &[
            frame::parse("s", "SELECT * FROM later", &[]),
            frame::describe(b'S', "s"),
            frame::sync(),
        ],
    );
    assert_eq!(tags(&client.read_until_ready()), "1tTZ");
}

#[test]
fn a_changed_result_is_prepared_again() {
    let rig = start_with(|config| config.pool_size = 1);
    let mut client = rig.client();
    client.query("CREATE TABLE t (a int)");
    send(
        &mut client,
        &[frame::parse("s", "SELECT * FROM t", &[]), frame::sync()],
    );
    client.read_until_ready();
    let run = [
        frame::bind("", "s", &[]),
        frame::describe(b'P', ""),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut client, &run);
    assert_eq!(tags(&client.read_until_ready()), "2TCZ");
    client.query("ALTER TABLE t ADD b int");
    send(&mut client, &run);
    assert_eq!(tags(&client.read_until_ready()), "2TCZ");
}

#[test]
fn statements_can_be_deallocated_by_sql() {
    let rig = start();
    let mut client = rig.client();
    let prepare = |client: &mut RawPg, name: &str| {
        send(
            client,
            &[frame::parse(name, "SELECT 1", &[]), frame::sync()],
        );
        tags(&client.read_until_ready())
    };
    assert_eq!(prepare(&mut client, "_pg3_0"), "1Z");
    assert_eq!(tags(&client.query("DEALLOCATE _pg3_0")), "CZ");
    assert_eq!(sqlstates(&client.query("DEALLOCATE _pg3_0")), ["26000"]);
    assert_eq!(prepare(&mut client, "_pg3_0"), "1Z");
    let run = [
        frame::parse("", "DEALLOCATE _pg3_0", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::parse("_pg3_0", "SELECT 2", &[]),
        frame::sync(),
    ];
    send(&mut client, &run);
    assert_eq!(tags(&client.read_until_ready()), "12C1Z");
    // In a failed transaction it fails, and the statement stays.
    client.query("BEGIN");
    client.query("SELECT 1/0");
    assert_eq!(sqlstates(&client.query("DEALLOCATE _pg3_0")), ["25P02"]);
    client.query("ROLLBACK");
    assert_eq!(prepare(&mut client, "_pg3_0"), "EZ");
    assert_eq!(tags(&client.query("DEALLOCATE ALL")), "CZ");
    assert_eq!(prepare(&mut client, "_pg3_0"), "1Z");
}

#[test]
fn several_batches_in_flight_are_answered_in_order() {
    let rig = start();
    let mut client = rig.client();
    let batch = |text: &str| {
        [
            frame::parse("", text, &[]),
            frame::bind("", "", &[]),
            frame::execute("", 0),
            frame::sync(),
        ]
        .concat()
    };
    let named = [frame::parse("n", "SELECT 7", &[]), frame::sync()].concat();
    let broken = [
        frame::parse("", "SELECT 1/0", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::parse("lost", "SELECT 1", &[]),
        frame::close(b'S', "n"),
        frame::query("SELECT 'skipped'"),
        frame::sync(),
    ]
    .concat();
    let again = [
        frame::bind("", "n", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    let unknown = [frame::bind("", "lost", &[]), frame::sync()].concat();
    client.send(
        &[
            batch("SELECT 1"),
            named,
            broken,
            again,
            unknown,
            frame::query("SELECT 2"),
            batch("SELECT 3"),
        ]
        .concat(),
    );
    let expected = ["12DCZ", "1Z", "1EZ", "2DCZ", "EZ", "TDCZ", "12DCZ"];
    for expected in expected {
        assert_eq!(tags(&client.read_until_ready()), expected);
    }
}

#[test]
fn flush_brings_answers_without_sync() {
    let rig = start();
    let mut client = rig.client();
    let read = |client: &mut RawPg, count: usize| {
        let frames: Vec<_> = (0..count).map(|_| client.read()).collect();
        tags(&frames)
    };
    send(
        &mut client,
        &[
            frame::parse("s", "SELECT generate_series(1, 5)", &[]),
            frame::describe(b'S', "s"),
            frame::flush(),
        ],
    );
    assert_eq!(read(&mut client, 3), "1tT");
    assert_eq!(rig.pool().used, 1, "an implicit transaction may be open");
    send(
        &mut client,
        &[
            frame::bind("p", "s", &[]),
            frame::describe(b'P', "p"),
            frame::execute("p", 2),
            frame::flush(),
        ],
    );
    assert_eq!(read(&mut client, 5), "2TDDs");
    send(
        &mut client,
        &[
            frame::execute("p", 2),
            frame::execute("p", 2),
            frame::flush(),
        ],
    );
    assert_eq!(read(&mut client, 5), "DDsDC");
    send(&mut client, &[frame::close(b'P', "p"), frame::sync()]);
    assert_eq!(tags(&client.read_until_ready()), "3Z");
    rig.wait_for_pool(|pool| pool.used == 0);
}

#[test]
fn unnamed_statements_never_reach_another_client() {
    let rig = start_with(|config| config.pool_size = 1);
    let (mut one, mut other) = (rig.client(), rig.client());
    send(
        &mut one,
        &[frame::parse("", "SELECT 'one'", &[]), frame::sync()],
    );
    assert_eq!(tags(&one.read_until_ready()), "1Z");
    let run = [
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut other, &run);
    assert_eq!(sqlstates(&other.read_until_ready()), ["26000"]);
    send(
        &mut other,
        &[frame::parse("", "SELECT 'other'", &[]), frame::sync()],
    );
    other.read_until_ready();
    send(&mut one, &run);
    assert_eq!(first_value(&one.read_until_ready()), "one");
    send(&mut other, &run);
    assert_eq!(first_value(&other.read_until_ready()), "other");
    // A simple query drops it.
    other.query("SELECT 1");
    send(&mut other, &run);
    assert_eq!(sqlstates(&other.read_until_ready()), ["26000"]);
}

#[test]
fn copy_works_in_both_directions_and_protocols_and_can_be_given_up() {
    let rig = start_with(|config| config.pool_size = 1);
    let mut client = rig.client();
    client.query("CREATE TABLE t (n int PRIMARY KEY)");
    let data = |text: &str| frame::message(b'd', text.as_bytes());
    let done = frame::message(b'c', b"");

    client.send(&frame::query("COPY t FROM STDIN"));
    assert_eq!(client.read().tag, b'G');
    send(&mut client, &[data("1\n2\n"), data("3\n"), done.clone()]);
    assert_eq!(tags(&client.read_until_ready()), "CZ");

    assert_eq!(tags(&client.query("COPY t TO STDOUT")), "HdddcCZ");

    client.send(&frame::query("COPY t FROM STDIN"));
    assert_eq!(client.read().tag, b'G');
    send(
        &mut client,
        &[data("4\n"), frame::message(b'f', b"no more\0")],
    );
    assert_eq!(sqlstates(&client.read_until_ready()), ["57014"]);

    client.send(&frame::query("COPY t FROM STDIN"));
    assert_eq!(client.read().tag, b'G');
    send(&mut client, &[data("1\n"), data("9\n"), done.clone()]);
    assert_eq!(sqlstates(&client.read_until_ready()), ["23505"]);

    // As libpq does it: a Sync ahead, which the COPY swallows, and one at the end.
    send(
        &mut client,
        &[
            frame::parse("", "COPY t FROM STDIN", &[]),
            frame::bind("", "", &[]),
            frame::execute("", 0),
            frame::sync(),
        ],
    );
    let began: Vec<_> = (0..3).map(|_| client.read()).collect();
    assert_eq!(tags(&began), "12G");
    send(&mut client, &[data("5\n"), done, frame::sync()]);
    assert_eq!(tags(&client.read_until_ready()), "CZ");
    assert_eq!(client.value("SELECT sum(n) FROM t"), "11");
    rig.wait_for_pool(|pool| pool.idle == 1 && pool.connects_total == 1);
}

#[test]
fn function_calls_are_answered() {
    let rig = start();
    let mut client = rig.client();
    let oid: u32 = client
        .value("SELECT 'pg_backend_pid()'::regprocedure::oid")
        .parse()
        .unwrap();
    let body = [&oid.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat();
    client.send(&frame::message(b'F', &body));
    assert_eq!(tags(&client.read_until_ready()), "VZ");
    client.send(&frame::message(
        b'F',
        &[&0_u32.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0]].concat(),
    ));
    assert_eq!(tags(&client.read_until_ready()), "EZ");
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn session_state_stays_with_its_client() {
    let rig = start_with(|config| config.pool_size = 2);
    let (mut setter, mut other) = (rig.client(), rig.client());
    setter.query("SET application_name = 'setter'");
    assert_eq!(rig.pool().pinned, 0);
    for _ in 0..3 {
        assert_eq!(setter.value("SHOW application_name"), "setter");
        assert_ne!(other.value("SHOW application_name"), "setter");
    }
    // Unseen by the text: reset before anybody else gets it.
    other.query("DO $$ BEGIN PERFORM set_config('work_mem', '77kB', false); END $$");
    assert_ne!(other.value("SHOW work_mem"), "77kB");
    rig.assert_nothing_leaked();
}

#[test]
fn startup_parameters_are_each_clients_own() {
    let rig = start_with(|config| config.pool_size = 1);
    let login = |parameters: &[(&str, &str)]| {
        let ours = [("user", "postgres"), ("database", "postgres")];
        RawPg::try_login(rig.port, &[&ours[..], parameters].concat(), None)
    };
    let mut plain = login(&[]).unwrap();
    let mut named = login(&[
        ("application_name", "it's"),
        ("options", "-c search_path=a,b -c work_mem=99kB"),
    ])
    .unwrap();
    for _ in 0..2 {
        assert_eq!(named.value("SHOW application_name"), "it's");
        assert_eq!(named.value("SHOW search_path"), "a,b");
        assert_eq!(named.value("SHOW work_mem"), "99kB");
        assert_eq!(plain.value("SHOW application_name"), "");
        assert_ne!(plain.value("SHOW work_mem"), "99kB");
    }
    let refused = login(&[("TimeZone", "Nowhere/Land")]).expect_err("a refusal");
    assert_eq!(refused.sqlstate().as_deref(), Some("22023"));
    let refused = login(&[("replication", "true")]).expect_err("a refusal");
    assert_eq!(refused.sqlstate().as_deref(), Some("0A000"));
}

#[test]
fn clients_prove_who_they_are() {
    let rig = before(scram_postgres("s3cret"), |_| {});
    let login = |user: &str, password: Option<&str>, database: &str| {
        let mut client = RawPg::connect(rig.port);
        client.send(&frame::ssl_request());
        assert_eq!(client.read_byte(), b'N');
        client.send(&frame::startup(&[("user", user), ("database", database)]));
        client.authenticate(password).map(|()| client)
    };
    let refused = |user: &str, password: &str, database: &str| {
        let frame = login(user, Some(password), database).expect_err("a refusal");
        frame.sqlstate().unwrap()
    };
    let mut client = login("postgres", Some("s3cret"), "postgres").unwrap();
    assert_eq!(client.value("SELECT 1"), "1");
    assert_eq!(refused("postgres", "wrong", "postgres"), "28P01");
    assert_eq!(refused("nobody", "s3cret", "postgres"), "28P01");
    assert_eq!(refused("postgres", "s3cret", "nowhere"), "3D000");
}

#[test]
fn a_proxy_open_to_all_is_refused() {
    let config = Config {
        listen: ([0, 0, 0, 0], 6432).into(),
        databases: vec![Database::new(
            DatabaseUrl::parse("postgres://u@127.0.0.1:1/d").unwrap(),
        )],
        ..Config::default()
    };
    let journal = paceline_journal::Journal::new(paceline_journal::Config::default());
    let statements = std::sync::Arc::new(paceline_sql::Statements::new(
        paceline_sql::Limits::default(),
    ));
    let error = paceline_pgproxy::Proxy::new(config, journal, statements).unwrap_err();
    assert!(matches!(error, Error::OpenToAll { .. }), "{error}");
}

#[test]
fn too_many_clients_are_told_so() {
    let rig = start_with(|config| config.clients_max = 2);
    let clients = [rig.client(), rig.client()];
    let third = RawPg::try_login(rig.port, &[("user", "postgres")], None).unwrap_err();
    assert_eq!(third.sqlstate().as_deref(), Some("53300"));
    drop(clients);
    wait_until(PATIENCE, || rig.proxy.stats().clients_per_worker[0] == 0);
    assert_eq!(rig.client().value("SELECT 1"), "1");
}

#[test]
fn both_sides_are_asked_whether_they_are_still_there() {
    let rig = start();
    let mut client = rig.client();
    assert_eq!(client.value("SELECT 1"), "1");
    for (own_port, peer_port) in [(Some(rig.port), None), (None, Some(rig.server.port()))] {
        // While bytes are not acknowledged yet, another timer runs.
        wait_until(PATIENCE, || {
            let timers = keepalive_timers(own_port, peer_port);
            let minute = Duration::from_secs(60);
            timers.len() == 1 && timers[0].is_some_and(|timer| timer <= minute)
        });
    }
}

#[test]
fn cancel_reaches_the_query_of_its_client_or_nothing() {
    let rig = start_with(|config| config.pool_size = 1);
    let (mut one, mut other) = (rig.client(), rig.client());
    one.send(&frame::query("SELECT pg_sleep(600)"));
    rig.wait_for_pool(|pool| pool.used == 1);
    other.cancel();
    wait_until(PATIENCE, || {
        one.cancel();
        !one.is_silent_for(Duration::from_millis(50))
    });
    assert_eq!(sqlstates(&one.read_until_ready()), ["57014"]);
    // The connection was signalled: nobody else gets it.
    rig.wait_for_pool(|pool| pool.open == 0);
    one.cancel();
    assert_eq!(other.value("SELECT 1"), "1");
}

#[test]
fn a_server_killed_in_a_transaction_costs_that_transaction() {
    let rig = start_with(|config| config.pool_size = 1);
    let mut client = rig.client();
    let kill = |pid: &str| {
        let sql = format!("SELECT pg_terminate_backend({pid}, 10000)");
        assert_eq!(
            paceline_testkit::psql(&rig.server, &rig.server.url("postgres"), &sql),
            "t"
        );
    };
    // What was sent ahead, and whatever comes next, belongs to the transaction that is gone: the session ends.
    rig.client().query("CREATE TABLE kept (n int)");
    client.query("BEGIN");
    kill(&client.value("SELECT pg_backend_pid()"));
    client.send(
        &[
            frame::query("INSERT INTO kept VALUES (1)"),
            frame::query("COMMIT"),
        ]
        .concat(),
    );
    let answers = client.rest();
    assert_eq!(
        (tags(&answers).as_str(), sqlstates(&answers)),
        ("E", vec!["08006".to_owned()])
    );
    let mut client = rig.client();
    assert_eq!(client.value("SELECT count(*) FROM kept"), "0");
    // Idle in the pool: nobody notices.
    let pid = client.value("SELECT pg_backend_pid()");
    kill(&pid);
    assert_ne!(client.value("SELECT pg_backend_pid()"), pid);
    // Between transactions only the one batch that was under way fails.
    let pid = client.value("SELECT pg_backend_pid()");
    let batch = [
        frame::parse("", "SELECT pg_sleep(600)", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    client.send(&batch);
    rig.wait_for_pool(|pool| pool.used == 1);
    kill(&pid);
    let answers = client.read_until_ready();
    assert_eq!(
        (tags(&answers).as_str(), sqlstates(&answers)),
        ("12EZ", vec!["08006".to_owned()])
    );
    // With batches sent ahead, one of them may have begun a transaction.
    let pid = client.value("SELECT pg_backend_pid()");
    client.send(&[batch.clone(), batch].concat());
    rig.wait_for_pool(|pool| pool.used == 1);
    kill(&pid);
    assert_eq!(sqlstates(&client.rest()), ["08006"]);
    assert_eq!(rig.client().value("SELECT 5"), "5");
}

#[test]
fn the_connection_of_the_first_look_is_the_pools_first() {
    let rig = start();
    // As the binary does it: in a runtime that has ended before anybody is served.
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    runtime().block_on(rig.proxy.check()).unwrap();
    assert_eq!(rig.pool().idle, 1);
    assert_eq!(rig.client().value("SELECT 1"), "1");
    assert_eq!(rig.pool().connects_total, 1);
    let check = |password: Option<&str>| {
        let rig = before(scram_postgres("s3cret"), |config| {
            config.databases[0].url.password = password.map(Into::into);
        });
        runtime().block_on(rig.proxy.check()).unwrap_err()
    };
    let error = check(None);
    assert!(error.asks_for_password(), "{error}");
    let error = check(Some("wrong"));
    assert!(
        matches!(&error, Unavailable::Refused { sqlstate, .. } if sqlstate == "28P01"),
        "{error}"
    );
}

#[test]
fn a_database_that_is_down_is_told_and_awaited() {
    let mut rig = start();
    let mut client = rig.client();
    rig.server.stop();
    let answers = client.query("SELECT 1");
    assert!(
        matches!(sqlstates(&answers)[0].as_str(), "08001" | "08006" | "57P03"),
        "{answers:?}"
    );
    let again = client.query("SELECT 1");
    assert_eq!(sqlstates(&again), ["08001"]);
    rig.server.restart().unwrap();
    assert_eq!(client.value("SELECT 2"), "2");
    assert!(rig.pool().connect_errors_total >= 1);
}

#[test]
fn a_client_that_vanishes_leaves_its_place() {
    let rig = start_with(|config| config.pool_size = 1);
    for sql in [
        "BEGIN",
        "SELECT pg_sleep(600)",
        "SELECT repeat('x', 1000) FROM generate_series(1, 10000000)",
    ] {
        let mut client = rig.client();
        client.send(&frame::query(sql));
        rig.wait_for_pool(|pool| pool.used == 1);
        client.vanish();
        let mut next = rig.client();
        assert_eq!(next.value("SELECT 1"), "1", "after {sql}");
    }
    // Goodbye in a transaction: rolled back, and the connection is kept.
    let mut client = rig.client();
    let pid = client.value("SELECT pg_backend_pid()");
    client.query("BEGIN");
    client.send(&frame::terminate());
    assert_eq!(rig.client().value("SELECT pg_backend_pid()"), pid);
}

#[test]
fn answers_still_reach_a_client_that_has_closed_its_side() {
    let rig = start();
    let mut client = rig.client();
    client.send(&[frame::query("SELECT 1"), frame::terminate()].concat());
    client.end_sending();
    assert_eq!(tags(&client.rest()), "TDCZ");
}

#[test]
fn large_texts_and_values_pass() {
    let rig = start_with(|config| config.statement_bytes_max = 4 << 20);
    let mut client = rig.client();
    let text = format!("SELECT length('{}')", "x".repeat(3 << 20));
    assert_eq!(client.value(&text), (3 << 20).to_string());
    let value = "v".repeat(9 << 20);
    send(
        &mut client,
        &[
            frame::parse("s", "SELECT $1::text, length($1)", &[]),
            frame::bind("", "s", &[Some(&value)]),
            frame::execute("", 0),
            frame::sync(),
        ],
    );
    let answers = client.read_until_ready();
    assert_eq!(tags(&answers), "12DCZ");
    assert_eq!(answers[2].values()[0].as_deref(), Some(value.as_str()));
    // Too long: refused in step, in both protocols, also within a transaction.
    let long = format!("SELECT '{}'", "x".repeat(5 << 20));
    assert_eq!(sqlstates(&client.query(&long)), ["54000"]);
    client.query("BEGIN");
    send(
        &mut client,
        &[
            frame::parse("", "SELECT 1", &[]),
            frame::parse("l", &long, &[]),
            frame::bind("", "l", &[]),
            frame::sync(),
        ],
    );
    let answers = client.read_until_ready();
    assert_eq!(
        (tags(&answers).as_str(), sqlstates(&answers)),
        ("1EZ", vec!["54000".to_owned()])
    );
    assert_eq!(sqlstates(&client.query("SELECT 1")), ["25P02"]);
    client.query("ROLLBACK");
    assert_eq!(client.value("SELECT 6"), "6");
}

#[test]
fn a_slow_client_holds_nobody_else_up() {
    let rig = start_with(|config| config.pool_size = 2);
    let (mut slow, mut quick) = (rig.client(), rig.client());
    slow.send(&frame::query(
        "SELECT repeat('x', 1000) FROM generate_series(1, 200000)",
    ));
    rig.wait_for_pool(|pool| pool.used == 1);
    for number in 0..100 {
        assert_eq!(quick.value(&format!("SELECT {number}")), number.to_string());
    }
    let rows = slow
        .read_until_ready()
        .iter()
        .filter(|frame| frame.tag == b'D')
        .count();
    assert_eq!(rows, 200_000);
}

#[test]
fn draining_lets_transactions_finish() {
    let rig = start();
    let (mut idle, mut busy, mut pinned) = (rig.client(), rig.client(), rig.client());
    pinned.query("LISTEN c");
    busy.query("BEGIN");
    rig.start_drain();
    for client in [&mut idle, &mut pinned] {
        assert_eq!(sqlstates(&client.rest()), ["57P01"]);
    }
    assert_eq!(busy.value("SELECT 1"), "1");
    assert!(!rig.has_ended());
    busy.send(&frame::query("COMMIT"));
    let mut answers = busy.rest();
    assert_eq!(
        answers.pop().and_then(|frame| frame.sqlstate()).as_deref(),
        Some("57P01")
    );
    assert_eq!(tags(&answers), "CZ");
    wait_until(PATIENCE, || rig.has_ended());
}

#[test]
fn busy_clients_on_one_worker_are_spread_again_with_all_they_have() {
    let rig = start_with(|config| {
        config.workers = 2;
        config.pool_size = 8;
    });
    let per_worker = || rig.proxy.stats().clients_per_worker;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        let before = per_worker();
        let client = rig.client();
        let after = per_worker();
        if after[0] > before[0] {
            here.push(client)
        } else {
            there.push(client)
        }
    }
    assert_eq!(
        (here.len(), there.len()),
        (8, 8),
        "newcomers go where the fewest are"
    );
    drop(there);
    wait_until(PATIENCE, || per_worker() == [8, 0]);
    for (number, client) in here.iter_mut().enumerate() {
        let text = format!("SELECT {number} + $1::int");
        send(client, &[frame::parse("mine", &text, &[]), frame::sync()]);
        client.read_until_ready();
    }
    let deadline = Instant::now() + PATIENCE;
    while per_worker() != [4, 4] {
        assert!(Instant::now() < deadline, "{:?}", per_worker());
        for (number, client) in here.iter_mut().enumerate() {
            send(
                client,
                &[
                    frame::bind("", "mine", &[Some("100")]),
                    frame::execute("", 0),
                    frame::sync(),
                ],
            );
            assert_eq!(
                first_value(&client.read_until_ready()),
                (100 + number).to_string()
            );
        }
    }
}

#[test]
fn executions_are_told_to_the_journal() {
    let rig = start();
    let mut client = rig.client();
    client.query("CREATE TABLE seats (n int)");
    client.query("INSERT INTO seats VALUES (1), (2), (3)");
    for number in 1..=3 {
        send(
            &mut client,
            &[
                frame::parse("", "SELECT n FROM seats WHERE n >= $1", &[23]),
                frame::bind("", "", &[Some(&number.to_string())]),
                frame::execute("", 0),
                frame::sync(),
            ],
        );
        client.read_until_ready();
    }
    let shapes = rig.journal.shapes();
    let shape = shapes
        .iter()
        .find(|shape| shape.shape.text.starts_with("SELECT n FROM seats"));
    let shape = shape.unwrap_or_else(|| panic!("{shapes:?}"));
    assert_eq!((shape.executions, shape.rows), (3, 6));
}

#[test]
fn each_execution_of_a_pipeline_bears_its_own_time_only() {
    let rig = start();
    let mut client = rig.client();
    let nap = [
        frame::parse("", "SELECT pg_sleep(0.1), $1::int", &[]),
        frame::bind("", "", &[Some("1")]),
        frame::execute("", 0),
    ]
    .concat();
    client.send(
        &[
            nap.clone(),
            nap.clone(),
            frame::sync(),
            nap.clone(),
            nap,
            frame::sync(),
        ]
        .concat(),
    );
    client.read_until_ready();
    client.read_until_ready();
    // What a failed Bind skips has not run; what it was for has failed.
    let broken = [
        frame::parse("", "SELECT pg_sleep(0.0), $1::int", &[]),
        frame::bind("", "", &[Some("no number")]),
        frame::execute("", 0),
        frame::parse("", "SELECT 'skipped', $1::int", &[]),
        frame::bind("", "", &[Some("1")]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut client, &broken);
    assert_eq!(sqlstates(&client.read_until_ready()), ["22P02"]);
    // A cursor that is read in steps is one execution.
    let cursor = [
        frame::parse("", "SELECT generate_series(1, $1::int)", &[]),
        frame::bind("c", "", &[Some("10")]),
        frame::execute("c", 4),
        frame::execute("c", 4),
        frame::execute("c", 4),
        frame::sync(),
    ];
    send(&mut client, &cursor);
    assert_eq!(tags(&client.read_until_ready()), "12DDDDsDDDDsDDCZ");

    let shapes = rig.journal.shapes();
    let shape = |part: &str| {
        let found = shapes
            .iter()
            .filter(|shape| shape.shape.text.contains(part));
        found
            .map(|shape| (shape.executions, shape.errors, shape.lost))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape("skipped"), []);
    assert_eq!(shape("generate_series"), [(1, 0, 0)]);
    let naps: Vec<_> = shapes
        .iter()
        .filter(|shape| shape.shape.text.contains("pg_sleep"))
        .collect();
    let executions: u64 = naps.iter().map(|shape| shape.executions).sum();
    let errors: u64 = naps.iter().map(|shape| shape.errors).sum();
    let time: Duration = naps.iter().map(|shape| shape.time.sum()).sum();
    assert_eq!((executions, errors), (5, 1));
    assert!(time >= Duration::from_millis(390), "{time:?}");
    // Were each counted from its sending, it would be a second.
    assert!(time < Duration::from_millis(800), "{time:?}");
}
