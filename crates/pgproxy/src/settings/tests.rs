use super::*;

fn settings(table: &SettingsTable, pairs: &[(&str, &str)]) -> Result<Arc<Settings>, Refusal> {
    table.of_startup(
        pairs
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    )
}

#[test]
fn equal_settings_are_one() {
    let table = SettingsTable::new();
    let one = settings(&table, &[("user", "u"), ("TimeZone", "UTC"), ("a.b", "1")]).unwrap();
    let two = settings(
        &table,
        &[("options", r"-c a.b=1 --timezone=UTC"), ("user", "v")],
    )
    .unwrap();
    assert!(Arc::ptr_eq(&one, &two));
    assert_eq!(settings(&table, &[("user", "u")]).unwrap().id, 0);
    let named = settings(
        &table,
        &[("TimeZone", "UTC"), ("a.b", "1"), ("application_name", "x")],
    );
    assert_eq!(named.as_ref().unwrap().reading, one.reading);
    assert_ne!(named.unwrap().id, one.id);
    assert_ne!(one.reading, 0);
}

#[test]
fn few_statements_lead_from_one_to_the_other() {
    let table = SettingsTable::new();
    let check = |from: &[(&str, &str)], to: &[(&str, &str)], expected: Option<&str>| {
        let (from, to) = (
            settings(&table, from).unwrap(),
            settings(&table, to).unwrap(),
        );
        let found = to.statement_from(&from);
        let found = found.map(|sql| sql.replace("pg_catalog.set_config", "set"));
        assert_eq!(found.as_deref(), expected, "{from:?} {to:?}");
    };
    check(
        &[("a", "1"), ("b", "2"), ("c", "3")],
        &[("b", "2"), ("c", r"it's \"), ("d", "x, ü")],
        Some(
            r"SELECT set(E'a', NULL, false), set(E'c', E'it''s \\', false), set(E'd', E'x, \U000000fc', false)",
        ),
    );
    check(&[("a", "1")], &[("a", "1")], None);
    check(
        &[("role", "r"), ("a", "1")],
        &[("a", "1")],
        Some("RESET SESSION AUTHORIZATION;RESET ROLE"),
    );
    check(
        &[("role", "r")],
        &[("a", "1"), ("role", "r"), ("session_authorization", "s")],
        Some(
            "RESET SESSION AUTHORIZATION;RESET ROLE;\
             SELECT set(E'a', E'1', false), set(E'session_authorization', E's', false), set(E'role', E'r', false)",
        ),
    );
}

#[test]
fn what_has_changed_since_the_startup_makes_other_settings() {
    let table = SettingsTable::new();
    let from = settings(&table, &[("a", "1"), ("b", "2")]).unwrap();
    let change = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let to = table.changed(&from, [change("a", None), change("c.d", Some("3"))]);
    assert_eq!(
        (to.get("a"), to.get("b"), to.get("c.d")),
        (None, Some("2"), Some("3"))
    );
    assert!(Arc::ptr_eq(&from, &table.changed(&from, [])));
    let back = table.changed(&to, [change("b", None), change("c.d", None)]);
    assert_eq!(back.id, 0);
}

#[test]
fn settings_of_ones_own_change_no_reading_and_are_not_reported() {
    let table = SettingsTable::new();
    let plain = settings(&table, &[("TimeZone", "UTC")]).unwrap();
    let own = settings(&table, &[("TimeZone", "UTC"), ("app.tenant", "7")]).unwrap();
    assert_eq!((plain.reading, plain.reports), (own.reading, own.reports));
    let other = settings(&table, &[("search_path", "a"), ("app.tenant", "7")]).unwrap();
    assert_ne!(plain.reading, other.reading);
    assert_ne!(plain.reports, other.reports);
}

#[test]
fn what_cannot_be_set_is_refused() {
    let table = SettingsTable::new();
    let check = |pairs: &[(&str, &str)]| assert!(settings(&table, pairs).is_err(), "{pairs:?}");
    check(&[("replication", "database")]);
    check(&[("options", "-e")]);
    check(&[("options", "-c")]);
    check(&[("x;drop", "1")]);
    check(&[("transaction_read_only", "on")]);
    assert!(settings(&table, &[("replication", "false")]).is_ok());
    assert!(settings(&table, &[("options", "-c Role=postgres")]).is_ok());
}
