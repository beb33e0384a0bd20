//! OR whose arms speak of different tables: no index can find the rows, they are all joined first.

use std::collections::BTreeSet;

use paceline_catalogue::Snapshot;
use paceline_sql::{Block, Condition, Form, union_form};

use super::told::{Candidate, Cost, once};
use super::within::{column, index_on, is_found_otherwise, parts, place, rows, source};
use super::{EXECUTIONS_MIN, ROW_READ_MIN_MS, ROWS_MIN};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::time;
use crate::rule::{Check, Rule};
use crate::texts::{Text, Texts};

pub(super) const RULE: Rule = Rule {
    name: "or-across-tables",
    about: "The arms of an OR speak of different tables, so that all their rows are joined before any is left out.",
    check: Check::Texts(findings),
};

/// Without a catalogue, only what takes long is told of.
const MEAN_MIN_MS: f64 = 5.0;

fn findings(texts: &Texts<'_>) -> Vec<Finding> {
    let candidates = texts.list.iter();
    let candidates = candidates.filter_map(|text| candidate(text, texts.database));
    once(candidates.collect())
}

fn candidate(text: &Text, database: Option<&Snapshot>) -> Option<Candidate> {
    let blocks = &text.structure()?.blocks;
    let (number, found) = blocks
        .iter()
        .enumerate()
        .find_map(|(number, block)| Some((number, look(block, database)?)))?;
    let is_slow = match found.rows_max {
        Some(rows) => rows >= ROWS_MIN && text.mean_ms() >= rows * ROW_READ_MIN_MS,
        None => text.mean_ms() >= MEAN_MIN_MS,
    };
    if !is_slow || text.executions < EXECUTIONS_MIN {
        return None;
    }
    let cost = Cost::of(text, 1.0);
    let tables = found.tables.join(" and ");
    let title = format!(
        "{} joins {tables} before an OR over both leaves rows out.",
        cost.who()
    );
    let finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
        .fact("tables", found.tables.join(", "))
        .fact("columns_without_index", found.unindexed.join(", "))
        .gain(Gain::time(
            text.time_ms,
            format!(
                "up to the {} that it took so far: each arm is found by its index",
                time(text.time_ms)
            ),
        ));
    let form = (number == 0)
        .then(|| union_form(&text.shape.text))
        .flatten();
    let mut remedy = "Ask for what each arm finds, and put that together".to_owned();
    if form.as_ref().is_some_and(|form| form.columns_added > 0) {
        remedy.push_str(" (UNION sorts only by what is selected, so that there are columns behind those asked for)");
    }
    if !found.unindexed.is_empty() {
        let columns = found.unindexed.join(", ");
        remedy.push_str(&format!(
            ". Each arm needs an index; {columns} has none yet"
        ));
    }
    let finding = cost.told(finding);
    let finding = match form {
        Some(form) => finding
            .remedy(Effort::Small, format!("{remedy}:"))
            .statement(form.text),
        None => finding.remedy(
            Effort::Medium,
            format!("{remedy}: UNION of one SELECT for each arm."),
        ),
    };
    Some(Candidate {
        key: format!("{} {tables}", cost.subject().name),
        finding: Finding {
            time_lost_ms: text.time_ms,
            ..finding
        },
    })
}

struct Found {
    /// By their names.
    tables: Vec<String>,
    /// Of the largest, if they are known.
    rows_max: Option<f64>,
    /// Columns of the arms that no index finds.
    unindexed: Vec<String>,
}

fn look(block: &Block, database: Option<&Snapshot>) -> Option<Found> {
    let arms = block.conditions.iter().find_map(|condition| {
        let Form::Any(arms) = &condition.form else {
            return None;
        };
        let sources = arms.iter().map(|arm| arm_source(arm, block, database));
        let sources = sources.collect::<Option<BTreeSet<_>>>()?;
        (sources.len() > 1).then_some((arms, sources))
    });
    let (arms, sources) = arms?;
    let names = sources.iter().map(|number| {
        let source = &block.sources[*number];
        source.relation.as_ref().map(ToString::to_string)
    });
    let tables = names.collect::<Option<Vec<_>>>()?;
    let Some(snapshot) = database else {
        // Nobody knows what finds the rows if something else does.
        let mut others = parts(&block.conditions);
        let is_narrowed = others.any(|one| matches!(one.form, Form::Equals(_)));
        return (!is_narrowed).then_some(Found {
            tables,
            rows_max: None,
            unindexed: Vec::new(),
        });
    };
    let known = (0..block.sources.len()).filter_map(|number| source(snapshot, block, number));
    if known
        .clone()
        .any(|table| is_found_otherwise(snapshot, block, table))
    {
        return None;
    }
    let of_arms = sources
        .iter()
        .map(|number| source(snapshot, block, *number));
    let of_arms = of_arms.collect::<Option<Vec<_>>>()?;
    let rows_max = of_arms.into_iter().map(rows).reduce(f64::max);
    let unindexed = arms.iter().filter_map(|arm| {
        let (Form::Equals(one) | Form::Compares(one)) = &arm.form else {
            return None;
        };
        let (table, column) = column(snapshot, block, one)?;
        let is_indexed = index_on(snapshot, table, column).is_some();
        (!is_indexed).then(|| format!("{}.{}", table.name, column.name))
    });
    Some(Found {
        tables,
        rows_max,
        unindexed: unindexed.collect(),
    })
}

/// The only source that an arm compares with a value.
fn arm_source(arm: &Condition, block: &Block, database: Option<&Snapshot>) -> Option<usize> {
    let column = match &arm.form {
        Form::Equals(column) | Form::Compares(column) => column,
        Form::Wrapped(wrapped) => &wrapped.column,
        Form::Like(like) => like.column.as_ref()?,
        Form::Any(_) | Form::All(_) | Form::Else => return None,
    };
    place(database, block, column)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, index_on, table_of};
    use super::*;

    const FROM: &str = "SELECT orders.id FROM orders JOIN users ON users.id = orders.user_id WHERE";

    fn planted(condition: &str, ms: u64) -> Scene {
        let mut scene = Scene::new(vec![
            table_of("orders", 50_000, &["id", "user_id", "number", "total"]),
            table_of("users", 20_000, &["id", "email"]),
        ]);
        let indexes = [("orders", "number"), ("users", "email"), ("orders", "id")];
        let indexes = indexes.map(|(table, column)| index_on(&scene.snapshot, table, column));
        scene.snapshot.indexes = indexes.into();
        let text = format!("{FROM} {condition}");
        (0..5).for_each(|_| scene.run("/find", &text, ms, 0, None));
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let found: &[&str] = &["GET /find"];
        let rows = [
            ("orders.number = $1 OR users.email = $2", true),
            ("number = $1 OR email = $2", true),
            (
                "orders.total > $1 AND (orders.number = $2 OR users.email LIKE $3)",
                true,
            ),
            ("lower(orders.number) = $1 OR users.email = $2", true),
            // One table.
            ("orders.number = $1 OR orders.total > $2", false),
            ("orders.number = $1 AND users.email = $2", false),
            // Another condition finds the rows.
            (
                "orders.id = $1 AND (orders.number = $2 OR users.email = $3)",
                false,
            ),
            // What is not found by values: a UNION would be no better.
            ("orders.number = $1 OR users.email IS NULL", false),
            ("orders.number = users.email OR users.email = $1", false),
        ];
        for (condition, fires) in rows {
            let expected = if fires { found } else { &[] };
            check(&RULE, condition, &planted(condition, 20), expected);
        }
        let mut small = planted(rows[0].0, 20);
        small.snapshot.relations.iter_mut().for_each(|one| {
            one.estimated_rows = Some(900.0);
            one.statistics = None;
        });
        check(&RULE, "small tables", &small, &[]);
        check(
            &RULE,
            "too quick to have read them",
            &planted(rows[0].0, 0),
            &[],
        );
    }

    #[test]
    fn without_a_catalogue_it_must_be_slow() {
        let condition = "orders.number = $1 OR users.email = $2";
        for (condition, ms, fires) in [
            (condition, 20, 1),
            (condition, 4, 0),
            ("number = $1 OR email = $2", 20, 0),
            (
                "orders.total = $3 AND (orders.number = $1 OR users.email = $2)",
                20,
                0,
            ),
        ] {
            let scene = planted(condition, ms);
            assert_eq!(
                scene.look_at_traffic(&RULE).len(),
                fires,
                "{condition} {ms}"
            );
        }
    }

    #[test]
    fn the_union_is_printed_and_indexes_that_lack() {
        let finding = &planted("orders.total = $1 OR users.email = $2", 20).look(&RULE)[0];
        let statement = finding.remedy.statement.as_deref().unwrap_or_default();
        assert!(
            statement.contains(" UNION ALL SELECT orders.id "),
            "{statement}"
        );
        assert!(
            finding.remedy.text.contains("orders.total has none"),
            "{}",
            finding.remedy.text
        );
    }
}
