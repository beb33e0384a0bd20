//! A table that is far larger than what is in it.
//!
//! The size that it would have is estimated from rows, average widths, alignment and fillfactor, as
//! github.com/ioguix/pgsql-bloat-estimation does; nothing is read of the table itself.

use paceline_catalogue::{Relation, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count, percent};
use crate::rule::{Check, Rule};
use crate::rules::MIB;

pub(super) const RULE: Rule = Rule {
    name: "bloated-table",
    about: "A table is far larger than its rows need (estimated).",
    check: Check::Database(findings),
};

/// Below a half, an estimate from averages and ordinary updates explain it.
const WASTED_SHARE_MIN: f64 = 0.5;
/// Less is not worth a change.
const WASTED_BYTES_MIN: u64 = 10 * MIB;
const WASTED_BYTES_MEDIUM: u64 = 1024 * MIB;
/// With more rows changed since the last ANALYZE, rows and widths are those of another table.
const CHANGED_SHARE_MAX: f64 = 0.1;
const PAGE_HEADER_BYTES: f64 = 24.0;
const ROW_HEADER_BYTES: f64 = 24.0;
const LINE_POINTER_BYTES: f64 = 4.0;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let tables = snapshot.relations.iter();
    tables
        .filter_map(|table| finding(snapshot, table))
        .collect()
}

fn finding(snapshot: &Snapshot, table: &Relation) -> Option<Finding> {
    let counted = table.statistics.as_ref()?;
    let rows = table.estimated_rows?;
    let is_stale = counted.modified_since_analyze as f64 > rows * CHANGED_SHARE_MAX;
    if !table.has_storage() || table.is_of_extension || is_stale || counted.analysed_s_ago.is_none()
    {
        return None;
    }
    let expected = expected_bytes(snapshot, table, rows)?;
    let wasted = table.heap_bytes.saturating_sub(expected);
    let share = wasted as f64 / table.heap_bytes.max(1) as f64;
    if wasted < WASTED_BYTES_MIN || share < WASTED_SHARE_MIN {
        return None;
    }
    let severity = if wasted >= WASTED_BYTES_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let (name, size) = (table.full_name(), bytes(table.heap_bytes));
    let title = format!(
        "{name} takes {size}, about {} of it for nothing.",
        bytes(wasted)
    );
    let finding = Finding::new(RULE.name, Subject::table(name), severity, title)
        .fact("bytes", table.heap_bytes)
        .fact("expected_bytes", expected)
        .fact("wasted_bytes", wasted)
        .fact("wasted_share", share)
        .fact("rows", rows)
        .fact("method", "estimated from rows, average widths, alignment and fillfactor")
        .detail("Seen", format!("{} rows need about {}; {} is empty (estimated from average widths, pgstattuple would measure)", count(rows as u64), bytes(expected), percent(share)))
        .remedy(Effort::Medium, "New rows fill the room by and by. To give it back, use pg_repack, which keeps nobody waiting, or VACUUM (FULL), which locks the table for as long as it takes. See that autovacuum comes early enough.")
        .gain(Gain::bytes(wasted, format!("about {} freed, and as much less to read", bytes(wasted))));
    Some(finding)
}

/// What it would take, written anew. `None` when the width of a column is not known.
fn expected_bytes(snapshot: &Snapshot, table: &Relation, rows: f64) -> Option<u64> {
    let mut width = 0.0_f64;
    let mut has_nulls = false;
    for column in &table.columns {
        let nulls = f64::from(column.null_fraction?);
        let bytes = f64::from(column.average_width_bytes?);
        has_nulls |= nulls > 0.0;
        let align = alignment(&column.type_name);
        let aligned = (width / align).ceil() * align;
        // A null takes nothing, nor does it need to be aligned.
        width += (aligned - width + bytes) * (1.0 - nulls);
    }
    let bitmap = if has_nulls {
        (table.columns.len() as f64 / 8.0).ceil()
    } else {
        0.0
    };
    let header = if bitmap > 1.0 {
        ((23.0 + bitmap) / 8.0).ceil() * 8.0
    } else {
        ROW_HEADER_BYTES
    };
    let row = ((header + width) / 8.0).ceil() * 8.0 + LINE_POINTER_BYTES;
    let block = snapshot.server.block_bytes as f64;
    let page = (block - PAGE_HEADER_BYTES) * f64::from(table.fillfactor) / 100.0;
    // No row is cut in two.
    let rows_per_page = (page / row).floor().max(1.0);
    Some(((rows / rows_per_page).ceil() * block) as u64)
}

/// Where values of a type may begin. Those of varying length are mostly short, and may begin anywhere.
fn alignment(type_name: &str) -> f64 {
    match type_name {
        "bigint"
        | "double precision"
        | "timestamp without time zone"
        | "timestamp with time zone" => 8.0,
        "integer" | "real" | "date" | "oid" => 4.0,
        "smallint" => 2.0,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, snapshot, table};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 1_000_000)];
        snapshot.relations[0].heap_bytes = 120 * MIB;
        snapshot
    }

    #[test]
    fn the_estimate_is_near_what_postgres_makes() {
        // A million rows of two bigints: 5,406 pages.
        let snapshot = planted();
        let expected = expected_bytes(&snapshot, &snapshot.relations[0], 1e6).unwrap();
        assert!(
            (expected as f64 / (5_406.0 * 8_192.0) - 1.0).abs() < 0.01,
            "{expected}"
        );
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Relation);
        let rows: &[(&str, Change, bool)] = &[
            ("three times as large", |_| {}, true),
            ("as it should be", |one| one.heap_bytes = 45 * MIB, false),
            ("a third more", |one| one.heap_bytes = 60 * MIB, false),
            ("half empty by intent", |one| one.fillfactor = 40, false),
            (
                "wide rows",
                |one| one.columns[1].average_width_bytes = Some(80),
                false,
            ),
            (
                "unknown widths",
                |one| one.columns[1].average_width_bytes = None,
                false,
            ),
            (
                "never analysed",
                |one| counted(one).analysed_s_ago = None,
                false,
            ),
            (
                "other rows than were analysed",
                |one| counted(one).modified_since_analyze = 200_000,
                false,
            ),
            (
                "small",
                |one| {
                    *one = table(1, "jobs", 1_000);
                    one.heap_bytes = 9 * MIB;
                },
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(&mut snapshot.relations[0]);
            let expected: &[&str] = if *fires { &["public.jobs"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
