//! A sequence that comes to its end, or to that of the column that takes its values: then every INSERT fails.

use paceline_catalogue::{Column, Relation, Sequence, Snapshot};

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

/// Where a sequence comes to its end.
struct End<'s> {
    /// Its last value.
    last: i128,
    /// The last value that it can have.
    end: i128,
    /// The part of its range that is used.
    used: f64,
    /// The column that is full then, if it is one.
    column: Option<(&'s Relation, &'s Column)>,
    /// Whether the sequence itself would have to be wider as well.
    is_narrow: bool,
}

impl<'s> End<'s> {
    /// `None` for one that has not begun, is hidden, or begins anew.
    fn of(snapshot: &'s Snapshot, sequence: &Sequence) -> Option<Self> {
        let last = i128::from(sequence.last?);
        let (first, own_end) = match sequence.increment > 0 {
            true => (sequence.min, sequence.max),
            false => (sequence.max, sequence.min),
        };
        let (first, own_end) = (i128::from(first), i128::from(own_end));
        let column = sequence.feeds.and_then(|(table, number)| {
            let table = snapshot.relation(table)?;
            Some((table, table.column(number)?))
        });
        let column_end = column.and_then(|(_, column)| {
            let max = type_max(&column.type_name)?;
            Some(if sequence.increment > 0 {
                max
            } else {
                -max - 1
            })
        });
        let ends_before = column_end.is_some_and(|end| end.abs() < own_end.abs());
        // One that begins anew still fails at the end of a narrower column.
        if sequence.cycles && !ends_before {
            return None;
        }
        let narrower = column_end.filter(|end| end.abs() <= own_end.abs());
        let end = narrower.unwrap_or(own_end);
        Some(Self {
            last,
            end,
            used: (last - first) as f64 / (end - first) as f64,
            column: column.filter(|_| narrower.is_some()),
            is_narrow: own_end.abs() <= i128::from(i32::MAX),
        })
    }
}

fn finding(snapshot: &Snapshot, sequence: &Sequence) -> Option<Finding> {
    let end = End::of(snapshot, sequence)?;
    if end.used < USED_MEDIUM {
        return None;
    }
    let severity = if end.used >= USED_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let step = u128::from(sequence.increment.unsigned_abs().max(1));
    let left = u64::try_from((end.end - end.last).unsigned_abs() / step).unwrap_or(u64::MAX);
    let column = end.column.map(|(table, column)| {
        let (table, name) = (table.full_name(), &column.name);
        format!("{name} of {table} is {}", column.type_name)
    });
    let name = sequence.full_name();
    let whose = column
        .as_ref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default();
    let title = format!(
        "{name} has {} values left{whose}; then every INSERT fails.",
        count(left)
    );
    let seen = format!(
        "{} of its range is used, up to {} of {}",
        percent(end.used),
        end.last,
        end.end
    );
    let finding = Finding::new(
        RULE.name,
        Subject::new(SubjectKind::Sequence, name),
        severity,
        title,
    )
    .fact("last", sequence.last)
    .fact("end", i64::try_from(end.end).ok())
    .fact("values_left", left)
    .fact("used_share", end.used)
    .fact("column", column)
    .detail("Seen", seen)
    .gain(Gain::text("an outage that is sure to come does not"));
    let bound = if sequence.increment > 0 {
        "MAXVALUE"
    } else {
        "MINVALUE"
    };
    let widen = format!("ALTER SEQUENCE {} AS bigint NO {bound}", sequence.quoted());
    Some(match end.column {
        Some((table, column)) => {
            let mut statement = format!(
                "ALTER TABLE {} ALTER COLUMN {} TYPE bigint",
                table.quoted(),
                column.quoted()
            );
            if end.is_narrow {
                statement = format!("{statement}; {widen}");
            }
            finding
                .remedy(Effort::Large, "Widen the column. This rewrites the table and locks it meanwhile; for a large one, fill a second column in batches, by a trigger for new rows, and swap the two. Columns that refer to it must be as wide.")
                .statement(statement)
        }
        None => finding
            .remedy(
                Effort::Small,
                "Give the sequence more room; the column behind it has it.",
            )
            .statement(widen),
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
    fn of_a_serial_both_are_widened() {
        let mut snapshot = planted();
        snapshot.sequences[0].max = i64::from(i32::MAX);
        let finding = &look(&RULE, &snapshot)[0];
        let expected = "ALTER TABLE public.jobs ALTER COLUMN id TYPE bigint; \
                        ALTER SEQUENCE public.jobs_id_seq AS bigint NO MAXVALUE";
        assert_eq!(finding.remedy.statement.as_deref(), Some(expected));
        snapshot.sequences[0].cycles = true;
        check(&RULE, "a serial that begins anew", &snapshot, &[]);
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
