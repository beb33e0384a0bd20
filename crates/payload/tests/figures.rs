//! What a look says about bodies: by hand, against a tree, and wherever they are cut.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../fuzz/entry.rs"]
mod entry;

use paceline_payload::{DEPTH_MAX, Figures, Look};
use proptest::prelude::*;
use serde_json::{Value, json};

fn look(text: &str) -> Option<Figures> {
    let mut look = Look::default();
    look.push(text.as_bytes());
    look.figures()
}

#[test]
fn what_a_body_is_made_of() {
    type Of = fn(&Figures) -> [u32; 4];
    let empty: Of = |f| [f.values, f.members, f.nulls, f.empties];
    let bytes: Of = |f| {
        [
            f.null_bytes,
            f.empty_bytes,
            f.name_bytes,
            f.repeated_name_bytes,
        ]
    };
    let size: Of = |f| [f.depth, f.list_length, f.bytes, u32::from(f.is_whole)];
    let rows: [(&str, Of, [u32; 4]); 17] = [
        ("null", empty, [1, 0, 1, 0]),
        (" 17 ", empty, [1, 0, 0, 0]),
        ("17", empty, [1, 0, 0, 0]),
        ("\"\"", empty, [1, 0, 0, 1]),
        ("{}", empty, [1, 0, 0, 1]),
        ("[[], {}, \"\", 0, false]", empty, [6, 0, 0, 3]),
        (r#"{"a": null, "b": [null]}"#, empty, [4, 2, 2, 0]),
        // `"a": null,` and `null,`
        (r#"{"a": null, "b": [null]}"#, bytes, [15, 0, 8, 0]),
        // `"b":"",` and `"c" : { },`
        (r#"{"b":"","c" : { }}"#, bytes, [0, 17, 9, 0]),
        (r#"[{"ab":1},{"ab":2}]"#, bytes, [0, 0, 10, 5]),
        (r#"[{"a\"b":1},{"a\"b":2}]"#, bytes, [0, 0, 14, 7]),
        ("[{}]", size, [2, 1, 4, 1]),
        ("0", size, [0, 0, 1, 1]),
        ("[1,[2,3,4],5]", size, [2, 3, 13, 1]),
        (r#"{"a":[1,2],"b":[1,2,3],"c":[]}"#, size, [2, 3, 30, 1]),
        (r#"{"a":{"b":[[1,2,3],[4]]}}"#, size, [4, 2, 25, 1]),
        ("[\"]\",\"\\\"]\",\"\\\\\"]", size, [1, 3, 16, 1]),
    ];
    for (text, of, expected) in rows {
        assert_eq!(of(&look(text).expect(text)), expected, "{text}");
    }
}

#[test]
fn what_is_no_json_has_no_figures() {
    for text in [
        "",
        " ",
        "{",
        "[1",
        "[1,",
        "]",
        "}",
        "{]",
        "[}",
        "[1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[,]",
        "[1,]",
        "{1:2}",
        "nul",
        "nulL",
        "\"",
        "\"\\",
        "1 2",
        "{}{}",
        "{}\n{}",
        "<html>",
        ",",
        ":",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
    ] {
        assert_eq!(look(text), None, "{text:?}");
    }
}

fn rows(count: usize, row: impl Fn(usize) -> Value) -> Figures {
    let list: Vec<_> = (0..count).map(row).collect();
    look(&Value::from(list).to_string()).unwrap()
}

#[test]
fn numbers_in_quotes_are_told_from_names_and_amounts() {
    let numeric = |name: &str, value: fn(usize) -> Value| {
        let figures = rows(6, |row| json!({name: value(row), "other": "text"}));
        (figures.fields_numeric, figures.numeric_strings)
    };
    let number = |row: usize| json!((row * 7).to_string());
    assert_eq!(numeric("stock", number), (1, 6));
    assert_eq!(
        numeric("ratio", |row| json!(["0.5", "0.25"][row % 2])),
        (1, 6)
    );
    assert_eq!(
        numeric("stock", |row| if row == 0 {
            Value::Null
        } else {
            json!((row * 7).to_string())
        }),
        (1, 5)
    );
    type Row = (&'static str, fn(usize) -> Value);
    let none: [Row; 9] = [
        ("stock", |row| json!(row * 7)),
        ("product_id", number),
        ("productId", number),
        ("code", number),
        // All as long as each other: a postal code, a year.
        ("place", |row| json!((10_115 + row).to_string())),
        ("price", |row| json!(format!("{}.90", row * 7))),
        ("mixed", |row| {
            if row == 0 {
                json!("n/a")
            } else {
                json!(row.to_string())
            }
        }),
        ("either", |row| {
            if row == 0 {
                json!(0)
            } else {
                json!((row * 7).to_string())
            }
        }),
        ("large", |row| json!("9".repeat(15 + row))),
    ];
    for (name, value) in none {
        assert_eq!(numeric(name, value), (0, 0), "{name}");
    }
    // Four times is not often enough to say "always".
    assert_eq!(
        rows(4, |row| json!({"stock": (row * 7).to_string()})).fields,
        0
    );
}

#[test]
fn fields_that_are_always_null_are_told_from_those_that_are_mostly() {
    let figures = rows(
        20,
        |row| json!({"a": null, "b": if row == 7 { json!(1) } else { Value::Null }, "c": 1, "d": null}),
    );
    assert_eq!((figures.fields, figures.fields_null), (4, 2));
    assert_eq!((figures.nulls, figures.members), (59, 80));
}

#[test]
fn a_look_ends_where_it_costs_too_much() {
    let deep = "[".repeat(DEPTH_MAX + 1);
    let figures = look(&deep).unwrap();
    assert_eq!(
        (figures.depth as usize, figures.is_whole),
        (DEPTH_MAX, false)
    );
    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(look(&deepest).unwrap().is_whole);

    let mut look = Look::default();
    look.push(b"[");
    while !look.is_over() {
        look.push(&b"[1],".repeat(1_000));
    }
    let figures = look.figures().unwrap();
    assert_eq!((figures.bytes, figures.is_whole), (1 << 20, false));
    assert!(figures.list_length > 250_000, "{}", figures.list_length);
}

#[test]
fn seeds_and_their_damaged_copies_hold() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/look");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 4, "the seeds are gone");
    let mut random = fastrand::Rng::with_seed(1);
    for path in paths {
        let seed = std::fs::read(path).unwrap();
        for cut in 0..=seed.len() {
            entry::at_every_split(&seed[..cut]);
        }
        for _ in 0..300 {
            let mut damaged = seed.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..damaged.len());
                match random.u8(..3) {
                    0 => damaged[at] = random.u8(..),
                    1 => damaged.insert(at, *random.choice(br#"{}[]",:\n0"#).unwrap()),
                    _ => {
                        damaged.remove(at);
                    }
                }
            }
            entry::run(&damaged);
        }
    }
}

/// The same figures, from a tree that was written without spaces.
fn of_tree(value: &Value) -> Figures {
    let mut figures = Figures::default();
    count(value, 0, None, false, &mut figures);
    figures.bytes = value.to_string().len() as u32;
    figures
}

fn count(value: &Value, depth: u32, name: Option<&str>, in_list: bool, figures: &mut Figures) {
    let name_bytes = name.map_or(0, |name| Value::from(name).to_string().len() as u32 + 1);
    let weight = name_bytes + value.to_string().len() as u32 + 1;
    figures.values += 1;
    figures.name_bytes += name_bytes;
    figures.members += u32::from(name.is_some());
    let is_empty = match value {
        Value::Null => {
            figures.nulls += 1;
            figures.null_bytes += weight;
            false
        }
        Value::String(text) => text.is_empty(),
        Value::Array(list) => {
            figures.depth = figures.depth.max(depth + 1);
            if !in_list {
                figures.list_length = figures.list_length.max(list.len() as u32);
            }
            list.iter()
                .for_each(|one| count(one, depth + 1, None, true, figures));
            list.is_empty()
        }
        Value::Object(members) => {
            figures.depth = figures.depth.max(depth + 1);
            for (name, one) in members {
                count(one, depth + 1, Some(name), in_list, figures);
            }
            members.is_empty()
        }
        _ => false,
    };
    if is_empty {
        figures.empties += 1;
        figures.empty_bytes += weight;
    }
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,8}".prop_map(Value::from),
        "[\"\\\\\n a1]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"\\\\]{0,2}", inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn a_tree_says_the_same(value in tree()) {
        let text = value.to_string();
        let seen = look(&text).expect(&text);
        let expected = Figures {
            is_whole: true,
            repeated_name_bytes: seen.repeated_name_bytes,
            fields: seen.fields,
            fields_null: seen.fields_null,
            fields_numeric: seen.fields_numeric,
            numeric_strings: seen.numeric_strings,
            ..of_tree(&value)
        };
        prop_assert_eq!(seen, expected, "{}", text);
        entry::run(text.as_bytes());
    }

    #[test]
    fn any_bytes_hold(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        entry::run(&bytes);
    }

    #[test]
    fn whatever_a_tree_can_be_read_from_has_figures(text in r#"[\[\]{}",:a0nul\\ ]{0,14}"#) {
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(look(&text).is_some(), "{}", text);
        }
    }
}
