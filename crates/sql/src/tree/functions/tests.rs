use super::*;
use crate::{SessionEffect, tree};

/// What a statement leaves behind when no function is trusted.
fn session(text: &str) -> SessionEffect {
    tree::read(text, &[]).session
}

#[test]
fn functions_are_known_by_the_catalogue_or_in_doubt() {
    #[track_caller]
    fn check(text: &str, is_unknown: bool) {
        let effect = session(text);
        assert_eq!(
            (effect.is_none(), effect.is_unknown()),
            (!is_unknown, is_unknown),
            "{text}"
        );
    }
    for text in [
        "SELECT count(*), sum(a) FILTER (WHERE b), pg_catalog.lower(c) FROM t",
        "SELECT rank() OVER (ORDER BY a), percentile_cont(0.5) WITHIN GROUP (ORDER BY b) FROM t",
        "SELECT coalesce(a, b), greatest(a, b), nullif(a, b), grouping(a) FROM t GROUP BY a",
        "SELECT extract(year FROM a), a AT TIME ZONE 'UTC', substring(b FROM 2), trim(b) FROM t",
        "SELECT overlay(a PLACING b FROM 1), position(a IN b), normalize(a), a LIKE b ESCAPE c FROM t",
        "SELECT current_user, current_date, user, now(), current_setting('app.tenant', true)",
        "SELECT * FROM generate_series(1, 3) g, unnest($1) u, jsonb_to_recordset($2) AS r(a int)",
        "SELECT json_agg(t), array_agg(a), string_agg(b, ','), jsonb_build_object('a', a) FROM t",
        "SELECT gen_random_uuid(), uuidv7(), any_value(a), nextval('s'), random() FROM t",
        "SELECT lo_open(1, 2), pg_notify('a', 'b'), pg_sleep(0), int4(a), date(b) FROM t",
        "INSERT INTO t VALUES (now()) ON CONFLICT (a) DO UPDATE SET b = upper(excluded.b)",
        "EXPLAIN SELECT lower(a) FROM t",
    ] {
        check(text, false);
    }
    for text in [
        "SELECT f()",
        "SELECT s.f()",
        "SELECT public.lower(a) FROM t",
        "SELECT \"Lower\"(a) FROM t",
        "SELECT \"pg_catalog.lower\"(a) FROM t",
        "SELECT db.pg_catalog.lower(a) FROM t",
        "SELECT pg_temp.f()",
        "SELECT app.set_config('a', 'b', true)",
        "SELECT agg(a), f(b) OVER () FROM t",
        "SELECT lower(f(a)) FROM t",
        "SELECT * FROM f() AS r",
        "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE f(a))",
        "SELECT * FROM t ORDER BY f(a)",
        "SELECT rank() OVER (PARTITION BY f(a)) FROM t",
        "WITH q AS (SELECT f()) SELECT * FROM q",
        "VALUES (f())",
        "INSERT INTO t VALUES (f())",
        "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING f(a)",
        "UPDATE t SET a = f(b)",
        "DELETE FROM t WHERE f(a)",
        "MERGE INTO t USING u ON a = b WHEN MATCHED THEN UPDATE SET a = f(b)",
        "COPY (SELECT f()) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT f()",
        "CREATE TABLE a AS SELECT f()",
        "ALTER TABLE a ADD x int DEFAULT f()",
        "ALTER TABLE a ADD x int CHECK (f(x))",
        "ALTER TABLE a ALTER x TYPE int USING f(x)",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (f(x))",
        "ALTER DOMAIN d ADD CHECK (f(VALUE))",
        "CREATE INDEX ON a (f(x)) WHERE f(x)",
        // The planner runs what is declared immutable.
        "EXPLAIN SELECT f()",
        "EXPLAIN ANALYZE SELECT f()",
        // These run what they are given.
        "SELECT query_to_xml('SELECT f()', true, true, '')",
        "SELECT table_to_xml('a_view', true, true, '')",
        "SELECT * FROM ts_stat('SELECT f()')",
        "SELECT binary_upgrade_set_next_pg_type_oid(1)",
        "SELECT * FROM pg_logical_slot_get_changes('a', NULL, NULL)",
        "SELECT 1; SELECT f()",
    ] {
        check(text, true);
    }
}

#[test]
fn trusted_functions_leave_nothing_behind() {
    let trusted: Vec<TrustedFunction> = ["st_*", "app.current_user_id", "pg_*", "set_config"]
        .iter()
        .filter_map(|text| TrustedFunction::parse(text).ok())
        .collect();
    let check = |text: &str, is_none: bool, is_unknown: bool| {
        let effect = tree::read(text, &trusted).session;
        assert_eq!(
            (effect.is_none(), effect.is_unknown()),
            (is_none, is_unknown),
            "{text}"
        );
    };
    check("SELECT ST_Distance(a, b) FROM t", true, false);
    check(
        "SELECT * FROM t WHERE id = app.current_user_id()",
        true,
        false,
    );
    check("SELECT public.st_distance(a, b) FROM t", false, true);
    check("SELECT current_user_id()", false, true);
    check("SELECT st_x(f()) FROM t", false, true);
    // What is known to leave something behind cannot be vouched for.
    check("SELECT pg_advisory_lock(1)", false, false);
    check("SELECT set_config('a', 'b', false)", false, false);
}

#[test]
fn everyday_statements_need_no_reset() {
    for text in [
        // The job board's.
        "SELECT count(*) FROM jobs",
        "SELECT seniority, count(*), avg((salary_min + salary_max) / 2)::int FROM jobs GROUP BY \
         seniority ORDER BY seniority",
        "SELECT locations.city, count(*) FROM jobs JOIN locations ON locations.id = \
         jobs.location_id GROUP BY locations.id, locations.city ORDER BY count(*) DESC, \
         locations.id LIMIT 10",
        "SELECT jobs.*, companies.name AS company FROM jobs JOIN companies ON companies.id = \
         jobs.company_id WHERE $1::text IS NULL OR jobs.seniority = $1 ORDER BY jobs.posted_at DESC",
        "SELECT * FROM jobs WHERE salary_max > 0 AND location_id IN (SELECT id FROM locations WHERE \
         city = $1) ORDER BY posted_at DESC, id DESC LIMIT $2 OFFSET $3",
        "SELECT jobs.*, companies.name AS company, locations.city FROM jobs JOIN companies ON \
         companies.id = jobs.company_id JOIN locations ON locations.id = jobs.location_id WHERE \
         jobs.title ILIKE $1 ORDER BY jobs.posted_at DESC, jobs.id DESC LIMIT 20",
        "SELECT count(*) FROM applications WHERE job_id = $1",
        "SELECT * FROM users WHERE email = $1 ORDER BY id LIMIT 1",
        "INSERT INTO applications (job_id, user_id, letter) VALUES ($1, $2, $3) RETURNING id",
        "UPDATE jobs SET title = $2, description = $3 WHERE id = $1",
        "SELECT skills.* FROM skills JOIN job_skills ON job_skills.skill_id = skills.id WHERE \
         job_skills.job_id = $1 ORDER BY skills.name, skills.id",
        // pgbench's.
        "BEGIN;",
        "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 1;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = $1;",
        "UPDATE pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = 1;",
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 1, \
         CURRENT_TIMESTAMP);",
        "END;",
        "select count(*) from pgbench_branches",
        "vacuum pgbench_branches",
        "truncate pgbench_history",
        "insert into pgbench_tellers(tid,bid,tbalance) values (1, 1, 0)",
        "copy pgbench_accounts from stdin with (freeze on)",
        "insert into pgbench_accounts(aid,bid,abalance,filler) select aid, (aid - 1) / 100000 + 1, \
         0, '' from generate_series(1, 100000) as aid",
    ] {
        assert_eq!(session(text), SessionEffect::NONE, "{text}");
    }
}

#[test]
fn the_list_is_sorted_and_has_nothing_that_leaves_state() {
    let names: Vec<&str> = PG_CATALOG.lines().collect();
    assert!(names.is_sorted_by(|a, b| a < b));
    assert!(names.len() > 2_500);
    for name in SESSION
        .iter()
        .filter(|(_, effect)| *effect != UNLOCK)
        .map(|(name, _)| *name)
        .chain(["set_config", "query_to_xml"])
    {
        assert!(!is_harmless(name), "{name}");
    }
    for name in names {
        assert!(is_harmless(name), "{name}");
    }
}
