//! Session state: each client sees its own and no other's, whatever connection it gets.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;

use paceline_pgproxy::Pooling;
use paceline_testkit::{Frame, RawPg, frame};
use support::{Rig, extended, run_all, sqlstates, tags};

/// One server connection for all, some roles and schemas.
fn start() -> Rig {
    let rig = Rig::with(|config| (config.pool_size, config.workers) = (1, 1));
    let set_up = [
        "CREATE ROLE r1",
        "CREATE ROLE r2",
        "CREATE SCHEMA a",
        "CREATE SCHEMA b",
        "GRANT USAGE ON SCHEMA a, b TO PUBLIC",
        "CREATE TABLE a.t AS SELECT 'a' AS v",
        "CREATE TABLE b.t AS SELECT 'b' AS v",
        "GRANT SELECT ON a.t, b.t TO PUBLIC",
        "CREATE FUNCTION zone(text) RETURNS text LANGUAGE sql AS \
         $$ SELECT set_config('TimeZone', $1, false) $$",
    ];
    run_all(&rig.server, &set_up);
    rig
}

fn login(port: u16, parameters: &[(&str, &str)]) -> Result<RawPg, Frame> {
    let ours = [("user", "postgres"), ("database", "postgres")];
    RawPg::try_login(port, &[&ours[..], parameters].concat(), None)
}

/// What a client gets, as far as it is the same at any server: the settings told aside, and where in a text an error is.
fn answer(frames: &[Frame]) -> Vec<String> {
    let seen = frames
        .iter()
        .filter(|frame| !matches!(frame.tag, b'S' | b'N'));
    seen.map(|frame| match frame.tag {
        b'E' => format!("E {:?} {:?}", frame.field(b'C'), frame.field(b'M')),
        b'D' => format!("D {:?}", frame.values()),
        tag => format!(
            "{} {:?}",
            char::from(tag),
            String::from_utf8_lossy(&frame.body)
        ),
    })
    .collect()
}

/// Another client of the same server connection, with settings of its own.
struct Intruder(RawPg);

impl Intruder {
    const SEEN: &'static str = "SELECT current_setting('search_path'), current_setting('app.tenant'), \
                                current_setting('TimeZone'), current_user, current_setting('work_mem'), \
                                current_setting('application_name')";

    fn enter(rig: &Rig) -> Intruder {
        let mut client = rig.client();
        for sql in [
            "SET search_path = z",
            "SET app.tenant = 'intruder'",
            "SET TimeZone = 'Europe/Paris'",
            "SET ROLE r2",
            "SET work_mem = '1MB'",
            "SET application_name = 'intruder'",
        ] {
            assert_eq!(sqlstates(&client.query(sql)), [""; 0], "{sql}");
        }
        Intruder(client)
    }

    #[track_caller]
    fn assert_own(&mut self) {
        let row: Vec<String> = self
            .0
            .rows(Self::SEEN)
            .remove(0)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(
            row,
            ["z", "intruder", "Europe/Paris", "r2", "1MB", "intruder"]
        );
    }
}

/// A setting of one's own that is not set is empty where any client has ever set it, and NULL elsewhere.
const SEEN: &str = "SELECT current_setting('search_path'), coalesce(current_setting('app.tenant', true), ''), \
                    current_setting('TimeZone'), current_user, session_user, \
                    current_setting('work_mem'), current_setting('DateStyle')";

/// Whatever these do is to be the same with Paceline, and another client between each two of them, as without.
const SCRIPT: &[&str] = &[
    "SET search_path TO a, b",
    "SELECT v FROM t",
    "SET app.tenant = '7'",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET ROLE r1",
    "RESET ROLE",
    "SET DateStyle = 'German'",
    "SELECT date '2020-01-02'",
    "BEGIN; SET work_mem = '5MB'; ROLLBACK",
    "BEGIN",
    "SET work_mem = '6MB'",
    "SAVEPOINT s",
    "SET work_mem = '7MB'",
    "SET search_path = b",
    "ROLLBACK TO s",
    "COMMIT",
    "BEGIN",
    "SET LOCAL work_mem = '9MB'",
    "SET LOCAL search_path = b",
    "SELECT v FROM t",
    "COMMIT",
    "SELECT v FROM t",
    "BEGIN",
    "SET search_path = nowhere",
    "SELECT 1/0",
    "COMMIT",
    "SET work_mem = 'nonsense'",
    "SET shared_buffers = '1MB'",
    "SET server_version = '1'",
    "SELECT set_config('app.tenant', '8', false), set_config('work_mem', '8MB', true)",
    "RESET app.nothing",
    "RESET search_path",
    "BEGIN; RESET TimeZone; ROLLBACK",
    "BEGIN",
    "RESET TimeZone",
    "COMMIT",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "CREATE TABLE never (n int)",
    "SET default_transaction_read_only TO DEFAULT",
    "SET SESSION AUTHORIZATION r1",
    "SET ROLE NONE",
    "RESET SESSION AUTHORIZATION",
    "SET standard_conforming_strings = off",
    r"SELECT 'a\\b'",
    "RESET ALL",
    "SET client_encoding = 'LATIN1'",
    "SET app.tenant = 'm\u{fc}ller'",
    "DISCARD ALL",
    "SELECT set_config('app.te' || 'nant', 'x', false)",
    "DISCARD ALL",
    "SET app.tenant = 'last'",
];

fn compare(form: impl Fn(&str) -> Vec<u8>) {
    let rig = start();
    let mut intruder = Intruder::enter(&rig);
    let (mut client, mut direct) = (
        login(rig.port, &[("application_name", "x")]).unwrap(),
        login(rig.server.port(), &[("application_name", "x")]).unwrap(),
    );
    let mut is_open = false;
    for sql in SCRIPT {
        for text in [sql, SEEN] {
            // In a failed transaction each is refused, which is the same, too.
            let message = if text.contains(';') {
                frame::query(text)
            } else {
                form(text)
            };
            client.send(&message);
            direct.send(&message);
            let (found, expected) = (client.read_until_ready(), direct.read_until_ready());
            assert_eq!(answer(&found), answer(&expected), "{text} after {sql}");
            is_open = expected.last().unwrap().body != b"I";
        }
        if !is_open && rig.pool().pinned == 0 {
            intruder.assert_own();
        }
    }
    assert!(!is_open);
    drop(direct);
    rig.assert_nothing_leaked();
}

#[test]
fn settings_are_each_clients_own_in_simple_queries() {
    compare(frame::query);
}

#[test]
fn settings_are_each_clients_own_in_the_extended_protocol() {
    compare(extended);
}

/// Settings as a client believes them to be: what it was told last.
#[derive(Default)]
struct Beliefs(BTreeMap<String, String>);

impl Beliefs {
    fn hear(&mut self, frames: &[Frame]) {
        for frame in frames.iter().filter(|frame| frame.tag == b'S') {
            let text = String::from_utf8_lossy(&frame.body).into_owned();
            let mut words = text.split('\0').map(str::to_owned);
            self.0.insert(words.next().unwrap(), words.next().unwrap());
        }
    }
}

#[test]
fn clients_are_told_their_own_settings() {
    let rig = start();
    let mut intruder = Intruder::enter(&rig);
    let parameters = [("TimeZone", "Asia/Tokyo"), ("application_name", "mine")];
    let mut client = login(rig.port, &parameters).unwrap();
    let mut direct = login(rig.server.port(), &parameters).unwrap();
    let (mut told, mut expected) = (Beliefs::default(), Beliefs::default());
    for sql in [
        "SET TimeZone = 'UTC'",
        "SELECT 1",
        "RESET TimeZone",
        "BEGIN; SET LOCAL TimeZone = 'UTC'; COMMIT",
        "SET application_name = 'other'",
        "BEGIN; SET application_name = 'undone'; ROLLBACK",
        "SELECT zone('Europe/Rome')",
        "SELECT 1",
        "RESET ALL",
        "SET TimeZone = 'UTC'",
        "SET ROLE r1",
        "DISCARD ALL",
        "SELECT 1",
    ] {
        told.hear(&client.query(sql));
        expected.hear(&direct.query(sql));
        intruder.assert_own();
        // What comes behind ReadyForQuery is heard with the next answer.
        told.hear(&client.query("SELECT 1"));
        assert_eq!(told.0, expected.0, "{sql}");
        for name in ["TimeZone", "application_name"] {
            let show = format!("SHOW {name}");
            assert_eq!(
                client.value(&show),
                direct.value(&show),
                "{name} after {sql}"
            );
        }
    }
    assert_eq!(rig.pool().connects_total, 1);
    drop(direct);
    rig.assert_nothing_leaked();
}

#[test]
fn what_is_reset_is_as_the_client_asked_for_when_it_connected() {
    let rig = start();
    let mut intruder = Intruder::enter(&rig);
    let parameters = [("options", "-c search_path=a -c work_mem=3MB -c role=r1")];
    let mut client = login(rig.port, &parameters).unwrap();
    let mut direct = login(rig.server.port(), &parameters).unwrap();
    for sql in [
        "SELECT v FROM t",
        "SET search_path = b",
        "RESET search_path",
        "BEGIN",
        "SET search_path = b",
        "RESET search_path",
        "SELECT v FROM t",
        "COMMIT",
        "SET work_mem = '4MB'",
        "SET work_mem TO DEFAULT",
        "BEGIN",
        "SET LOCAL work_mem = '4MB'",
        "SET LOCAL work_mem TO DEFAULT",
        "SHOW work_mem",
        "COMMIT",
        "SET ROLE r2",
        "RESET ROLE",
        "SET SESSION AUTHORIZATION r2",
        "RESET SESSION AUTHORIZATION",
        "RESET ALL",
        "DISCARD ALL",
    ] {
        for text in [sql, SEEN] {
            for message in [frame::query(text), extended(text)] {
                client.send(&message);
                direct.send(&message);
                let (found, expected) = (client.read_until_ready(), direct.read_until_ready());
                assert_eq!(answer(&found), answer(&expected), "{text} after {sql}");
                if expected.last().unwrap().body == b"I" {
                    intruder.assert_own();
                }
            }
        }
    }
    // In one text, where what is set behind stays.
    for text in [
        "RESET ALL; SET work_mem = '5MB'",
        "SET work_mem TO DEFAULT; SET WORK_MEM = '6MB'; RESET search_path",
        "SET search_path = b; RESET search_path",
    ] {
        for text in [text, SEEN] {
            client.send(&frame::query(text));
            direct.send(&frame::query(text));
            let (found, expected) = (client.read_until_ready(), direct.read_until_ready());
            assert_eq!(answer(&found), answer(&expected), "{text}");
        }
    }
    client.query("RESET ALL");
    // In one batch, in order.
    let batch = [
        frame::parse("", "SET search_path = b", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::parse("", "RESET search_path", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::parse("", "SELECT v FROM t", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&batch.concat());
    let frames = client.read_until_ready();
    // Newer servers report search_path.
    assert_eq!(tags(&frames).replace('S', ""), "12C12C12DCZ");
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap();
    assert_eq!(row.values(), [Some("a".to_owned())]);
    assert_eq!(rig.pool().connects_total, 1);
    drop(direct);
    rig.assert_nothing_leaked();
}

#[test]
fn a_role_that_may_not_be_taken_is_refused_at_once() {
    let rig = start();
    let refused = login(rig.port, &[("role", "nobody")]).expect_err("a refusal");
    assert_eq!(refused.sqlstate().as_deref(), Some("22023"));
    assert_eq!(rig.client().value("SELECT current_user"), "postgres");
    rig.assert_nothing_leaked();
}

#[test]
fn settings_named_by_parameters_are_found() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    let set = [
        frame::parse("", "SELECT set_config($1, $2, false)", &[]),
        frame::bind("", "", &[Some("App.User"), Some("ann")]),
        frame::execute("", 0),
        frame::bind("", "", &[Some("work_mem"), Some("2MB")]),
        frame::execute("", 0),
        frame::sync(),
    ];
    one.send(&set.concat());
    assert_eq!(tags(&one.read_until_ready()), "12DC2DCZ");
    let sql = "SELECT current_setting('app.user', true) || ' ' || current_setting('work_mem')";
    for _ in 0..2 {
        assert_eq!(other.value(sql), " 4MB");
        assert_eq!(one.value(sql), "ann 2MB");
    }
    assert_eq!(rig.pool().pinned, 0);
}

#[test]
fn pipelined_settings_are_kept() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    let batches = [
        extended("SET search_path = a"),
        extended("SELECT v FROM t"),
        extended("SELECT 1/0"),
        frame::query("SET app.tenant = '1'"),
        extended("SET search_path = b"),
        extended("SELECT v FROM t"),
    ];
    one.send(&batches.concat());
    let mut values = Vec::new();
    for _ in 0..batches.len() {
        let frames = one.read_until_ready();
        let rows = frames.iter().filter(|frame| frame.tag == b'D');
        values.extend(rows.flat_map(Frame::values).flatten());
    }
    assert_eq!(values, ["a", "b"]);
    let sql = "SELECT current_setting('search_path') || current_setting('app.tenant', true)";
    assert_eq!(other.value(sql), "\"$user\", public");
    assert_eq!(one.value(sql), "b1");
}

#[test]
fn what_a_function_tells_is_kept_for_its_client() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    one.query("SELECT zone('Asia/Tokyo')");
    assert_ne!(other.value("SHOW TimeZone"), "Asia/Tokyo");
    assert_eq!(one.value("SHOW TimeZone"), "Asia/Tokyo");
    rig.assert_nothing_leaked();
}

#[test]
fn prepared_statements_follow_the_settings() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    one.send(&[frame::parse("s", "SELECT v FROM t", &[]), frame::sync()].concat());
    assert_eq!(
        tags(&one.read_until_ready()),
        "EZ",
        "it is in no schema yet"
    );
    one.query("SET search_path = a");
    let run = |client: &mut RawPg, parses: bool| {
        let mut batch = Vec::new();
        if parses {
            batch.extend(frame::parse("s", "SELECT v FROM t", &[]));
        }
        batch.extend(
            [
                frame::bind("", "s", &[]),
                frame::execute("", 0),
                frame::sync(),
            ]
            .concat(),
        );
        client.send(&batch);
        let frames = client.read_until_ready();
        let row = frames.iter().find(|frame| frame.tag == b'D');
        row.map_or_else(|| tags(&frames), |row| row.values().remove(0).unwrap())
    };
    assert_eq!(run(&mut one, true), "a");
    other.query("SET search_path = b");
    assert_eq!(run(&mut other, true), "b");
    assert_eq!(run(&mut one, false), "a");
    one.query("SET search_path = b");
    assert_eq!(run(&mut one, false), "b");
    other.query("SET search_path = a");
    assert_eq!(run(&mut other, false), "a");
    assert_eq!(run(&mut one, false), "b");
    // What the server itself does not read again.
    let month = "SELECT extract(month FROM date '01-02-2020')";
    let run_month = |client: &mut RawPg, parses: bool| {
        let parse = if parses {
            frame::parse("m", month, &[])
        } else {
            Vec::new()
        };
        let rest = [
            frame::bind("", "m", &[]),
            frame::execute("", 0),
            frame::sync(),
        ];
        client.send(&[parse, rest.concat()].concat());
        let frames = client.read_until_ready();
        let row = frames.iter().find(|frame| frame.tag == b'D');
        row.map_or_else(|| tags(&frames), |row| row.values().remove(0).unwrap())
    };
    one.query("SET DateStyle = 'ISO, DMY'");
    other.query("SET DateStyle = 'ISO, DMY'");
    assert_eq!(run_month(&mut one, true), "2");
    one.query("SET DateStyle = 'ISO, MDY'");
    assert_eq!(run_month(&mut one, false), "1");
    assert_eq!(run_month(&mut other, true), "2");
    assert_eq!(run_month(&mut one, false), "1");
    // For one transaction.
    for _ in 0..2 {
        one.query("BEGIN");
        one.query("SET LOCAL search_path = a");
        assert_eq!(run(&mut one, false), "a");
        one.query("COMMIT");
        assert_eq!(run(&mut one, false), "b");
    }
    rig.assert_nothing_leaked();
}

/// Runs these in one client, and says what ties it to its connection after each: `+`, or `-` for nothing.
fn pins(rig: &Rig, statements: &[&str]) -> String {
    let mut client = rig.client();
    let mut pins = String::new();
    for sql in statements {
        for sql in sql.split(" | ") {
            client.query(sql);
        }
        // The survey may still be under way when the client has its answer.
        client.query("SELECT 1");
        let is_pinned = || rig.pool().pinned == 1;
        rig.wait_for_pool(|pool| pool.pinned == 1 || pool.idle == 1);
        pins.push(if is_pinned() { '+' } else { '-' });
    }
    drop(client);
    rig.wait_for_pool(|pool| pool.pinned == 0 && pool.used == 0);
    pins
}

#[test]
fn what_cannot_be_replayed_ties_a_client_until_it_is_gone() {
    let rig = start();
    let mut expected_pins = BTreeMap::new();
    for (reason, statements, expected) in [
        (
            "temporary",
            &[
                "CREATE TEMP TABLE x (n int)",
                "SELECT count(*) FROM x",
                "DROP TABLE x",
                "BEGIN | CREATE TEMP TABLE x (n int) | ROLLBACK",
                "CREATE TEMP TABLE x (n int) ON COMMIT DROP",
            ][..],
            "++---",
        ),
        (
            "advisory_lock",
            &[
                "SELECT pg_advisory_lock(1)",
                "SELECT pg_advisory_lock(1)",
                "SELECT pg_advisory_unlock(1)",
                "SELECT pg_advisory_unlock(1)",
                "BEGIN | SELECT pg_advisory_xact_lock(1) | COMMIT",
            ],
            "+++--",
        ),
        (
            "cursor",
            &[
                "BEGIN | DECLARE c CURSOR WITH HOLD FOR SELECT 1 | COMMIT",
                "FETCH 1 FROM c",
                "CLOSE c",
                "BEGIN | DECLARE c CURSOR FOR SELECT 1 | COMMIT",
            ],
            "++--",
        ),
        (
            "prepared",
            &[
                "PREPARE p AS SELECT 1",
                "EXECUTE p",
                "DEALLOCATE p",
                "PREPARE p AS SELECT 1",
                "DEALLOCATE ALL",
            ],
            "++-+-",
        ),
        (
            "hidden",
            &["SELECT setseed(0.5)", "SELECT 1", "DISCARD ALL"],
            "+++",
        ),
    ] {
        assert_eq!(pins(&rig, statements), expected, "{reason}");
        expected_pins.insert(reason, expected.matches("-+").count() as u64 + 1);
        let counted: BTreeMap<_, _> = rig.pool().pins_total.into_iter().collect();
        assert_eq!(counted[reason], expected_pins[reason], "{reason}");
    }
    assert_eq!(
        pins(&rig, &["CREATE TEMP TABLE x (n int)", "DISCARD ALL"]),
        "+-"
    );
    // One connection was closed: the one whose random numbers were seeded.
    rig.wait_for_pool(|pool| pool.connects_total == 2);
    rig.assert_nothing_leaked();
}

#[test]
fn what_a_client_leaves_behind_is_gone() {
    let rig = start();
    let mut client = rig.client();
    for sql in [
        "CREATE TEMP TABLE x (n int)",
        "SELECT pg_advisory_lock(7)",
        "PREPARE p AS SELECT 1",
        "LISTEN c",
        "SET work_mem = '2MB'",
    ] {
        client.query(sql);
    }
    assert_eq!(rig.pool().pinned, 1);
    drop(client);
    rig.wait_for_pool(|pool| pool.idle == 1);
    let mut next = rig.client();
    assert_eq!(sqlstates(&next.query("SELECT * FROM x")), ["42P01"]);
    assert_eq!(sqlstates(&next.query("EXECUTE p")), ["26000"]);
    assert_ne!(next.value("SHOW work_mem"), "2MB");
    assert_eq!(
        next.value("SELECT count(*) FROM pg_listening_channels()"),
        "0"
    );
    assert_eq!(
        next.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
        "0"
    );
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_nothing_leaked();
}

#[test]
fn in_session_pooling_a_client_keeps_its_connection() {
    let rig = Rig::with(|config| {
        (config.pool_size, config.workers) = (2, 1);
        config.databases[0].pooling = Some(Pooling::Session);
    });
    let pid = "SELECT pg_backend_pid()";
    let (mut one, mut other) = (rig.client(), rig.client());
    let pids = [one.value(pid), other.value(pid)];
    assert_ne!(pids[0], pids[1]);
    for sql in [
        "SET work_mem = '2MB'",
        "CREATE TEMP TABLE x (n int)",
        "PREPARE p AS SELECT 1",
        "SELECT setval('s', 3) FROM (SELECT 1) q",
        "DO $$ BEGIN PERFORM set_config('app.tenant', '1', false); END $$",
    ] {
        one.query(sql);
    }
    let sql = "SELECT current_setting('work_mem') || current_setting('app.tenant', true)";
    let unset = one.value("SELECT reset_val FROM pg_settings WHERE name = 'work_mem'");
    assert_eq!((one.value(sql), &*unset), ("2MB1".to_owned(), "4096"));
    assert_eq!(one.value("EXECUTE p"), "1");
    assert_eq!([one.value(pid), other.value(pid)], pids);
    assert_eq!((rig.pool().used, rig.pool().pinned), (2, 0));
    drop(one);
    rig.wait_for_pool(|pool| pool.idle == 1);
    let mut next = rig.client();
    assert_eq!(next.value(pid), pids[0]);
    assert_eq!(next.value(sql), "4MB");
    assert_eq!(sqlstates(&next.query("SELECT * FROM x")), ["42P01"]);
    assert_eq!(rig.pool().connects_total, 2);
    drop((next, other));
    rig.assert_nothing_leaked();
}
