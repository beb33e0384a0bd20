//! What the random tests have found, each as small as it became.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use paceline_testkit::{RawPg, frame, wait_until};
use support::{PATIENCE, POOLED, Rig, extended, sqlstates, tags};

/// An error skips what follows: a Parse of the unnamed statement that was skipped has not replaced the one before.
#[test]
fn a_skipped_parse_leaves_the_unnamed_statement() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let batch = [
        frame::bind("", "nowhere", &[]),
        frame::parse("", "SELECT 'second'", &[]),
        frame::parse("", "SELECT 'third'", &[]),
        frame::sync(),
    ];
    client.send(&batch.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    let run = [
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    client.send(&run);
    let frames = client.read_until_ready();
    assert_eq!(tags(&frames), "2DCZ");
    assert_eq!(frames[1].values(), [Some("first".to_owned())]);
    // One that fails has taken the place of the one before, and is none.
    client.send(&[frame::parse("", "SELEKT", &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["42601"]);
    client.send(&run);
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
}

/// Whatever was skipped is undone, however much was sent behind it: a Close that was skipped had brought the statement before it back
/// into the place of the one that was parsed since.
#[test]
fn what_was_skipped_does_not_undo_what_came_behind() {
    let rig = Rig::start();
    let run = [
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    let skipped = [
        frame::close(b'S', ""),
        frame::parse("", "SELECT 'skipped'", &[]),
    ];
    for skipped in skipped {
        let mut client = rig.client();
        client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
        assert_eq!(tags(&client.read_until_ready()), "1Z");
        let fails = [frame::describe(b'P', "nowhere"), skipped, frame::sync()].concat();
        let second = [frame::parse("", "SELECT 'second'", &[]), frame::sync()].concat();
        client.send(&[&fails, &second].map(Vec::as_slice).concat());
        assert_eq!(sqlstates(&client.read_until_ready()), ["34000"]);
        assert_eq!(tags(&client.read_until_ready()), "1Z");
        client.send(&run);
        assert_eq!(
            client.read_until_ready()[1].values(),
            [Some("second".to_owned())]
        );
        // Two batches that fail, the second one with a Parse that is skipped, too.
        let third = [
            frame::describe(b'P', "nowhere"),
            frame::parse("", "SELECT 'third'", &[]),
            frame::sync(),
        ]
        .concat();
        client.send(&[&fails, &third].map(Vec::as_slice).concat());
        assert_eq!(sqlstates(&client.read_until_ready()), ["34000"]);
        assert_eq!(sqlstates(&client.read_until_ready()), ["34000"]);
        client.send(&run);
        assert_eq!(
            client.read_until_ready()[1].values(),
            [Some("second".to_owned())]
        );
    }
}

/// What was sent behind DISCARD ALL in batches of their own ran without the settings of the client's startup.
#[test]
fn what_comes_behind_discard_all_has_the_settings_of_the_startup() {
    let rig = Rig::start();
    let (user, password) = (rig.server.user(), rig.server.password());
    let parameters = [
        ("user", user),
        ("database", "postgres"),
        ("options", "-c work_mem=3MB"),
    ];
    let mut client = RawPg::try_login(rig.port, &parameters, password).unwrap();
    client.send(&[extended("DISCARD ALL"), extended("SHOW work_mem")].concat());
    let discarded = tags(&client.read_until_ready()).replace('S', "");
    assert_eq!(discarded, "12CZ");
    let shown = client.read_until_ready();
    let row = shown.iter().find(|frame| frame.tag == b'D').unwrap();
    assert_eq!(row.values(), [Some("3MB".to_owned())]);
}

/// A query drops the unnamed statement, even though an earlier batch, which had not come to its end yet, had changed it in vain.
#[test]
fn a_query_drops_the_unnamed_statement_for_good() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let fails = [
        frame::describe(b'P', "nowhere"),
        frame::parse("", "SELECT 'skipped'", &[]),
        frame::sync(),
        frame::query("SELECT 1"),
    ];
    client.send(&fails.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["34000"]);
    assert_eq!(tags(&client.read_until_ready()), "TDCZ");
    client.send(&[frame::bind("", "", &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    // One that is skipped drops nothing.
    client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let skipped = [
        frame::describe(b'P', "nowhere"),
        frame::query("SELECT 1"),
        frame::sync(),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&skipped.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["34000"]);
    assert_eq!(tags(&client.read_until_ready()), "2DCZ");
}

/// A connection that was brought in line with its client's settings went to the next in the queue before the client had used it; with
/// settings of their own, clients in a queue passed the connections on for ever.
#[test]
fn clients_with_settings_of_their_own_get_to_work_in_a_queue() {
    const CLIENTS: usize = 30;
    const TURNS: usize = 20;
    let rig = Rig::with(|config| config.pool_size = 2);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let port = rig.port;
            scope.spawn(move || {
                let options = format!("-c found.number={number}");
                let parameters = [
                    ("user", "postgres"),
                    ("database", "postgres"),
                    ("options", &options),
                ];
                let mut client = RawPg::try_login(port, &parameters, None).unwrap();
                for _ in 0..TURNS {
                    let value = client.value("SELECT current_setting('found.number')");
                    assert_eq!(value, number.to_string());
                }
            });
        }
    });
    let waits = rig.pool().waits.count();
    let most = u64::try_from(CLIENTS * (TURNS + 1)).unwrap();
    assert!(
        waits <= most,
        "{waits} waits for {most} transactions and logins"
    );
}

/// The messages that run a statement, by the simple and by the extended protocol.
fn both(sql: &str) -> [Vec<u8>; 2] {
    let extended = [
        frame::parse("", sql, &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    [frame::query(sql), extended.concat()]
}

/// A BEGIN that got no server connection was refused, and what the client had sent behind it ran on the next one that was free, each
/// statement as a transaction of its own.
#[test]
fn what_is_sent_behind_a_refused_begin_does_not_run() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(500);
    });
    rig.direct().query("CREATE TABLE behind (id int)");
    let by_name = [
        frame::bind("", "begin", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    let late = [
        frame::parse("late", "SELECT 1", &[]),
        both("BEGIN")[1].clone(),
    ];
    let [simple, extended] = both("BEGIN");
    for (begin, answers) in [
        (simple, "E"),
        (extended, "E"),
        (by_name.concat(), "E"),
        (late.concat(), "EE"),
        (frame::query("START TRANSACTION READ WRITE"), "E"),
        (frame::query("INSERT INTO behind VALUES (0); BEGIN"), "E"),
        (frame::query("SELEKT; BEGIN"), "E"),
    ] {
        for is_one_segment in [true, false] {
            let mut holder = rig.client();
            let mut client = rig.client();
            client.send(&[frame::parse("begin", "BEGIN", &[]), frame::sync()].concat());
            assert_eq!(tags(&client.read_until_ready()), "1Z");
            holder.query("BEGIN");
            let behind = [both("INSERT INTO behind VALUES (1)"), both("COMMIT")].concat();
            let behind = behind.concat();
            if is_one_segment {
                client.send(&[&*begin, &behind].concat());
            } else {
                client.send(&begin);
            }
            rig.wait_for_queue(1);
            rig.wait_for_queue(0);
            if !is_one_segment {
                // It was under way when the client was refused.
                let _ = client.try_send(&behind);
            }
            holder.query("COMMIT");
            let told = client.rest();
            let codes = sqlstates(&told);
            assert_eq!((&*tags(&told), &*codes[0]), (answers, "53300"), "{codes:?}");
            assert_eq!(told.last().unwrap().field(b'S').as_deref(), Some("FATAL"));
            assert_eq!(rig.direct().value("SELECT count(*) FROM behind"), "0");
        }
    }
    rig.assert_nothing_leaked();
}

/// The same when the connection was there, but got lost.
#[test]
fn what_is_sent_behind_a_begin_that_was_lost_does_not_run() {
    let rig = Rig::start();
    let mut direct = rig.direct();
    direct.query("CREATE TABLE behind (id int)");
    let mut client = rig.client();
    client.send(&frame::query("BEGIN; SELECT pg_sleep(60)"));
    let sleeper =
        format!("FROM {POOLED} AND query LIKE 'BEGIN; SELECT pg_sleep%' AND state = 'active'");
    wait_until(PATIENCE, || {
        direct.value(&format!("SELECT count(*) {sleeper}")) == "1"
    });
    direct.query(&format!("SELECT pg_terminate_backend(pid) {sleeper}"));
    let error = std::iter::repeat_with(|| client.read()).find(|frame| frame.tag == b'E');
    assert_eq!(error.unwrap().sqlstate().as_deref(), Some("08006"));
    let _ = client.try_send(&frame::query("INSERT INTO behind VALUES (1)"));
    assert_eq!(tags(&client.rest()), "");
    assert_eq!(direct.value("SELECT count(*) FROM behind"), "0");
    rig.assert_nothing_leaked();
}

/// What is no part of a transaction is refused alone.
#[test]
fn a_refused_statement_does_not_end_the_session() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(300);
    });
    let (mut holder, mut client) = (rig.client(), rig.client());
    for message in both("SELECT 1") {
        holder.query("BEGIN");
        client.send(&message);
        assert_eq!(sqlstates(&client.read_until_ready()), ["53300"]);
        holder.query("COMMIT");
        assert_eq!(client.value("SELECT 1"), "1");
    }
}
