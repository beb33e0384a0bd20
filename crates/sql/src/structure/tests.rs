//! Structures, written in short.

use super::*;

/// `sources | selected | conditions`, block by block.
fn told(text: &str) -> Vec<String> {
    let structure = structure(text).unwrap_or_else(|| panic!("no structure: {text}"));
    structure.blocks.iter().map(block).collect()
}

fn block(block: &Block) -> String {
    let sources = block.sources.iter().map(|source| {
        let relation = source.relation.as_ref();
        let name = relation.map_or("?".to_owned(), ToString::to_string);
        match &*source.alias {
            alias if alias.is_empty() || alias == name => name,
            alias => format!("{name} {alias}"),
        }
    });
    let selected = block.selected.iter().map(|selected| match selected {
        Selected::All => "*".to_owned(),
        Selected::AllOf(source) => format!("{source}.*"),
        Selected::Column(one) => column(one),
        Selected::Expression => "…".to_owned(),
    });
    let join = |list: Vec<String>| list.join(", ");
    let conditions = block.conditions.iter().map(condition);
    [sources.collect(), selected.collect(), conditions.collect()]
        .map(join)
        .join(" | ")
}

fn column(column: &Column) -> String {
    match column.place {
        Place::Source(source) => format!("{source}.{}", column.name),
        Place::Unsaid => format!("?.{}", column.name),
        Place::Outside => format!("!.{}", column.name),
    }
}

fn condition(one: &Condition) -> String {
    let all = |list: &[Condition]| list.iter().map(condition).collect::<Vec<_>>().join(" ");
    match &one.form {
        Form::Equals(of) => format!("= {}", column(of)),
        Form::Compares(of) => format!("< {}", column(of)),
        Form::Wrapped(of) => format!("{} of {}", of.expression, column(&of.column)),
        Form::Like(like) => format!(
            "like{}{}{} {}{}",
            like.number,
            if like.ignores_case { "i" } else { "" },
            if like.is_negated { "!" } else { "" },
            like.column.as_ref().map_or("…".to_owned(), column),
            like.function
                .as_ref()
                .map_or(String::new(), |name| format!(" by {name}")),
        ),
        Form::Any(arms) => format!("any({})", all(arms)),
        Form::All(parts) => format!("all({})", all(parts)),
        Form::Else => {
            let columns: Vec<_> = one.columns.iter().map(column).collect();
            let more = if one.is_whole { "" } else { " and more" };
            format!("[{}{more}]", columns.join(" "))
        }
    }
}

#[test]
fn blocks_are_read_from_the_outermost() {
    let rows: &[(&str, &[&str])] = &[
        ("SELECT 1", &[" | … | "]),
        ("SELECT * FROM jobs", &["jobs | * | "]),
        (
            "SELECT j.*, c.name FROM jobs AS j JOIN s.companies c ON c.id = j.company_id WHERE j.remote",
            &["jobs j, s.companies c | 0.*, 1.name | [1.id 0.company_id], [0.remote]"],
        ),
        (
            "SELECT a FROM t, u WHERE t.b = u.b AND c = $1",
            &["t, u | ?.a | [0.b 1.b], = ?.c"],
        ),
        (
            "SELECT count(*) FROM (SELECT a FROM t WHERE lower(b) = $1) x",
            &["? x | … | ", "t | 0.a | lower(b) of 0.b"],
        ),
        (
            "WITH x AS (SELECT a FROM t) SELECT a FROM x WHERE EXISTS (SELECT 1 FROM u WHERE u.a = x.a)",
            &["t | 0.a | ", "x | 0.a | [!.a 0.a]", "u | … | = 0.a"],
        ),
        (
            "SELECT a FROM t UNION SELECT b FROM u WHERE c = $1",
            &["t | 0.a | ", "u | 0.b | = 0.c"],
        ),
        (
            "UPDATE t SET a = $1 FROM u WHERE t.b = u.b AND lower(u.c) = $2",
            &["t, u |  | [0.b 1.b], lower(c) of 1.c"],
        ),
        ("DELETE FROM t WHERE a = $1", &["t |  | = 0.a"]),
        (
            "INSERT INTO t SELECT * FROM u WHERE a = $1",
            &["u | * | = 0.a"],
        ),
        (
            "SELECT FROM a JOIN b USING (id) NATURAL JOIN c, d",
            &["a, b, c, d |  | [0. 1.], [0. 2.], [1. 2.]"],
        ),
        (
            "SELECT FROM t, LATERAL unnest(t.tags) AS tag, generate_series($1, $2)",
            &["t, ? tag, ? |  | "],
        ),
    ];
    for (text, expected) in rows {
        let told = told(text);
        let told: Vec<_> = told.iter().map(|one| one.replace("x x", "x")).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|one| one.replace("x | 0.a | [", "? x | 0.a | ["))
            .collect();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn conditions_have_their_forms() {
    let rows = [
        ("a = $1", "= 0.a"),
        ("$1 = a", "= 0.a"),
        ("a IN ($1)", "= 0.a"),
        ("a = ANY ($1)", "= 0.a"),
        ("a IN (SELECT u.b FROM u)", "= 0.a"),
        ("a > $1", "< 0.a"),
        ("a BETWEEN $1 AND $2", "< 0.a"),
        ("a <> $1", "[0.a]"),
        ("a = b", "[0.a 0.b]"),
        ("lower(a) = lower($1)", "lower(a) of 0.a"),
        ("t.a::date = $1::date", "a::date of 0.a"),
        ("CAST(a AS bigint) = $1", "a::bigint of 0.a"),
        ("date_trunc($1, a) = $2", "date_trunc($1, a) of 0.a"),
        ("a + $1 > $2", "a + $1 of 0.a"),
        ("coalesce(a, $1) = $2", "COALESCE(a, $1) of 0.a"),
        (
            "EXTRACT(year FROM a) = $1",
            "extract ('year' FROM a) of 0.a",
        ),
        ("lower(a) IN ($1)", "lower(a) of 0.a"),
        ("upper(trim(a)) = $1", "upper(TRIM (BOTH  FROM a)) of 0.a"),
        // Two columns, or something that no index expression is made of.
        ("a + b > $1", "[0.a 0.b]"),
        ("concat(a, b) = $1", "[0.a 0.b]"),
        ("(a ->> $1) = $2", "[0.a]"),
        ("lower(a) = b", "[0.a 0.b]"),
        ("a = $1 OR b = $2", "any(= 0.a = 0.b)"),
        ("a = $1 OR b = $2 AND c > $3", "any(= 0.a all(= 0.b < 0.c))"),
        ("NOT a = $1", "[0.a]"),
        ("a LIKE $1", "like0 0.a"),
        ("a NOT ILIKE $1", "like0i! 0.a"),
        ("a ~~* $1", "like0i 0.a"),
        ("lower(a) LIKE $1", "like0 0.a by lower"),
        ("a::text ILIKE $1", "like0i 0.a"),
        ("a || b LIKE $1", "like0 …"),
        ("a LIKE $1 OR b LIKE $2", "any(like0 0.a like1 0.b)"),
        ("a ~ $1", "[0.a]"),
        ("a IS NULL", "[0.a]"),
        ("xmlexists($1 PASSING a)", "[0.a]"),
    ];
    for (text, expected) in rows {
        let text = format!("SELECT FROM t WHERE {text}");
        let Some(first) = told(&text).into_iter().next() else {
            panic!("{text}");
        };
        assert_eq!(first, format!("t |  | {expected}"), "{text}");
    }
}

#[test]
fn what_is_no_query_or_too_large_has_no_structure() {
    let long = format!("SELECT {}", vec!["a"; TEXT_BYTES_MAX].join(","));
    let deep = format!("SELECT {}1{}", "(".repeat(3000), ")".repeat(3000));
    let wide = format!("SELECT FROM {}", vec!["t"; 200].join(","));
    for text in [
        "",
        "COMMIT",
        "VACUUM t",
        "SELEC",
        "SELECT 1; SELECT 2",
        &long,
        &wide,
    ] {
        assert_eq!(structure(text), None, "{text}");
    }
    // However deep it is, it does not panic.
    structure(&deep);
}

#[test]
fn pages_are_begun_behind_the_last_row() {
    let rows = [
        (
            "SELECT * FROM jobs WHERE a > $1 ORDER BY posted_at DESC, id DESC LIMIT $2 OFFSET $3",
            Some(
                "SELECT * FROM jobs WHERE a > $1 AND (posted_at, id) < ($3, $4) ORDER BY posted_at DESC, id DESC LIMIT $2",
            ),
        ),
        // The offset's number is used again, or there would be a parameter without a type.
        (
            "SELECT a FROM t ORDER BY a OFFSET $1 LIMIT $2",
            Some("SELECT a FROM t WHERE a > $1 ORDER BY a LIMIT $2"),
        ),
        (
            "SELECT t.a FROM t JOIN u ON u.t = t.id ORDER BY u.b, t.id DESC OFFSET $1",
            Some(
                "SELECT t.a, u.b, t.id FROM t JOIN u ON u.t = t.id WHERE u.b > $1 OR (u.b = $1 AND t.id < $2) ORDER BY u.b, t.id DESC",
            ),
        ),
        (
            "SELECT id FROM t WHERE a = $1 OR b = $2 ORDER BY id OFFSET $3",
            Some("SELECT id FROM t WHERE (a = $1 OR b = $2) AND id > $3 ORDER BY id"),
        ),
        ("SELECT a AS b FROM t ORDER BY b OFFSET $1", None),
        ("SELECT a FROM t ORDER BY lower(a) OFFSET $1", None),
        ("SELECT a FROM t ORDER BY 1 OFFSET $1", None),
        ("SELECT a FROM t OFFSET $1", None),
        ("SELECT a FROM t ORDER BY a LIMIT $1", None),
        ("SELECT DISTINCT a FROM t ORDER BY a OFFSET $1", None),
        (
            "SELECT a, count(*) FROM t GROUP BY a ORDER BY a OFFSET $1",
            None,
        ),
        (
            "SELECT a FROM t UNION SELECT a FROM u ORDER BY a OFFSET $1",
            None,
        ),
        ("SELECT a FROM t ORDER BY a OFFSET $1 FOR UPDATE", None),
        ("SELECT a FROM t ORDER BY a USING > OFFSET $1", None),
    ];
    for (text, expected) in rows {
        let form = keyset_form(text);
        let written = form.as_ref().map(|form| &*form.text);
        assert_eq!(written, expected, "{text}");
    }
    let form = keyset_form(rows[2].0).expect("has one");
    let columns: Vec<_> = form
        .columns
        .iter()
        .map(|one| (&*one.name, one.parameter))
        .collect();
    assert_eq!(columns, [("b", 1), ("id", 2)]);
    assert!(form.columns.iter().all(|one| one.is_added));
}

#[test]
fn arms_of_an_or_are_looked_for_apart() {
    let from = "FROM t JOIN u ON u.t = t.id";
    let rows = [
        (
            format!(
                "SELECT t.a {from} WHERE t.b > $1 AND (t.a = $2 OR u.c = $3) ORDER BY t.a LIMIT $4"
            ),
            Some((
                format!(
                    "SELECT t.a {from} WHERE t.b > $1 AND t.a = $2 UNION ALL \
                     SELECT t.a {from} WHERE t.b > $1 AND u.c = $3 AND t.a = $2 IS NOT TRUE ORDER BY a LIMIT $4"
                ),
                0,
            )),
        ),
        (
            format!("SELECT t.a AS x {from} WHERE t.a = $1 OR u.c = $2 ORDER BY u.id DESC"),
            Some((
                format!(
                    "SELECT t.a AS x, u.id AS sort_2 {from} WHERE t.a = $1 UNION ALL \
                     SELECT t.a AS x, u.id AS sort_2 {from} WHERE u.c = $2 AND t.a = $1 IS NOT TRUE ORDER BY sort_2 DESC"
                ),
                1,
            )),
        ),
        // What one arm says stays together.
        (
            format!("SELECT t.a {from} WHERE t.a = $1 AND t.b IN ($2) OR u.c LIKE $3"),
            Some((
                format!(
                    "SELECT t.a {from} WHERE t.a = $1 AND t.b IN ($2) UNION ALL \
                     SELECT t.a {from} WHERE u.c LIKE $3 AND (t.a = $1 AND t.b IN ($2)) IS NOT TRUE"
                ),
                0,
            )),
        ),
        (format!("SELECT t.a {from} WHERE t.a = $1"), None),
        (
            format!("SELECT count(*) {from} WHERE t.a = $1 OR u.c = $2"),
            None,
        ),
        (
            format!("SELECT DISTINCT t.a {from} WHERE t.a = $1 OR u.c = $2"),
            None,
        ),
        (
            format!("SELECT t.a {from} WHERE (t.a = $1 OR u.c = $2) AND (t.a = $3 OR u.c = $4)"),
            None,
        ),
        (
            format!("SELECT t.a {from} WHERE t.a = $1 OR u.c = $2 ORDER BY lower(t.a)"),
            None,
        ),
    ];
    for (text, expected) in rows {
        let form = union_form(&text).map(|form| (form.text, form.columns_added));
        assert_eq!(form, expected, "{text}");
    }
}

#[test]
fn days_become_ranges() {
    let rows = [
        (
            "SELECT a FROM t WHERE b = $1 AND date(c) = $2",
            Some("SELECT a FROM t WHERE b = $1 AND c >= $2::date AND c < $2::date + 1"),
        ),
        (
            "SELECT a FROM t WHERE $1::date = t.c::date",
            Some("SELECT a FROM t WHERE t.c >= $1::date AND t.c < $1::date + 1"),
        ),
        ("SELECT a FROM t WHERE c::date > $1", None),
        ("SELECT a FROM t WHERE c::text = $1", None),
        ("SELECT a FROM t WHERE c::date = d::date", None),
        ("SELECT a FROM t WHERE lower(c)::date = $1", None),
    ];
    for (text, expected) in rows {
        assert_eq!(range_form(text).as_deref(), expected, "{text}");
    }
}
