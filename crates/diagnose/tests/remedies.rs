//! The statements that findings print instead of a loop do what the loop does, on a real Postgres.

use paceline_sql::{batch_form, batch_form_typed, join_form};
use paceline_testkit::{PrivatePostgres, options};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const SCHEMA: &str = "
CREATE TABLE companies (id bigint PRIMARY KEY, name text NOT NULL, seen timestamptz, score numeric(8,2) NOT NULL DEFAULT 0);
CREATE TABLE jobs (id bigint PRIMARY KEY, company_id bigint REFERENCES companies, title varchar(40), open boolean NOT NULL);
CREATE TABLE skills (id bigint PRIMARY KEY, name text);
CREATE TABLE job_skills (job_id bigint REFERENCES jobs, skill_id bigint REFERENCES skills, PRIMARY KEY (job_id, skill_id));
CREATE TABLE stock (product_id bigint, house varchar(3), quantity int NOT NULL, PRIMARY KEY (product_id, house));
CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job_id bigint, body text DEFAULT 'none');
INSERT INTO companies SELECT n, 'company ' || n, NULL, n FROM generate_series(1, 8) AS n;
INSERT INTO jobs SELECT n, CASE WHEN n % 5 > 0 THEN 1 + n % 7 END, 'job ' || n % 4, n % 3 > 0 FROM generate_series(1, 30) AS n;
INSERT INTO skills SELECT n, 'skill ' || n FROM generate_series(1, 9) AS n;
INSERT INTO job_skills SELECT j, s FROM generate_series(1, 30) AS j, generate_series(1, 9) AS s WHERE (j * s) % 4 = 1;
INSERT INTO stock SELECT p, h, p * 10 FROM generate_series(1, 8) AS p, unnest(ARRAY['a', 'b']) AS h;
";

/// Rows as text, nulls and all.
type Rows = Vec<Vec<Option<String>>>;

async fn database(server: &PrivatePostgres) -> Client {
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        server.port()
    );
    let (client, connection) = tokio_postgres::connect(&config, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client.batch_execute(SCHEMA).await.expect("the tables");
    client
}

/// Runs a text with literals for its parameters.
async fn rows(client: &Client, text: &str, values: &[&str]) -> Rows {
    let mut bound = text.to_owned();
    for (at, value) in values.iter().enumerate().rev() {
        bound = bound.replace(&format!("${}", at + 1), value);
    }
    let answer = client.simple_query(&bound).await;
    let answer = answer.unwrap_or_else(|error| panic!("{bound}: {error:?}"));
    let rows = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
            Some(values.collect())
        }
        _ => None,
    });
    rows.collect()
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort();
    rows
}

/// `'{1,2}'`.
fn array(values: &[&str]) -> String {
    let plain: Vec<_> = values
        .iter()
        .map(|value| value.trim_matches('\''))
        .collect();
    format!("'{{{}}}'", plain.join(","))
}

#[tokio::test]
async fn reads_by_an_array_bring_the_rows_of_the_loop() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let client = database(&server).await;
    // The statement with $1 as its key; columns that the loop returns; further values.
    let cases: &[(&str, usize, &[&str])] = &[
        ("SELECT id, name FROM companies WHERE id = $1", 2, &[]),
        ("SELECT name FROM companies WHERE id = $1", 1, &[]),
        ("SELECT name FROM companies WHERE id = $1 LIMIT 1", 1, &[]),
        (
            "SELECT * FROM companies WHERE companies.id = $1::bigint",
            4,
            &[],
        ),
        (
            "SELECT title FROM jobs WHERE company_id = $1 AND open",
            1,
            &[],
        ),
        (
            "SELECT id, title FROM jobs WHERE company_id = $1 AND title <> $2 ORDER BY id",
            2,
            &["'job 1'"],
        ),
        (
            "SELECT s.name FROM skills s JOIN job_skills js ON js.skill_id = s.id WHERE js.job_id = $1 ORDER BY s.name",
            1,
            &[],
        ),
        (
            "SELECT c.id, c.name FROM jobs j LEFT JOIN companies c ON c.id = j.company_id WHERE j.id = $1",
            2,
            &[],
        ),
        (
            "SELECT title, count(*) FROM jobs WHERE company_id = $1 GROUP BY title",
            2,
            &[],
        ),
        (
            "SELECT DISTINCT open FROM jobs WHERE company_id = $1",
            1,
            &[],
        ),
    ];
    let keys = ["1", "2", "3", "5", "8", "99"];
    for (text, columns, more) in cases {
        let mut looped = Rows::new();
        for key in keys {
            let values = [&[key], *more].concat();
            looped.extend(rows(&client, text, &values).await);
        }
        assert!(looped.len() > 1, "{text}");
        let form = batch_form(text)
            .unwrap_or_else(|| panic!("{text} has a form"))
            .text;
        let keys = array(&keys);
        let values = [&[keys.as_str()], *more].concat();
        let mut batched = rows(&client, &form, &values).await;
        // The key by which rows find their owners may have been added.
        batched.iter_mut().for_each(|row| row.truncate(*columns));
        assert_eq!(sorted(batched), sorted(looped), "{form}");
    }
    // A count of nothing is no row.
    let form = batch_form("SELECT count(*) FROM jobs WHERE company_id = $1").expect("a form");
    let counted = rows(&client, &form.text, &["'{1,99}'"]).await;
    assert_eq!(counted, [[Some("4".to_owned()), Some("1".to_owned())]]);
}

#[tokio::test]
async fn joins_bring_each_row_with_those_that_the_loop_found_for_it() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let client = database(&server).await;
    // The statement before, the name of the column in its result, the one that was repeated, its parameter, its other values.
    type Join<'a> = (&'a str, &'a str, &'a str, usize, &'a [&'a str]);
    let cases: &[Join<'_>] = &[
        (
            "SELECT * FROM jobs WHERE open ORDER BY id DESC LIMIT $1 OFFSET $2",
            "company_id",
            "SELECT * FROM companies WHERE id = $1",
            1,
            &[],
        ),
        (
            "SELECT j.id AS job, j.title FROM jobs j WHERE j.id > $1 AND j.id < $2",
            "job",
            "SELECT s.id, s.name FROM skills s JOIN job_skills js ON js.skill_id = s.id WHERE js.job_id = $1 ORDER BY s.name",
            1,
            &[],
        ),
        (
            "SELECT id, name FROM companies WHERE id > $1 AND id <> $2",
            "id",
            "SELECT count(*) FROM jobs WHERE company_id = $1",
            1,
            &[],
        ),
        (
            "SELECT id FROM companies WHERE id >= $1 AND id < $2",
            "id",
            "SELECT id, title FROM jobs WHERE title <> $1 AND company_id = $2::bigint ORDER BY id DESC LIMIT 2",
            2,
            &["'job 1'"],
        ),
        (
            "SELECT id, company_id FROM jobs WHERE id BETWEEN $1 AND $2",
            "company_id",
            "SELECT id, name, name AS company_id FROM companies WHERE $1 = companies.id",
            1,
            &[],
        ),
    ];
    for (before, key, repeated, number, more) in cases {
        let values = ["3", "9"];
        let names = client.prepare(before).await.expect("a statement");
        let at = names
            .columns()
            .iter()
            .position(|column| column.name() == *key)
            .expect("the column");
        let parents = rows(&client, before, &values).await;
        assert!(parents.len() > 2, "{before}");
        let width = client
            .prepare(repeated)
            .await
            .expect("a statement")
            .columns()
            .len();
        let mut looped = Rows::new();
        for parent in &parents {
            let mut bound: Vec<&str> = more.to_vec();
            bound.insert(number - 1, parent[at].as_deref().unwrap_or("NULL"));
            let found = rows(&client, repeated, &bound).await;
            let none = vec![vec![None; width]];
            let found = if found.is_empty() { none } else { found };
            looped.extend(found.into_iter().map(|row| [parent.clone(), row].concat()));
        }
        let form = join_form(before, key, repeated, *number).expect("a form");
        let all: Vec<&str> = values.iter().chain(*more).copied().collect();
        let joined = rows(&client, &form, &all).await;
        if form
            .rsplit(" r ON ")
            .next()
            .is_some_and(|end| end.contains("ORDER BY"))
        {
            assert_eq!(joined, looped, "{form}");
        } else {
            assert_eq!(sorted(joined), sorted(looped), "{form}");
        }
    }
}

#[tokio::test]
async fn writes_by_arrays_leave_the_tables_as_the_loop_does() {
    let server = PrivatePostgres::start(options()).expect("a server");
    let client = database(&server).await;
    let types = |_: &paceline_sql::Relation, column: &str| {
        let types = [
            ("id", "bigint"),
            ("product_id", "bigint"),
            ("name", "text"),
            ("house", "character varying(3)"),
            ("quantity", "integer"),
            ("score", "numeric(8,2)"),
        ];
        let found = types.iter().find(|(name, _)| *name == column);
        found.map(|(_, name)| (*name).to_owned())
    };
    // The statement, its values turn by turn, whether types are known, and the values of the batched form if they are no arrays.
    type Case = (
        &'static str,
        &'static [&'static [&'static str]],
        bool,
        Option<&'static str>,
    );
    let cases: &[Case] = &[
        (
            "DELETE FROM job_skills WHERE job_id = $1",
            &[&["1"], &["3"], &["99"]],
            false,
            None,
        ),
        (
            "DELETE FROM stock WHERE house = 'a' AND product_id = $1",
            &[&["1"], &["3"]],
            false,
            None,
        ),
        (
            "UPDATE companies SET seen = '2026-01-01' WHERE id = $1 AND score > 1",
            &[&["1"], &["2"], &["7"]],
            false,
            None,
        ),
        (
            "UPDATE companies SET name = $1, score = score + $2 WHERE id = $3",
            &[
                &["'a'", "1.5", "1"],
                &["'b'", "2.25", "2"],
                &["'c'", "-3", "99"],
            ],
            true,
            None,
        ),
        (
            "UPDATE companies SET name = $1, score = $2 WHERE id = $3",
            &[&["'a'", "1.5", "1"], &["'b'", "2.25", "2"]],
            false,
            Some(
                "'[{\"name\":\"a\",\"score\":1.5,\"id\":1},{\"name\":\"b\",\"score\":2.25,\"id\":2}]'",
            ),
        ),
        (
            "UPDATE stock SET quantity = (stock.quantity + $1::INTEGER) WHERE stock.product_id = $2::INTEGER AND stock.house = $3::VARCHAR",
            &[&["5", "1", "'a'"], &["6", "1", "'b'"], &["7", "2", "'b'"]],
            false,
            None,
        ),
        (
            "UPDATE stock AS v SET quantity = quantity - $1 WHERE house = $2 AND product_id = $3 AND quantity > 0",
            &[&["5", "'a'", "1"], &["6", "'b'", "1"]],
            true,
            None,
        ),
    ];
    for (text, turns, typed, json) in cases {
        let form = if *typed {
            batch_form_typed(text, &types)
        } else {
            batch_form(text)
        };
        let form = form.unwrap_or_else(|| panic!("{text} has a form")).text;
        let count = turns[0].len();
        let arrays: Vec<String> = (0..count)
            .map(|at| array(&turns.iter().map(|turn| turn[at]).collect::<Vec<_>>()))
            .collect();
        let values: Vec<&str> = match json {
            Some(json) => vec![json],
            None => arrays.iter().map(String::as_str).collect(),
        };
        same_tables(&client, text, turns, &form, &values).await;
    }
    // Two rows stand for as many as there are.
    let inserts: &[(&str, &[&[&str]])] = &[
        (
            "INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2)",
            &[&["2", "1"], &["2", "2"]],
        ),
        (
            "INSERT INTO notes (job_id, body) VALUES ($1, DEFAULT) RETURNING id",
            &[&["1"], &["2"]],
        ),
        (
            "INSERT INTO skills (id, name) VALUES ($1, 'new') ON CONFLICT DO NOTHING",
            &[&["9"], &["10"]],
        ),
    ];
    for (text, turns) in inserts {
        let form = batch_form(text).expect("a form").text;
        let values = turns.concat();
        same_tables(&client, text, turns, &form, &values).await;
    }
}

/// Both ways in transactions that are rolled back.
async fn same_tables(client: &Client, text: &str, turns: &[&[&str]], form: &str, values: &[&str]) {
    let untouched = tables(client).await;
    client.batch_execute("BEGIN").await.expect("a transaction");
    for turn in turns {
        rows(client, text, turn).await;
    }
    let looped = tables(client).await;
    client
        .batch_execute("ROLLBACK; BEGIN")
        .await
        .expect("a transaction");
    rows(client, form, values).await;
    let batched = tables(client).await;
    client.batch_execute("ROLLBACK").await.expect("its end");
    assert_ne!(looped, untouched, "{text} changes nothing");
    assert_eq!(batched, looped, "{form}");
}

/// All rows of all tables; ids that a sequence gave are left out, since it does not go back.
async fn tables(client: &Client) -> Vec<Rows> {
    let mut all = Vec::new();
    for text in [
        "SELECT * FROM companies",
        "SELECT * FROM skills",
        "SELECT * FROM job_skills",
        "SELECT * FROM stock",
        "SELECT job_id, body FROM notes",
    ] {
        all.push(sorted(rows(client, text, &[]).await));
    }
    all
}
