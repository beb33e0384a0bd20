//! A foreign key without an index: each DELETE of a row that is referred to, and each join back, reads the whole table.

use paceline_catalogue::{Constraint, Relation, RelationKind, Snapshot};

use super::serves;
use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::count;
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "missing-foreign-key-index",
    about: "A foreign key has no index: deleting what it refers to, and joining from there, reads the whole table.",
    check: Check::Database(findings),
};

/// Reading fewer rows takes no longer than using an index, and the index would cost each write.
const ROWS_MIN: f64 = 1_000.0;
/// From here on one reading takes tens of milliseconds.
const ROWS_MEDIUM: f64 = 100_000.0;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let keys = snapshot.constraints.iter();
    keys.filter_map(|key| finding(snapshot, key)).collect()
}

fn finding(snapshot: &Snapshot, key: &Constraint) -> Option<Finding> {
    let target = key.foreign.as_ref()?;
    let table = snapshot.relation(key.relation)?;
    let rows = table.rows();
    // A partition's keys are those of its parent, which is told of.
    let is_out_of_sight = table.is_partition || table.is_of_extension;
    if is_out_of_sight
        || rows < ROWS_MIN
        || snapshot.indexes_of(table.oid).any(|one| serves(one, key))
    {
        return None;
    }
    let parent = snapshot.relation(target.relation);
    let parent_name = parent.map(Relation::full_name).unwrap_or_default();
    let deletes = parent
        .and_then(|one| one.statistics.as_ref())
        .map_or(0, |one| one.deleted);
    let severity = match (rows >= ROWS_MEDIUM, deletes > 0) {
        (true, true) => Severity::High,
        (true, false) => Severity::Medium,
        (false, _) => Severity::Low,
    };
    let columns: Option<Vec<_>> = key
        .columns
        .iter()
        .map(|one| Some(table.column(*one)?.quoted()))
        .collect();
    let columns = columns?.join(", ");
    let (name, rows) = (table.full_name(), rows as u64);
    let title =
        format!("No index serves the foreign key from {name} ({columns}) to {parent_name}.");
    // A partitioned table gets its index at once, or part by part.
    let how = if table.kind == RelationKind::Partitioned {
        ""
    } else {
        "CONCURRENTLY "
    };
    let finding = Finding::new(RULE.name, Subject::table(name), severity, title)
        .told_apart_by(&columns, &key.name)
        .fact("constraint", key.name.as_str())
        .fact("columns", columns.as_str())
        .fact("refers_to", parent_name.as_str())
        .fact("rows", rows)
        .fact("parent_rows_deleted", deletes)
        .detail("Seen", format!("{} rows; {} rows of {parent_name} deleted so far, each of which reads them all", count(rows), count(deletes)))
        .remedy(Effort::Small, "Create the index. It costs each INSERT a little, and each UPDATE that changes these columns. CONCURRENTLY keeps nobody waiting.")
        .statement(format!("CREATE INDEX {how}ON {} ({columns})", table.quoted()))
        .gain(Gain::text("rows are found by an index instead of reading the whole table"));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, foreign_key, index, look, snapshot, table};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "owners", 5_000), table(2, "pets", 200_000)];
        snapshot.indexes = vec![index(3, 2, "pets_pkey", &[1])];
        snapshot.constraints = vec![foreign_key(2, 2, 1)];
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, bool)] = &[
            ("none", |_| {}, true),
            (
                "behind another column",
                |one| one.indexes.push(index(4, 2, "i", &[1, 2])),
                true,
            ),
            (
                "of some rows only",
                |one| {
                    let mut partial = index(4, 2, "i", &[2]);
                    partial.predicate = Some("(column_1 > 5)".to_owned());
                    one.indexes.push(partial);
                },
                true,
            ),
            (
                "one that is not valid",
                |one| {
                    let mut broken = index(4, 2, "i", &[2]);
                    broken.is_valid = false;
                    one.indexes.push(broken);
                },
                true,
            ),
            (
                "BRIN finds blocks, not rows",
                |one| {
                    let mut brin = index(4, 2, "i", &[2]);
                    brin.method = "brin".to_owned();
                    one.indexes.push(brin);
                },
                true,
            ),
            (
                "an index",
                |one| one.indexes.push(index(4, 2, "i", &[2])),
                false,
            ),
            (
                "one that begins with it",
                |one| one.indexes.push(index(4, 2, "i", &[2, 1])),
                false,
            ),
            (
                "of the rows that are not null",
                |one| {
                    let mut partial = index(4, 2, "i", &[2]);
                    partial.predicate = Some("(column_2 IS NOT NULL)".to_owned());
                    one.indexes.push(partial);
                },
                false,
            ),
            (
                "two columns in the other order",
                |one| {
                    one.constraints[0].columns = vec![2, 1];
                    one.indexes.push(index(4, 2, "i", &[1, 2]));
                },
                false,
            ),
            (
                "a small table",
                |one| one.relations[1] = table(2, "pets", 900),
                false,
            ),
            (
                "a partition",
                |one| one.relations[1].is_partition = true,
                false,
            ),
            (
                "an extension's",
                |one| one.relations[1].is_of_extension = true,
                false,
            ),
            (
                "no foreign key",
                |one| one.constraints[0].foreign = None,
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(&mut snapshot);
            let expected: &[&str] = if *fires { &["public.pets"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn deletes_of_the_parent_make_it_worse() {
        let mut snapshot = planted();
        assert_eq!(look(&RULE, &snapshot)[0].severity, Severity::Medium);
        counted(&mut snapshot.relations[0]).deleted = 10;
        let finding = &look(&RULE, &snapshot)[0];
        assert_eq!(finding.severity, Severity::High);
        let statement = finding.remedy.statement.as_deref();
        assert_eq!(
            statement,
            Some("CREATE INDEX CONCURRENTLY ON public.pets (owner_id)")
        );
    }
}
