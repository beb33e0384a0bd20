//! Faults of wording, in statements that a real Postgres has executed: each is found beside a healthy twin that is not, what is
//! to be written instead gives the same rows, and what is to be created makes the finding go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_catalogue::{Options, Snapshot, read};
use paceline_diagnose::{Finding, Material, Report};
use paceline_journal::{
    Config, ConnectionId, Journal, LoadStart, Outcome, StatementEnd, StatementStart,
};
use paceline_sql::{Limits, Statements, Values};
use paceline_testkit::PrivatePostgres;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const TABLES: &[&str] = &[
    "CREATE EXTENSION IF NOT EXISTS pg_stat_statements",
    "CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, name text NOT NULL)",
    "INSERT INTO customers SELECT n, 'Customer' || n || '@mail.example', 'name ' || n FROM generate_series(1, 5000) AS n",
    "CREATE INDEX customers_email ON customers (email)",
    "CREATE TABLE orders (id int PRIMARY KEY, number text NOT NULL, customer_id int NOT NULL REFERENCES customers, \
     placed_at timestamptz NOT NULL, note text NOT NULL)",
    "INSERT INTO orders SELECT n, 'A' || n, n % 5000 + 1, timestamptz '2025-01-01 00:00+00' + n * interval '20 minutes', \
     repeat('note ' || n || ' ', 80) FROM generate_series(1, 20000) AS n",
    "CREATE INDEX orders_number ON orders (number)",
    "CREATE INDEX orders_customer ON orders (customer_id)",
    "CREATE INDEX orders_placed_at ON orders (placed_at)",
    "CREATE TABLE categories (id int PRIMARY KEY, visible boolean NOT NULL)",
    "INSERT INTO categories SELECT n, n % 10 > 0 FROM generate_series(1, 120) AS n",
    "CREATE TABLE products (id int PRIMARY KEY, brand text NOT NULL, category_id int NOT NULL REFERENCES categories)",
    "INSERT INTO products SELECT n, 'brand ' || n % 40, n % 120 + 1 FROM generate_series(1, 2000) AS n",
    "CREATE INDEX products_category ON products (category_id)",
    "VACUUM ANALYZE",
    "SET max_parallel_workers_per_gather = 0",
    // Days begin elsewhere than in UTC, and one of them has 23 hours.
    "SET timezone = 'Europe/Berlin'",
];

const BY_EMAIL: &str = "SELECT name FROM customers WHERE lower(email) = 'customer77@mail.example'";
const BY_DAY: &str =
    "SELECT count(*), min(id), max(id) FROM orders WHERE placed_at::date = '2025-03-30'";
const FIND: &str = "SELECT orders.id, customers.name FROM orders JOIN customers ON customers.id = orders.customer_id \
                    WHERE orders.number = 'A77' OR customers.email = 'Customer9@mail.example' ORDER BY orders.id LIMIT 50";
const BRANDS: &str = "SELECT DISTINCT p.brand FROM products AS p, categories WHERE p.category_id = 7 AND categories.visible ORDER BY 1";

/// The same, written well.
const TWINS: &[&str] = &[
    "SELECT name FROM customers WHERE email = lower('Customer77')",
    "SELECT name FROM customers WHERE lower(name) = 'name 77'",
    "SELECT name FROM customers WHERE id = 77 AND lower(email) = 'customer77@mail.example'",
    "SELECT count(*) FROM orders WHERE placed_at >= '2025-03-30' AND placed_at < '2025-03-31'",
    "SELECT id FROM orders WHERE number = 'A77' OR note = 'x'",
    "SELECT p.brand FROM products AS p, categories AS c WHERE p.category_id = c.id AND c.visible",
    "SELECT p.brand FROM products AS p, categories AS c WHERE p.brand = 'brand 7' AND c.id = 7",
];

async fn database() -> (PrivatePostgres, Client) {
    let server = PrivatePostgres::start(paceline_testkit::options()).expect("a server");
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        server.port()
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    for statement in TABLES {
        run(&client, statement).await;
    }
    (server, client)
}

async fn run(client: &Client, statement: &str) {
    let done = client.batch_execute(statement).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
}

/// All rows, as text.
async fn rows(client: &Client, statement: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(statement).await;
    let messages = messages.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| {
        let values = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL").to_owned());
        values.collect()
    })
    .collect()
}

/// The rows of a statement with parameters.
async fn rows_with(client: &Client, statement: &str, values: &str) -> Vec<Vec<String>> {
    run(client, &format!("PREPARE written AS {statement}")).await;
    let rows = rows(client, &format!("EXECUTE written ({values})")).await;
    run(client, "DEALLOCATE written").await;
    rows
}

async fn look(client: &Client) -> Snapshot {
    let snapshot = read(client, &Options::default()).await.expect("a snapshot");
    assert_eq!(snapshot.gaps, []);
    snapshot
}

/// What rules on wording find. The others have tests of their own.
fn findings(snapshot: &Snapshot, journal: Option<&Journal>) -> Vec<Finding> {
    let traffic = Material {
        journal,
        ..Material::default()
    };
    let material = Material {
        database: Some(snapshot),
        ..traffic
    };
    let own = [
        "deep-offset",
        "function-on-indexed-column",
        "leading-wildcard",
        "or-across-tables",
        "cross-join",
        "select-star",
    ];
    let findings = Report::of(&material).findings.into_iter();
    findings.filter(|one| own.contains(&&*one.rule)).collect()
}

fn statement_of<'f>(findings: &'f [Finding], rule: &str, holds: &str) -> &'f str {
    let mut findings = findings.iter().filter(|one| one.rule == rule);
    let found = findings.find(|one| {
        let text = one.evidence.text("statement");
        text.is_some_and(|text| text.contains(holds))
    });
    let found = found.unwrap_or_else(|| panic!("no {rule} of {holds}"));
    found.remedy.statement.as_deref().expect("a statement")
}

#[tokio::test]
async fn what_pg_stat_statements_has_counted() {
    let (_server, client) = database().await;
    for _ in 0..5 {
        for statement in [BY_EMAIL, BY_DAY, FIND, BRANDS].iter().chain(TWINS) {
            rows(&client, statement).await;
        }
    }
    let found = findings(&look(&client).await, None);
    let named: BTreeSet<_> = found
        .iter()
        .map(|one| (&*one.rule, &*one.subject.name))
        .collect();
    let expected = BTreeSet::from([
        ("function-on-indexed-column", "SELECT customers"),
        ("function-on-indexed-column", "SELECT orders"),
        ("or-across-tables", "SELECT orders customers"),
        ("cross-join", "SELECT products categories"),
    ]);
    assert_eq!(named, expected, "{found:#?}");
    assert_eq!(found.len(), 4, "{found:#?}");

    // What is written instead gives the same rows.
    let range = statement_of(&found, "function-on-indexed-column", "orders");
    let day = rows_with(&client, range, "'2025-03-30'").await;
    assert_eq!(day, rows(&client, BY_DAY).await);
    assert_eq!(day[0][0], "69", "a day of 23 hours");
    let union = statement_of(&found, "or-across-tables", "orders");
    let both = rows_with(&client, union, "'A77', 'Customer9@mail.example', 50").await;
    assert_eq!(both, rows(&client, FIND).await);
    assert_eq!(both.len(), 5);
    // One that both arms find comes once.
    let twice = FIND.replace("A77", "A8");
    let both = rows_with(&client, union, "'A8', 'Customer9@mail.example', 50").await;
    assert_eq!(both, rows(&client, &twice).await);
    assert_eq!(both.len(), 4);
    let join = statement_of(&found, "cross-join", "products");
    assert!(join.ends_with("p.category_id = categories.id"), "{join}");

    // What is created makes the finding go, and is used.
    let index = statement_of(&found, "function-on-indexed-column", "customers");
    run(&client, index).await;
    run(&client, "ANALYZE customers").await;
    let plan = rows(&client, &format!("EXPLAIN {BY_EMAIL}"))
        .await
        .concat()
        .join(" ");
    assert!(plan.contains("customers_lower_idx"), "{plan}");
    let left = findings(&look(&client).await, None);
    let is_left = |one: &Finding| one.evidence.text("expression") == Some("lower(email)");
    assert!(!left.iter().any(is_left), "{left:#?}");
    assert_eq!(left.len(), 3);
}

/// What an instance would have seen: the statement so often, with these values, for an answer of 900 bytes.
fn traffic(statement: &str, values: Values, rows: u64) -> Arc<Journal> {
    let journal = Journal::new(Config::default());
    let shape = Statements::new(Limits::default()).learn(statement).shape;
    let mut now = Instant::now();
    for _ in 0..5 {
        let load = journal.open_load(LoadStart {
            method: "GET",
            path: "/orders",
            caller: None,
            now,
        });
        let execution = journal.begin(StatementStart {
            connection: ConnectionId(1),
            shape: &shape,
            trace: Some(load.traceparent()),
            parameters: 0,
            values,
            queued: Duration::ZERO,
            now,
        });
        now += Duration::from_millis(20);
        execution.finish(
            StatementEnd {
                rows,
                sqlstate: None,
            },
            now,
        );
        let outcome = Outcome {
            status: Some(200),
            response_bytes: 900,
            ..Outcome::default()
        };
        load.finish(outcome, now);
    }
    journal
}

/// Reads a table to its end, page by page, in both forms.
async fn compare_pages(client: &Client, snapshot: &Snapshot, paged: &str, size: usize) {
    let values = Values {
        offset: Some(5_000),
        leading: 0,
    };
    let journal = traffic(paged, values, size as u64);
    let found = findings(snapshot, Some(&journal));
    let keyset = statement_of(&found, "deep-offset", "OFFSET");
    let text = &found
        .iter()
        .find(|one| one.rule == "deep-offset")
        .expect("a finding")
        .remedy
        .text;
    assert!(!text.contains("unique") && !text.contains("NULL"), "{text}");
    run(client, &format!("PREPARE by_offset AS {paged}")).await;
    run(client, &format!("PREPARE by_key AS {keyset}")).await;
    let mut offset = 0;
    let mut last: Option<Vec<String>> = None;
    loop {
        let page = rows(client, &format!("EXECUTE by_offset ({size}, {offset})")).await;
        if let Some(last) = &last {
            let behind = format!("EXECUTE by_key ({size}, '{}', '{}')", last[1], last[0]);
            assert_eq!(rows(client, &behind).await, page, "{keyset} from {offset}");
        }
        let Some(end) = page.last() else { break };
        last = Some(end.clone());
        offset += size;
    }
    assert!(offset > 1_900, "{offset}");
    run(client, "DEALLOCATE ALL").await;
}

#[tokio::test]
async fn pages_behind_the_last_row_are_those_by_offset() {
    let (_server, client) = database().await;
    let snapshot = look(&client).await;
    for (paged, size) in [
        (
            "SELECT id, brand FROM products ORDER BY brand, id LIMIT $1 OFFSET $2",
            97,
        ),
        (
            "SELECT id, brand FROM products ORDER BY brand DESC, id DESC LIMIT $1 OFFSET $2",
            97,
        ),
        (
            "SELECT id, brand FROM products ORDER BY brand DESC, id LIMIT $1 OFFSET $2",
            100,
        ),
        (
            "SELECT p.id, p.brand FROM products p JOIN categories c ON c.id = p.category_id \
             ORDER BY p.brand, p.id DESC LIMIT $1 OFFSET $2",
            500,
        ),
    ] {
        compare_pages(&client, &snapshot, paged, size).await;
    }
}

#[tokio::test]
async fn what_needs_traffic_and_the_database() {
    let (_server, client) = database().await;
    let snapshot = look(&client).await;
    let of = |snapshot: &Snapshot, text: &str, leading: u8, rows: u64| {
        let values = Values {
            offset: None,
            leading,
        };
        let found = findings(snapshot, Some(&traffic(text, values, rows)));
        let found = found.into_iter();
        found
            .map(|one| (one.rule, one.subject.name, one.remedy.statement))
            .collect::<Vec<_>>()
    };
    let search = "SELECT id FROM customers WHERE name ILIKE $1";
    assert_eq!(of(&snapshot, search, 0, 1), []);
    let [(rule, route, Some(remedy))] = &of(&snapshot, search, 1, 1)[..] else {
        panic!("one finding with a statement");
    };
    assert_eq!((&**rule, &**route), ("leading-wildcard", "GET /orders"));
    for statement in remedy.split(";\n") {
        run(&client, statement).await;
    }
    let plan = rows(
        &client,
        "EXPLAIN SELECT id FROM customers WHERE name ILIKE '%ame 4711%'",
    )
    .await;
    assert!(
        plan.concat().join(" ").contains("Bitmap Index Scan"),
        "{plan:?}"
    );
    assert_eq!(of(&look(&client).await, search, 1, 1), []);

    // Twenty rows of more than 600 bytes for an answer of 900.
    let star = "SELECT * FROM orders ORDER BY id LIMIT $1";
    let [(rule, _, Some(remedy))] = &of(&snapshot, star, 0, 20)[..] else {
        panic!("one finding with a statement");
    };
    assert_eq!(rule, "select-star");
    let narrow = rows_with(&client, remedy, "3").await;
    let narrow: Vec<_> = narrow.iter().map(Vec::len).collect();
    assert_eq!(narrow, [4; 3], "{remedy}");
    for (twin, rows) in [
        ("SELECT id, number FROM orders ORDER BY id LIMIT $1", 20),
        ("SELECT * FROM products ORDER BY id LIMIT $1", 20),
        (star, 1),
    ] {
        assert_eq!(of(&snapshot, twin, 0, rows), [], "{twin}");
    }
}
