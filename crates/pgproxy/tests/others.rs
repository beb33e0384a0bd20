//! What one client has done to a server connection is no obstacle to the next.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use paceline_pgproxy::Config;
use paceline_testkit::{Frame, RawPg, frame, wait_until};
use support::{Over, PATIENCE, POOLED, Rig, sqlstates, tags};

const TURNS: usize = 500;

/// One server connection, so that the next client gets the one of the last.
fn start() -> Rig {
    Rig::with(alone)
}

fn alone(config: &mut Config) {
    (config.pool_size, config.workers) = (1, 1);
}

fn login(rig: &Rig, options: &str) -> RawPg {
    let mut client = RawPg::connect(rig.port);
    client.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
        ("options", options),
    ]));
    client.authenticate(None).unwrap();
    client
}

/// The pool's connection is free again.
fn wait_until_free(rig: &Rig) {
    rig.wait_for_pool(|pool| pool.idle == 1 && pool.used == 0);
}

#[track_caller]
fn run(client: &mut RawPg, sql: &str) {
    assert_eq!(sqlstates(&client.query(sql)), [""; 0], "{sql}");
}

fn extended(sql: &str) -> Vec<u8> {
    [
        frame::parse("", sql, &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat()
}

/// Holds what a server process has to look at when it is told this setting for the first time.
struct Held {
    direct: RawPg,
    watcher: RawPg,
}

const SLOW: &str = "default_text_search_config";
const TIME_OUTS: &str = "SET statement_timeout = '300ms'; SET lock_timeout = '300ms'";

impl Held {
    fn start(rig: &Rig) -> Held {
        let (direct, watcher) = (rig.direct(), rig.direct());
        Held { direct, watcher }
    }

    /// The pool's connection is a new one.
    fn renew(&mut self, rig: &Rig) {
        let sql = format!("SELECT pg_terminate_backend(pid, 10000) FROM {POOLED}");
        run(&mut self.direct, &sql);
        rig.client().value("SELECT 1");
        wait_until_free(rig);
    }

    fn hold(&mut self) {
        run(
            &mut self.direct,
            "BEGIN; LOCK TABLE pg_catalog.pg_ts_config",
        );
    }

    /// Waits until a connection that has been opened since then waits in its turn, and lets it go on.
    fn let_go(&mut self, rig: &Rig, connects: u64) {
        let waiting = format!("SELECT count(*) FROM {POOLED} AND wait_event_type = 'Lock'");
        wait_until(PATIENCE, || {
            rig.pool().connects_total == connects + 1 && self.watcher.value(&waiting) == "1"
        });
        run(&mut self.direct, "COMMIT");
    }
}

/// A time-out of another client's ended the statement that brings the settings in line, and the client got the error.
#[test]
fn a_time_out_of_another_client_does_not_end_what_brings_the_settings_in_line() {
    let rig = start();
    let mut held = Held::start(&rig);
    let seen = format!(
        "SELECT concat_ws(' ', current_setting('{SLOW}'), current_setting('statement_timeout'), \
         current_setting('lock_timeout'))"
    );
    let seen = &*seen;
    let mut client = login(&rig, &format!("-c {SLOW}=german"));
    client.send(&[frame::parse("seen", seen, &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let by_name = [
        frame::bind("", "seen", &[]),
        frame::describe(b'P', ""),
        frame::execute("", 0),
        frame::sync(),
    ];
    let anew = [
        frame::parse("again", seen, &[]),
        frame::bind("", "again", &[]),
        frame::execute("", 0),
        frame::close(b'S', "again"),
        frame::sync(),
    ];
    let two = [frame::query("SELECT 1"), frame::query(seen)];
    let begun = [
        frame::query("BEGIN"),
        frame::query(seen),
        frame::query("COMMIT"),
    ];
    let ended = [frame::query("COMMIT; BEGIN; COMMIT"), frame::query(seen)];
    for (messages, batches, expected) in [
        (vec![frame::query(seen)], 1, "TDCZ"),
        (vec![extended(seen)], 1, "12DCZ"),
        (by_name.to_vec(), 1, "2TDCZ"),
        (anew.to_vec(), 1, "12DC3Z"),
        (two.to_vec(), 2, "TDCZTDCZ"),
        (begun.to_vec(), 3, "CZTDCZCZ"),
        (ended.to_vec(), 2, "NCCCZTDCZ"),
    ] {
        held.renew(&rig);
        run(&mut rig.client(), TIME_OUTS);
        wait_until_free(&rig);
        held.hold();
        let connects = rig.pool().connects_total;
        client.send(&messages.concat());
        held.let_go(&rig, connects);
        let frames: Vec<Frame> = (0..batches)
            .flat_map(|_| client.read_until_ready())
            .collect();
        assert_eq!(tags(&frames), expected, "{:?}", sqlstates(&frames));
        let last = frames.iter().rfind(|frame| frame.tag == b'D').unwrap();
        assert_eq!(last.values(), [Some("pg_catalog.german 0 0".to_owned())]);
    }
    // One that is no obstacle.
    held.renew(&rig);
    run(&mut rig.client(), "SET lock_timeout = '1ms'");
    wait_until_free(&rig);
    held.hold();
    let connects = rig.pool().connects_total;
    client.send(&frame::query(seen));
    held.let_go(&rig, connects - 1);
    let frames = client.read_until_ready();
    assert_eq!(tags(&frames), "TDCZ", "{:?}", sqlstates(&frames));
    // What is too large to be kept is told the truth, and the session goes on.
    held.renew(&rig);
    run(&mut rig.client(), TIME_OUTS);
    wait_until_free(&rig);
    held.hold();
    client.send(&frame::query(&format!("SELECT '{}'", "x".repeat(20_000))));
    assert_eq!(sqlstates(&client.read_until_ready()), ["57014"]);
    run(&mut held.direct, "COMMIT");
    assert_eq!(client.value(seen), "pg_catalog.german 0 0");
    rig.assert_nothing_leaked();
}

/// A client that logs in waits for its settings as well.
#[test]
fn a_time_out_of_another_client_does_not_end_a_login() {
    let rig = start();
    let mut held = Held::start(&rig);
    run(&mut rig.client(), TIME_OUTS);
    wait_until_free(&rig);
    held.hold();
    let connects = rig.pool().connects_total;
    std::thread::scope(|scope| {
        let client = scope.spawn(|| login(&rig, &format!("-c {SLOW}=german")));
        held.let_go(&rig, connects);
        let mut client = client.join().unwrap();
        assert_eq!(client.value(&format!("SHOW {SLOW}")), "pg_catalog.german");
    });
    rig.assert_nothing_leaked();
}

/// When the settings were cancelled before their transaction had begun, what was sent behind them ran all the same, under those of
/// another client.
#[test]
fn nothing_runs_under_the_settings_of_another_client() {
    let rig = start();
    rig.direct()
        .query("CREATE TABLE ran (client text, name text)");
    let is_over = AtomicBool::new(false);
    let cancels = || {
        let mut direct = rig.direct();
        while !is_over.load(Relaxed) {
            direct.query(&format!("SELECT pg_cancel_backend(pid) FROM {POOLED}"));
        }
    };
    std::thread::scope(|scope| {
        let over = Over(&is_over);
        for _ in 0..2 {
            scope.spawn(cancels);
        }
        let login = |name| (login(&rig, &format!("-c app.name={name}")), name, 0);
        let mut clients = ["one", "other"].map(login);
        for turn in 0..TURNS {
            for (client, name, served) in &mut clients {
                let sql = format!("INSERT INTO ran SELECT '{name}', current_setting('app.name')");
                let message = if turn % 2 == 0 {
                    frame::query(&sql)
                } else {
                    extended(&sql)
                };
                client.send(&message);
                let codes = sqlstates(&client.read_until_ready());
                assert!(codes.is_empty() || codes == ["57014"], "{codes:?}");
                *served += usize::from(codes.is_empty());
            }
        }
        drop(over);
        let mut direct = rig.direct();
        assert_eq!(
            direct.value("SELECT count(*) FROM ran WHERE client <> name"),
            "0"
        );
        for (_, name, served) in clients {
            let ran = direct.value(&format!("SELECT count(*) FROM ran WHERE client = '{name}'"));
            assert!(served > TURNS / 10, "{served}");
            assert_eq!(ran, served.to_string(), "{name}");
        }
    });
    rig.assert_nothing_leaked();
}

/// SERIALIZABLE READ ONLY DEFERRABLE waits until no transaction that writes is open.
#[test]
fn the_defaults_of_another_clients_transactions_do_not_make_it_wait() {
    let rig = start();
    let mut direct = rig.direct();
    run(&mut direct, "CREATE TABLE t (n int)");
    run(
        &mut direct,
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    run(
        &mut direct,
        "BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (1)",
    );
    let deferred = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, \
                    READ ONLY, DEFERRABLE";
    let mut next = login(&rig, "-c work_mem=1MB");
    for before in ["SELECT 1", "SELECT f()", "DO 'BEGIN END'"] {
        let mut client = rig.client();
        run(&mut client, &format!("BEGIN; {before}; {deferred}; COMMIT"));
        wait_until_free(&rig);
        let own = "SELECT current_setting('default_transaction_isolation') || current_setting('work_mem')";
        assert_eq!(next.value(own), "read committed1MB");
        run(&mut next, "INSERT INTO t VALUES (2)");
        // What it leaves is not to wait either.
        run(&mut client, "BEGIN ISOLATION LEVEL READ COMMITTED; COMMIT");
        wait_until_free(&rig);
        drop(client);
        assert_eq!(next.value(own), "read committed1MB");
    }
    run(&mut direct, "COMMIT");
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_nothing_leaked();
}

/// `temp_buffers` cannot be changed once a temporary table was used.
#[test]
fn temporary_tables_of_another_client_do_not_fix_ones_buffers() {
    let rig = start();
    let uses = "CREATE TEMP TABLE x AS SELECT 1; SELECT * FROM x; DROP TABLE x";
    let show = "SHOW temp_buffers";
    let (mut client, mut other) = (rig.client(), rig.client());
    run(&mut client, "SET temp_buffers = '2MB'");
    wait_until_free(&rig);
    run(&mut other, uses);
    wait_until_free(&rig);
    assert_eq!(client.value(show), "2MB");
    assert_eq!(rig.pool().connects_total, 2);
    // The other way round, with what one has asked for at login.
    run(&mut client, uses);
    wait_until_free(&rig);
    assert_eq!(other.value(show), "8MB");
    assert_eq!(rig.pool().connects_total, 2);
    run(&mut other, uses);
    wait_until_free(&rig);
    assert_eq!(login(&rig, "-c temp_buffers=4MB").value(show), "4MB");
    assert_eq!(rig.pool().connects_total, 3);
    rig.assert_nothing_leaked();
}

/// What is created while `pg_temp` comes first is temporary, whoever has said so.
#[test]
fn what_is_created_in_a_temporary_schema_by_default_is_nobody_elses() {
    let rig = start();
    let mut direct = rig.direct();
    run(&mut direct, "CREATE TABLE t (a int, b int)");
    let left = "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass \
                AND refobjid = pg_my_temp_schema()";
    let creates = [
        "CREATE TABLE x (n int)",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1 AS n INTO x",
        "CREATE VIEW x AS SELECT 1",
        "CREATE SEQUENCE x",
        "CREATE TYPE x AS (n int)",
        "CREATE TYPE x AS ENUM ('a')",
        "CREATE TYPE x AS RANGE (subtype = int)",
        "CREATE DOMAIN x AS int",
        "CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE AGGREGATE x (int) (SFUNC = int4pl, STYPE = int)",
        "CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
        "CREATE COLLATION x FROM \"C\"",
        "CREATE CONVERSION x FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "CREATE TEXT SEARCH CONFIGURATION x (COPY = simple)",
        "CREATE OPERATOR FAMILY x USING btree",
        "CREATE STATISTICS x ON a, b FROM public.t",
        "BEGIN; CREATE TABLE x (n int); COMMIT",
    ];
    let check = |options: &str, source: &str| {
        for sql in creates {
            for message in [frame::query(sql), extended(sql)] {
                if sql.contains(';') && message[0] == b'P' {
                    continue;
                }
                let mut client = login(&rig, options);
                client.send(&message);
                assert_eq!(sqlstates(&client.read_until_ready()), [""; 0], "{sql}");
                rig.wait_for_pool(|pool| pool.pinned == 1 || pool.idle == 1);
                assert_eq!(rig.pool().pinned, 1, "{source}: {sql}");
                drop(client);
                rig.wait_for_pool(|pool| pool.pinned == 0 && pool.used == 0);
                assert_eq!(login(&rig, options).value(left), "0", "{source}: {sql}");
            }
        }
    };
    check("-c search_path=pg_temp,pg_catalog", "startup");
    run(
        &mut direct,
        "ALTER DATABASE postgres SET search_path = pg_temp, pg_catalog",
    );
    run(
        &mut direct,
        &format!("SELECT pg_terminate_backend(pid, 10000) FROM {POOLED}"),
    );
    check("-c work_mem=1MB", "database");
    rig.assert_nothing_leaked();
}

/// What goes behind a RESET takes no snapshot, or else the transaction could not be told what it is any more.
#[test]
fn a_transaction_that_resets_can_still_be_told_its_isolation() {
    let rig = start();
    let options = "-c work_mem=2MB -c search_path=a,\\ \"B\\ c\" -c DateStyle=German,YMD -c app.x=1 -c timezone=UTC";
    let mut client = login(&rig, options);
    let mut direct = RawPg::connect(rig.server.port());
    direct.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
        ("options", options),
        ("application_name", "direct"),
    ]));
    direct.authenticate(None).unwrap();
    let seen = "SELECT concat_ws(' ', current_setting('transaction_isolation'), current_setting('work_mem'), \
                current_setting('search_path'), current_setting('DateStyle'), current_setting('app.x'), current_setting('TimeZone'))";
    for reset in [
        "RESET work_mem",
        "RESET search_path",
        "RESET DateStyle",
        "RESET app.x",
        "RESET TIME ZONE",
        "SET work_mem TO DEFAULT",
        "SET LOCAL work_mem TO DEFAULT",
        "SET LOCAL search_path TO DEFAULT",
        "RESET ALL",
    ] {
        for is_extended in [false, true] {
            for sql in [
                "SET work_mem = '1MB'",
                "SET search_path = z",
                "SET DateStyle = 'ISO'",
                "SET app.x = 2",
                "BEGIN",
                reset,
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                seen,
                "COMMIT",
                reset,
                seen,
                "RESET ALL",
                seen,
            ] {
                let message = if is_extended {
                    extended(sql)
                } else {
                    frame::query(sql)
                };
                let answer = |client: &mut RawPg| {
                    client.send(&message);
                    let mut frames = client.read_until_ready();
                    frames.retain(|frame| frame.tag != b'S');
                    let rows = frames.iter().filter(|frame| frame.tag == b'D');
                    let rows: Vec<_> = rows.map(Frame::values).collect();
                    (tags(&frames), sqlstates(&frames), rows)
                };
                assert_eq!(answer(&mut client), answer(&mut direct), "{reset}: {sql}");
            }
        }
    }
    rig.assert_nothing_leaked();
}
