//! Sorts and hashes that find no room in memory and go to disk.

use paceline_catalogue::{Snapshot, Statement};

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::{bytes, count, cut};
use crate::rule::{Check, Rule};
use crate::rules::{DAY_S, MIB, age};

pub(super) const RULE: Rule = Rule {
    name: "temp-files",
    about: "Sorts and hashes find no room in memory and go to disk.",
    check: Check::Database(findings),
};

/// A nightly report or the building of an index makes so much.
const BYTES_MIN: u64 = 100 * MIB;
const BYTES_PER_DAY_MIN: f64 = (100 * MIB) as f64;
const BYTES_PER_DAY_MEDIUM: f64 = (10 * 1024 * MIB) as f64;
/// Fewer are single events.
const FILES_MIN: u64 = 10;
/// What is proposed at most: each sort of each session may take it.
const WORK_MEM_MAX_MIB: u64 = 256;
/// Statements that are named.
const STATEMENTS_MAX: usize = 3;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    finding(snapshot).into_iter().collect()
}

fn finding(snapshot: &Snapshot) -> Option<Finding> {
    let database = &snapshot.database;
    let (files, written) = (database.temp_files, database.temp_bytes);
    let per_day = written as f64 / (database.statistics_age_s / DAY_S).max(1.0);
    if files < FILES_MIN || written < BYTES_MIN || per_day < BYTES_PER_DAY_MIN {
        return None;
    }
    let severity = if per_day >= BYTES_PER_DAY_MEDIUM {
        Severity::Medium
    } else {
        Severity::Low
    };
    let file_bytes = written / files.max(1);
    let work_mem_kib = snapshot.setting("work_mem").unwrap_or(4096.0) as u64;
    // In memory, a sort takes about twice what it takes on disk.
    let proposed_mib = (file_bytes * 2)
        .div_ceil(MIB)
        .max(work_mem_kib / 1024 + 1)
        .next_power_of_two();
    let proposed_mib = proposed_mib.min(WORK_MEM_MAX_MIB);
    let title = format!(
        "Sorts and hashes have written {} to disk in {} files, about {} each; work_mem is {}.",
        bytes(written),
        count(files),
        bytes(file_bytes),
        bytes(work_mem_kib * 1024)
    );
    let mut finding = Finding::new(
        RULE.name,
        Subject::new(SubjectKind::Database, database.name.as_str()),
        severity,
        title,
    )
    .fact("temp_files", files)
    .fact("temp_bytes", written)
    .fact("temp_bytes_per_file", file_bytes)
    .fact("work_mem_bytes", work_mem_kib * 1024)
    .fact("statistics_age_s", database.statistics_age_s)
    .detail("Seen", format!("in {}", age(database.statistics_age_s)));
    for one in most_written(snapshot) {
        let written = bytes(one.temp_blocks_written * snapshot.server.block_bytes);
        finding = finding.detail(
            "Statement",
            format!(
                "{} ({written} in {} executions)",
                cut(&one.text),
                count(one.calls)
            ),
        );
    }
    let name = database.name.replace('"', "\"\"");
    let finding = if proposed_mib > work_mem_kib / 1024 {
        finding
            .remedy(Effort::Small, "Give the statements more memory, best for the role that runs them alone: each sort of each session may take so much. An index in the order that is asked for spares the sort.")
            .statement(format!("ALTER DATABASE \"{name}\" SET work_mem = '{proposed_mib}MB'"))
    } else {
        finding.remedy(Effort::Medium, "More memory for each sort would be too much for all of them: ask for less at a time (LIMIT, fewer columns), or give an index in the order that is asked for.")
    };
    Some(finding.gain(Gain::text("sorts and hashes stay in memory")))
}

fn most_written(snapshot: &Snapshot) -> Vec<&Statement> {
    let list = snapshot.statements.iter().flat_map(|one| &one.list);
    let mut list: Vec<_> = list.filter(|one| one.temp_blocks_written > 0).collect();
    list.sort_by_key(|one| std::cmp::Reverse(one.temp_blocks_written));
    list.truncate(STATEMENTS_MAX);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, look, snapshot};

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            ("much", 1_000, 300 * MIB, DAY_S, true),
            ("much within an hour", 1_000, 200 * MIB, 3_600.0, true),
            ("a few, large", 9, 9_000 * MIB, DAY_S, false),
            ("little", 1_000, 99 * MIB, 3_600.0, false),
            (
                "much, but over a year",
                1_000,
                3_000 * MIB,
                365.0 * DAY_S,
                false,
            ),
        ];
        for (what, files, written, age_s, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.database.statistics_age_s = age_s;
            (snapshot.database.temp_files, snapshot.database.temp_bytes) = (files, written);
            let expected: &[&str] = if fires { &["app"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn what_is_proposed_is_bounded() {
        let rows = [
            (
                8 * MIB,
                Some("ALTER DATABASE \"app\" SET work_mem = '16MB'"),
            ),
            (MIB, Some("ALTER DATABASE \"app\" SET work_mem = '8MB'")),
            (
                4_000 * MIB,
                Some("ALTER DATABASE \"app\" SET work_mem = '256MB'"),
            ),
        ];
        for (each, expected) in rows {
            let mut snapshot = snapshot();
            (snapshot.database.temp_files, snapshot.database.temp_bytes) = (10_000, 10_000 * each);
            assert_eq!(
                look(&RULE, &snapshot)[0].remedy.statement.as_deref(),
                expected
            );
            snapshot.settings.get_mut("work_mem").unwrap().value =
                (WORK_MEM_MAX_MIB * 1024).to_string();
            assert_eq!(look(&RULE, &snapshot)[0].remedy.statement, None);
        }
    }
}
