//! Prepared statements and odd texts: what a client gets is what Postgres would say, whatever connection it has.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use paceline_testkit::{Frame, RawPg, frame};
use support::tool::{postgres_tool_at, run};
use support::{Rig, sqlstates, tags};

fn start() -> Rig {
    Rig::with(|config| (config.pool_size, config.workers) = (1, 1))
}

/// Two clients, of which one works at the server itself.
struct Pair {
    rig: Rig,
    ours: RawPg,
    direct: RawPg,
}

impl Pair {
    fn start() -> Pair {
        let rig = start();
        let (ours, direct) = (rig.client(), rig.direct());
        Pair { rig, ours, direct }
    }

    /// Sends these to both, and compares the answers up to so many ReadyForQuery.
    #[track_caller]
    fn check(&mut self, messages: &[Vec<u8>], batches: usize) -> Vec<Frame> {
        for client in [&mut self.ours, &mut self.direct] {
            client.send(&messages.concat());
        }
        let mut found = Vec::new();
        for _ in 0..batches {
            let (one, other) = (self.ours.read_until_ready(), self.direct.read_until_ready());
            assert_eq!(answer(&one), answer(&other));
            found.extend(one);
        }
        found
    }
}

/// What of an answer has to be the same.
fn answer(frames: &[Frame]) -> Vec<String> {
    let answer = |frame: &Frame| match frame.tag {
        b'E' => format!("E {:?}", frame.sqlstate()),
        b'D' => format!("D {:?}", frame.values()),
        tag => format!("{} {}", char::from(tag), frame.body.len()),
    };
    let seen = frames
        .iter()
        .filter(|frame| !matches!(frame.tag, b'S' | b'N'));
    seen.map(answer).collect()
}

fn described(name: &str) -> Vec<u8> {
    [
        frame::bind("", name, &[]),
        frame::describe(b'P', ""),
        frame::execute("", 0),
    ]
    .concat()
}

fn execute(name: &str) -> Vec<u8> {
    [frame::bind("", name, &[]), frame::execute("", 0)].concat()
}

#[test]
fn what_is_known_is_refused_in_a_failed_transaction_all_the_same() {
    let mut pair = Pair::start();
    pair.check(&[frame::parse("s", "SELECT 1", &[]), frame::sync()], 1);
    pair.check(&[frame::query("BEGIN")], 1);
    pair.check(&[frame::query("SELECT 1/0")], 1);
    let parse = [frame::parse("t", "SELECT 1", &[]), frame::sync()];
    assert_eq!(sqlstates(&pair.check(&parse, 1)), ["25P02"]);
    pair.check(&[frame::query("ROLLBACK")], 1);
    pair.check(&[execute("t"), frame::sync()], 1);
    pair.check(&[execute("s"), frame::sync()], 1);
    // The same, before it is known that the transaction has failed.
    let pipeline = [
        frame::query("BEGIN"),
        frame::query("SELECT 1/0"),
        frame::parse("t", "SELECT 1", &[]),
        frame::sync(),
        frame::query("ROLLBACK"),
    ];
    pair.check(&pipeline, 4);
    pair.check(&[execute("t"), frame::sync()], 1);
    pair.check(&parse, 1);
    pair.check(&[execute("t"), frame::sync()], 1);
    pair.check(&[execute("s"), frame::sync()], 1);
}

#[test]
fn a_parse_that_was_skipped_leaves_the_unnamed_statement_alone() {
    let mut pair = Pair::start();
    pair.check(&[frame::parse("", "SELECT 'older'", &[]), frame::sync()], 1);
    let skipped = [
        frame::bind("", "missing", &[]),
        frame::parse("", "SELECT 'newer'", &[]),
        frame::parse("", "SELECT 'newest'", &[]),
        frame::sync(),
    ];
    pair.check(&skipped, 1);
    let frames = pair.check(&[execute(""), frame::sync()], 1);
    assert_eq!(frames[1].values(), [Some("older".to_owned())]);
    // One that fails drops it.
    pair.check(
        &[frame::parse("", "SELECT nonsense", &[]), frame::sync()],
        1,
    );
    let frames = pair.check(&[execute(""), frame::sync()], 1);
    assert_eq!(sqlstates(&frames), ["26000"]);
}

#[test]
fn a_deallocate_that_fails_leaves_the_name() {
    let mut pair = Pair::start();
    pair.check(&[frame::parse("s1", "SELECT 1", &[]), frame::sync()], 1);
    pair.check(&[frame::query("BEGIN")], 1);
    pair.check(&[frame::query("SELECT 1/0")], 1);
    let pipeline = [
        frame::query("DEALLOCATE s1"),
        frame::parse("s1", "SELECT 2", &[]),
        frame::sync(),
        frame::query("ROLLBACK"),
        execute("s1"),
        frame::sync(),
    ];
    let frames = pair.check(&pipeline, 4);
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap();
    assert_eq!(row.values(), [Some("1".to_owned())]);
    let pipeline = [
        frame::query("DEALLOCATE s1"),
        frame::parse("s1", "SELECT 2", &[]),
        execute("s1"),
        frame::sync(),
    ];
    pair.check(&pipeline, 2);
}

#[test]
fn a_changed_result_is_prepared_again_unseen() {
    let rig = start();
    let (mut one, mut direct) = (rig.client(), rig.direct());
    direct.query("CREATE TABLE t AS SELECT 1 AS a");
    one.send(
        &[
            frame::parse("s", "SELECT * FROM t", &[]),
            described("s"),
            frame::sync(),
        ]
        .concat(),
    );
    assert_eq!(tags(&one.read_until_ready()), "12TDCZ");
    direct.query("ALTER TABLE t ADD b int DEFAULT 2");
    one.send(&[described("s"), frame::sync()].concat());
    let frames = one.read_until_ready();
    assert_eq!(tags(&frames), "2TDCZ", "{:?}", sqlstates(&frames));
    assert_eq!(frames[2].values().len(), 2);
    // In a transaction, the client has to know.
    direct.query("ALTER TABLE t ADD c int DEFAULT 3");
    one.query("BEGIN");
    one.send(&[described("s"), frame::sync()].concat());
    assert_eq!(sqlstates(&one.read_until_ready()), ["0A000"]);
    one.query("ROLLBACK");
    one.send(&[described("s"), frame::sync()].concat());
    assert_eq!(tags(&one.read_until_ready()), "2TDCZ");
    // When something has been answered, too.
    direct.query("ALTER TABLE t ADD d int DEFAULT 4");
    one.send(
        &[
            frame::parse("u", "SELECT 7", &[]),
            described("u"),
            described("s"),
            frame::sync(),
        ]
        .concat(),
    );
    let frames = one.read_until_ready();
    assert_eq!(
        (&*tags(&frames), sqlstates(&frames)),
        ("12TDCEZ", vec!["0A000".to_owned()])
    );
    // What has that SQLSTATE for another reason is not tried again.
    one.send(
        &[
            frame::parse("v", "SELECT 1 FOR UPDATE OF nobody", &[]),
            frame::sync(),
        ]
        .concat(),
    );
    assert_eq!(tags(&one.read_until_ready()), "EZ");
    rig.assert_held(0);
}

/// A client that prepares a text which the server connection knows since before the table was changed.
#[test]
fn a_text_that_is_new_to_its_client_is_described_as_it_is_now() {
    let rig = start();
    let (mut one, mut direct) = (rig.client(), rig.direct());
    direct.query("CREATE TABLE t AS SELECT 1 AS a");
    let text = "SELECT * FROM t";
    let parsed = |name| [frame::parse(name, text, &[]), frame::describe(b'S', name)].concat();
    one.send(&[parsed("s"), frame::sync()].concat());
    assert_eq!(tags(&one.read_until_ready()), "1tTZ");
    let batches = [
        vec![[parsed("s"), frame::sync()].concat()],
        vec![[parsed("s"), execute_named("s"), frame::sync()].concat()],
        // As asyncpg does.
        vec![[parsed("s"), frame::flush()].concat(), frame::sync()],
        vec![parsed("s"), frame::sync()],
    ];
    for (number, segments) in batches.iter().enumerate() {
        direct.query(&format!("ALTER TABLE t ADD b{number} int"));
        let columns = u8::try_from(number).unwrap() + 2;
        let mut other = rig.client();
        let expected = if number == 1 { "1tT2DCZ" } else { "1tTZ" };
        let mut frames = Vec::new();
        for segment in segments {
            other.send(segment);
            if segments.len() > 1 && segment != &frame::sync() {
                // Until the rest is sent, nothing more may come.
                let described = if number == 2 { 3 } else { 1 };
                frames.extend((0..described).map(|_| other.read()));
            }
        }
        frames.extend(other.read_until_ready());
        assert_eq!(tags(&frames), expected, "{:?}", sqlstates(&frames));
        let rows = frames.iter().find(|frame| frame.tag == b'T').unwrap();
        assert_eq!(rows.body[1], columns);
        other.query("BEGIN");
        let used = [execute_named("s"), frame::sync()].concat();
        other.send(&used);
        assert_eq!(tags(&other.read_until_ready()), "2DCZ");
        other.query("ROLLBACK");
    }
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_held(0);
}

fn execute_named(name: &str) -> Vec<u8> {
    [frame::bind("", name, &[]), frame::execute("", 0)].concat()
}

/// asyncpg and pgjdbc do so: they ask for no description where they have one.
#[test]
fn rows_are_not_sent_to_who_knows_another_description() {
    let rig = start();
    let (mut one, mut direct) = (rig.client(), rig.direct());
    direct.query("CREATE TABLE t AS SELECT 1 AS a");
    let prepare = [
        frame::parse("s", "SELECT * FROM t", &[]),
        frame::describe(b'S', "s"),
        frame::sync(),
    ]
    .concat();
    let run = [execute("s"), frame::sync()].concat();
    one.send(&prepare);
    assert_eq!(tags(&one.read_until_ready()), "1tTZ");
    one.send(&run);
    assert_eq!(tags(&one.read_until_ready()), "2DCZ");
    direct.query("ALTER TABLE t ADD b int DEFAULT 2");
    one.send(&run);
    assert_eq!(sqlstates(&one.read_until_ready()), ["0A000"]);
    // What drivers do then.
    one.send(&frame::close(b'S', "s"));
    one.send(&prepare);
    assert_eq!(tags(&one.read_until_ready()), "31tTZ");
    one.send(&run);
    let frames = one.read_until_ready();
    assert_eq!(frames[1].values().len(), 2);
}

#[test]
fn a_function_that_deallocates_is_not_noticed_by_others() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    one.query(
        "CREATE FUNCTION forget() RETURNS int LANGUAGE plpgsql AS \
         $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END $$",
    );
    let parse = frame::parse("s", "SELECT 2", &[]);
    other.send(&[parse, execute("s"), frame::sync()].concat());
    assert_eq!(tags(&other.read_until_ready()), "12DCZ");
    one.query("SELECT forget()");
    other.send(&[execute("s"), frame::sync()].concat());
    assert_eq!(tags(&other.read_until_ready()), "2DCZ");
    rig.assert_nothing_leaked();
}

#[test]
fn a_client_that_has_ended_its_side_is_answered_when_its_turn_comes() {
    let rig = start();
    let (mut holder, mut client) = (rig.client(), rig.client());
    holder.query("BEGIN");
    client.send(&frame::query("SELECT 'still here'"));
    client.end_sending();
    rig.wait_for_queue(1);
    holder.query("COMMIT");
    let frames = client.rest();
    assert_eq!(tags(&frames), "TDCZ");
    rig.assert_nothing_leaked();
}

#[test]
fn portals_are_suspended_and_go_on() {
    let mut pair = Pair::start();
    let batch = [
        frame::parse("s", "SELECT generate_series(1, 5)", &[]),
        frame::bind("p", "s", &[]),
        frame::execute("p", 2),
        frame::parse("u", "SELECT 'between'", &[]),
        frame::bind("", "u", &[]),
        frame::execute("", 0),
        frame::execute("p", 2),
        frame::execute("p", 0),
        frame::execute("p", 0),
        frame::sync(),
    ];
    pair.check(&batch, 1);
    pair.check(&[frame::query("BEGIN")], 1);
    pair.check(
        &[
            frame::bind("p", "s", &[]),
            frame::execute("p", 3),
            frame::sync(),
        ],
        1,
    );
    pair.check(&[frame::execute("p", 3), frame::sync()], 1);
    let closes = [
        frame::message(b'C', b"Pp\0"),
        frame::execute("p", 0),
        frame::sync(),
    ];
    assert_eq!(sqlstates(&pair.check(&closes, 1)), ["34000"]);
    pair.check(&[frame::query("ROLLBACK")], 1);
    pair.rig.assert_held(0);
}

#[test]
fn close_and_deallocate_in_a_batch_are_done_in_order() {
    let mut pair = Pair::start();
    let close = |name: &str| frame::message(b'C', format!("S{name}\0").as_bytes());
    let batch = [
        frame::parse("s", "SELECT 1", &[]),
        execute("s"),
        close("s"),
        frame::parse("s", "SELECT 2", &[]),
        execute("s"),
        close("never"),
        frame::sync(),
    ];
    pair.check(&batch, 1);
    pair.check(&[execute("s"), frame::sync()], 1);
    let batch = [
        frame::parse("", "DEALLOCATE s", &[]),
        execute(""),
        frame::parse("s", "SELECT 3", &[]),
        execute("s"),
        frame::sync(),
    ];
    pair.check(&batch, 1);
    pair.check(
        &[frame::query("DEALLOCATE ALL"), execute("s"), frame::sync()],
        2,
    );
    pair.check(
        &[
            frame::query("PREPARE q AS SELECT 9"),
            frame::query("EXECUTE q"),
        ],
        2,
    );
    pair.check(&[execute("q"), frame::sync()], 1);
    pair.check(&[close("q"), execute("q"), frame::sync()], 1);
}

#[test]
fn flush_brings_what_is_there() {
    let mut pair = Pair::start();
    let begin = [
        frame::parse("", "SELECT 1", &[]),
        execute(""),
        frame::flush(),
    ];
    for client in [&mut pair.ours, &mut pair.direct] {
        client.send(&begin.concat());
        let frames: Vec<Frame> = (0..4).map(|_| client.read()).collect();
        assert_eq!(tags(&frames), "12DC");
    }
    pair.check(
        &[
            frame::parse("", "SELECT 2", &[]),
            execute(""),
            frame::sync(),
        ],
        1,
    );
    pair.check(&[frame::flush(), frame::query("SELECT 3")], 1);
}

#[test]
fn odd_texts_are_answered_as_by_postgres() {
    let mut pair = Pair::start();
    for text in [
        "",
        ";",
        " ; ; ",
        "-- nothing",
        "/* nothing /* at */ all */",
        "/* open",
        "SELECT 1; SELECT 2",
        "SELECT 1;;SELECT 'a;b'; -- end",
        "SELECT 1; SELECT 1/0; SELECT 2",
        "BEGIN; SELECT 1; COMMIT; SELECT 2",
        "BEGIN; SELECT 1",
        "SELECT 2; ROLLBACK; SELECT 3",
        "COMMIT",
        "SELECT $$a$$; SELECT $x$;$x$",
        "SELECT E'\\'; SELECT 1; --'",
        "SELECT '\u{1f40e}'",
        "FROBNICATE",
    ] {
        pair.check(&[frame::query(text)], 1);
        pair.check(
            &[frame::parse("", text, &[]), execute(""), frame::sync()],
            1,
        );
        pair.check(&[frame::query("ROLLBACK")], 1);
    }
    pair.rig.assert_held(0);
}

#[test]
fn texts_of_16_mib_and_65535_parameters_pass() {
    let mut pair = Pair::start();
    let text = format!("SELECT length('{}')", "x".repeat(16 << 20));
    pair.check(&[frame::query(&text)], 1);
    pair.check(
        &[
            frame::parse("big", &text, &[]),
            execute("big"),
            frame::sync(),
        ],
        1,
    );
    pair.check(&[execute("big"), frame::sync()], 1);
    let numbers: Vec<String> = (1..=65_535)
        .map(|number| format!("${number}::int"))
        .collect();
    let text = format!("SELECT array_length(ARRAY[{}], 1)", numbers.join(","));
    let values = vec![Some("7"); 65_535];
    let batch = [
        frame::parse("many", &text, &[]),
        frame::bind("", "many", &values),
        frame::execute("", 0),
        frame::sync(),
    ];
    let frames = pair.check(&batch, 1);
    assert_eq!(frames[2].values(), [Some("65535".to_owned())]);
    pair.rig.assert_held(0);
}

#[test]
fn settings_that_cannot_be_set_again_end_the_session_before_anything_runs() {
    let rig = start();
    let (mut one, mut other, mut direct) = (rig.client(), rig.client(), rig.direct());
    direct.query("CREATE ROLE passing");
    direct.query("CREATE TABLE t (n int)");
    one.query("SET ROLE passing");
    assert_eq!(other.value("SELECT current_user"), "postgres");
    direct.query("DROP ROLE passing");
    let insert = [
        frame::parse("", "INSERT INTO t VALUES (1)", &[]),
        execute(""),
        frame::sync(),
        frame::query("INSERT INTO t VALUES (2)"),
    ];
    one.send(&insert.concat());
    let frames = one.rest();
    assert_eq!(sqlstates(&frames), ["22023"], "{}", tags(&frames));
    assert_eq!(other.value("SELECT count(*) FROM t"), "0");
    rig.assert_nothing_leaked();
}

#[test]
fn settings_ride_with_the_first_statement() {
    let rig = start();
    let (mut one, mut other) = (rig.client(), rig.client());
    rig.direct().query("CREATE TABLE t (n int)");
    one.query("SET application_name = 'one'");
    other.query("SET application_name = 'other'");
    let name = "SELECT current_setting('application_name')";
    let checks = [
        (vec![frame::query(name)], 1, "TDCZ"),
        (
            vec![frame::parse("", name, &[]), execute(""), frame::sync()],
            1,
            "12DCZ",
        ),
        (vec![frame::query("COMMIT")], 1, "NCZ"),
        (vec![frame::query("COMMIT; BEGIN; ROLLBACK")], 1, "NCCCZ"),
        (
            vec![
                frame::query("BEGIN"),
                frame::query(name),
                frame::query("COMMIT"),
            ],
            3,
            "CZTDCZCZ",
        ),
        (vec![frame::sync()], 1, "Z"),
        (vec![frame::query("")], 1, "IZ"),
        (
            vec![
                frame::bind("", "missing", &[]),
                frame::sync(),
                frame::query(name),
            ],
            2,
            "EZTDCZ",
        ),
        (
            vec![frame::query("COPY t TO STDOUT"), frame::query(name)],
            2,
            "HcCZTDCZ",
        ),
    ];
    for (messages, batches, expected) in checks {
        assert_eq!(other.value(name), "other");
        one.send(&messages.concat());
        let frames: Vec<Frame> = (0..batches).flat_map(|_| one.read_until_ready()).collect();
        assert_eq!(tags(&frames), expected);
        let rows = frames.iter().filter(|frame| frame.tag == b'D');
        for row in rows {
            assert_eq!(row.values(), [Some("one".to_owned())]);
        }
    }
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_nothing_leaked();
}

#[test]
fn dumps_are_those_of_the_server() {
    let rig = Rig::with(|config| (config.pool_size, config.workers) = (2, 1));
    let mut direct = rig.direct();
    for sql in [
        "CREATE ROLE reader",
        "CREATE SCHEMA app",
        "CREATE TABLE app.t (id int PRIMARY KEY, v text DEFAULT 'x')",
        "INSERT INTO app.t SELECT n, repeat('y', n % 50) FROM generate_series(1, 5000) n",
        "CREATE SEQUENCE app.s",
        "CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW app.v AS SELECT * FROM app.t WHERE id > app.f()",
    ] {
        assert_eq!(sqlstates(&direct.query(sql)), [""; 0], "{sql}");
    }
    // Somebody else, whose settings must not show in the dump.
    let mut other = rig.client();
    other.query("SET search_path = app");
    other.query("SET DateStyle = 'German'");
    let try_run = |name: &str, port: u16, arguments: &[&str]| {
        run(postgres_tool_at(port, &rig.server, name).args(arguments))
    };
    let run = |name: &str, port: u16, arguments: &[&str]| try_run(name, port, arguments).unwrap();
    // A pg_dump that is older than the server says so, and dumps nothing.
    let [refused, expected] =
        [rig.port, rig.server.port()].map(|port| try_run("pg_dump", port, &["-s", "postgres"]));
    if expected.output.contains("server version mismatch") {
        assert_eq!(refused.output, expected.output);
        return;
    }
    // A dump has a key of its own that differs each time.
    let plain = |dump: String| -> Vec<String> {
        let lines = dump
            .lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.map(str::to_owned).collect()
    };
    let (ours, server) = (rig.port, rig.server.port());
    for (tool, arguments) in [
        ("pg_dump", &["postgres"][..]),
        ("pg_dumpall", &["--globals-only"]),
    ] {
        assert_eq!(
            plain(run(tool, ours, arguments)),
            plain(run(tool, server, arguments)),
            "{tool}"
        );
    }
    let file = std::env::temp_dir().join(format!("paceline-dump-{}", std::process::id()));
    let path = file.to_str().unwrap();
    run(
        "pg_dump",
        ours,
        &["-Fc", "-n", "app", "-f", path, "postgres"],
    );
    direct.query("DROP SCHEMA app CASCADE");
    run("pg_restore", ours, &["-d", "postgres", path]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(direct.value("SELECT count(*) FROM app.v"), "4999");
    let listed = run(
        "psql",
        ours,
        &[
            "-X",
            "-At",
            "-c",
            "\\dn",
            "-c",
            "\\d app.t",
            "-c",
            "\\df app.*",
            "postgres",
        ],
    );
    assert!(
        listed.contains("app|") && listed.contains("id|integer") && listed.contains("|f|"),
        "{listed}"
    );
    assert_eq!(other.value("SHOW search_path"), "app");
    drop(other);
    rig.wait_for_pool(|pool| pool.used == 0 && pool.pinned == 0);
}
