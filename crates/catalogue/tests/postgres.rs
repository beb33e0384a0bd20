//! What a real Postgres says of itself.

use std::time::Duration;

use paceline_catalogue::{
    ConstraintKind, Options, PlanError, RelationKind, SessionState, Snapshot, read,
};
use paceline_testkit::{PrivatePostgres, options};
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = "
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE TABLE owners (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, note varchar(20));
CREATE TABLE pets (
    id bigserial PRIMARY KEY,
    owner_id int NOT NULL REFERENCES owners ON DELETE CASCADE,
    \"Name\" text CHECK (\"Name\" <> ''),
    age int);
CREATE INDEX pets_name ON pets (lower(\"Name\"), age DESC) INCLUDE (owner_id) WHERE age > 1;
CREATE VIEW names AS SELECT name FROM owners;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM pets;
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
CREATE SEQUENCE alone AS smallint MAXVALUE 100;
INSERT INTO owners (name, note) SELECT 'owner ' || n, CASE WHEN n % 2 = 0 THEN 'x' END FROM generate_series(1, 1000) AS n;
INSERT INTO pets (owner_id, \"Name\", age) SELECT n, 'pet', n % 20 FROM generate_series(1, 1000) AS n;
SELECT nextval('alone');
ANALYZE;
";

fn server() -> PrivatePostgres {
    PrivatePostgres::start(options()).expect("a server")
}

async fn connect(server: &PrivatePostgres, user: &str) -> Client {
    let config = format!(
        "host=127.0.0.1 port={} user={user} dbname=postgres",
        server.port()
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client
}

async fn look(client: &Client) -> Snapshot {
    read(client, &Options::default()).await.expect("a snapshot")
}

#[tokio::test]
async fn all_that_is_there_is_read() {
    let server = server();
    let client = connect(&server, "postgres").await;
    client.batch_execute(SCHEMA).await.unwrap();
    let snapshot = look(&client).await;
    assert_eq!(snapshot.gaps, []);
    assert!(snapshot.server.version_number >= 130_000 && snapshot.server.block_bytes == 8192);
    assert_eq!(snapshot.database.name, "postgres");
    assert!(snapshot.database.bytes > 1_000_000 && snapshot.database.statistics_age_s > 0.0);
    let relation = |name: &str| {
        let found = snapshot.relations.iter().find(|one| one.name == name);
        found.unwrap_or_else(|| panic!("{name}"))
    };
    let kinds = [
        ("owners", RelationKind::Table),
        ("events", RelationKind::Partitioned),
        ("names", RelationKind::View),
        ("counts", RelationKind::MaterializedView),
    ];
    for (name, kind) in kinds {
        assert_eq!(relation(name).kind, kind, "{name}");
    }
    assert!(relation("events_1").is_partition);
    assert!(relation("pg_stat_statements").is_of_extension && !relation("pets").is_of_extension);
    let owners = relation("owners");
    assert_eq!(owners.estimated_rows, Some(1_000.0));
    assert!(owners.heap_bytes >= 8192 && owners.index_bytes >= 8192);
    let note = &owners.columns[2];
    assert_eq!(
        (&*note.name, &*note.type_name),
        ("note", "character varying(20)")
    );
    assert_eq!((note.null_fraction, note.is_not_null), (Some(0.5), false));
    assert_eq!(owners.columns[0].distinct, Some(-1.0));
    let pets = relation("pets");
    let index = snapshot
        .indexes_of(pets.oid)
        .find(|one| one.name == "pets_name")
        .unwrap();
    assert_eq!(
        (index.keys.len(), index.keys[0].column, index.keys[1].column),
        (2, None, Some(4))
    );
    assert_eq!(
        (&*index.keys[0].text, index.keys[1].options),
        ("lower(\"Name\")", 3)
    );
    assert_eq!(
        (&index.included[..], index.predicate.as_deref()),
        (&[2][..], Some("(age > 1)"))
    );
    assert!(index.is_valid && !index.is_unique && !index.backs_constraint && !index.is_being_built);
    let primary = snapshot
        .indexes_of(pets.oid)
        .find(|one| one.is_primary)
        .unwrap();
    assert!(primary.backs_constraint && primary.is_unique);
    let foreign = snapshot
        .constraints
        .iter()
        .find(|one| one.kind == ConstraintKind::Foreign)
        .unwrap();
    let target = foreign.foreign.as_ref().unwrap();
    assert_eq!(
        (foreign.relation, &foreign.columns[..]),
        (pets.oid, &[2][..])
    );
    assert_eq!(
        (target.relation, &target.columns[..], target.deletes_on),
        (owners.oid, &[1][..], true)
    );
    let sequence = |name: &str| {
        snapshot
            .sequences
            .iter()
            .find(|one| one.name == name)
            .unwrap()
    };
    let alone = sequence("alone");
    assert_eq!((alone.last, alone.max, alone.feeds), (Some(1), 100, None));
    assert_eq!(sequence("pets_id_seq").feeds, Some((pets.oid, 1)));
    assert_eq!(sequence("owners_id_seq").feeds, Some((owners.oid, 1)));
    assert_eq!(sequence("owners_id_seq").last, Some(1_000));
    assert_eq!(snapshot.setting("max_connections"), Some(100.0));
    assert!(snapshot.is_on("autovacuum"));
}

#[tokio::test]
async fn statements_come_with_their_plans() {
    let server = server();
    let client = connect(&server, "postgres").await;
    client.batch_execute(SCHEMA).await.unwrap();
    client
        .batch_execute("SET search_path = public; SELECT pg_stat_statements_reset()")
        .await
        .unwrap();
    for _ in 0..3 {
        client
            .query("SELECT * FROM pets WHERE age = $1", &[&3])
            .await
            .unwrap();
    }
    client
        .batch_execute("SELECT count(*) FROM pets CROSS JOIN owners")
        .await
        .unwrap();
    let snapshot = look(&client).await;
    let statements = snapshot.statements.expect("pg_stat_statements");
    let of = |text: &str| {
        let found = statements.list.iter().find(|one| one.text.contains(text));
        found.unwrap_or_else(|| panic!("{text}"))
    };
    assert!(statements.total_ms > 0.0);
    let scan = of("WHERE age");
    assert_eq!((scan.calls, scan.rows), (3, 150));
    match scan.plan.as_ref().unwrap() {
        Ok(plan) => {
            let node = plan.costliest().unwrap();
            assert_eq!(
                (&*node.kind, node.relation.as_deref()),
                ("Seq Scan", Some("public.pets"))
            );
        }
        Err(error) => {
            assert!(snapshot.server.version_number < 160_000, "{error}");
            assert_eq!(*error, PlanError::NeedsValues);
        }
    }
    let join = of("CROSS JOIN")
        .plan
        .as_ref()
        .unwrap()
        .as_ref()
        .expect("a plan");
    assert!(
        join.costliest().unwrap().kind.contains("Nested Loop"),
        "{join:?}"
    );
    // Nothing was executed, and the connection is as it was.
    let calls: i64 = client
        .query_one("SELECT calls FROM pg_stat_statements WHERE query LIKE 'SELECT count(*) FROM pets CROSS%'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn an_ordinary_role_learns_what_it_may() {
    let server = server();
    let admin = connect(&server, "postgres").await;
    admin.batch_execute(SCHEMA).await.unwrap();
    admin
        .batch_execute("CREATE ROLE guest LOGIN; GRANT SELECT ON pets TO guest")
        .await
        .unwrap();
    let guest = connect(&server, "guest").await;
    let snapshot = look(&guest).await;
    let gaps: Vec<_> = snapshot.gaps.iter().map(|gap| gap.what.as_str()).collect();
    for expected in [
        "column statistics of",
        "values of 3 sequences",
        "sessions do",
        "texts of pg_stat_statements",
    ] {
        assert!(
            gaps.iter().any(|gap| gap.contains(expected)),
            "{expected}: {gaps:?}"
        );
    }
    assert!(
        snapshot.gaps.iter().all(|gap| gap.reason.contains("GRANT")),
        "{:?}",
        snapshot.gaps
    );
    let of = |name: &str| {
        snapshot
            .relations
            .iter()
            .find(|one| one.name == name)
            .unwrap()
    };
    assert_eq!(of("owners").columns[0].distinct, None);
    assert!(of("pets").columns[0].distinct.is_some());
    assert!(snapshot.indexes.len() >= 3 && snapshot.statements.is_some());
}

#[tokio::test]
async fn a_locked_table_keeps_nobody_waiting() {
    let server = server();
    let admin = connect(&server, "postgres").await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let (locker, waiter) = (
        connect(&server, "postgres").await,
        connect(&server, "postgres").await,
    );
    locker
        .batch_execute("BEGIN; LOCK TABLE pets IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let waiting = tokio::spawn(async move { waiter.batch_execute("SELECT * FROM pets").await });
    let options = Options {
        lock_timeout: Duration::from_secs(60),
        ..Options::default()
    };
    let snapshot = loop {
        let snapshot = read(&admin, &options).await.expect("a snapshot");
        if !snapshot.lock_waits.is_empty() {
            break snapshot;
        }
    };
    assert_eq!(snapshot.gaps, []);
    let pets = snapshot
        .relations
        .iter()
        .find(|one| one.name == "pets")
        .unwrap();
    assert!(pets.heap_bytes > 0, "from the last ANALYZE");
    let wait = &snapshot.lock_waits[0];
    assert_eq!(
        (&*wait.kind, wait.relation.as_deref()),
        ("relation", Some("public.pets"))
    );
    let blocker = snapshot
        .sessions
        .iter()
        .find(|one| wait.blockers == [one.pid])
        .unwrap();
    assert_eq!(blocker.state, SessionState::IdleInTransaction);
    assert!(blocker.statement.contains("LOCK TABLE") && blocker.transaction_age_s.unwrap() >= 0.0);
    locker.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().unwrap();
}
