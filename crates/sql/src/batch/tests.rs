use super::*;

fn check(text: &str, expected: Option<(&str, &str)>) {
    let form = batch_form(text);
    let found = form
        .as_ref()
        .map(|form| (form.text.as_str(), form.key.as_str()));
    assert_eq!(found, expected, "{text}");
    if let Some(form) = form {
        pg_query::parse(&form.text, 0).expect("the batched form is SQL");
    }
}

#[test]
fn selects_by_many_keys() {
    let batches = |text: &str, expected: &str, key: &str| check(text, Some((expected, key)));
    batches(
        "SELECT id, name FROM companies WHERE id = $1",
        "SELECT id, name FROM companies WHERE id = ANY($1)",
        "id",
    );
    batches(
        "SELECT name FROM companies WHERE $1 = id",
        "SELECT name, id FROM companies WHERE id = ANY($1)",
        "id",
    );
    batches(
        "SELECT * FROM s.t WHERE t.id = $1",
        "SELECT * FROM s.t WHERE t.id = ANY($1)",
        "id",
    );
    batches(
        "SELECT s.name FROM skills s JOIN job_skills js ON js.skill_id = s.id WHERE js.job_id = $1 ORDER BY s.name",
        "SELECT s.name, js.job_id FROM skills s JOIN job_skills js ON js.skill_id = s.id \
         WHERE js.job_id = ANY($1) ORDER BY s.name",
        "job_id",
    );
    batches(
        "SELECT a.* FROM a JOIN b ON a.x = b.x WHERE a.id = $1",
        "SELECT a.* FROM a JOIN b ON a.x = b.x WHERE a.id = ANY($1)",
        "id",
    );
    batches(
        "SELECT b.* FROM a JOIN b ON a.x = b.x WHERE a.k = $1",
        "SELECT b.*, a.k FROM a JOIN b ON a.x = b.x WHERE a.k = ANY($1)",
        "k",
    );
    // Further conditions stay; of several keys the likely one is taken.
    batches(
        "SELECT id FROM jobs WHERE company_id = $1 AND status = $2 AND closed IS NULL",
        "SELECT id, company_id FROM jobs WHERE company_id = ANY($1) AND status = $2 AND closed IS NULL",
        "company_id",
    );
    batches(
        "SELECT id FROM jobs WHERE tenant_id = $1 AND id = $2",
        "SELECT id FROM jobs WHERE tenant_id = $1 AND id = ANY($2)",
        "id",
    );
    batches(
        "SELECT n FROM jobs WHERE tenant_id = $1 AND user_id = $2",
        "SELECT n, user_id FROM jobs WHERE tenant_id = $1 AND user_id = ANY($2)",
        "user_id",
    );
    batches(
        "SELECT name FROM t WHERE code = $1::text",
        "SELECT name, code FROM t WHERE code = ANY($1::text[])",
        "code",
    );
    // The key's name is taken by another column.
    batches(
        "SELECT c.id FROM jobs j JOIN companies c ON c.id = j.company_id WHERE j.id = $1",
        "SELECT c.id, j.id AS batch_key FROM jobs j JOIN companies c ON c.id = j.company_id \
         WHERE j.id = ANY($1)",
        "batch_key",
    );
    batches(
        "SELECT id AS x FROM t WHERE id = $1",
        "SELECT id AS x, id FROM t WHERE id = ANY($1)",
        "id",
    );
    // LIMIT has nothing to cut off where the key is unique.
    batches(
        "SELECT * FROM users WHERE users.id = $1 LIMIT $2",
        "SELECT * FROM users WHERE users.id = ANY($1)",
        "id",
    );
    // Aggregates.
    batches(
        "SELECT count(*) FROM applications WHERE job_id = $1",
        "SELECT count(*), job_id FROM applications WHERE job_id = ANY($1) GROUP BY job_id",
        "job_id",
    );
    batches(
        "SELECT status, coalesce(sum(n), $1) FROM a WHERE job_id = $2 GROUP BY status",
        "SELECT status, COALESCE(sum(n), $1), job_id FROM a WHERE job_id = ANY($2) GROUP BY status, job_id",
        "job_id",
    );
    batches(
        "SELECT DISTINCT a FROM t WHERE t_id = $1",
        "SELECT DISTINCT a, t_id FROM t WHERE t_id = ANY($1)",
        "t_id",
    );
}

#[test]
fn refuses_what_may_mean_something_else() {
    let refuses = |text: &str| check(text, None);
    refuses("");
    refuses("nonsense");
    refuses("(other)");
    refuses("SELECT 1; SELECT 2");
    refuses("SELECT * FROM t");
    refuses("SELECT * FROM t WHERE a > $1");
    refuses("SELECT * FROM t WHERE a = $1 OR b = $2");
    refuses("SELECT * FROM t WHERE NOT a = $1");
    refuses("SELECT * FROM t WHERE a = b");
    refuses("SELECT * FROM t WHERE a IN ($1)");
    refuses("SELECT $1 = $2");
    refuses("SELECT * FROM t WHERE job_id = $1 LIMIT $2");
    refuses("SELECT * FROM t WHERE id = $1 ORDER BY b LIMIT $2");
    refuses("SELECT * FROM t WHERE id = $1 OFFSET $2");
    refuses("SELECT * FROM t WHERE id = $1 FOR UPDATE");
    refuses("SELECT DISTINCT ON (a) * FROM t WHERE id = $1");
    refuses("SELECT rank() OVER (ORDER BY a) FROM t WHERE b = $1");
    refuses("SELECT a FROM t WHERE id = $1 UNION SELECT a FROM u WHERE id = $2");
    refuses("WITH x AS (SELECT $1) SELECT * FROM x WHERE id = $2");
    refuses("SELECT xmlroot(a, version $1) FROM t WHERE id = $2");
    refuses("SELECT a INTO b FROM t WHERE id = $1");
    refuses("SELECT normalize(a, nfc) FROM t WHERE id = $1");
}

#[test]
fn deletes_and_inserts() {
    check(
        "DELETE FROM t WHERE id = $1",
        Some(("DELETE FROM t WHERE id = ANY($1)", "id")),
    );
    check("DELETE FROM t WHERE id = $1 RETURNING a", None);
    check("DELETE FROM t USING u WHERE id = $1", None);
    check(
        "INSERT INTO t (a, b, c) VALUES ($1, DEFAULT, $2) RETURNING id",
        Some((
            "INSERT INTO t (a, b, c) VALUES ($1, DEFAULT, $2), ($3, DEFAULT, $4) RETURNING id",
            "",
        )),
    );
    check(
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING",
        Some((
            "INSERT INTO t (a) VALUES ($1), ($2) ON CONFLICT DO NOTHING",
            "",
        )),
    );
    check(
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $2",
        None,
    );
    check("INSERT INTO t (a) VALUES (lower($1))", None);
    check("INSERT INTO t (a) VALUES ($1) RETURNING a + $2", None);
    check("INSERT INTO t (a) VALUES ($1), ($2)", None);
    check("INSERT INTO t (a) SELECT $1", None);
    check("INSERT INTO t DEFAULT VALUES", None);
}

#[test]
fn updates_take_their_values_from_arrays() {
    let types = |relation: &Relation, column: &str| {
        let types = [
            ("id", "bigint"),
            ("n", "integer"),
            ("name", "character varying(40)"),
            ("tags", "text[]"),
        ];
        let found = types.iter().find(|(name, _)| *name == column);
        found
            .filter(|_| &*relation.name == "t")
            .map(|(_, name)| (*name).to_owned())
    };
    let rows = [
        // Types from the catalogue.
        (
            "UPDATE t SET name = $1, n = n + $2 WHERE id = $3 AND n IS NOT NULL",
            Some((
                "UPDATE t SET name = v.name, n = t.n + v.n FROM unnest($1::varchar(40)[], $2::int[], $3::bigint[]) v(name, n, id) \
                   WHERE t.id = v.id AND t.n IS NOT NULL",
                "id",
            )),
            None,
        ),
        // Types from casts.
        (
            "UPDATE stock SET n = (stock.n + $1::integer) WHERE stock.product_id = $2::integer AND stock.house = $3::varchar",
            Some((
                "UPDATE stock SET n = stock.n + v.n FROM unnest($1::int[], $2::int[], $3::varchar[]) v(n, product_id, house) \
                   WHERE stock.product_id = v.product_id AND stock.house = v.house",
                "product_id, house",
            )),
            Some("unnest"),
        ),
        // Types from the table, by way of JSON.
        (
            "UPDATE s.\"T\" AS v SET name = $1 WHERE id = $2",
            Some((
                "UPDATE s.\"T\" v SET name = new_values.name FROM jsonb_populate_recordset(NULL::s.\"T\", $1) new_values \
                   WHERE v.id = new_values.id",
                "id",
            )),
            Some("jsonb"),
        ),
        // No values at all.
        (
            "UPDATE t SET seen = now() WHERE id = $1",
            Some(("UPDATE t SET seen = now() WHERE id = ANY($1)", "id")),
            Some("ANY"),
        ),
        // The key itself is changed: two columns of one name.
        (
            "UPDATE t SET id = $1 WHERE id = $2",
            Some((
                "UPDATE t SET id = v.id FROM unnest($1::bigint[], $2::bigint[]) v(id, id_2) WHERE t.id = v.id_2",
                "id",
            )),
            None,
        ),
        ("UPDATE u SET n = n + $1 WHERE id = $2", None, None),
        (
            "UPDATE t SET tags = $1 WHERE id = $2",
            Some((
                "UPDATE t SET tags = v.tags FROM jsonb_populate_recordset(NULL::t, $1) v WHERE t.id = v.id",
                "id",
            )),
            Some("jsonb"),
        ),
        ("UPDATE t SET n = $1", None, None),
        ("UPDATE t SET n = $1 WHERE id > $2", None, None),
        ("UPDATE t SET n = $1 WHERE id = $2 RETURNING n", None, None),
        ("UPDATE t SET n = $1 FROM u WHERE t.id = $2", None, None),
        (
            "UPDATE t SET n = (SELECT max(n) FROM u WHERE k = $1) WHERE id = $2",
            None,
            None,
        ),
        (
            "UPDATE t SET n = $1 WHERE id = $2 AND k IN (SELECT k FROM u)",
            None,
            None,
        ),
    ];
    for (text, expected, untyped) in rows {
        let form = batch_form_typed(text, &types);
        let found = form.as_ref().map(|form| (&*form.text, &*form.key));
        assert_eq!(found, expected, "{text}");
        form.inspect(|form| {
            pg_query::parse(&form.text, 0).expect("SQL");
        });
        let form = batch_form(text).map(|form| form.text);
        assert_eq!(form.is_some(), untyped.is_some(), "{text}: {form:?}");
        assert!(
            form.unwrap_or_default()
                .contains(untyped.unwrap_or_default()),
            "{text}"
        );
    }
}
