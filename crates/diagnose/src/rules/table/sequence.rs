//! A sequence that comes to its end, or to that of the column that takes its values: then every INSERT fails.

use paceline_catalogue::{Sequence, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::{count, percent};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "sequence-near-end",
    about: "A sequence, or the column that takes its values, comes to its end: then every INSERT fails.",
    check: Check::Database(findings),
};

/// Widening a large column is planned work: there is time for it yet.
const USED_MEDIUM: f64 = 0.7;
/// At constant pace, what is left lasts a ninth of the time so far.
const USED_HIGH: f64 = 0.9;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let sequences = snapshot.sequences.iter();
    sequences.filter_map(|one| finding(snapshot, one)).collect()
}

fn finding(snapshot: &Snapshot, sequence: &Sequence) -> Option<Finding> {
    let last = i128::from(sequence.last?);
    let fed = sequence.feeds.and_then(|(table, number)| {
        let table = snapshot.relation(table)?;
        Some((table, table.column(number)?))
    });
    let column_max = fed.and_then(|(_, column)| type_max(&column.type_name));
    let is_upward = sequence.increment > 0;
    let own_end = i128::from(if is_upward {
        sequence.max
    } else {
        sequence.min
    });
    let column_end = column_max.map(|max| if is_upward { max } else { -max - 1 });
    let is_column = column_end.is_some_and(|end| end.abs() < own_end.abs());
    // One that begins anew still fails at the end of a narrower column.
    if sequence.cycles && !is_column {
        return None;
    }
    let end = column_end.filter(|_| is_column).unwrap_or(own_end);
    let start = i128::from(if is_upward {
        sequence.min
    } else {
        sequence.max
    });
    let used = (last - start) as f64 / (end - start) as f64;
    if used < USED_MEDIUM {
        return None;
    }
    let severity = if used >= USED_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let left = (end - last).unsigned_abs() / u128::from(sequence.increment.unsigned_abs().max(1));
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    let name = sequence.full_name();
    let whose = match fed.filter(|_| is_column) {
        Some((table, column)) => format!(
            " ({} of {} is {})",
            column.name,
            table.full_name(),
            column.type_name
        ),
        None => String::new(),
    };
    let title = format!(
        "{name} has {} values left{whose}; then every INSERT fails.",
        count(left)
    );
    let finding = Finding::new(
        RULE.name,
        Subject::new(SubjectKind::Sequence, name),
        severity,
        title,
    )
    .fact("last", sequence.last)
    .fact("end", i64::try_from(end).ok())
    .fact("values_left", left)
    .fact("used_share", used)
    .fact(
        "column",
        fed.map(|(table, column)| format!("{}.{}", table.full_name(), column.name)),
    )
    .detail(
        "Seen",
        format!(
            "{} of its range is used, up to {last} of {end}",
            percent(used)
        ),
    )
    .gain(Gain::text("an outage that is sure to come does not"));
    Some(match fed.filter(|_| is_column) {
        Some((table, column)) => finding
            .remedy(Effort::Large, "Widen the column. This statement rewrites the table and locks it meanwhile; for a large one, fill a second column in batches, by a trigger for new rows, and swap the two. Columns that refer to it must be as wide.")
            .statement(format!("ALTER TABLE {} ALTER COLUMN {} TYPE bigint", table.quoted(), column.quoted())),
        None => finding
            .remedy(Effort::Small, "Give the sequence more room; the column behind it has it.")
            .statement(format!("ALTER SEQUENCE {} AS bigint NO {}", sequence.quoted(), if is_upward { "MAXVALUE" } else { "MINVALUE" })),
    })
}

fn type_max(type_name: &str) -> Option<i128> {
    match type_name {
        "smallint" => Some(i128::from(i16::MAX)),
        "integer" => Some(i128::from(i32::MAX)),
        "bigint" => Some(i128::from(i64::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, look, snapshot, table};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 100)];
        snapshot.relations[0].columns[0].type_name = "integer".to_owned();
        snapshot.sequences = vec![Sequence {
            schema: "public".to_owned(),
            name: "jobs_id_seq".to_owned(),
            last: Some(2_000_000_000),
            min: 1,
            max: i64::MAX,
            increment: 1,
            cycles: false,
            feeds: Some((1, 1)),
        }];
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Snapshot);
        let rows: &[(&str, Change, bool)] = &[
            ("an integer column behind a bigint sequence", |_| {}, true),
            (
                "it begins anew, and the column ends before",
                |one| one.sequences[0].cycles = true,
                true,
            ),
            (
                "the sequence itself",
                |one| {
                    one.sequences[0].max = 2_100_000_000;
                    one.sequences[0].feeds = None;
                },
                true,
            ),
            (
                "downward",
                |one| {
                    let sequence = &mut one.sequences[0];
                    (
                        sequence.min,
                        sequence.max,
                        sequence.increment,
                        sequence.last,
                    ) = (-100, -1, -1, Some(-95));
                    sequence.feeds = None;
                },
                true,
            ),
            (
                "two thirds",
                |one| one.sequences[0].last = Some(1_400_000_000),
                false,
            ),
            (
                "a bigint column",
                |one| one.relations[0].columns[0].type_name = "bigint".to_owned(),
                false,
            ),
            (
                "it begins anew",
                |one| {
                    one.sequences[0].max = 2_100_000_000;
                    one.sequences[0].cycles = true;
                },
                false,
            ),
            ("not used yet", |one| one.sequences[0].last = None, false),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(&mut snapshot);
            let expected: &[&str] = if *fires { &["public.jobs_id_seq"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn the_remedy_is_for_what_ends_first() {
        let mut snapshot = planted();
        let statement =
            |snapshot: &Snapshot| look(&RULE, snapshot)[0].remedy.statement.clone().unwrap();
        assert_eq!(
            statement(&snapshot),
            "ALTER TABLE public.jobs ALTER COLUMN id TYPE bigint"
        );
        snapshot.sequences[0].max = 2_100_000_000;
        snapshot.relations[0].columns[0].type_name = "bigint".to_owned();
        assert_eq!(
            statement(&snapshot),
            "ALTER SEQUENCE public.jobs_id_seq AS bigint NO MAXVALUE"
        );
        assert_eq!(look(&RULE, &snapshot)[0].severity, Severity::High);
    }
}
