//! An index that was never finished: writes keep it, and no query may use it.

use paceline_catalogue::{Index, RelationKind, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::bytes;
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "invalid-index",
    about: "Building an index has failed: each write keeps it, and no query may use it.",
    check: Check::Database(findings),
};

/// What a failed REINDEX CONCURRENTLY leaves beside the index that it was to replace.
const LEFTOVERS: [&str; 2] = ["_ccnew", "_ccold"];

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let indexes = snapshot.indexes.iter();
    indexes
        .filter_map(|index| finding(snapshot, index))
        .collect()
}

fn finding(snapshot: &Snapshot, index: &Index) -> Option<Finding> {
    let table = snapshot.relation(index.relation)?;
    // That of a partitioned table is valid once all its parts are there.
    let is_whole = table.kind == RelationKind::Partitioned;
    if index.is_valid || index.is_being_built || is_whole || table.is_of_extension {
        return None;
    }
    let (name, size) = (index.full_name(), bytes(index.bytes));
    let title = format!(
        "{name} on {} is not valid: no query can use it, and each write keeps it.",
        table.full_name()
    );
    let plain = index.name.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_leftover = LEFTOVERS.iter().any(|end| plain.ends_with(end));
    let (text, statement) = if is_leftover {
        (
            "Drop what a failed REINDEX has left.",
            format!("DROP INDEX CONCURRENTLY {}", index.quoted()),
        )
    } else {
        (
            "Build it anew, or drop it when nobody misses it. A unique one fails again while two rows have the same key.",
            format!("REINDEX INDEX CONCURRENTLY {}", index.quoted()),
        )
    };
    let finding = Finding::new(RULE.name, Subject::index(name), Severity::Medium, title)
        .fact("table", table.full_name())
        .fact("definition", index.definition.as_str())
        .fact("bytes", index.bytes)
        .fact("is_leftover", is_leftover)
        .detail("Index", index.definition.as_str())
        .detail("Size", size)
        .remedy(Effort::Small, text)
        .statement(statement)
        .gain(Gain::text(
            "queries that were to be served by it are, or writes have one index less to keep",
        ));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, index, look, snapshot, table};

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, bool)] = &[
            ("not valid", |_| {}, true),
            ("valid", |one| one.indexes[0].is_valid = true, false),
            (
                "under way",
                |one| one.indexes[0].is_being_built = true,
                false,
            ),
            (
                "of a partitioned table",
                |one| one.relations[0].kind = RelationKind::Partitioned,
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.relations = vec![table(1, "jobs", 10)];
            snapshot.indexes = vec![Index {
                is_valid: false,
                ..index(2, 1, "broken", &[1])
            }];
            change(&mut snapshot);
            let expected: &[&str] = if *fires { &["public.broken"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn leftovers_are_dropped_others_built_anew() {
        for (name, expected) in [
            ("a_ccnew1", "DROP INDEX"),
            ("b_ccold", "DROP INDEX"),
            ("a_new", "REINDEX INDEX"),
        ] {
            let mut snapshot = snapshot();
            snapshot.relations = vec![table(1, "jobs", 10)];
            snapshot.indexes = vec![Index {
                is_valid: false,
                ..index(2, 1, name, &[1])
            }];
            let statement = look(&RULE, &snapshot)[0].remedy.statement.clone().unwrap();
            assert!(statement.starts_with(expected), "{statement}");
        }
    }
}
