use std::sync::Arc;

use super::*;
use crate::{Kind, SessionEffect, SettingChange, SettingName, Shape, ShapeId};

fn table() -> Statements {
    Statements::new(Limits::default())
}

/// The statement, when it is understood without parsing.
fn known(statements: &Statements, text: &str) -> Option<Statement> {
    match statements.understand(text) {
        Understanding::Known(statement) => Some(statement),
        Understanding::NeedsParse => None,
    }
}

#[test]
fn understands_what_was_learnt() {
    // Each learnt, then understood in both forms, with literals apart.
    for (learnt, other) in [
        ("SELECT a FROM t WHERE b = 1", "select a from t where b = 2"),
        (
            "SELECT a FROM t WHERE b IN (1)",
            "SELECT a FROM t WHERE b IN (1, 2, 3)",
        ),
        (
            "INSERT INTO t VALUES (1, 'a')",
            "INSERT INTO t VALUES (2, NULL), (3, 'c')",
        ),
        ("UPDATE t SET a = a + -5", "UPDATE t SET a = a + -6"),
        (
            "SELECT a::varchar(3) FROM t WHERE b = 1",
            "SELECT a::varchar(3) FROM t WHERE b = 2",
        ),
        ("BEGIN; SELECT 1; COMMIT", "BEGIN; SELECT 2; COMMIT"),
    ] {
        let statements = table();
        assert!(known(&statements, learnt).is_none(), "{learnt}");
        let first = statements.learn(learnt);
        let again = known(&statements, learnt).expect("seen before");
        assert!(Arc::ptr_eq(&first.shape, &again.shape), "{learnt}");
        assert_eq!(first.literals, again.literals, "{learnt}");
        let second = known(&statements, other).expect("differs in literals only");
        assert!(Arc::ptr_eq(&first.shape, &second.shape), "{other}");
        assert_ne!(first.literals, second.literals, "{other}");
        // Learning it anew gives the same.
        let fresh = table().learn(other);
        assert_eq!(
            (&fresh.shape.text, fresh.literals),
            (&second.shape.text, second.literals)
        );
    }
}

#[test]
fn understands_by_full_text_what_cannot_be_reduced() {
    for (learnt, other) in [
        ("SET a.b = 1", "SET a.b = 2"),
        ("SAVEPOINT a", "SAVEPOINT b"),
        (
            "SELECT U&'!0041' UESCAPE '!'",
            "SELECT U&'!0042' UESCAPE '!'",
        ),
        ("SELECT geo(5) 'x'", "SELECT geo(5) 'y'"),
        ("DO $$ a $$", "DO $$ b $$"),
        ("nonsense 1", "nonsense 2"),
        ("SELECT 'open 1", "SELECT 'open 2"),
    ] {
        let statements = table();
        let first = statements.learn(learnt);
        assert!(known(&statements, learnt).is_some(), "{learnt}");
        assert!(known(&statements, other).is_none(), "{other}");
        statements.learn(other);
        assert!(known(&statements, other).is_some(), "{other}");
        assert!(Arc::ptr_eq(&first.shape, &statements.learn(learnt).shape));
    }
}

#[test]
fn an_empty_text_is_empty() {
    let statements = table();
    for text in ["", " ; ", "-- nothing", "/* nothing */"] {
        let shape = statements.learn(text).shape;
        assert_eq!((shape.kind, &*shape.text), (Kind::Empty, ""), "{text:?}");
        assert_ne!(shape.id, ShapeId::OTHER);
    }
}

#[test]
fn what_the_parser_refuses_may_do_anything() {
    let shape = table().learn("FROBNICATE 'x'").shape;
    assert_eq!(
        (shape.kind, shape.session.clone()),
        (Kind::Unknown, SessionEffect::unknown())
    );
    assert_eq!(&*shape.text, "frobnicate $1");
    assert!(!shape.is_read_only());
}

#[test]
fn one_text_with_two_meanings_is_two_shapes() {
    let statements = table();
    // A parameter in the place of the table's name is refused; both have no relation to tell them apart.
    let query = statements.learn("SELECT set_config($1, $2, $3)").shape;
    let other = statements.learn("SELECT set_config($1, $2, TRUE)").shape;
    assert_ne!(query.id, other.id);
    let is_local = |shape: &Shape| {
        shape
            .session
            .facts()
            .map(|facts| facts.settings[0].is_local)
    };
    assert_eq!(
        (is_local(&query), is_local(&other)),
        (Some(false), Some(true))
    );
}

#[test]
fn the_setting_that_set_config_names_is_part_of_the_shape() {
    let statements = table();
    let named = |shape: &Shape| match &shape.session.facts().expect("it sets").settings[..] {
        [
            SettingChange {
                name: SettingName::Named(name),
                ..
            },
        ] => name.to_string(),
        other => format!("{other:?}"),
    };
    let tenant = statements.learn("SELECT set_config('app.tenant', '1', false)");
    assert_eq!(
        &*tenant.shape.text,
        "SELECT set_config('app.tenant', $1, $2)"
    );
    // Known without parsing, since only the value differs.
    let again = statements.understand("select set_config('app.tenant', '2', false)");
    assert!(matches!(again, Understanding::Known(same) if Arc::ptr_eq(&same.shape, &tenant.shape)));
    for text in [
        "SELECT set_config('app.user', '1', false)",
        "SELECT set_config(E'app.user', '1', false)",
        "SELECT \"set_config\"('app.user', '1', false)",
        "SELECT set_config(('app.user'), '1', false)",
    ] {
        let other = statements.learn(text).shape;
        assert_eq!(
            (named(&tenant.shape), named(&other)),
            ("app.tenant".to_owned(), "app.user".to_owned())
        );
    }
    let other = statements.learn("SELECT \"set_config\"('app.place', '1', false)");
    assert_eq!(named(&other.shape), "app.place");
}

#[test]
fn ids_are_unique_until_the_table_is_full() {
    let statements = Statements::new(Limits {
        shapes_max: 3,
        ..Limits::default()
    });
    let ids: Vec<u32> = (0..5)
        .map(|number| {
            statements
                .learn(&format!("SELECT a{number} FROM t"))
                .shape
                .id
                .get()
        })
        .collect();
    assert_eq!(ids, [1, 2, 3, 0, 0]);
    // Those with an id keep it; those without are still understood for what they are.
    assert_eq!(
        statements
            .learn("SELECT a1 FROM t WHERE false = true")
            .shape
            .id,
        ShapeId::OTHER
    );
    assert_eq!(statements.learn("SELECT a1 FROM t").shape.id.get(), 2);
    let other = statements.learn("DELETE FROM s.t WHERE a = 1").shape;
    assert_eq!((&*other.text, other.kind), ("(other)", Kind::Delete));
    assert_eq!(other.writes[0].to_string(), "s.t");
    let set = statements.learn("SET a.b = 1").shape;
    assert_eq!((set.id, set.session.is_none()), (ShapeId::OTHER, false));
}

#[test]
fn memory_is_bounded_under_a_flood() {
    let limits = Limits {
        entries_max: 64,
        bytes_max: 64 * 1024,
        text_bytes_max: 1024,
        shapes_max: 32,
        ..Limits::default()
    };
    let statements = Statements::new(limits.clone());
    for number in 0..2_000 {
        statements.learn(&format!("SELECT c{number} FROM t WHERE a = {number}"));
        statements.learn(&format!("SET a.b{number} = {number}"));
        statements.learn(&format!("SELECT '{}'", "x".repeat(number)));
    }
    assert!(
        statements.texts.len() <= limits.entries_max,
        "{}",
        statements.texts.len()
    );
    assert!(
        statements.skeletons.len() <= limits.entries_max,
        "{}",
        statements.skeletons.len()
    );
    assert!(statements.texts.weight() <= limits.bytes_max as u64);
    assert!(statements.skeletons.weight() <= limits.bytes_max as u64);
    assert_eq!(statements.shapes.len(), limits.shapes_max);
    // Bytes bound the shapes, too.
    let statements = Statements::new(Limits {
        shapes_max: 1_000,
        ..limits
    });
    for number in 0..500 {
        statements.learn(&format!("SELECT c{number}{} FROM t", "x".repeat(500)));
    }
    assert!(
        (1..=64 * 1024 / 2_000).contains(&statements.shapes.len()),
        "{}",
        statements.shapes.len()
    );
}

#[test]
fn huge_texts_are_not_kept() {
    let statements = table();
    let rows: Vec<String> = (0..5_000)
        .map(|number| format!("({number}, 'x')"))
        .collect();
    let insert = format!("INSERT INTO t VALUES {}", rows.join(", "));
    let learnt = statements.learn(&insert);
    assert_eq!(&*learnt.shape.text, "INSERT INTO t VALUES ($1, $2)");
    assert_eq!(statements.texts.len(), 0);
    // Still understood without parsing, for its form is short.
    assert!(known(&statements, &insert).is_some());
    // This one's is not.
    let columns: Vec<String> = (0..5_000).map(|number| format!("c{number}")).collect();
    let select = format!("SELECT {} FROM t", columns.join(", "));
    let learnt = statements.learn(&select);
    assert_eq!(
        (learnt.shape.id, learnt.shape.kind),
        (ShapeId::OTHER, Kind::Select)
    );
    assert!(known(&statements, &select).is_none());
}

#[test]
fn buffers_stay_small() {
    let mut reducer = Reducer::default();
    for text in [
        format!("SELECT \"{}\"", "x".repeat(1 << 20)),
        format!("SELECT {}", "(".repeat(1 << 20)),
        format!("SELECT '{}'", "x".repeat(1 << 20)),
        format!("SELECT {}", "1, ".repeat(1 << 20)),
    ] {
        let _ = reducer.reduce(&text, &mut Guess, 16 * 1024);
        assert!(reducer.bytes() <= 1024 * 1024, "{}", reducer.bytes());
    }
}

#[test]
fn a_text_with_literals_is_kept_when_it_comes_again() {
    let statements = table();
    statements.learn("SELECT a FROM t WHERE b = 0 AND c = 'x'");
    for number in 1..100 {
        let text = format!("SELECT a FROM t WHERE b = {number} AND c = 'x'");
        known(&statements, &text).expect("understood");
    }
    assert_eq!(statements.texts.len(), 0);
    let text = "SELECT a FROM t WHERE b = 7000 AND c = 'x'";
    for _ in 0..2 {
        known(&statements, text).expect("understood");
    }
    assert_eq!(statements.texts.len(), 1);
    assert!(known(&statements, text).is_some());
}

#[test]
fn workers_share_what_they_learn() {
    let statements = table();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..500 {
                    statements.learn(&format!(
                        "SELECT c{} FROM t WHERE a = {number}",
                        number % 50
                    ));
                }
            });
        }
    });
    assert_eq!(statements.shapes.len(), 50);
    let ids: std::collections::BTreeSet<ShapeId> = (0..50)
        .map(|number| {
            statements
                .learn(&format!("SELECT c{number} FROM t WHERE a = 1"))
                .shape
                .id
        })
        .collect();
    assert_eq!(ids.len(), 50);
}

#[test]
fn a_setting_named_by_a_string_that_is_cut_may_be_any() {
    let statements = table();
    let padding = "x".repeat(Statements::INLINE_BYTES_MAX);
    // Pieces of a string on lines of their own are one string.
    let name = format!("'search_path'{}''", "\n".repeat(2_000));
    for (name, is_known) in [("'search_path'", true), (&*name, false)] {
        let text = format!("SELECT set_config({name}, 'evil', false), '{padding}'");
        let shape = statements.learn(&text).shape;
        assert_eq!(shape.session.is_unknown(), !is_known, "{}", name.len());
    }
}
