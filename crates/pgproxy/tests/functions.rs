//! What functions leave behind in their session, and what the next client finds of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use paceline_testkit::{RawPg, frame};
use support::{Rig, sqlstates, tags};

/// A proxy with one server connection, and functions that set `app.tenant` for their session.
fn start(trusted: &[&str]) -> Rig {
    let rig = Rig::trusting(trusted, paceline_testkit::postgres(), |config| {
        config.pool_size = 1;
    });
    let body = "RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.tenant', 'one', \
                false); RETURN 1; END $$";
    let mut direct = rig.direct();
    for sql in [
        "CREATE SCHEMA app",
        "CREATE TABLE t (n int)",
        &format!("CREATE FUNCTION f() {body}"),
        &format!("CREATE FUNCTION app.f() {body}"),
        &format!("CREATE FUNCTION fixed() {body} IMMUTABLE"),
        &format!("CREATE FUNCTION final(int) {body}"),
        "CREATE AGGREGATE setting_total(int) (sfunc = int4pl, stype = int, finalfunc = final)",
    ] {
        assert_eq!(sqlstates(&direct.query(sql)), [""; 0], "{sql}");
    }
    rig
}

/// The server process behind a client, and the tenant that is set there.
fn seen(client: &mut RawPg) -> (String, String) {
    let sql = "SELECT pg_backend_pid(), coalesce(current_setting('app.tenant', true), '')";
    let row = client.rows(sql).remove(0);
    let mut row = row.into_iter().map(Option::unwrap);
    (row.next().unwrap(), row.next().unwrap())
}

#[test]
fn what_a_function_sets_is_not_left_to_the_next_client() {
    let rig = start(&[]);
    let (mut one, mut other) = (rig.client(), rig.client());
    let clean = seen(&mut other);
    assert_eq!(clean.1, "");
    for act in [
        "SELECT f()",
        "SELECT app.f()",
        "SELECT * FROM f()",
        "INSERT INTO t VALUES (f())",
        "SELECT setting_total(n) FROM t",
        "SELECT setting_total(n) OVER () FROM t",
        "SELECT lower(f()::text)",
        "BEGIN; SELECT f(); COMMIT",
        "EXPLAIN SELECT fixed()",
        "ALTER TABLE t ADD x int DEFAULT f()",
    ] {
        assert_eq!(sqlstates(&one.query(act)), [""; 0], "{act}");
        assert_eq!(seen(&mut other), clean, "after {act}");
    }
    let bind = |text: &str, rest: &[Vec<u8>]| {
        let bound = [frame::parse("", text, &[]), frame::bind("", "", &[])];
        [bound.concat(), rest.concat(), frame::sync()].concat()
    };
    one.send(&bind("SELECT f()", &[frame::execute("", 0)]));
    assert_eq!(tags(&one.read_until_ready()), "12DCZ");
    assert_eq!(seen(&mut other), clean);
    // The planner runs it, though nobody executes it.
    one.send(&bind("SELECT fixed()", &[]));
    assert_eq!(tags(&one.read_until_ready()), "12Z");
    assert_eq!(seen(&mut other), clean);
    // Only reset: nobody was pinned, and no connection was closed.
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_nothing_leaked();
}

#[test]
fn a_trusted_function_causes_no_reset() {
    let rig = start(&["app.*"]);
    let (mut one, mut other) = (rig.client(), rig.client());
    let clean = seen(&mut other);
    // The trust is misplaced here, which shows that nothing is reset.
    one.query("SELECT app.f()");
    assert_eq!(seen(&mut other), (clean.0.clone(), "one".to_owned()));
    one.query("SELECT f()");
    assert_eq!(seen(&mut other), clean);
    rig.assert_nothing_leaked();
}

#[test]
fn prepared_statements_outlive_resets() {
    let rig = start(&[]);
    let mut clients = [rig.client(), rig.client()];
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("SELECT {number} * 100 + $1::int");
        let batch = [
            frame::parse("mine", &text, &[]),
            frame::parse("sets", "SELECT f()", &[]),
            frame::sync(),
        ];
        client.send(&batch.concat());
        assert_eq!(tags(&client.read_until_ready()), "11Z");
    }
    for turn in 0..5 {
        for (number, client) in clients.iter_mut().enumerate() {
            let mine = frame::bind("", "mine", &[Some(&turn.to_string())]);
            let sets = frame::bind("", "sets", &[]);
            let execute = frame::execute("", 0);
            // Two batches in one piece: whatever is reset between them must not lose the second.
            let first = [mine.clone(), execute.clone(), sets, execute.clone()].concat();
            let batches = [first, frame::sync(), mine, execute, frame::sync()];
            client.send(&batches.concat());
            let expected = [Some((number * 100 + turn).to_string())];
            let frames = client.read_until_ready();
            assert_eq!(tags(&frames), "2DC2DCZ", "client {number}, turn {turn}");
            assert_eq!(frames[1].values(), expected);
            let frames = client.read_until_ready();
            assert_eq!(tags(&frames), "2DCZ", "client {number}, turn {turn}");
            assert_eq!(frames[1].values(), expected);
        }
    }
    assert_eq!(rig.pool().connects_total, 1);
    rig.assert_nothing_leaked();
}
