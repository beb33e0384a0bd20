//! A B-tree that is far larger than what is in it.
//!
//! The size that it would have is estimated, as Jehan-Guillaume de Rorthais's queries do (github.com/ioguix/pgsql-bloat-estimation):
//! entries, times what one takes (header, keys of average width, line pointer), over what a page holds at the fillfactor.
//! Equal keys are stored once since Postgres 13, which the estimate does not know: such an index may be bloated unseen.

use paceline_catalogue::{Index, Relation, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, percent};
use crate::rule::{Check, Rule};
use crate::rules::MIB;

pub(super) const RULE: Rule = Rule {
    name: "bloated-index",
    about: "An index is far larger than its entries need (estimated).",
    check: Check::Database(findings),
};

/// Random inserts keep pages about 69 % full, against 90 % when built anew: a quarter is no bloat, a half is.
const WASTED_SHARE_MIN: f64 = 0.5;
/// Less is not worth a change.
const WASTED_BYTES_MIN: u64 = 10 * MIB;
const WASTED_BYTES_MEDIUM: u64 = 1024 * MIB;
/// Page header and what a B-tree keeps at its end.
const PAGE_OVERHEAD_BYTES: f64 = 40.0;
/// Header of an entry, and its line pointer.
const ENTRY_HEADER_BYTES: f64 = 8.0;
const LINE_POINTER_BYTES: f64 = 4.0;
/// Pages above the leaves, about.
const INNER_SHARE: f64 = 0.01;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let indexes = snapshot.indexes.iter();
    indexes
        .filter_map(|index| finding(snapshot, index))
        .collect()
}

fn finding(snapshot: &Snapshot, index: &Index) -> Option<Finding> {
    let table = snapshot.relation(index.relation)?;
    if index.method != "btree" || !index.is_valid || table.is_of_extension {
        return None;
    }
    let expected = expected_bytes(snapshot, table, index)?;
    let wasted = index.bytes.saturating_sub(expected);
    let share = wasted as f64 / index.bytes.max(1) as f64;
    if wasted < WASTED_BYTES_MIN || share < WASTED_SHARE_MIN {
        return None;
    }
    let severity = if wasted >= WASTED_BYTES_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let (name, size) = (index.full_name(), bytes(index.bytes));
    let title = format!(
        "{name} takes {size}, about {} of it for nothing.",
        bytes(wasted)
    );
    let finding = Finding::new(RULE.name, Subject::index(name), severity, title)
        .fact("table", table.full_name())
        .fact("bytes", index.bytes)
        .fact("expected_bytes", expected)
        .fact("wasted_bytes", wasted)
        .fact("wasted_share", share)
        .fact("entries", index.estimated_entries)
        .fact("method", "estimated from entries, average widths and fillfactor")
        .detail("Seen", format!("{:.0} entries need about {}; {} is empty (estimated from average widths, pgstattuple would measure)", index.estimated_entries, bytes(expected), percent(share)))
        .remedy(Effort::Small, "Build it anew. CONCURRENTLY keeps nobody waiting, and takes the room of a second one meanwhile.")
        .statement(format!("REINDEX INDEX CONCURRENTLY {}", index.quoted()))
        .gain(Gain::bytes(wasted, format!("about {} freed, and as much less to read and to keep in memory", bytes(wasted))));
    Some(finding)
}

/// What it would take, built anew. `None` when the width of a key is not known.
fn expected_bytes(snapshot: &Snapshot, table: &Relation, index: &Index) -> Option<u64> {
    let keys = index.keys.iter().map(|key| key.column);
    let columns = keys.chain(index.included.iter().map(|number| Some(*number)));
    let mut width = 0.0;
    for number in columns {
        let column = table.column(number?)?;
        let filled = 1.0 - f64::from(column.null_fraction?);
        width += f64::from(column.average_width_bytes?) * filled;
    }
    let entry = (ENTRY_HEADER_BYTES + (width / 8.0).ceil() * 8.0) + LINE_POINTER_BYTES;
    let block = snapshot.server.block_bytes as f64;
    let page = (block - PAGE_OVERHEAD_BYTES) * f64::from(index.fillfactor) / 100.0;
    let leaves = (index.estimated_entries * entry / page).ceil();
    Some(((1.0 + leaves * (1.0 + INNER_SHARE)).ceil() * block) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, index, snapshot, table};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 1_000_000)];
        // A million keys of 8 bytes need 21.9 MiB: Postgres itself makes it 21.4.
        let full = Index {
            estimated_entries: 1e6,
            bytes: 60 * MIB,
            ..index(2, 1, "fat", &[1])
        };
        snapshot.indexes = vec![full];
        snapshot
    }

    #[test]
    fn the_estimate_is_near_what_postgres_makes() {
        let snapshot = planted();
        let expected =
            expected_bytes(&snapshot, &snapshot.relations[0], &snapshot.indexes[0]).unwrap();
        let real = 22_487_040.0;
        assert!((expected as f64 / real - 1.0).abs() < 0.05, "{expected}");
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, bool)] = &[
            ("three times as large", |_| {}, true),
            (
                "as random inserts leave it",
                |one| one.indexes[0].bytes = 29 * MIB,
                false,
            ),
            (
                "small",
                |one| {
                    one.indexes[0].bytes = 9 * MIB;
                    one.indexes[0].estimated_entries = 10.0;
                },
                false,
            ),
            (
                "another method",
                |one| one.indexes[0].method = "gin".to_owned(),
                false,
            ),
            (
                "unknown widths",
                |one| one.relations[0].columns[0].average_width_bytes = None,
                false,
            ),
            (
                "an expression",
                |one| one.indexes[0].keys[0].column = None,
                false,
            ),
            (
                "wide keys",
                |one| one.relations[0].columns[0].average_width_bytes = Some(40),
                false,
            ),
            (
                "half empty by intent",
                |one| one.indexes[0].fillfactor = 40,
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(&mut snapshot);
            let expected: &[&str] = if *fires { &["public.fat"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
