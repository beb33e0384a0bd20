//! Faults that are really planted in a real Postgres, each with a healthy twin beside it that must not be reported.

use std::collections::BTreeSet;

use paceline_catalogue::{Options, Snapshot, read};
use paceline_diagnose::{Finding, Material, Report};
use paceline_testkit::PrivatePostgres;
use tokio_postgres::{Client, NoTls};

const DAY_S: f64 = 86_400.0;

/// A server without autovacuum, so that what is planted stays.
fn server(settings: &[(&str, &str)]) -> PrivatePostgres {
    let own = [("autovacuum", "off"), ("jit", "off")];
    let settings = own.iter().chain(settings);
    let options = paceline_testkit::Options {
        settings: settings
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        ..paceline_testkit::options()
    };
    PrivatePostgres::start(options).expect("a server")
}

async fn connect(server: &PrivatePostgres) -> Client {
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        server.port()
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client
}

async fn run(client: &Client, statements: &[&str]) {
    for statement in statements {
        client
            .batch_execute(statement)
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

/// Runs them in a session of their own, and waits for its end: then all that they have done is counted.
async fn run_apart(server: &PrivatePostgres, client: &Client, statements: &[&str]) {
    let apart = connect(server).await;
    run(&apart, statements).await;
    let pid: i32 = apart
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .expect("a row")
        .get(0);
    drop(apart);
    let is_there = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1";
    while client
        .query_one(is_there, &[&pid])
        .await
        .expect("a row")
        .get::<_, i64>(0)
        > 0
    {}
}

/// A snapshot in which everything counted has reached the shared statistics (before Postgres 15, a process tells of it late).
async fn look(client: &Client, is_there: impl Fn(&Snapshot) -> bool) -> Snapshot {
    loop {
        let snapshot = read(client, &Options::default()).await.expect("a snapshot");
        assert_eq!(snapshot.gaps, []);
        if is_there(&snapshot) {
            return snapshot;
        }
    }
}

/// The same moment, so much later: what is old is older.
fn later(mut snapshot: Snapshot, seconds: f64) -> Snapshot {
    snapshot.database.statistics_age_s += seconds;
    for session in &mut snapshot.sessions {
        session.state_age_s += seconds;
        session.transaction_age_s = session.transaction_age_s.map(|age| age + seconds);
    }
    snapshot
}

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let material = Material {
        database: Some(snapshot),
        ..Material::default()
    };
    Report::of(&material).findings
}

/// Rule and subject of each finding.
fn found(snapshot: &Snapshot) -> BTreeSet<(String, String)> {
    let findings = findings(snapshot).into_iter();
    findings.map(|one| (one.rule, one.subject.name)).collect()
}

#[track_caller]
fn assert_found(snapshot: &Snapshot, expected: &[(&str, &str)]) {
    let own = |(rule, name): &(&str, &str)| (rule.to_string(), name.to_string());
    assert_eq!(
        found(snapshot),
        expected.iter().map(own).collect(),
        "{:#?}",
        findings(snapshot)
    );
}

fn counted<'s>(snapshot: &'s Snapshot, name: &str) -> &'s paceline_catalogue::TableStatistics {
    let table = snapshot.relations.iter().find(|one| one.name == name);
    table
        .and_then(|one| one.statistics.as_ref())
        .expect("statistics")
}

#[tokio::test]
async fn indexes() {
    let server = server(&[]);
    let client = connect(&server).await;
    run(&client, &[
        "CREATE TABLE owners (id bigint PRIMARY KEY, note text)",
        "CREATE TABLE pets (id bigint PRIMARY KEY, owner_id bigint REFERENCES owners, name text, age int, city text)",
        "CREATE TABLE toys (id bigint PRIMARY KEY, pet_id bigint REFERENCES pets, n int)",
        "INSERT INTO owners SELECT n, 'x' FROM generate_series(1, 50000) AS n",
        "INSERT INTO pets SELECT n, n, 'pet ' || n, n % 3, 'city ' || n FROM generate_series(1, 50000) AS n",
        "INSERT INTO toys SELECT n, n, n FROM generate_series(1, 30000) AS n",
        // The twins: an index of its own for the foreign key, one that is used, and one of another order.
        "CREATE INDEX toys_pet_id ON toys (pet_id)",
        "CREATE INDEX pets_name ON pets (name)",
        "CREATE INDEX pets_age_name ON pets (age DESC, name)",
        "CREATE INDEX pets_age ON pets (age, city)",
        // Unused; the same as another one; the beginning of another one; never finished.
        "CREATE INDEX pets_city ON pets (city)",
        "CREATE INDEX pets_name_again ON pets (name)",
        "CREATE INDEX toys_n ON toys (n)",
            "CREATE INDEX toys_n_id ON toys (n, id)",
        "INSERT INTO owners VALUES (0, 'twice'), (-1, 'twice')",
    ]).await;
    let failed = client
        .batch_execute("CREATE UNIQUE INDEX CONCURRENTLY owners_note ON owners (note)")
        .await;
    assert!(failed.is_err(), "two rows have the same note");
    run(&client, &["VACUUM ANALYZE", "SET enable_seqscan = off"]).await;
    for _ in 0..150 {
        run(
            &client,
            &[
                "SELECT FROM pets WHERE name = 'pet 7'",
                "SELECT FROM toys WHERE pet_id = 7",
            ],
        )
        .await;
    }
    run(
        &client,
        &[
            "SELECT FROM pets ORDER BY age DESC, name LIMIT 1",
            "SELECT FROM pets ORDER BY age, city LIMIT 1",
            "SELECT count(*) FROM owners WHERE id < 5",
        ],
    )
    .await;
    let used = |snapshot: &Snapshot, name: &str| {
        snapshot
            .indexes
            .iter()
            .any(|index| index.name.starts_with(name) && index.scans > 0)
    };
    let snapshot = look(&client, |one| {
        counted(one, "pets").index_scans >= 150
            && ["toys_pet_id", "pets_age_name"]
                .iter()
                .all(|name| used(one, name))
    })
    .await;
    let always = [
        ("missing-foreign-key-index", "public.pets"),
        ("invalid-index", "public.owners_note"),
        ("duplicate-index", "public.toys_n"),
    ];
    // Of the two that are the same one goes: the one that the planner did not choose.
    let again = if used(&snapshot, "pets_name_again") {
        "public.pets_name"
    } else {
        "public.pets_name_again"
    };
    let same = ("duplicate-index", again);
    // Statistics that are a minute old know no "never".
    assert_found(&snapshot, &[&always[..], &[same]].concat());
    let snapshot = later(snapshot, 7.0 * DAY_S);
    let unused = [
        ("unused-index", "public.pets_city"),
        ("unused-index", again),
    ];
    assert_found(&snapshot, &[&always[..], &[same], &unused].concat());
    // Each remedy does what it says: afterwards nothing is left to be found.
    for finding in findings(&snapshot) {
        if finding.rule == "unused-index" && finding.subject.name == again {
            continue;
        }
        let statement = finding.remedy.statement.expect("a statement");
        let statement = statement.replace("REINDEX INDEX CONCURRENTLY", "DROP INDEX");
        run(&client, &[&statement]).await;
    }
    let snapshot = later(look(&client, |_| true).await, 7.0 * DAY_S);
    // It was made just now.
    let new = |finding: &(String, String)| {
        finding.0 == "unused-index" && finding.1.contains("pets_owner_id")
    };
    assert!(found(&snapshot).iter().all(new), "{:?}", found(&snapshot));
}

#[tokio::test]
async fn tables_and_sequences() {
    let server = server(&[]);
    let client = connect(&server).await;
    run_apart(
        &server,
        &client,
        &[
            "CREATE TABLE fresh (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)",
            "CREATE TABLE whole (id bigint PRIMARY KEY, v int)",
            "INSERT INTO whole SELECT n, n % 1000 FROM generate_series(1, 20000) AS n",
            "CREATE TABLE dead (id bigint, v text)",
            "INSERT INTO dead SELECT n, 'x' FROM generate_series(1, 40000) AS n",
            "CREATE TABLE fat (id bigint PRIMARY KEY, v text)",
            "INSERT INTO fat SELECT n, repeat('x', 30) FROM generate_series(1, 700000) AS n",
            "CREATE TABLE lean (id bigint PRIMARY KEY, v text)",
            "INSERT INTO lean SELECT n, repeat('x', 30) FROM generate_series(1, 200000) AS n",
            "CREATE TABLE late (id serial, v int)",
            "CREATE TABLE early (id bigserial, v int)",
            // Four of five rows are gone; the room is still there.
            "DELETE FROM fat WHERE id % 5 > 0",
        ],
    )
    .await;
    run_apart(
        &server,
        &client,
        &[
            "VACUUM ANALYZE fresh, whole, fat, lean, late, early",
            "ANALYZE dead",
        ],
    )
    .await;
    run_apart(
        &server,
        &client,
        &[
            "CREATE TABLE unknown (id bigint)",
            "INSERT INTO unknown SELECT generate_series(1, 5000)",
            "UPDATE dead SET v = 'y' WHERE id <= 19000",
            "INSERT INTO late (v) VALUES (1)",
            "SELECT setval('late_id_seq', 2000000000), setval('early_id_seq', 2000000000)",
        ],
    )
    .await;
    for _ in 0..120 {
        run(
            &client,
            &[
                "SELECT count(*) FROM whole WHERE v = 3",
                "SELECT v FROM whole WHERE id = 3",
            ],
        )
        .await;
    }
    let snapshot = look(&client, |one| {
        counted(one, "whole").sequential_scans >= 120
            && counted(one, "dead").dead_rows > 0
            && counted(one, "unknown").modified_since_analyze > 0
    })
    .await;
    assert_found(
        &snapshot,
        &[
            ("sequential-scans", "public.whole"),
            ("dead-rows", "public.dead"),
            ("stale-statistics", "public.unknown"),
            ("bloated-table", "public.fat"),
            ("bloated-index", "public.fat_pkey"),
            ("sequence-near-end", "public.late_id_seq"),
        ],
    );
    // The estimates are near what is left when all is written anew.
    let expected = |rule: &str| {
        let findings = findings(&snapshot).into_iter().find(|one| one.rule == rule);
        findings
            .and_then(|one| one.evidence.number("expected_bytes"))
            .expect("an estimate")
    };
    run(&client, &["VACUUM (FULL) fat"]).await;
    let row = client
        .query_one(
            "SELECT pg_relation_size('fat'), pg_relation_size('fat_pkey')",
            &[],
        )
        .await
        .unwrap();
    let (table, index): (i64, i64) = (row.get(0), row.get(1));
    for (expected, real) in [
        (expected("bloated-table"), table),
        (expected("bloated-index"), index),
    ] {
        assert!(
            (expected / real as f64 - 1.0).abs() < 0.1,
            "{expected} {real}"
        );
    }
    // What the remedies do is what was missing.
    for finding in findings(&snapshot) {
        if let (Some(statement), false) =
            (finding.remedy.statement, finding.rule == "sequential-scans")
        {
            run(&client, &[&statement]).await;
        }
    }
    let snapshot = look(&client, |one| counted(one, "dead").dead_rows == 0).await;
    assert_found(&snapshot, &[("sequential-scans", "public.whole")]);
}

async fn pid(client: &Client) -> String {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    format!("pid {}", row.expect("a row").get::<_, i32>(0))
}

#[tokio::test]
async fn sessions() {
    let server = server(&[
        ("max_connections", "12"),
        ("superuser_reserved_connections", "2"),
    ]);
    let (client, idle, waiter) = (
        connect(&server).await,
        connect(&server).await,
        connect(&server).await,
    );
    let (worker, healthy) = (connect(&server).await, connect(&server).await);
    run(
        &client,
        &["CREATE TABLE jobs (id int); INSERT INTO jobs VALUES (1)"],
    )
    .await;
    run(&healthy, &["BEGIN; SELECT * FROM jobs; COMMIT"]).await;
    run(&idle, &["BEGIN; UPDATE jobs SET id = 2"]).await;
    let (idle_pid, worker_pid) = (pid(&idle).await, pid(&worker).await);
    let waiting = tokio::spawn(async move { waiter.batch_execute("UPDATE jobs SET id = 3").await });
    let working = tokio::spawn(async move { worker.batch_execute("SELECT pg_sleep(600)").await });
    let is_there = |one: &Snapshot| {
        one.lock_waits.iter().any(|wait| wait.waiting_s >= 1.0)
            && one
                .sessions
                .iter()
                .any(|session| session.statement.contains("pg_sleep"))
    };
    let snapshot = look(&client, is_there).await;
    // A second is no long transaction.
    assert_found(&snapshot, &[("lock-waits", &idle_pid)]);
    let others = later(snapshot, 301.0);
    let found = found(&others);
    for (rule, pid) in [
        ("idle-in-transaction", &idle_pid),
        ("long-transaction", &worker_pid),
        ("lock-waits", &idle_pid),
    ] {
        assert!(
            found.contains(&(rule.to_owned(), pid.clone())),
            "{rule} {pid}: {found:?}"
        );
    }
    // The waiter has a transaction as well.
    assert_eq!(found.len(), 4, "{found:?}");
    let mut crowd = Vec::new();
    for _ in 0..3 {
        crowd.push(connect(&server).await);
    }
    let snapshot = look(&client, |one| one.server.sessions >= Some(8)).await;
    assert_found(
        &snapshot,
        &[
            ("lock-waits", &idle_pid),
            ("connections-near-limit", "connections"),
        ],
    );
    // The remedies end what is in the way.
    for finding in findings(&others) {
        if finding.rule != "long-transaction" || finding.subject.name == worker_pid {
            run(&client, &[&finding.remedy.statement.expect("a statement")]).await;
        }
    }
    waiting
        .await
        .unwrap()
        .expect("nobody is in the way any more");
    assert!(working.await.unwrap().is_err(), "it was cancelled");
    drop(crowd);
    let snapshot = look(&client, |one| {
        one.server.sessions <= Some(5) && one.lock_waits.is_empty()
    })
    .await;
    assert_found(&later(snapshot, 0.0), &[]);
}

#[tokio::test]
async fn memory_and_statements() {
    let poor = server(&[("shared_buffers", "1MB"), ("work_mem", "64kB")]);
    let rich = server(&[("shared_buffers", "128MB"), ("work_mem", "64MB")]);
    for (server, is_poor) in [(&poor, true), (&rich, false)] {
        let client = connect(server).await;
        run(
            &client,
            &[
                "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
                "CREATE TABLE jobs (id int PRIMARY KEY, v text) WITH (fillfactor = 10)",
                "INSERT INTO jobs SELECT n, repeat('x', 200) FROM generate_series(1, 30000) AS n",
                "VACUUM ANALYZE",
                "SET max_parallel_workers_per_gather = 0",
                "SET statement_timeout = 0",
            ],
        )
        .await;
        for _ in 0..60 {
            run(&client, &["SELECT * FROM (SELECT * FROM jobs ORDER BY v, id DESC OFFSET 1) AS sorted LIMIT 1 OFFSET 29990"]).await;
        }
        // Slow by what it does, not by what it reads.
        for _ in 0..10 {
            run(
                &client,
                &["SELECT count(*) FROM jobs AS a CROSS JOIN (SELECT id FROM jobs LIMIT 100) AS few"],
            )
            .await;
        }
        let reads = if is_poor { 200 } else { 1 };
        for _ in 0..reads {
            run(&client, &["SELECT count(v) FROM jobs"]).await;
        }
        let enough = |one: &Snapshot| {
            !is_poor || one.database.blocks_hit + one.database.blocks_read >= 1_000_000
        };
        let snapshot = later(look(&client, enough).await, 3_600.0);
        let rules: BTreeSet<_> = found(&snapshot).into_iter().map(|(rule, _)| rule).collect();
        for rule in ["temp-files", "low-hit-ratio"] {
            assert_eq!(rules.contains(rule), is_poor, "{rule}: {rules:?}");
        }
        let slow = findings(&snapshot)
            .into_iter()
            .filter(|one| one.rule == "slow-statement");
        let slow: Vec<_> = slow
            .filter(|one| {
                one.evidence
                    .text("statement")
                    .unwrap()
                    .contains("CROSS JOIN")
            })
            .collect();
        assert_eq!(slow.len(), 1, "{slow:#?}");
        let is_named = slow[0].evidence.text("node").is_some();
        // From 16 on a statement with parameters has a plan as well.
        assert_eq!(
            is_named,
            snapshot.server.version_number >= 160_000,
            "{:#?}",
            slow[0]
        );
    }
}
