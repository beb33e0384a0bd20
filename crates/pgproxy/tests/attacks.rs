//! What somebody who meant harm has found.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use paceline_pgproxy::{Database, DatabaseUrl};
use paceline_testkit::{RawPg, frame};
use support::{Rig, config, extended, run_all, serve, sqlstates};

/// What a session holds that is not as in a new one. (Its transactions begin as the defaults say, whatever was said to the last one.)
const LEFT: &str = "SELECT concat_ws(' ', \
    (SELECT string_agg(name || '=' || setting, ',') FROM pg_settings WHERE source = 'session' AND setting <> '' \
      AND name NOT LIKE 'transaction\\_%'), \
    (SELECT 'role=' || current_user WHERE current_user <> 'postgres'), \
    (SELECT 'lock=' || count(*) FROM pg_locks WHERE locktype = 'advisory' HAVING count(*) > 0), \
    (SELECT 'prepared=' || string_agg(name, ',') FROM pg_prepared_statements WHERE from_sql), \
    (SELECT 'cursor=' || string_agg(name, ',') FROM pg_cursors WHERE is_holdable), \
    (SELECT 'temp=' || count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass \
      AND refobjid = pg_my_temp_schema() HAVING count(*) > 0), \
    (SELECT 'listen=' || string_agg(c, ',') FROM pg_listening_channels() c))";

/// Texts that may leave something behind; in each, ` | ` separates what is sent apart.
const TEXTS: &[&str] = &[
    "UPDATE pg_settings SET setting = '1234kB' WHERE name = 'work_mem'",
    "UPDATE pg_catalog.pg_settings SET setting = '1234kB' WHERE name = 'work_mem'",
    "CREATE TEMP TABLE x (n int) | SET work_mem = '1234kB' | BEGIN; COMMIT; DISCARD ALL",
    "SET search_path = pg_temp | SELECT 1 | CREATE TABLE x (n int)",
    "BEGIN | SELECT set_config('search_path', 'pg_temp', true) | CREATE TABLE x (n int) | COMMIT",
    "EXPLAIN (ANALYZE 0) SELECT pg_advisory_lock(1) | EXPLAIN (ANALYZE 1) SELECT pg_advisory_lock(1)",
    "BEGIN | SELECT set_config('search_path', 'public', true) | SELECT set_config('search_path', 'pg_temp', true) | CREATE TABLE x (n int) | COMMIT",
    "BEGIN | SET LOCAL search_path = 'public' | SET LOCAL search_path = 'pg_temp' | CREATE TABLE x (n int) | COMMIT",
    "BEGIN | SET LOCAL search_path = public, public | SET LOCAL search_path = pg_temp, public | CREATE TABLE x (n int) | COMMIT",
    "SELECT pg_advisory_lock(1), 1/0",
    "SELECT pg_advisory_lock(n), 1/(2-n) FROM t",
    "BEGIN | SELECT pg_advisory_lock(1), 1/0 | ROLLBACK",
    "SELECT pg_advisory_lock(1); SELECT 1/0",
    "BEGIN | SELECT pg_advisory_lock(1) | ROLLBACK",
    "PREPARE p AS SELECT 1; SELECT 1/0",
    "BEGIN; PREPARE p AS SELECT 1; ROLLBACK",
    "BEGIN | PREPARE p AS SELECT 1 | SELECT 1/0 | ROLLBACK",
    "SET search_path = pg_temp, public | CREATE TABLE x (n int)",
    "BEGIN | SET LOCAL search_path = pg_temp, public | CREATE TABLE x (n int) | COMMIT",
    "CREATE TABLE pg_temp.x (n int)",
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TYPE pg_temp.y AS (n int)",
    "CREATE TYPE pg_temp.y AS ENUM ('a')",
    "CREATE DOMAIN pg_temp.d AS int",
    "CREATE SEQUENCE pg_temp.s",
    "CREATE VIEW pg_temp.v AS SELECT 1",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE OPERATOR pg_temp.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
    "CREATE AGGREGATE pg_temp.agg (int) (SFUNC = int4pl, STYPE = int)",
    "CREATE COLLATION pg_temp.c FROM \"C\"",
    "CREATE TEXT SEARCH CONFIGURATION pg_temp.c (COPY = simple)",
    "CREATE TABLE pg_temp.x AS SELECT 1",
    "SELECT 1 AS n INTO pg_temp.x",
    "SELECT 1 AS n INTO TEMP x",
    "CREATE MATERIALIZED VIEW pg_temp.x AS SELECT 1",
    "COPY (SELECT set_config('work_mem', '1234kB', false)) TO STDOUT",
    "EXPLAIN ANALYZE SELECT set_config('work_mem', '1234kB', false)",
    "EXPLAIN (ANALYZE) SELECT pg_advisory_lock(1)",
    "EXPLAIN ANALYZE CREATE TABLE pg_temp.x AS SELECT 1",
    "EXPLAIN ANALYZE DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "BEGIN | DECLARE c CURSOR FOR SELECT set_config('work_mem', '1234kB', false) | FETCH c | COMMIT",
    "BEGIN | DECLARE c CURSOR FOR SELECT pg_advisory_lock(n) FROM t | FETCH c | COMMIT",
    "BEGIN | DECLARE c CURSOR FOR SELECT pg_advisory_lock(n), 1/(2-n) FROM t | FETCH ALL FROM c | COMMIT",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT; SELECT 1/0",
    "BEGIN; SET work_mem = '1234kB'; COMMIT; SELECT 1/0",
    "BEGIN; CREATE TEMP TABLE x (n int); COMMIT; SELECT 1/0",
    "VALUES (set_config('work_mem', '1234kB', false))",
    "SELECT * FROM set_config('work_mem', '1234kB', false)",
    "SELECT * FROM ROWS FROM (set_config('work_mem', '1234kB', false))",
    "SELECT U&\"set\\005fconfig\"('work_mem', '1234kB', false)",
    "SELECT set_config(VARIADIC ARRAY['work_mem', '1234kB', 'f'])",
    "SELECT set_config('WORK_MEM', '1234kB', false)",
    "SELECT set_config(U&'work!005fmem' UESCAPE '!', '1234kB', false)",
    "SELECT set_config(E'work\\x5fmem', '1234kB', false)",
    "SELECT set_config('work_'\n'mem', '1234kB', false)",
    "SELECT set_config($$work_mem$$, '1234kB', n = 0) FROM t",
    "SELECT set_config('work_mem'::text, '1234kB', 'f')",
    "SELECT set_config('work_mem', '1234kB', 'false'::bool)",
    "SELECT set_config('work_mem', '1234kB', true), set_config('work_mem', '1235kB', false)",
    "INSERT INTO t SELECT 1 WHERE set_config('work_mem', '1234kB', false) <> ''",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
    "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
    "SET TIME ZONE 3.5",
    "SET NAMES 'LATIN1'",
    "SET SCHEMA 'x'",
    "SET SEED TO 0.5",
    "SET XML OPTION DOCUMENT",
    "SET \"Work_Mem\" = 1234",
    "SET SESSION AUTHORIZATION r1",
    "SET ROLE r1",
    "BEGIN | SET ROLE r1 | SAVEPOINT s | RESET ROLE | ROLLBACK TO s | COMMIT",
    "SET LOCAL ROLE r1; COMMIT",
    "BEGIN | SET ROLE r1 | COMMIT AND CHAIN | SELECT 1/0 | ROLLBACK",
    "BEGIN | LISTEN c | COMMIT AND CHAIN | SELECT 1/0 | ROLLBACK",
    "BEGIN; LISTEN c; COMMIT; SELECT 1/0",
    "SELECT query_to_xml('SELECT set_config(''work_mem'', ''1234kB'', false)', true, false, '')",
    "SELECT xpath('/a', query_to_xml('SELECT pg_advisory_lock(3)', true, false, ''))",
    "SELECT pg_try_advisory_lock(1), pg_try_advisory_lock_shared(2), pg_advisory_lock_shared(3)",
    "SELECT pg_catalog.\"pg_advisory_lock\"(1,2)",
    "WITH x AS MATERIALIZED (SELECT pg_advisory_lock(1)) SELECT 1 FROM x",
    "SELECT cursor_to_xml('nope', 1, true, false, '')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT set_config(''work_mem'', ''1234kB'', false)::tsquery, ''a''::tsquery')",
    "SELECT 'a'::regclass, set_config('work_mem', '1234kB', false)",
    "PREPARE p (text) AS SELECT set_config('work_mem', $1, false) | EXECUTE p ('1234kB') | DEALLOCATE p",
    "CREATE TEMP TABLE x AS EXECUTE nope",
    "CREATE SCHEMA sx CREATE TABLE pg_temp.x (n int)",
    "DISCARD TEMP | DISCARD PLANS | SET work_mem = '1234kB' | DISCARD SEQUENCES",
    "ALTER TABLE t ADD COLUMN z text DEFAULT set_config('work_mem', '1234kB', false)",
    "DELETE FROM t WHERE set_config('work_mem', '1234kB', false) = ''",
    "MERGE INTO t USING (SELECT set_config('work_mem', '1234kB', false)) x ON false WHEN NOT MATCHED THEN INSERT (n) VALUES (1)",
    "SET work_mem = '1234kB'; PREPARE TRANSACTION 'x'",
    "BEGIN; SET work_mem = '1234kB'; COMMIT AND CHAIN; ROLLBACK",
    "ALTER ROLE postgres SET work_mem = '4MB'",
    "SELECT pg_catalog.set_config('app.x', 'a', false) FROM generate_series(1,2)",
    "SELECT lo_import('/nowhere')",
    "LOAD 'nowhere'",
    "SELECT set_config('role', 'r1', false)",
    "SELECT set_config('session_authorization', 'r1', false)",
    "SET \"role\" = r1",
    "SELECT set_config(name, '1234kB', false) FROM pg_settings WHERE name = 'work_mem'",
    "CREATE RULE ru AS ON DELETE TO t DO ALSO SELECT set_config('work_mem', '1234kB', false)",
    "SET standard_conforming_strings = off | SELECT 'a\\'', set_config('work_mem', '1234kB', false), 'b'",
    "SET standard_conforming_strings = off | SELECT 'a\\' || set_config(''work_mem''; SET ROLE r1; SELECT '''",
    "SET standard_conforming_strings = off | SELECT 'a\\', '; SET ROLE r1; SELECT '''",
];

#[test]
fn nothing_is_left_for_the_next() {
    let rig = Rig::with(|config| (config.pool_size, config.workers) = (1, 1));
    let mut direct = rig.direct();
    let set_up = [
        "CREATE ROLE r1",
        "CREATE TABLE t (n int)",
        "INSERT INTO t VALUES (1), (2)",
    ];
    run_all(&rig.server, &set_up);
    let mut found = Vec::new();
    for text in TEXTS {
        for is_extended in [false, true] {
            let mut client = rig.client();
            for sql in text.split(" | ") {
                let message = if is_extended && !sql.contains(';') {
                    extended(sql)
                } else {
                    frame::query(sql)
                };
                client.send(&message);
                client.read_until_ready();
            }
            client.query("SELECT 1");
            rig.wait_for_pool(|pool| pool.pinned == 1 || pool.idle == 1 || pool.open == 0);
            if rig.pool().pinned == 1 {
                drop(client);
                rig.wait_for_pool(|pool| pool.pinned == 0 && pool.used == 0);
            }
            let left = rig.client().value(LEFT);
            if !left.is_empty() {
                found.push(format!("{text} ({is_extended}): {left}"));
                // Nothing of it is to be there for the next.
                direct.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'direct'");
                direct.query("SELECT pg_sleep(0.1)");
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// A text that resets and fails does not reset.
#[test]
fn a_reset_that_failed_has_reset_nothing() {
    let rig = Rig::with(|config| (config.pool_size, config.workers) = (1, 1));
    let mut client = RawPg::connect(rig.port);
    client.send(&frame::startup(&[
        ("user", "postgres"),
        ("database", "postgres"),
        ("options", "-c work_mem=2MB"),
    ]));
    client.authenticate(None).unwrap();
    client.query("SET work_mem = '3MB'");
    assert_eq!(
        sqlstates(&client.query("RESET work_mem; SELECT 1/0")),
        ["22012"]
    );
    assert_eq!(client.value("SHOW work_mem"), "3MB");
    assert_eq!(rig.client().value("SHOW work_mem"), "4MB");
    client.query("CREATE TEMP TABLE x (n int)");
    assert_eq!(
        sqlstates(&client.query("RESET work_mem; SELECT 1/0")),
        ["22012"]
    );
    assert_eq!(client.value("SHOW work_mem"), "3MB");
}

/// A connection whose opening began before a reload leads to where the database was.
#[test]
fn an_opening_that_a_reload_overtakes_is_not_used() {
    let rig = Rig::start();
    rig.direct().query("CREATE DATABASE elsewhere");
    let relay = TcpListener::bind("127.0.0.1:0").unwrap();
    let old = relay.local_addr().unwrap().port();
    let (server, (here, arrived), (go, gone)) = (rig.server.port(), channel(), channel::<()>());
    let relayed = thread::spawn(move || {
        let (mut from, _) = relay.accept().unwrap();
        let mut first = [0; 1024];
        let read = from.read(&mut first).unwrap();
        here.send(()).unwrap();
        gone.recv().unwrap();
        let mut to = TcpStream::connect(("127.0.0.1", server)).unwrap();
        to.write_all(&first[..read]).unwrap();
        let (mut back, mut forth) = (to.try_clone().unwrap(), from.try_clone().unwrap());
        let answers = thread::spawn(move || {
            let _ = copy(&mut back, &mut forth);
            let _ = forth.shutdown(Shutdown::Both);
        });
        let _ = copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
        answers.join().unwrap();
    });
    let url = |port: u16, database: &str| {
        let url = format!("postgres://postgres@127.0.0.1:{port}/{database}?sslmode=disable");
        DatabaseUrl::parse(&url).unwrap()
    };
    let mut settings = config(&rig.server.url("postgres"));
    (settings.pool_size, settings.workers) = (1, 1);
    settings.databases[0].url = url(old, "postgres");
    let serving = serve(settings.clone());
    let port = serving.port;
    let client = thread::spawn(move || {
        let mut client = RawPg::login(port, "postgres", None, "postgres");
        client.value("SELECT current_database()")
    });
    arrived.recv().unwrap();
    settings.databases[0].url = url(server, "elsewhere");
    serving.proxy.reload(settings).unwrap();
    go.send(()).unwrap();
    assert_eq!(client.join().unwrap(), "elsewhere");
    drop(serving);
    relayed.join().unwrap();
}

/// Who is called like the main database's user elsewhere, and has a password there, is not its user.
#[test]
fn the_console_is_the_main_databases() {
    let url = |password: &str| {
        let url = format!("postgres://app:{password}@127.0.0.1:1/app?sslmode=disable");
        DatabaseUrl::parse(&url).unwrap()
    };
    let mut settings = config("postgres://app:main@127.0.0.1:1/app");
    settings.databases[0].url = url("main");
    settings.databases.push(Database {
        name: "*".to_owned(),
        url: url("other"),
        ..Database::default()
    });
    let serving = serve(settings);
    let login = |password| {
        let parameters = [("user", "app"), ("database", "paceline")];
        RawPg::try_login(serving.port, &parameters, Some(password))
    };
    let refused = login("other").expect_err("a refusal");
    assert_eq!(refused.sqlstate().as_deref(), Some("28P01"));
    login("main").unwrap();
}
