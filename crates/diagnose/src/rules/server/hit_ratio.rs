//! Blocks that are asked for are too often not in the server's own memory.

use paceline_catalogue::{Relation, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::{bytes, count, percent};
use crate::rule::{Check, Rule};
use crate::rules::{HOUR_S, age};

pub(super) const RULE: Rule = Rule {
    name: "low-hit-ratio",
    about: "Blocks are too often read from outside of the server's own memory.",
    check: Check::Database(findings),
};

/// What a database that serves requests is asked for again and again should be at hand; below this, each tenth or twentieth
/// block is a system call at best, and a disk at worst.
const RATIO_MIN: f64 = 0.95;
const RATIO_MEDIUM: f64 = 0.90;
/// Fewer, or younger statistics, are those of a server that has just started.
const BLOCKS_MIN: u64 = 1_000_000;
const STATISTICS_AGE_MIN_S: f64 = HOUR_S;
/// Tables that are named.
const TABLES_MAX: usize = 3;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    finding(snapshot).into_iter().collect()
}

fn finding(snapshot: &Snapshot) -> Option<Finding> {
    let database = &snapshot.database;
    let (hit, read) = (database.blocks_hit, database.blocks_read);
    let ratio = hit as f64 / (hit + read).max(1) as f64;
    if hit + read < BLOCKS_MIN
        || database.statistics_age_s < STATISTICS_AGE_MIN_S
        || ratio >= RATIO_MIN
    {
        return None;
    }
    let severity = if ratio < RATIO_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let buffers =
        snapshot.setting("shared_buffers").unwrap_or(0.0) as u64 * snapshot.server.block_bytes;
    let title = format!(
        "{} of the blocks that were asked for in {} were in the server's own memory, {} of {}.",
        percent(ratio),
        database.name,
        bytes(buffers),
        bytes(database.bytes)
    );
    let mut finding = Finding::new(
        RULE.name,
        Subject::new(SubjectKind::Database, database.name.as_str()),
        severity,
        title,
    )
    .fact("hit_ratio", ratio)
    .fact("blocks_hit", hit)
    .fact("blocks_read", read)
    .fact("shared_buffers_bytes", buffers)
    .fact("database_bytes", database.bytes)
    .fact("statistics_age_s", database.statistics_age_s)
    .detail(
        "Seen",
        format!(
            "{} blocks read in {}; the system may have had them in its memory",
            count(read),
            age(database.statistics_age_s)
        ),
    );
    for table in most_read(snapshot) {
        let blocks = table.statistics.as_ref().map_or(0, |one| one.blocks_read);
        finding = finding.detail(
            "Table",
            format!("{}: {} blocks read", table.full_name(), count(blocks)),
        );
    }
    Some(
        finding
            .remedy(Effort::Medium, "First see to the statements that read whole tables. Then give the server more: shared_buffers of a quarter of the machine's memory is the usual measure (it needs a restart).")
            .gain(Gain::text("blocks are at hand instead of being read")),
    )
}

fn most_read(snapshot: &Snapshot) -> Vec<&Relation> {
    let read = |table: &Relation| table.statistics.as_ref().map_or(0, |one| one.blocks_read);
    let mut tables: Vec<_> = snapshot
        .relations
        .iter()
        .filter(|one| read(one) > 0)
        .collect();
    tables.sort_by_key(|one| std::cmp::Reverse(read(one)));
    tables.truncate(TABLES_MAX);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, snapshot};

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            ("eight of ten", 800_000, 200_000, HOUR_S, true),
            ("94 of a hundred", 940_000, 60_000, HOUR_S, true),
            ("95 of a hundred", 950_000, 50_000, HOUR_S, false),
            ("few", 1_000, 900_000, HOUR_S, false),
            ("just started", 800_000, 200_000, 600.0, false),
            ("nothing", 0, 0, HOUR_S, false),
        ];
        for (what, hit, read, age_s, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.database.statistics_age_s = age_s;
            (snapshot.database.blocks_hit, snapshot.database.blocks_read) = (hit, read);
            let expected: &[&str] = if fires { &["app"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
