//! What `paceline diagnose --database` says of the shop's databases, in which people have lived for a month.

use std::sync::OnceLock;

use super::*;

/// What runs all day, as often as it takes to tell what is never used.
const LIFE: &str = "
DO $$ BEGIN
  FOR n IN 1..200 LOOP
    PERFORM FROM products WHERE id = n;
    PERFORM FROM customers LIMIT 1;
    PERFORM FROM tokens WHERE token = 'tok-1';
    PERFORM FROM stock_levels WHERE product_id = n;
    PERFORM FROM orders WHERE id = n;
    PERFORM FROM settings;
  END LOOP;
END $$;
";
/// Makes the statistics a month old, for whoever asks: Postgres lets nobody set when it began to count.
const A_MONTH_LATER: &str = "
DO $$
DECLARE name text; body text;
BEGIN
  SET LOCAL allow_system_table_mods = on;
  FOREACH name IN ARRAY ARRAY['pg_stat_bgwriter', 'pg_stat_database'] LOOP
    body := pg_get_viewdef('pg_catalog.' || name);
    body := regexp_replace(body, 'pg_stat_get_\\w+_reset_time\\([^)]*\\)', '(now() - interval ''30 days'')');
    EXECUTE format('CREATE OR REPLACE VIEW pg_catalog.%I AS %s', name, body);
  END LOOP;
END $$;
";

/// Both databases, on a server that does nothing by itself.
fn server() -> &'static PrivatePostgres {
    static SERVER: OnceLock<PrivatePostgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = PrivatePostgres::start(paceline_testkit::Options {
            settings: vec![("autovacuum".to_owned(), "off".to_owned())],
            ..options()
        })
        .expect("a server");
        // The one large enough that what is wrong with it costs something, and the other large enough to be serious.
        for (name, more) in [
            ("plain", &["--scale", "grown"][..]),
            ("tuned", &["--scale", "demo", "--tuned"]),
        ] {
            make_database(&server, name, more);
            psql(&server, &server.url(name), A_MONTH_LATER);
            psql(&server, &server.url(name), LIFE);
        }
        server
    })
}

/// What there is to do about a database: rule, subject, title, severity. What is better left alone is nothing to do.
fn findings_of(name: &str) -> Vec<Value> {
    let mut command = Paceline::command();
    command.args(["diagnose", "--json", "--database", &server().url(name)]);
    let ended = run_to_end(&mut command, PATIENCE);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report["not_read"], Value::Array(Vec::new()));
    let findings = report["findings"].as_array().expect("findings");
    let to_do = findings.iter().filter(|one| one["verdict"] == "act");
    to_do.cloned().collect()
}

/// The same once all that was counted is there (before Postgres 15 a process tells of it a little later): then it shows that a
/// month has passed in which nobody used some index.
fn findings_of_a_month(name: &str) -> Vec<Value> {
    wait_for(PATIENCE, || {
        let found = findings_of(name);
        let unused = ["products_ean_idx", "orders_total_idx"];
        let is_there = unused
            .iter()
            .any(|index| found.iter().any(|one| is_about(one, "unused-index", index)));
        is_there.then_some(found)
    })
}

/// Whether a finding is of a rule, and about a place: a relation, or `table.column`.
fn is_about(finding: &Value, rule: &str, place: &str) -> bool {
    let (relation, column) = place.split_once('.').unwrap_or((place, ""));
    finding["rule"] == rule
        && finding["subject"]["name"] == format!("public.{relation}")
        && (column.is_empty()
            || finding["title"]
                .as_str()
                .is_some_and(|title| title.contains(&format!("({column})"))))
}

#[test]
fn what_was_planted_in_the_database_is_found() {
    let found = findings_of_a_month("plain");
    let planted: Vec<_> = faults()
        .into_iter()
        .filter(|[_, _, seen, _]| seen == "database")
        .collect();
    assert!(planted.len() >= 14, "only {} rows", planted.len());
    let missing: Vec<_> = planted
        .iter()
        .filter(|[place, rule, ..]| !found.iter().any(|one| is_about(one, rule, place)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}\nfound: {found:#?}");
}

#[test]
fn what_only_looks_like_a_fault_of_the_database_is_not_reported() {
    let near_misses: Vec<_> = near_misses()
        .into_iter()
        .filter(|[place, _]| !place.contains('/'))
        .collect();
    assert!(near_misses.len() >= 5, "{near_misses:?}");
    for name in ["plain", "tuned"] {
        let found = findings_of_a_month(name);
        for [place, rule] in &near_misses {
            let reported: Vec<_> = found
                .iter()
                .filter(|one| is_about(one, rule, place))
                .collect();
            assert!(reported.is_empty(), "{name}: {reported:#?}");
        }
    }
}

#[test]
fn made_well_nothing_in_the_database_is_serious() {
    let found = findings_of_a_month("tuned");
    let serious: Vec<_> = found
        .iter()
        .filter(|one| one["severity"] == "high")
        .collect();
    assert!(serious.is_empty(), "{serious:#?}");
    // Of what was planted in the other, nothing is left. What is unused, nobody has asked for here.
    let planted = faults()
        .into_iter()
        .filter(|[_, rule, seen, _]| seen == "database" && rule != "unused-index");
    for [place, rule, ..] in planted {
        let left: Vec<_> = found
            .iter()
            .filter(|one| is_about(one, &rule, &place))
            .collect();
        assert!(left.is_empty(), "{left:#?}");
    }
}
