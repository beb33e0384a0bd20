use super::*;

#[test]
fn lookups_name_table_column_and_parameter() {
    type Row = (&'static str, &'static [(&'static str, &'static str, usize)]);
    let rows: &[Row] = &[
        (
            "SELECT * FROM companies WHERE id = $1",
            &[("companies", "id", 1)],
        ),
        (
            "SELECT * FROM s.t WHERE s.t.id = $1::integer",
            &[("s.t", "id", 1)],
        ),
        (
            "SELECT a.x FROM a JOIN b AS c ON a.b_id = c.id WHERE a.n > $1 AND c.k = $2",
            &[("b", "k", 2)],
        ),
        (
            "SELECT x FROM t WHERE a = $1 AND $2 = b LIMIT $3",
            &[("t", "a", 1), ("t", "b", 2)],
        ),
        // Whose column it is, is not said.
        ("SELECT x FROM a JOIN b ON a.id = b.id WHERE k = $1", &[]),
        ("SELECT x FROM t WHERE a = $1 OR b = $2", &[]),
        ("SELECT x FROM t WHERE a > $1", &[]),
        ("SELECT x FROM t WHERE id = $1 FOR UPDATE", &[]),
        ("SELECT x FROM (SELECT * FROM t) AS s WHERE s.id = $1", &[]),
        ("UPDATE t SET a = $1 WHERE id = $2", &[]),
        ("nonsense", &[]),
    ];
    for (text, expected) in rows {
        let found = lookups(text);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.relation.to_string(), one.column.as_str(), one.parameter))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(relation, column, number)| ((*relation).to_owned(), *column, *number))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn outputs_are_those_that_have_a_name_of_their_own() {
    let rows: &[(&str, &[&str])] = &[
        ("SELECT * FROM jobs LIMIT $1", &["jobs *"]),
        ("SELECT jobs.* FROM jobs", &["jobs *"]),
        (
            "SELECT j.* FROM jobs j JOIN c ON c.id = j.c_id",
            &["jobs *"],
        ),
        (
            "SELECT id, company_id AS c FROM jobs",
            &["jobs id as id", "jobs company_id as c"],
        ),
        (
            "SELECT j.id, c.id, c.name FROM jobs j, companies c",
            &["companies name as name"],
        ),
        (
            "SELECT count(*) AS n, j.id AS n, j.x FROM jobs j",
            &["jobs x as x"],
        ),
        // Which of the names come twice is not known.
        (
            "SELECT j.*, c.name FROM jobs j JOIN c ON c.id = j.c_id",
            &[],
        ),
        ("SELECT * FROM jobs j JOIN c ON c.id = j.c_id", &[]),
        ("SELECT id FROM jobs UNION SELECT id FROM c", &[]),
    ];
    for (text, expected) in rows {
        let found = outputs(text).into_iter().map(|output| match output.column {
            None => format!("{} *", output.relation),
            Some((column, name)) => format!("{} {column} as {name}", output.relation),
        });
        assert_eq!(found.collect::<Vec<_>>(), *expected, "{text}");
    }
}

#[test]
fn the_loop_becomes_a_lateral_join() {
    let form =
        |before: &str, key: &str, repeated: &str, number| join_form(before, key, repeated, number);
    let rows = [
        (
            form(
                "SELECT * FROM jobs WHERE a > $1 ORDER BY posted_at DESC, id DESC LIMIT $2 OFFSET $3",
                "company_id",
                "SELECT * FROM companies WHERE id = $1",
                1,
            ),
            Some(
                "SELECT p.*, r.* FROM (SELECT * FROM jobs WHERE a > $1 ORDER BY posted_at DESC, id DESC LIMIT $2 OFFSET $3) p \
                  LEFT JOIN LATERAL (SELECT * FROM companies WHERE id = p.company_id) r ON true \
                  ORDER BY p.posted_at DESC, p.id DESC",
            ),
        ),
        // Other parameters are counted on; a cast goes with what it was for.
        (
            form(
                "SELECT id FROM orders WHERE customer_id = $1",
                "id",
                "SELECT n FROM items WHERE kind = $1 AND order_id = $2::integer AND n > $3 LIMIT $4",
                2,
            ),
            Some(
                "SELECT p.*, r.* FROM (SELECT id FROM orders WHERE customer_id = $1) p LEFT JOIN LATERAL \
                  (SELECT n FROM items WHERE kind = $2 AND order_id = p.id AND n > $3 LIMIT $4) r ON true",
            ),
        ),
        // A name that is taken; an order that nobody outside can see.
        (
            form(
                "SELECT p.id FROM pages AS p ORDER BY p.at",
                "id",
                "SELECT count(*) FROM notes WHERE page_id = $1",
                1,
            ),
            Some(
                "SELECT parent.*, found.* FROM (SELECT p.id FROM pages p ORDER BY p.at) parent LEFT JOIN LATERAL \
                  (SELECT count(*) FROM notes WHERE page_id = parent.id) found ON true",
            ),
        ),
        (
            form(
                "SELECT id FROM t",
                "other",
                "SELECT n FROM u WHERE t_id = $1",
                1,
            ),
            None,
        ),
        (
            form(
                "SELECT id FROM t",
                "id",
                "SELECT n FROM u WHERE t_id = $1",
                2,
            ),
            None,
        ),
        (
            form(
                "SELECT id FROM t FOR UPDATE",
                "id",
                "SELECT n FROM u WHERE t_id = $1",
                1,
            ),
            None,
        ),
        (
            form("SELECT id FROM t", "id", "DELETE FROM u WHERE t_id = $1", 1),
            None,
        ),
    ];
    for (found, expected) in rows {
        assert_eq!(found.as_deref(), expected);
        found.inspect(|text| {
            pg_query::parse(text, 0).expect("SQL");
        });
    }
}
