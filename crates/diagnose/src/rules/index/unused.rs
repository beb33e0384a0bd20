//! An index that no query uses: it takes room, and costs each write.

use paceline_catalogue::{Index, Relation, Snapshot};

use super::{foreign_keys_of, serves};
use crate::finding::{Effort, Finding, Gain, Severity, Subject, Verdict};
use crate::render::units::{bytes, count};
use crate::rule::{Check, Rule};
use crate::rules::{DAY_S, MIB, age};

pub(super) const RULE: Rule = Rule {
    name: "unused-index",
    about: "No query uses an index; it takes room and costs each write.",
    check: Check::Database(findings),
};

/// What runs once a week has had its turn. Younger statistics say nothing about "never".
const STATISTICS_AGE_MIN_S: f64 = 7.0 * DAY_S;
/// A table that nobody reads says nothing about its indexes.
const TABLE_SCANS_MIN: u64 = 100;
/// Less is not worth a change.
const BYTES_MIN: u64 = MIB;
/// From here on the room or the writes are felt.
const BYTES_MEDIUM: u64 = 100 * MIB;
const WRITES_MEDIUM: u64 = 1_000_000;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    // Which indexes there are is decided on the primary, whose queries are others.
    if snapshot.database.statistics_age_s < STATISTICS_AGE_MIN_S || snapshot.server.is_in_recovery {
        return Vec::new();
    }
    let indexes = snapshot.indexes.iter();
    indexes
        .filter_map(|index| finding(snapshot, index))
        .collect()
}

fn finding(snapshot: &Snapshot, index: &Index) -> Option<Finding> {
    let table = snapshot.relation(index.relation)?;
    let counted = table.statistics.as_ref()?;
    let is_needed = index.is_unique || index.backs_constraint || index.is_replica_identity;
    let is_told_elsewhere = !index.is_valid || index.is_partition || table.is_of_extension;
    let table_scans = counted.sequential_scans + counted.index_scans;
    if is_needed
        || is_told_elsewhere
        || index.scans > 0
        || index.bytes < BYTES_MIN
        || table_scans < TABLE_SCANS_MIN
    {
        return None;
    }
    // An update that changes no indexed column spares all indexes.
    let writes = counted.inserted + counted.updated.saturating_sub(counted.updated_hot);
    let severity = if index.bytes >= BYTES_MEDIUM || writes >= WRITES_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let (name, size) = (index.full_name(), bytes(index.bytes));
    let since = age(snapshot.database.statistics_age_s);
    let title = format!(
        "No query has used {name} on {} for {since}; it takes {size}.",
        table.full_name()
    );
    let finding = Finding::new(RULE.name, Subject::index(name), severity, title)
        .fact("table", table.full_name())
        .fact("definition", index.definition.as_str())
        .fact("bytes", index.bytes)
        .fact("statistics_age_s", snapshot.database.statistics_age_s)
        .fact("table_scans", table_scans)
        .fact("table_writes", writes)
        .detail(
            "Seen",
            format!(
                "0 scans of the index, {} of its table; {} writes that had to keep it",
                count(table_scans),
                count(writes)
            ),
        )
        .detail("Index", index.definition.as_str());
    Some(match only_one_for(snapshot, table, index) {
        Some(key) => Finding {
            verdict: Verdict::LeaveAlone,
            severity: Severity::Low,
            ..finding.remedy(Effort::Small, format!("Leave it: it is the only index for the foreign key {key}, and a DELETE on the other side would miss it."))
        },
        None => finding
            .remedy(Effort::Small, "Drop it, if it is older than these statistics, and no replica and no yearly job reads by it.")
            .statement(format!("DROP INDEX CONCURRENTLY {}", index.quoted()))
            .gain(Gain::bytes(index.bytes, format!("{size} freed, and one index less for each write to keep"))),
    })
}

/// The foreign key whose rows nothing else finds. Of several that are all unused one must stay: the oldest.
fn only_one_for<'s>(snapshot: &'s Snapshot, table: &Relation, index: &Index) -> Option<&'s str> {
    let others = |key| {
        let mut indexes = snapshot.indexes_of(table.oid);
        indexes.any(|one| {
            let stays = one.scans > 0 || one.is_unique || one.oid < index.oid;
            one.oid != index.oid && stays && serves(one, key)
        })
    };
    let mut keys = foreign_keys_of(snapshot, table.oid);
    keys.find(|key| serves(index, key) && !others(key))
        .map(|key| key.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, foreign_key, index, look, snapshot, table};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 100_000)];
        let unused = Index {
            scans: 0,
            ..index(2, 1, "jobs_old", &[2])
        };
        snapshot.indexes = vec![unused, index(3, 1, "jobs_new", &[1])];
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, bool)] = &[
            ("unused", |_| {}, true),
            (
                "unused for a week",
                |one| one.database.statistics_age_s = 7.0 * DAY_S,
                true,
            ),
            (
                "statistics that are a minute old",
                |one| one.database.statistics_age_s = 60.0,
                false,
            ),
            (
                "statistics of six days",
                |one| one.database.statistics_age_s = 6.0 * DAY_S,
                false,
            ),
            ("used once", |one| one.indexes[0].scans = 1, false),
            ("unique", |one| one.indexes[0].is_unique = true, false),
            (
                "behind a constraint",
                |one| one.indexes[0].backs_constraint = true,
                false,
            ),
            (
                "replication finds rows by it",
                |one| one.indexes[0].is_replica_identity = true,
                false,
            ),
            (
                "not valid, which is another rule's",
                |one| one.indexes[0].is_valid = false,
                false,
            ),
            (
                "a part of another one",
                |one| one.indexes[0].is_partition = true,
                false,
            ),
            ("small", |one| one.indexes[0].bytes = MIB - 1, false),
            (
                "a table that nobody reads",
                |one| counted(&mut one.relations[0]).index_scans = 99,
                false,
            ),
            ("a replica", |one| one.server.is_in_recovery = true, false),
            (
                "an extension's",
                |one| one.relations[0].is_of_extension = true,
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(&mut snapshot);
            let expected: &[&str] = if *fires { &["public.jobs_old"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn what_a_foreign_key_needs_is_left_alone() {
        let mut snapshot = planted();
        snapshot.constraints = vec![foreign_key(1, 2, 1)];
        let finding = &look(&RULE, &snapshot)[0];
        assert_eq!(
            (finding.verdict, &finding.remedy.statement),
            (Verdict::LeaveAlone, &None)
        );
        snapshot.indexes.push(index(4, 1, "another", &[2, 1]));
        assert_eq!(look(&RULE, &snapshot)[0].verdict, Verdict::Act);
        // Where neither is used, one must stay.
        snapshot.indexes[2].scans = 0;
        let verdicts: Vec<_> = look(&RULE, &snapshot)
            .iter()
            .map(|finding| (finding.subject.name.clone(), finding.verdict))
            .collect();
        let expected = [
            ("public.another".to_owned(), Verdict::Act),
            ("public.jobs_old".to_owned(), Verdict::LeaveAlone),
        ];
        assert_eq!(verdicts, expected);
    }
}
