use std::collections::BTreeSet;

use super::*;
use crate::SettingName;

/// The facts, with no function trusted.
fn read(text: &str) -> Facts {
    super::read(text, &[])
}

fn names<T: ToString>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The kind, and the relations read and written.
#[track_caller]
fn relations(text: &str, kind: Kind, reads: &str, writes: &str) {
    let facts = read(text);
    let found = (facts.kind, names(&facts.reads), names(&facts.writes));
    assert_eq!(found, (kind, reads.to_owned(), writes.to_owned()), "{text}");
}

#[test]
fn finds_relations_of_queries() {
    relations("SELECT 1", Kind::Select, "", "");
    relations("SELECT * FROM a, s.b, c AS d", Kind::Select, "a c s.b", "");
    relations("TABLE a", Kind::Select, "a", "");
    relations("VALUES (1), ((SELECT x FROM a))", Kind::Select, "a", "");
    relations("SELECT * FROM db.s.a", Kind::Select, "s.a", "");
    relations(
        "SELECT * FROM \"A b\".\"C.d\", jobs_2024_01",
        Kind::Select,
        "jobs_2024_01 A b.C.d",
        "",
    );
    relations(
        "SELECT * FROM a JOIN b ON a.x = (SELECT max(x) FROM c)",
        Kind::Select,
        "a b c",
        "",
    );
    relations(
        "SELECT (SELECT 1 FROM a), EXISTS (SELECT 1 FROM b)",
        Kind::Select,
        "a b",
        "",
    );
    relations(
        "SELECT * FROM a WHERE x IN (SELECT y FROM b) ORDER BY (SELECT 1 FROM c)",
        Kind::Select,
        "a b c",
        "",
    );
    relations(
        "SELECT * FROM a UNION SELECT * FROM b EXCEPT (TABLE c)",
        Kind::Select,
        "a b c",
        "",
    );
    relations(
        "SELECT * FROM a, LATERAL (SELECT * FROM b WHERE b.x = a.x) c",
        Kind::Select,
        "a b",
        "",
    );
    relations(
        "SELECT * FROM generate_series(1, (SELECT n FROM a))",
        Kind::Select,
        "a",
        "",
    );
    relations(
        "SELECT * FROM a TABLESAMPLE SYSTEM (5)",
        Kind::Select,
        "a",
        "",
    );
    relations(
        "SELECT CASE WHEN (SELECT true FROM a) THEN (SELECT 1 FROM b) END",
        Kind::Select,
        "a b",
        "",
    );
    relations(
        "SELECT count(*) FILTER (WHERE x > (SELECT 1 FROM a)) FROM b",
        Kind::Select,
        "a b",
        "",
    );
    relations(
        "SELECT sum(x) OVER (PARTITION BY (SELECT 1 FROM a)) FROM b",
        Kind::Select,
        "a b",
        "",
    );
    relations(
        "SELECT * FROM a LIMIT (SELECT 1 FROM b)",
        Kind::Select,
        "a b",
        "",
    );
    relations("SELECT ARRAY(SELECT 1 FROM a)", Kind::Select, "a", "");
    relations(
        "SELECT JSON_OBJECT('k': (SELECT 1 FROM a))",
        Kind::Select,
        "a",
        "",
    );
    relations("SELECT JSON_ARRAY(SELECT x FROM a)", Kind::Select, "a", "");
    relations(
        "SELECT * FROM JSON_TABLE((SELECT j FROM a), '$' COLUMNS (x int)) t",
        Kind::Select,
        "a",
        "",
    );
    relations(
        "SELECT * FROM XMLTABLE('/a' PASSING (SELECT x FROM a) COLUMNS b int) t",
        Kind::Select,
        "a",
        "",
    );
    relations("SELECT * INTO b FROM a", Kind::Ddl, "a", "b");
}

#[test]
fn resolves_common_table_expressions() {
    relations(
        "WITH x AS (SELECT * FROM a) SELECT * FROM x",
        Kind::Select,
        "a",
        "",
    );
    relations(
        "WITH x AS (SELECT 1), y AS (SELECT * FROM x) SELECT * FROM y, s.x",
        Kind::Select,
        "s.x",
        "",
    );
    // Not recursive: the inner name is the table's.
    relations(
        "WITH a AS (SELECT * FROM a) SELECT * FROM a",
        Kind::Select,
        "a",
        "",
    );
    relations(
        "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a",
        Kind::Select,
        "",
        "",
    );
    relations(
        "WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT 1) SELECT * FROM x",
        Kind::Select,
        "",
        "",
    );
    relations(
        "SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) q, x",
        Kind::Select,
        "x",
        "",
    );
    relations(
        "WITH x AS (SELECT 1) SELECT (SELECT 2 FROM x) UNION SELECT * FROM x",
        Kind::Select,
        "",
        "",
    );
    relations(
        "WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d",
        Kind::Select,
        "",
        "a",
    );
    relations(
        "WITH i AS (INSERT INTO a SELECT * FROM b RETURNING *) UPDATE c SET x = i.x FROM i",
        Kind::Update,
        "b",
        "a c",
    );
    relations(
        "WITH x AS (SELECT 1) INSERT INTO x SELECT * FROM x",
        Kind::Insert,
        "",
        "x",
    );
    relations(
        "WITH x AS (TABLE a) DELETE FROM b USING x",
        Kind::Delete,
        "a",
        "b",
    );
}

#[test]
fn finds_relations_of_writes() {
    relations("INSERT INTO s.a VALUES (1)", Kind::Insert, "", "s.a");
    relations("INSERT INTO a SELECT * FROM b", Kind::Insert, "b", "a");
    relations("INSERT INTO a DEFAULT VALUES", Kind::Insert, "", "a");
    relations(
        "INSERT INTO a VALUES (1) ON CONFLICT (x) DO UPDATE SET y = (SELECT 1 FROM b)",
        Kind::Insert,
        "b",
        "a",
    );
    relations(
        "INSERT INTO a VALUES (1) RETURNING (SELECT 1 FROM b)",
        Kind::Insert,
        "b",
        "a",
    );
    relations("UPDATE a SET x = 1", Kind::Update, "", "a");
    relations(
        "UPDATE a SET x = b.x FROM b JOIN c USING (y)",
        Kind::Update,
        "b c",
        "a",
    );
    relations(
        "UPDATE a SET (x, y) = (SELECT 1, 2 FROM b) WHERE z IN (SELECT 1 FROM a)",
        Kind::Update,
        "a b",
        "a",
    );
    relations(
        "DELETE FROM a USING b WHERE a.x = b.x",
        Kind::Delete,
        "b",
        "a",
    );
    relations(
        "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE",
        Kind::Merge,
        "b",
        "a",
    );
    relations(
        "MERGE INTO a USING (SELECT * FROM b) q ON true WHEN NOT MATCHED THEN INSERT VALUES ((SELECT 1 FROM c))",
        Kind::Merge,
        "b c",
        "a",
    );
    relations("COPY a FROM STDIN", Kind::Copy, "", "a");
    relations("COPY a (x, y) TO STDOUT", Kind::Copy, "a", "");
    relations("COPY (SELECT * FROM a) TO STDOUT", Kind::Copy, "a", "");
    relations(
        "COPY (DELETE FROM a RETURNING *) TO STDOUT",
        Kind::Copy,
        "",
        "a",
    );
    relations("TRUNCATE a, s.b", Kind::Ddl, "", "a s.b");
    relations("CREATE TABLE a AS SELECT * FROM b", Kind::Ddl, "b", "a");
    relations(
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM b",
        Kind::Ddl,
        "b",
        "a",
    );
    relations("REFRESH MATERIALIZED VIEW a", Kind::Utility, "", "a");
    relations("CREATE VIEW v AS SELECT * FROM a", Kind::Ddl, "a", "v");
    relations("CREATE TABLE a (x int REFERENCES b)", Kind::Ddl, "", "a");
    relations("CREATE INDEX ON a (x)", Kind::Ddl, "", "a");
    relations("ALTER TABLE s.a ADD COLUMN x int", Kind::Ddl, "", "s.a");
    relations("ALTER TABLE a RENAME TO b", Kind::Ddl, "", "a");
    relations("DROP TABLE a, s.b", Kind::Ddl, "", "a s.b");
    relations("DROP FUNCTION f(int)", Kind::Ddl, "", "");
    relations("CREATE SCHEMA s CREATE TABLE a (x int)", Kind::Ddl, "", "a");
    relations("EXPLAIN DELETE FROM a USING b", Kind::Utility, "b", "");
    relations(
        "EXPLAIN ANALYZE DELETE FROM a USING b",
        Kind::Utility,
        "b",
        "a",
    );
    relations(
        "EXPLAIN (ANALYZE off, COSTS) DELETE FROM a",
        Kind::Utility,
        "",
        "",
    );
    relations("EXPLAIN (ANALYZE) EXECUTE x", Kind::Unknown, "", "");
    relations(
        "DECLARE c CURSOR FOR SELECT * FROM a",
        Kind::Session,
        "a",
        "",
    );
    relations("PREPARE p AS DELETE FROM a", Kind::Session, "", "");
}

#[test]
fn joins_several_statements() {
    relations("", Kind::Empty, "", "");
    relations(";;", Kind::Empty, "", "");
    relations("SELECT * FROM a;", Kind::Select, "a", "");
    relations(
        "SELECT * FROM a; UPDATE b SET x = 1",
        Kind::Several,
        "a",
        "b",
    );
    relations("BEGIN; DO $$ $$; COMMIT", Kind::Unknown, "", "");
    let facts = read("SET x = 1; BEGIN; SAVEPOINT s");
    assert_eq!(effect(&facts.session), "=x");
    assert_eq!(facts.transaction, Some(TransactionControl::Savepoint));
}

/// What a statement does to its session: `?` for anything, `=` sets, `~` resets, `.` for the transaction only, `+` leaves, `-` takes.
fn effect(effect: &SessionEffect) -> String {
    let Some(facts) = effect.facts() else {
        return String::new();
    };
    let mut words = Vec::new();
    if facts.is_unknown {
        words.push("?".to_owned());
    }
    for setting in &facts.settings {
        let name = match &setting.name {
            SettingName::Named(name) => name.to_string(),
            SettingName::Parameter(number) => format!("${number}"),
            SettingName::Computed => "computed".to_owned(),
            SettingName::All => "ALL".to_owned(),
        };
        let sign = if setting.is_reset { "~" } else { "=" };
        let local = if setting.is_local { "." } else { "" };
        words.push(format!("{sign}{local}{name}"));
    }
    for (sign, states) in [("+", facts.leaves), ("-", facts.takes)] {
        if !states.is_nothing() {
            words.push(format!("{sign}{states}"));
        }
    }
    words.join(" ")
}

#[test]
fn knows_what_stays_in_the_session() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(effect(&read(text).session), expected, "{text}");
    }
    for text in [
        "SELECT 1",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SET TRANSACTION SNAPSHOT 'x'",
        "SET transaction_isolation = 'serializable'",
        "SET CONSTRAINTS ALL DEFERRED",
        "SHOW x",
        "NOTIFY a, 'b'",
        "DISCARD PLANS",
        "DISCARD SEQUENCES",
        "BEGIN",
        "COMMIT AND CHAIN",
        "LOCK TABLE a",
        "SECURITY LABEL ON TABLE a IS 'b'",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 1 FROM c",
        "CREATE TEMP TABLE a (x int) ON COMMIT DROP",
        "CREATE TEMP TABLE a ON COMMIT DROP AS SELECT 1",
        "CREATE TABLE b.a (x int)",
        "SELECT 1 INTO b.a",
        "CREATE VIEW b.a AS SELECT 1",
        "CREATE FUNCTION b.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION a.b.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE b.t AS (a int)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT nextval('s')",
        "ALTER ROLE a SET x = 1",
        "ALTER SYSTEM SET x = 1",
        "PREPARE TRANSACTION 'a'",
        "EXPLAIN SELECT set_config('a', 'b', false)",
        "ALTER TABLE a ADD x int",
        "ALTER TABLE a ADD x int DEFAULT abs(1) CHECK (length(y) > 1)",
        "CREATE INDEX ON a (lower(x))",
    ] {
        check(text, "");
    }
    for text in [
        "CREATE TEMP TABLE a (x int)",
        "CREATE TEMP TABLE a (x int) ON COMMIT DELETE ROWS",
        "CREATE TABLE pg_temp.a (x int)",
        "CREATE TEMP TABLE a AS SELECT 1",
        "CREATE TEMP VIEW a AS SELECT 1",
        "CREATE TEMP SEQUENCE a",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE pg_temp.t AS (a int)",
        "CREATE TYPE pg_temp.t AS ENUM ('a')",
        "SELECT 1 INTO TEMP a",
        "CREATE FUNCTION a.pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        // The search path decides.
        "CREATE TABLE a (x int)",
        "CREATE TABLE a AS SELECT 1",
        "SELECT 1 INTO a",
        "CREATE VIEW a AS SELECT 1",
        "CREATE SEQUENCE a",
        "CREATE FUNCTION \"a.b\"() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE t AS (a int)",
        "CREATE DOMAIN d AS int",
        "CREATE OPERATOR FAMILY a USING btree",
        "CREATE STATISTICS a ON b, c FROM d",
    ] {
        check(text, "+temporary");
    }
    for text in [
        "DO $$ BEGIN END $$",
        "CALL p()",
        "EXECUTE p",
        "CREATE EXTENSION a",
        "CREATE TABLE b.a AS EXECUTE p",
        "FROBNICATE",
        "SELECT 'open",
        "SELECT '\0'",
    ] {
        check(text, "?");
    }
    check("SET x.y = 1", "=x.y");
    check("SET SESSION x.Y TO 'a'", "=x.y");
    check("SET LOCAL x.y = 1", "=.x.y");
    check("SET LOCAL ROLE a", "=.role");
    check("SET TIME ZONE 'UTC'", "=timezone");
    check("SET ROLE a", "=role");
    check("SET ROLE NONE", "=role");
    check("SET SCHEMA 'a'", "=search_path");
    check("SET NAMES 'utf8'", "=client_encoding");
    check(
        "SET SESSION AUTHORIZATION a",
        "=role =session_authorization",
    );
    check(
        "RESET SESSION AUTHORIZATION",
        "~role ~session_authorization",
    );
    check(
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "=default_transaction_deferrable =default_transaction_isolation =default_transaction_read_only",
    );
    check("SET seed = 0.5", "+hidden");
    check("RESET x", "~x");
    check("RESET ALL", "~ALL");
    check("RESET ROLE", "~role");
    check("SET x TO DEFAULT", "~x");
    check("SET LOCAL x TO DEFAULT", "~.x");
    check(
        "DISCARD ALL",
        "~ALL -temporary, advisory_lock, cursor, prepared, listen, settings",
    );
    assert!(
        read("DISCARD ALL")
            .session
            .facts()
            .is_some_and(|facts| facts.discards_all)
    );
    check("DISCARD TEMP", "-temporary");
    check("DROP TABLE a", "-temporary");
    check("DROP OWNED BY a", "-temporary");
    check("LISTEN a", "+listen");
    check("UNLISTEN *", "-listen");
    check("LOAD 'auto_explain'", "+hidden");
    check("PREPARE p AS SELECT 1", "+prepared");
    check("DEALLOCATE p", "-prepared");
    check("DEALLOCATE ALL", "-prepared");
    check("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "+cursor");
    check("CLOSE ALL", "-cursor");
    check("SELECT set_config('a', 'b', false)", "=a");
    check("SELECT set_config('A.b', $1, $2)", "=a.b");
    check("SELECT set_config('a', 'b', true)", "=.a");
    check("SELECT pg_catalog.set_config('a', $1, TRUE)", "=.a");
    check("SELECT set_config('a', 'b', 't')", "=a");
    check("SELECT set_config('a', 'b', 't'::bool)", "=a");
    check("SELECT set_config('a', 'b', is_local => true)", "=a");
    check("SELECT set_config($2, $1, false)", "=$2");
    check("SELECT set_config($1::text, 'b', true)", "=.$1");
    check("SELECT set_config(a, b, false) FROM t", "=computed");
    check(
        "SELECT set_config('a', 'x', false), set_config('b', 'y', true)",
        "=a =.b",
    );
    check(
        "SELECT 1 FROM a WHERE pg_catalog.set_config('a', 'b', false) IS NULL",
        "=a",
    );
    check("INSERT INTO a SELECT set_config('a', 'b', false)", "=a");
    check("EXPLAIN ANALYZE SELECT set_config('a', 'b', false)", "=a");
    check(
        "SELECT public.set_limit(0.5)",
        "=pg_trgm.similarity_threshold",
    );
    check("SELECT pg_advisory_lock(1)", "+advisory_lock");
    check("SELECT pg_try_advisory_lock(1, 2)", "+advisory_lock");
    check("SELECT pg_try_advisory_lock_shared(1)", "+advisory_lock");
    check("SELECT pg_advisory_unlock(1)", "-advisory_lock");
    check("SELECT pg_advisory_unlock_all()", "-advisory_lock");
    check("SELECT dblink_connect('a')", "+hidden");
    check("SELECT extensions.dblink_connect('a')", "+hidden");
    check("SELECT pg_backup_start('a')", "+hidden");
    check("SELECT f(), pg_advisory_lock(1)", "? +advisory_lock");
    check("DO $$ $$; SET x.y = 1", "? =x.y");
}

#[test]
fn knows_transaction_control() {
    use TransactionControl as Control;
    let check = |text: &str, control: TransactionControl| {
        let facts = read(text);
        assert_eq!(
            (facts.kind, facts.transaction),
            (Kind::Transaction, Some(control)),
            "{text}"
        );
    };
    check("BEGIN", Control::Begin);
    check("START TRANSACTION READ ONLY", Control::Begin);
    check("COMMIT", Control::Commit);
    check("END", Control::Commit);
    check("ROLLBACK", Control::Rollback);
    check("ABORT", Control::Rollback);
    check("SAVEPOINT a", Control::Savepoint);
    check("RELEASE a", Control::Release);
    check("ROLLBACK TO a", Control::RollbackTo);
    check("PREPARE TRANSACTION 'a'", Control::Prepare);
    check("COMMIT PREPARED 'a'", Control::CommitPrepared);
    check("ROLLBACK PREPARED 'a'", Control::RollbackPrepared);
}

#[test]
fn finds_functions_locks_and_hidden_writes() {
    let functions = |text: &str, expected: &str| {
        assert_eq!(names(&read(text).functions), expected, "{text}");
    };
    functions("SELECT lower(a), s.f(b), now() FROM t", "lower now s.f");
    functions(
        "SELECT current_timestamp, current_user",
        "current_timestamp current_user",
    );
    functions("SELECT extract(year FROM a) FROM t", "pg_catalog.extract");
    functions(
        "SELECT * FROM unnest($1) u WHERE count(*) > 1",
        "count unnest",
    );
    let locks = |text: &str, expected: bool| assert_eq!(read(text).locks, expected, "{text}");
    locks("SELECT * FROM a", false);
    locks("SELECT * FROM a FOR UPDATE OF a SKIP LOCKED", true);
    locks("SELECT * FROM (SELECT * FROM a FOR KEY SHARE) q", true);
    locks("LOCK TABLE a", true);
    let hidden = |text: &str, expected: bool| {
        assert_eq!(read(text).hidden_writes, expected, "{text}");
    };
    hidden("SELECT a FROM t", false);
    hidden("SELECT nextval('s')", true);
    hidden("SELECT pg_catalog.setval('s', 1)", true);
    hidden("SELECT currval('s')", false);
    hidden("DO $$ $$", true);
    hidden("nonsense", true);
}

#[test]
fn summarises() {
    let check = |text: &str, expected: &str| assert_eq!(read(text).summary, expected, "{text}");
    check(
        "SELECT * FROM jobs j JOIN companies c ON true",
        "SELECT jobs companies",
    );
    check("SELECT * FROM jobs a, jobs b", "SELECT jobs");
    check("INSERT INTO s.a SELECT * FROM b", "INSERT s.a b");
    check("SELECT * FROM a, b, c, d, e", "SELECT a b c d …");
    check("BEGIN; DELETE FROM a; COMMIT", "SEVERAL a");
    check("CREATE TABLE a (x int)", "CREATE TABLE a");
    check("SET x = 1", "SET");
    check("nonsense", "UNKNOWN");
    let long = format!("SELECT * FROM {}", "x".repeat(500));
    assert!(read(&long).summary.len() <= 200);
}

#[test]
fn depth_is_no_danger() {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!(
            "SELECT {}{inner}{}",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let texts = [
        nested("(", "1", ")", 10_000),
        nested("(SELECT ", "1", ")", 10_000),
        nested("f(", "1", ")", 10_000),
        nested("a[", "1", "]", 10_000),
        nested("- ", "a", "", 10_000),
        nested("NOT ", "a", "", 10_000),
        nested("CASE WHEN a THEN ", "1", " END", 10_000),
        nested("", "1", "+1", 10_000),
        nested("", "1", "::int", 10_000),
        nested("", "1", " UNION SELECT 1", 10_000),
        nested("", "* FROM a", " JOIN a ON true", 10_000),
        format!("SELECT {}1", "(".repeat(100_000)),
        format!("SELECT 1{}", ")".repeat(100_000)),
    ];
    // Workers and pools have stacks of 2 MiB, and some of it is used.
    for text in texts {
        let thread = std::thread::Builder::new().stack_size(1024 * 1024);
        let facts = thread.spawn(move || read(&text)).expect("a thread").join();
        let facts = facts.expect("no overflow");
        assert_eq!(facts.session, SessionEffect::unknown());
    }
    // Ordinary depth is understood, and long flat lists at any length.
    relations(&nested("(", "a", ")", 200), Kind::Select, "", "");
    relations(&nested("", "a", " || a", 40), Kind::Select, "", "");
    relations(&nested("", "a", " OR a", 5_000), Kind::Select, "", "");
    relations(&nested("", "a", ", a", 5_000), Kind::Select, "", "");
}

/// All places of constants in a tree, by its own serialisation; those of type modifiers aside.
fn constants(tree: &serde_json::Value, found: &mut BTreeSet<usize>) {
    match tree {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if name == "AConst" {
                    found.extend(value["location"].as_u64().map(|place| place as usize));
                }
                if name != "typmods" {
                    constants(value, found);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| constants(item, found)),
        _ => {}
    }
}

#[test]
fn every_constant_is_reached() {
    for text in [
        "SELECT DISTINCT ON (a + 1) 'x' || a, f(1, b => 2), -3, a[4], b[5:6], (c).d[7] FROM t",
        "SELECT CASE 1 WHEN 2 THEN 3 ELSE 4 END, COALESCE(5, 6), GREATEST(7, 8), NULLIF(9, 10)",
        "SELECT 1 IN (2, 3), 4 BETWEEN 5 AND 6, a LIKE 'x' ESCAPE 'y', 7 = ANY (ARRAY[8, 9]), ROW(10, 11)",
        "SELECT a COLLATE \"C\" = 'x', 1 IS NULL, true IS NOT FALSE, 2::int, CAST('3' AS text), date '2020-01-01'",
        "SELECT interval '1' day, a AT TIME ZONE 'UTC', x'1f', b'1', 1.5, 1e5, NULL, TRUE",
        "SELECT sum(a + 1) FILTER (WHERE b > 2) OVER (PARTITION BY c + 3 ORDER BY d + 4 ROWS 5 PRECEDING)",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a + 1), string_agg(a, ',' ORDER BY b + 2)",
        "SELECT * FROM a JOIN b ON a.x = 1, LATERAL (SELECT 2) c, generate_series(3, 4) d, t TABLESAMPLE SYSTEM (5) REPEATABLE (6)",
        "SELECT * FROM ROWS FROM (f(1), g(2)) WITH ORDINALITY",
        "SELECT a FROM t WHERE x = 1 GROUP BY a + 2, ROLLUP (b + 3) HAVING count(*) > 4 ORDER BY a + 5 LIMIT 6 OFFSET 7",
        "SELECT 1 UNION SELECT 2 EXCEPT SELECT 3 INTERSECT VALUES (4), (5)",
        "SELECT * FROM t WINDOW w AS (ORDER BY a + 1 ROWS BETWEEN 2 PRECEDING AND 3 FOLLOWING)",
        "WITH a AS (SELECT 1), b AS MATERIALIZED (SELECT 2) SELECT EXISTS (SELECT 3), ARRAY(SELECT 4), 5 > ALL (SELECT 6)",
        "WITH RECURSIVE a AS (SELECT 1) CYCLE x SET y TO 2 DEFAULT 3 USING z SELECT 4 FROM a",
        "INSERT INTO t (a, b) VALUES (1, DEFAULT), ('x', f(2)) ON CONFLICT (a) WHERE b > 3 DO UPDATE SET c = 4 WHERE t.d = 5 RETURNING e + 6",
        "INSERT INTO t (a[1]) SELECT 2",
        "UPDATE t SET a = 1, (b, c) = (2, 3), d[4] = 5 FROM u WHERE x = 6 RETURNING 7",
        "DELETE FROM t USING u WHERE a = 1 RETURNING 2",
        "MERGE INTO t USING s ON t.a = 1 WHEN MATCHED AND s.b = 2 THEN UPDATE SET c = 3 WHEN NOT MATCHED THEN INSERT (d) VALUES (4)",
        "SELECT JSON_OBJECT('a': 1), JSON_ARRAY(2, 3), JSON_SCALAR(4), JSON('{}'), JSON_SERIALIZE('5')",
        "SELECT JSON_VALUE(a, '$.b' PASSING 1 AS x DEFAULT 2 ON EMPTY DEFAULT 3 ON ERROR), JSON_OBJECTAGG('k': 4), JSON_ARRAYAGG(5 ORDER BY a + 6)",
        "SELECT * FROM JSON_TABLE(a, '$[*]' PASSING 1 AS x COLUMNS (b int PATH '$.b' DEFAULT 2 ON EMPTY, NESTED PATH '$.c' COLUMNS (d int PATH '$.d'))) t",
        "SELECT JSON_ARRAY(SELECT 1), a IS JSON, '{}' IS JSON OBJECT",
        "SELECT * FROM XMLTABLE(XMLNAMESPACES('u' AS x), '/a' PASSING b COLUMNS c int PATH 'd' DEFAULT 1) t",
        "SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(1 AS b), 'c'), XMLFOREST(2 AS d), XMLSERIALIZE(CONTENT 'e' AS text), XMLPARSE(DOCUMENT 'f')",
        "SELECT trim(both 'x' from y), substring(a from 1 for 2), overlay(a placing 'b' from 3), position('c' in d)",
        "SELECT GROUPING(a, b + 1) FROM t GROUP BY GROUPING SETS ((a), (b + 1))",
    ] {
        let tree = pg_query::parse(text, 0).unwrap_or_else(|error| panic!("{text}: {error}"));
        let json = serde_json::to_value(&tree.protobuf).expect("a tree can be serialised");
        let mut expected = BTreeSet::new();
        constants(&json, &mut expected);
        let found: BTreeSet<usize> = read(text).constants.into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }
}
