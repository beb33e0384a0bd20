use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::pretty::pretty;
use crate::tree;

const BYTES_MAX: usize = 1 << 20;

/// The shape's text, by the parse tree.
fn shape(text: &str) -> String {
    let facts = tree::read(text, &[]);
    let mut reducer = Reducer::default();
    let mut exact = Exact {
        text,
        constants: &facts.constants,
        utilities: &facts.utilities,
    };
    match reducer.reduce(text, &mut exact, BYTES_MAX) {
        Ok((form, _)) => pretty(std::str::from_utf8(form).expect("a form is text")),
        Err(Irreducible) => "(none)".to_owned(),
    }
}

/// The skeleton, and whether the tree confirms it; `None` where there is none.
fn skeleton(text: &str) -> Option<(Vec<u8>, bool)> {
    let facts = tree::read(text, &[]);
    let mut recording = Recording::default();
    let mut reducer = Reducer::default();
    let (skeleton, literals) = reducer.reduce(text, &mut recording, BYTES_MAX).ok()?;
    assert_eq!(literals, hash_literals(text), "{text}");
    let skeleton = skeleton.to_vec();
    let (quick, _) = reducer
        .reduce(text, &mut Guess, BYTES_MAX)
        .expect("reduced before");
    assert_eq!(quick, skeleton, "{text}");
    Some((skeleton, recording.is_confirmed_by(&facts.constants)))
}

#[test]
fn makes_the_texts_of_shapes() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shape(text), expected);
        // A shape's text has the same shape.
        if pg_query::parse(expected, 0).is_ok() {
            assert_eq!(shape(expected), expected);
        }
    }
    check("select 1", "SELECT $1");
    check(
        "SELECT\tA , b.C\n FROM s . T -- x\n;",
        "SELECT a, b.c FROM s.t",
    );
    check(
        "SELECT \"A\".b, count(*), t.* FROM t",
        "SELECT \"A\".b, count(*), t.* FROM t",
    );
    check(
        "SELECT * FROM t WHERE a=-5 AND b - 5 > +3",
        "SELECT * FROM t WHERE a = $1 AND b - $2 > + $3",
    );
    check(
        "SELECT a - -5, - - 5, -b, -(5)",
        "SELECT a - $1, $2, - b, - ($3)",
    );
    check("SELECT 'a' 'b'", "SELECT $1 $2");
    check(
        "SELECT 'a'\n'b', E'\\'', $$x$$, b'1', x'1', N'a'",
        "SELECT $1, $2, $3, $4, $5, $6",
    );
    check("SELECT $5, 7, $5", "SELECT $1, $2, $3");
    check(
        "SELECT NULL, true, FALSE, x IS NULL, y IS TRUE",
        "SELECT $1, $2, $3, x IS NULL, y IS TRUE",
    );
    check(
        "SELECT a::varchar(10), b::numeric(10,2)[]",
        "SELECT a::varchar(10), b::numeric(10, 2)[]",
    );
    check(
        "SELECT interval '1' day, date '2020-01-01', '1'::int",
        "SELECT interval $1 day, date $2, $3::int",
    );
    check(
        "SELECT extract(year FROM a), trim(both 'x' FROM b)",
        "SELECT extract(year FROM a), trim(BOTH $1 FROM b)",
    );
    check(
        "SELECT a[1], b[2:3], ARRAY[1,2], ARRAY[[1,2],[3,4]]",
        "SELECT a[$1], b[$2 : $3], ARRAY[$4], ARRAY[[$5]]",
    );
    check(
        "SELECT a FROM t ORDER BY 1, 2 DESC, b + 3",
        "SELECT a FROM t ORDER BY 1, 2 DESC, b + $1",
    );
    check(
        "SELECT a FROM t GROUP BY 1, (2), ROLLUP (3, (4, c + 5))",
        "SELECT a FROM t GROUP BY 1, (2), rollup(3, (4, c + $1))",
    );
    check(
        "SELECT DISTINCT ON (1) a FROM t",
        "SELECT DISTINCT ON (1) a FROM t",
    );
    check(
        "SELECT array_agg(a ORDER BY 1) FROM t",
        "SELECT array_agg(a ORDER BY $1) FROM t",
    );
    check(
        "SELECT a FROM t LIMIT 5 OFFSET 6",
        "SELECT a FROM t LIMIT $1 OFFSET $2",
    );
    check("SELECT a FROM t LIMIT ALL", "SELECT a FROM t LIMIT ALL");
    check(
        "SELECT a FROM t WHERE b IN (1, '2', NULL, $3, -4)",
        "SELECT a FROM t WHERE b IN ($1)",
    );
    check(
        "SELECT a FROM t WHERE b IN ('a'::x, 'b'::x)",
        "SELECT a FROM t WHERE b IN ($1::x)",
    );
    check(
        "SELECT a FROM t WHERE b IN (1, c, 2)",
        "SELECT a FROM t WHERE b IN ($1, c, $2)",
    );
    check(
        "SELECT a FROM t WHERE (b, c) IN ((1, 2), (3, NULL))",
        "SELECT a FROM t WHERE (b, c) IN (($1, $2))",
    );
    check(
        "SELECT a FROM t WHERE (b, c) IN (SELECT 1, 1)",
        "SELECT a FROM t WHERE (b, c) IN (SELECT $1, $2)",
    );
    check(
        "SELECT a FROM t WHERE b = ANY(ARRAY[1,2,3])",
        "SELECT a FROM t WHERE b = ANY (ARRAY[$1])",
    );
    check(
        "SELECT a FROM t WHERE b = ANY('{1,2}')",
        "SELECT a FROM t WHERE b = ANY ($1)",
    );
    check(
        "INSERT INTO t (a, b) VALUES (1, 2), (3, NULL)",
        "INSERT INTO t (a, b) VALUES ($1, $2)",
    );
    check(
        "INSERT INTO t VALUES (1, now()), (2, now())",
        "INSERT INTO t VALUES ($1, now())",
    );
    check(
        "INSERT INTO t VALUES (1, DEFAULT), (2, 3)",
        "INSERT INTO t VALUES ($1, DEFAULT), ($2, $3)",
    );
    check(
        "INSERT INTO t VALUES (1), (2) RETURNING a, 3",
        "INSERT INTO t VALUES ($1) RETURNING a, $2",
    );
    check(
        "VALUES (1, 'a'), (2, 'b') ORDER BY 1",
        "VALUES ($1, $2) ORDER BY 1",
    );
    check(
        "SELECT set_config('a', 'b', true)",
        "SELECT set_config('a', $1, TRUE)",
    );
    check(
        "SELECT set_config('a', 'b', false)",
        "SELECT set_config('a', $1, $2)",
    );
    check(
        "SELECT 1; UPDATE t SET a = 2;;",
        "SELECT $1; UPDATE t SET a = $2",
    );
    // No queries: strings are left out everywhere, numbers and client-made names where they vary.
    check("SET a.b = 'secret'", "SET a.b = $1");
    check(
        "CREATE TABLE t (a varchar(10) DEFAULT 'x')",
        "CREATE TABLE t(a varchar(10) DEFAULT $1)",
    );
    check("ALTER USER a PASSWORD 'secret'", "ALTER user a password $1");
    check("DO $$ BEGIN END $$", "DO $1");
    check("SAVEPOINT \"S1\"", "SAVEPOINT $1");
    check("ROLLBACK TO sp_7", "ROLLBACK TO $1");
    check(
        "DECLARE c_7 CURSOR FOR SELECT 1",
        "DECLARE $1 CURSOR FOR SELECT $2",
    );
    check("FETCH 100 FROM c_7", "FETCH $1 FROM $2");
    check("EXECUTE p(1, 'a')", "EXECUTE $1 ($2, $3)");
    check(
        "COPY t FROM STDIN (DELIMITER ';')",
        "COPY t FROM stdin(delimiter $1)",
    );
    check("SELEC 'a' FROM 5", "selec $1 FROM $2");
}

#[test]
fn nonsense_is_no_danger() {
    // Rows in a row, of which the second vanishes together with the comma before it.
    for text in [
        "SELECT VALUES (1), ($1, s VALUES (1, 'x'), (-2, NULL), a)",
        "VALUES (VALUES (1), (2), (3))",
        "SELECT a IN ((VALUES (1), (2)), (3), VALUES (1), (2))",
    ] {
        let _ = (skeleton(text), shape(text));
    }
}

#[test]
fn tells_shapes_apart_and_together() {
    let same = |texts: &[&str]| {
        for text in texts {
            assert_eq!(shape(text), shape(texts[0]), "{text}");
        }
    };
    let distinct = |texts: &[&str]| {
        let mut shapes = HashMap::new();
        for text in texts {
            if let Some(other) = shapes.insert(shape(text), text) {
                panic!("{text} and {other} share a shape");
            }
        }
    };
    same(&[
        "SELECT a FROM t WHERE b = 1",
        "select a from t where b=1;",
        "Select A From T Where B = 'x'",
        "SELECT a /* c */ FROM t -- d\n WHERE b = $1",
        "SELECT a FROM t WHERE b = $2",
        "SELECT a FROM t WHERE b = -1.5",
        "SELECT a FROM t WHERE b = NULL",
        "SELECT a FROM t WHERE b = E'\\x'",
    ]);
    same(&[
        "SELECT a FROM t WHERE b IN (1)",
        "SELECT a FROM t WHERE b IN (1, 2, 3)",
        "SELECT a FROM t WHERE b IN ($1, $2)",
    ]);
    same(&[
        "SELECT a FROM t WHERE b = ANY (ARRAY[1])",
        "SELECT a FROM t WHERE b = ANY (ARRAY['a', 'b'])",
    ]);
    same(&[
        "INSERT INTO t VALUES (1, 2)",
        "INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, NULL)",
    ]);
    same(&["SET a = 1", "SET a = 'b'"]);
    same(&["SAVEPOINT a", "SAVEPOINT \"B 1\""]);
    distinct(&[
        "SELECT a FROM t",
        "SELECT a FROM s.t",
        "SELECT a FROM s2.t",
        "SELECT a FROM t_1",
        "SELECT a FROM t_2",
        "SELECT a FROM t_2024_01",
        "SELECT a FROM t_2024_02",
        "SELECT a1 FROM t",
        "SELECT a2 FROM t",
        "SELECT a AS x FROM t",
        "SELECT \"A\" FROM t",
        "SELECT a FROM t x",
    ]);
    distinct(&[
        "SELECT a FROM t ORDER BY 1",
        "SELECT a FROM t ORDER BY 2",
        "SELECT a FROM t ORDER BY $1",
        "SELECT a FROM t GROUP BY 1",
        "SELECT a FROM t LIMIT 1",
        "SELECT a FROM t LIMIT ALL",
        "SELECT a::varchar(10) FROM t",
        "SELECT a::varchar(20) FROM t",
        "SELECT a FROM t WHERE b IS NULL",
        "SELECT a FROM t WHERE b IS TRUE",
        "SELECT a FROM t WHERE b = 1",
        "SELECT a FROM t WHERE b - 1 = 1",
        "SELECT extract(year FROM a) FROM t",
        "SELECT extract(month FROM a) FROM t",
    ]);
}

#[test]
fn reduces_without_parsing() {
    let same = |a: &str, b: &str| {
        let (skeleton_a, skeleton_b) = (skeleton(a), skeleton(b));
        assert!(matches!(skeleton_a, Some((_, true))), "{a}");
        assert_eq!(skeleton_a, skeleton_b, "{a} / {b}");
    };
    same(
        "SELECT abalance FROM pgbench_accounts WHERE aid = 1;",
        "select abalance from pgbench_accounts where aid = 99999",
    );
    same(
        "UPDATE a SET b = b + -5 WHERE c = 1",
        "UPDATE a SET b = b + -77 WHERE c = 2",
    );
    same("SELECT 'a', 1.5, x'1f', $1", "SELECT $$b$$, .25, x'00', $2");
    same(
        "SELECT a FROM t WHERE b IN (1, 2)",
        "SELECT a FROM t WHERE b IN (-3, NULL, $1, 'x', 4.5)",
    );
    same(
        "SELECT a FROM t WHERE b = ANY (ARRAY['a'])",
        "SELECT a FROM t WHERE b = ANY (ARRAY['a', 'b', 'c'])",
    );
    same(
        "SELECT a FROM t WHERE (b, c) IN ((1, 2))",
        "SELECT a FROM t WHERE (b, c) IN ((1, NULL), ('a', -2))",
    );
    same(
        "INSERT INTO t VALUES (1, 'a')",
        "INSERT INTO t VALUES (NULL, -2), (TRUE, $3)",
    );
    same(
        "INSERT INTO t VALUES (1, f(2)) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES (1, f(2)), (3, f(4)) ON CONFLICT DO NOTHING",
    );
    same(
        "SELECT a::varchar(10) FROM t WHERE b = 1",
        "SELECT a::varchar(10) FROM t WHERE b = 2",
    );
    same(
        "SELECT CAST(1 AS numeric(3, 2)) ORDER BY 1",
        "SELECT CAST(7 AS numeric(3, 2)) ORDER BY 1",
    );
    same(
        "WITH x AS MATERIALIZED (SELECT 1) TABLE x",
        "WITH x AS MATERIALIZED (SELECT 2) TABLE x",
    );
    same(
        "BEGIN; UPDATE t SET a = 1; COMMIT",
        "BEGIN; UPDATE t SET a = 2; COMMIT",
    );
    same(
        "SELECT interval '1 day', date '2020-01-01'",
        "SELECT interval '2 days', date '2020-01-02'",
    );
    same("((SELECT 1))", "((SELECT 2))");
    // Known by their full text only.
    for text in [
        "",
        ";",
        "SET a = 1",
        "CREATE TABLE t (a int DEFAULT 1)",
        "DO $$ BEGIN END $$",
        "COPY t FROM STDIN",
        "PREPARE TRANSACTION 'x'",
        "BEGIN; SET a = 1",
        "SELECT (1",
        "SELECT 1)",
        "SELECT 'a",
        "SELECT (1; SELECT 2)",
    ] {
        assert_eq!(skeleton(text), None, "{text}");
    }
    assert_eq!(
        skeleton(&format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200))),
        None
    );
    // Reduced, but the tree has no constant there.
    for text in [
        "SELECT U&'!0041' UESCAPE '!'",
        "SELECT 'a'::geometry_of(5) '1'",
        "SELECT DISTINCT ON (1) a FROM t",
        "SELECT a::int[3]",
        "SELECT geo(5) 'x'",
        "COMMIT PREPARED 'x'",
    ] {
        assert!(matches!(skeleton(text), Some((_, false))), "{text}");
    }
}

/// Pieces of statements, with the places where a skeleton and a tree may disagree among them.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "1",
            "-1",
            "- 2",
            "+3",
            "'a'",
            "E'\\''",
            "$1",
            "NULL",
            "TRUE",
            "false",
            "a",
            "t.b",
            "\"C\"",
            "1.5",
            "x'1'",
            "b'1'",
            "N'a'",
            "$$x$$",
            "current_date",
            "DEFAULT",
            "count(*)",
            "interval '1' day",
            "interval '1 h'",
            "interval(3) '1'",
            "date '2020-01-01'",
            "float '1'",
            "char(3) 'a'",
            "f()",
            "U&'a'",
            "2147483648",
            "1e5",
            "0x1f",
            "*",
            "current_timestamp(3)",
            "set_config('a', 'b', true)",
            "set_config('a', 'b', false)",
            "'a' \n 'b'",
        ][..],
    );
    leaf.prop_map(str::to_owned)
        .prop_recursive(3, 24, 4, |inner| {
            let list =
                || prop::collection::vec(inner.clone(), 1..4).prop_map(|items| items.join(", "));
            prop_oneof![
                (inner.clone(), operator(), inner.clone())
                    .prop_map(|(a, o, b)| format!("{a} {o} {b}")),
                (inner.clone(), operator(), inner.clone())
                    .prop_map(|(a, o, b)| format!("{a}{o}{b}")),
                inner.clone().prop_map(|a| format!("({a})")),
                inner.clone().prop_map(|a| format!("- {a}")),
                (inner.clone(), list()).prop_map(|(a, l)| format!("{a} IN ({l})")),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| format!("{a} IN (SELECT {b}, {b} ORDER BY 1, 1)")),
                list().prop_map(|l| format!("ARRAY[{l}]")),
                list().prop_map(|l| format!("ARRAY[[{l}], [{l}]]")),
                list().prop_map(|l| format!("f({l})")),
                list().prop_map(|l| format!("({l})")),
                list().prop_map(|l| format!("ROW({l})")),
                (inner.clone(), type_name()).prop_map(|(a, t)| format!("{a}::{t}")),
                (inner.clone(), type_name()).prop_map(|(a, t)| format!("CAST({a} AS {t})")),
                (inner.clone(), inner.clone())
                    .prop_map(|(a, b)| format!("CASE WHEN {a} THEN {b} END")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} BETWEEN {b} AND 5")),
                inner
                    .clone()
                    .prop_map(|a| format!("extract(year FROM {a})")),
                inner.clone().prop_map(|a| format!("{a}[1]")),
                inner
                    .clone()
                    .prop_map(|a| format!("(SELECT {a} FROM u LIMIT 1)")),
                inner.prop_map(|a| format!("sum({a}) OVER (ORDER BY 1, {a} ROWS 5 PRECEDING)")),
            ]
        })
}

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "+",
            "-",
            "=",
            "<@",
            "AND",
            "IS DISTINCT FROM",
            "LIKE",
            "||",
            ", ",
        ][..],
    )
}

fn type_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "int",
            "varchar(10)",
            "s.geo(4)",
            "numeric(10, 2)",
            "timestamp(3) with time zone",
            "int[3]",
            "\"T\"(5)",
        ][..],
    )
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "SELECT",
            "VALUES",
            "IN",
            "ARRAY",
            "(",
            "(",
            "(",
            ")",
            ")",
            ")",
            "[",
            "]",
            ",",
            ",",
            ",",
            ";",
            "1",
            "-",
            "'a'",
            "$1",
            "NULL",
            "BY",
            "AS",
            "::",
            ".",
            "a",
            "varchar",
            "VALUES (1), (2)",
            "IN (1, 2)",
            "(1, 2)",
            "\"q\"",
        ][..],
    )
}

fn statement() -> impl Strategy<Value = String> {
    let e = expression;
    let rows = || {
        prop::collection::vec(prop::collection::vec(e(), 1..3), 1..4).prop_map(|rows| {
            rows.iter()
                .map(|row| format!("({})", row.join(", ")))
                .collect::<Vec<_>>()
                .join(", ")
        })
    };
    prop_oneof![
        e().prop_map(|a| format!("SELECT {a}")),
        (e(), e()).prop_map(|(a, b)| format!("SELECT {a} FROM t WHERE {b}")),
        (e(), e(), e())
            .prop_map(|(a, b, c)| format!("SELECT {a} FROM t GROUP BY 1, {b} ORDER BY 2, {c}")),
        (e(), e()).prop_map(|(a, b)| format!("SELECT DISTINCT ON (1, {a}) {b} FROM t LIMIT 5")),
        (e(), rows()).prop_map(|(a, r)| format!("INSERT INTO t VALUES {r} RETURNING {a}")),
        rows().prop_map(|r| format!("VALUES {r}")),
        (e(), e()).prop_map(|(a, b)| format!("UPDATE t SET x = {a}, y = {b} WHERE z = 1")),
        (e(), e())
            .prop_map(|(a, b)| format!("WITH c AS MATERIALIZED (SELECT {a}) SELECT {b} FROM c")),
        e().prop_map(|a| format!("SELECT * FROM f({a}) AS r(a varchar(7), b int)")),
        (e(), e()).prop_map(|(a, b)| format!("SELECT {a}; DELETE FROM t WHERE {b}")),
        e().prop_map(|a| format!("BEGIN; SELECT {a}; SET x = 1")),
    ]
}

/// Another text that may have the same skeleton: literals of the same class exchanged, elements of lists doubled or left out,
/// white space and letter case changed. What it means does not matter.
fn vary(text: &str, choices: &[u8]) -> String {
    let mut varied = String::new();
    let mut choices = choices.iter().copied().cycle();
    let tokens: Vec<Token> = Lexer::new(text).map_while(Result::ok).collect();
    for token in &tokens {
        let choice = choices.next().unwrap_or(0);
        let written = &text[token.start..token.end];
        let other = match token.kind {
            TokenKind::Integer => ["1", "0x2", "7_7", "2147483647"][usize::from(choice % 4)],
            TokenKind::Number => {
                ["1.5", "2147483648", "1e3", "0x8000_0000"][usize::from(choice % 4)]
            }
            TokenKind::String => ["'a'", "'t'", "$$1$$", "E'x'"][usize::from(choice % 4)],
            TokenKind::Param => ["$1", "$7"][usize::from(choice % 2)],
            TokenKind::Word if choice.is_multiple_of(2) => &written.to_ascii_uppercase(),
            _ => written,
        };
        let keep = choice % 8 != 0 || !token.kind.is_literal();
        varied.push_str(if keep { other } else { written });
        varied.push_str(if choice % 5 == 0 { " /* c */ " } else { " " });
        if choice % 16 == 3 && token.kind.is_literal() {
            varied.push_str(", ");
            varied.push_str(other);
            varied.push(' ');
        }
    }
    varied
}

/// The invariant on which everything rests.
fn equal_skeletons_mean_equal_shapes(a: &str, b: &str) -> Result<(), TestCaseError> {
    let (Some((first, true)), Some((second, confirmed))) = (skeleton(a), skeleton(b)) else {
        return Ok(());
    };
    if first != second {
        return Ok(());
    }
    prop_assert!(confirmed, "{} / {}", a, b);
    prop_assert_eq!(shape(a), shape(b), "{} / {}", a, b);
    let (mut facts_a, mut facts_b) = (tree::read(a, &[]), tree::read(b, &[]));
    for facts in [&mut facts_a, &mut facts_b] {
        facts.constants.clear();
        facts.utilities.clear();
    }
    prop_assert_eq!(facts_a, facts_b, "{} / {}", a, b);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn survives_any_tokens(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.join(" ");
        let mut reducer = Reducer::default();
        let guess = reducer.reduce(&text, &mut Guess, BYTES_MAX).map(|(form, _)| form.to_vec());
        // The same buffers give the same again.
        let again = reducer.reduce(&text, &mut Guess, BYTES_MAX).map(|(form, _)| form.to_vec());
        prop_assert_eq!(guess, again);
        let everywhere: Vec<usize> = (0..text.len()).collect();
        for constants in [&[][..], &everywhere[..]] {
            let mut exact = Exact { text: &text, constants, utilities: &[] };
            let _ = reducer.reduce(&text, &mut exact, BYTES_MAX);
        }
    }

    #[test]
    fn a_skeleton_has_one_shape(text in statement(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        equal_skeletons_mean_equal_shapes(&text, &vary(&text, &choices))?;
    }

    #[test]
    fn two_statements_with_one_skeleton_have_one_shape(texts in prop::collection::vec(statement(), 2..6)) {
        for a in &texts {
            for b in &texts {
                equal_skeletons_mean_equal_shapes(a, b)?;
            }
        }
    }

    #[test]
    fn texts_of_shapes_are_stable(text in statement()) {
        let once = shape(&text);
        if tree::read(&text, &[]).kind != crate::Kind::Unknown && tree::read(&once, &[]).kind != crate::Kind::Unknown {
            prop_assert_eq!(shape(&once), once, "{}", text);
        }
    }
}
