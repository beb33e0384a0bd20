//! Two indexes where one would do: they are the same, or one begins as the other.

use paceline_catalogue::{Index, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::bytes;
use crate::rule::{Check, Rule};
use crate::rules::MIB;

pub(super) const RULE: Rule = Rule {
    name: "duplicate-index",
    about: "Another index does all that this one does.",
    check: Check::Database(findings),
};

/// From here on the room is felt.
const BYTES_MEDIUM: u64 = 100 * MIB;
/// Reading by an index that is so much wider takes longer: a narrow one beside it may be meant.
const TIMES_WIDER_MAX: u64 = 4;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let indexes = snapshot.indexes.iter();
    indexes
        .filter_map(|index| finding(snapshot, index))
        .collect()
}

fn finding(snapshot: &Snapshot, index: &Index) -> Option<Finding> {
    let table = snapshot.relation(index.relation)?;
    if table.is_of_extension || index.is_partition || !index.is_valid {
        return None;
    }
    let others = snapshot
        .indexes_of(table.oid)
        .filter(|one| one.oid != index.oid && one.is_valid);
    let better = others
        .filter(|other| replaces(other, index))
        .max_by_key(|one| rank(one))?;
    let is_same = better.keys.len() == index.keys.len();
    let (name, size) = (index.full_name(), bytes(index.bytes));
    let how = if is_same {
        "is the same index as"
    } else {
        "begins as, and does no more than,"
    };
    let title = format!("{name} {how} {}; it takes {size}.", better.full_name());
    let severity = if index.bytes >= BYTES_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let statement = if index.backs_constraint {
        let constraint = index
            .quoted()
            .rsplit_once('.')
            .map(|(_, name)| name.to_owned());
        format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            table.quoted(),
            constraint?
        )
    } else {
        format!("DROP INDEX CONCURRENTLY {}", index.quoted())
    };
    let finding = Finding::new(RULE.name, Subject::index(name), severity, title)
        .fact("table", table.full_name())
        .fact("definition", index.definition.as_str())
        .fact("same_as", better.full_name())
        .fact("same_as_definition", better.definition.as_str())
        .fact("is_prefix", !is_same)
        .fact("bytes", index.bytes)
        .detail("Index", index.definition.as_str())
        .detail("Kept", better.definition.as_str())
        .remedy(Effort::Small, "Drop it: the other one serves its queries.")
        .statement(statement)
        .gain(Gain::bytes(
            index.bytes,
            format!("{size} freed, and one index less for each write to keep"),
        ));
    Some(finding)
}

/// Whether queries and constraints lose nothing with this one instead.
fn replaces(kept: &Index, gone: &Index) -> bool {
    let is_same_kind = kept.method == gone.method && kept.predicate == gone.predicate;
    let covers = |column: &i16| {
        kept.included.contains(column) || kept.keys.iter().any(|key| key.column == Some(*column))
    };
    if !is_same_kind || !gone.included.iter().all(covers) || gone.is_replica_identity {
        return false;
    }
    if kept.keys == gone.keys {
        // Of two that are the same one goes, and not the one that stands for something.
        let stands = !gone.is_unique || kept.is_unique;
        return stands && rank(kept) > rank(gone);
    }
    let is_prefix = kept.keys.len() > gone.keys.len() && kept.keys.starts_with(&gone.keys);
    let is_free = !gone.is_unique && !gone.backs_constraint;
    let is_near = kept.bytes <= gone.bytes.saturating_mul(TIMES_WIDER_MAX);
    is_prefix && is_free && is_near && gone.method == "btree"
}

/// Which of two is kept.
fn rank(index: &Index) -> (bool, bool, bool, usize, u64, u32) {
    let Index {
        is_primary,
        backs_constraint,
        is_unique,
        included,
        scans,
        oid,
        ..
    } = index;
    (
        *is_primary,
        *backs_constraint,
        *is_unique,
        included.len(),
        *scans,
        u32::MAX - oid,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, index, look, snapshot, table};

    fn planted(columns: &[i16]) -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 100_000)];
        snapshot.indexes = vec![index(2, 1, "kept", columns), index(3, 1, "gone", &[1])];
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Index);
        let rows: &[(&str, &[i16], Change, bool)] = &[
            ("the same", &[1], |_| {}, true),
            ("a prefix", &[1, 2], |_| {}, true),
            ("not the first column", &[2, 1], |_| {}, false),
            ("another column", &[2], |_| {}, false),
            (
                "another method",
                &[1],
                |one| one.method = "hash".to_owned(),
                false,
            ),
            (
                "other rows",
                &[1],
                |one| one.predicate = Some("(a > 1)".to_owned()),
                false,
            ),
            (
                "another meaning of equal",
                &[1],
                |one| one.keys[0].operator_class = 1,
                false,
            ),
            (
                "another collation",
                &[1],
                |one| one.keys[0].collation = 100,
                false,
            ),
            ("descending", &[1, 2], |one| one.keys[0].options = 3, false),
            (
                "an expression",
                &[1],
                |one| {
                    one.keys[0].column = None;
                    one.keys[0].text = "lower(a)".to_owned();
                },
                false,
            ),
            (
                "a unique prefix stands for something",
                &[1, 2],
                |one| one.is_unique = true,
                false,
            ),
            ("not valid", &[1], |one| one.is_valid = false, false),
            (
                "it holds what the other does not",
                &[1],
                |one| one.included = vec![2],
                false,
            ),
            (
                "far narrower than the other",
                &[1, 2],
                |one| one.bytes = 2 * MIB,
                false,
            ),
            (
                "a part of another one",
                &[1],
                |one| one.is_partition = true,
                false,
            ),
        ];
        for (what, columns, change, fires) in rows {
            let mut snapshot = planted(columns);
            change(&mut snapshot.indexes[1]);
            if what.contains("holds what") {
                // Then the other one is the one too many.
                check(&RULE, what, &snapshot, &["public.kept"]);
                continue;
            }
            let expected: &[&str] = if *fires { &["public.gone"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn of_two_that_are_the_same_the_one_that_stands_for_something_stays() {
        let mut snapshot = planted(&[1]);
        snapshot.indexes[1].is_unique = true;
        snapshot.indexes[1].backs_constraint = true;
        check(&RULE, "a key beside an index", &snapshot, &["public.kept"]);
        snapshot.indexes[0].is_unique = true;
        snapshot.indexes[0].backs_constraint = true;
        let finding = &look(&RULE, &snapshot)[0];
        let statement = finding.remedy.statement.as_deref();
        assert_eq!(
            statement,
            Some("ALTER TABLE public.jobs DROP CONSTRAINT gone")
        );
    }
}
