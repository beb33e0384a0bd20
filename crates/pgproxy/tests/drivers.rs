//! The clients that people use, through the proxy, with a pool smaller than the number of clients.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use paceline_testkit::{ChildProcess, Signal, wait_until};
use support::tool::{pgbench, postgres_tool, psql};
use support::{POOLED, Rig};

#[test]
fn psql_works() {
    let rig = Rig::start();
    let out = psql(
        &rig,
        &[
            "CREATE TABLE notes (n int PRIMARY KEY, note text); INSERT INTO notes VALUES (1, 'one'), (2, NULL)",
            "SELECT * FROM notes ORDER BY n",
            "BEGIN",
            "DELETE FROM notes",
            "ROLLBACK",
            "\\d notes",
            "\\copy notes TO PROGRAM 'cat'",
            "\\set FETCH_COUNT 1",
            "SELECT count(*) FROM notes",
            "SHOW server_version_num",
        ],
    )
    .unwrap();
    for expected in [
        "n|note\n1|one\n2|",
        "n|integer||not null|",
        "notes_pkey",
        "1\tone\n2\t\\N",
        "count\n2\n",
        "server_version_num\n",
    ] {
        assert!(out.contains(expected), "{expected:?} is not in {out}");
    }

    let failed = psql(
        &rig,
        &["SELECT 1", "SELECT * FROM nowhere", "SELECT 'not reached'"],
    );
    assert!(
        !failed.is_success
            && failed
                .output
                .contains("relation \"nowhere\" does not exist")
    );
    assert!(
        failed.output.contains("LINE 1: SELECT * FROM nowhere"),
        "{}",
        failed.output
    );
    assert!(
        !failed.output.contains("not reached\n"),
        "{}",
        failed.output
    );
    rig.assert_nothing_leaked();
}

#[test]
fn psql_cancels_with_ctrl_c() {
    let rig = Rig::start();
    let folder = tempfile::tempdir().unwrap();
    let mut command = postgres_tool(&rig, "psql");
    command.args(["-X", "-c", "SELECT pg_sleep(60)"]);
    let child = ChildProcess::spawn(&command, &folder.path().join("log")).unwrap();
    let mut direct = rig.direct();
    let sleepers = format!(
        "SELECT count(*) FROM {POOLED} AND query LIKE '%pg_sleep(60)%' AND state = 'active'"
    );
    wait_until(support::PATIENCE, || direct.value(&sleepers) == "1");
    let started = Instant::now();
    child.signal(Signal::Interrupt);
    assert!(child.wait(support::PATIENCE).is_some(), "psql does not end");
    assert!(started.elapsed() < support::PATIENCE);
    let log = child.log_tail(20);
    assert!(
        log.contains("canceling statement due to user request"),
        "{log}"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn pgbench_works_in_every_query_mode() {
    let rig = Rig::start();
    let out = pgbench(&rig, "-i -s 1 -q").unwrap();
    assert!(out.contains("done in"), "{out}");
    let mut transactions = 0;
    for mode in ["simple", "extended", "prepared"] {
        // A thread for each client: pgbench prepares its statements while it waits for nothing else, so that of two clients on
        // one thread the first would sit in its transaction while the second waits for a server connection, for ever.
        let out = pgbench(&rig, &format!("-M {mode} -n -c 8 -j 8 -t 50")).unwrap();
        assert!(
            out.contains("number of transactions actually processed: 400/400"),
            "{mode}: {out}"
        );
        assert!(
            out.contains("number of failed transactions: 0 "),
            "{mode}: {out}"
        );
        transactions += 400;
    }
    // Every transaction happened once and as a whole.
    let mut direct = rig.direct();
    assert_eq!(
        direct.value("SELECT count(*) FROM pgbench_history"),
        transactions.to_string()
    );
    for table in ["accounts WHERE abalance <> 0", "tellers", "branches"] {
        let column = format!("{}balance", &table[..1]);
        let sql = format!(
            "SELECT (SELECT sum({column}) FROM pgbench_{table}) = (SELECT sum(delta) FROM pgbench_history)"
        );
        assert_eq!(direct.value(&sql), "t", "{table}");
    }
    rig.assert_nothing_leaked();
}

#[test]
fn pgbench_pipelines() {
    let rig = Rig::start();
    pgbench(&rig, "-i -s 1 -q").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pipeline.sql");
    let line = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n".repeat(10);
    let text = format!("\\set aid random(1, 100000)\n\\startpipeline\n{line}\\endpipeline\n");
    std::fs::write(&script, text).unwrap();
    for mode in ["extended", "prepared"] {
        let out = pgbench(
            &rig,
            &format!("-M {mode} -n -c 8 -j 2 -t 50 -f {}", script.display()),
        );
        let out = out.unwrap();
        assert!(
            out.contains("number of transactions actually processed: 400/400"),
            "{mode}: {out}"
        );
    }
    rig.assert_nothing_leaked();
}

#[test]
fn thirty_two_clients_share_ten_server_connections_without_an_error() {
    let rig = Rig::with(|config| config.pool_size = 10);
    pgbench(&rig, "-i -s 1 -q").unwrap();
    for mode in ["simple", "prepared"] {
        let out = pgbench(&rig, &format!("-S -M {mode} -n -c 32 -j 2 -T 3")).unwrap();
        assert!(
            out.contains("number of failed transactions: 0 "),
            "{mode}: {out}"
        );
        assert!(!out.contains("aborted"), "{mode}: {out}");
    }
    let pools = rig.proxy.pools();
    assert_eq!(pools.len(), 1, "{pools:#?}");
    assert!(
        pools[0].open <= 10 && pools[0].connects_total <= 10,
        "{pools:#?}"
    );
    assert_eq!(pools[0].wait_timeouts_total, 0);
    rig.assert_nothing_leaked();
}

#[test]
fn a_connection_for_each_transaction_opens_no_more_server_connections() {
    let rig = Rig::start();
    pgbench(&rig, "-i -s 1 -q").unwrap();
    let out = pgbench(&rig, "-S -C -n -c 8 -j 2 -t 50").unwrap();
    assert!(
        out.contains("number of transactions actually processed: 400/400"),
        "{out}"
    );
    let connects: u64 = rig
        .proxy
        .pools()
        .iter()
        .map(|pool| pool.connects_total)
        .sum();
    assert!(
        connects <= 8,
        "{connects} server connections for 400 client connections"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn drivers_log_in_with_scram() {
    let rig = Rig::before(paceline_testkit::scram_postgres("wörd with spaces"), |_| {});
    assert!(psql(&rig, &["SELECT 'in'"]).unwrap().contains("in"));
    let refused = support::tool::run(
        postgres_tool(&rig, "psql")
            .env("PGPASSWORD", "wrong")
            .args(["-X", "-c", "SELECT 1"]),
    );
    assert!(!refused.is_success && refused.output.contains("password authentication failed"));
    wait_until(Duration::from_secs(5), || rig.held_and_waiting() == (0, 0));
}
