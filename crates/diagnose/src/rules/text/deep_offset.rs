//! OFFSET that goes deep: all rows before the page are read and thrown away.

use std::fmt::Write as _;

use paceline_catalogue::Snapshot;
use paceline_sql::{KeysetForm, keyset_form};

use super::told::{Candidate, Cost, once};
use super::within::{indexes, rows, source, table};
use super::{EXECUTIONS_MIN, ROWS_MIN};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::{count, time};
use crate::rule::{Check, Rule};
use crate::rules::average;
use crate::texts::{Text, Texts};

pub(super) const RULE: Rule = Rule {
    name: "deep-offset",
    about: "Pages far behind the first are reached by OFFSET, which reads all rows before them and throws them away.",
    check: Check::Traffic(findings),
};

fn findings(texts: &Texts<'_>) -> Vec<Finding> {
    let candidates = texts.list.iter();
    once(
        candidates
            .filter_map(|text| candidate(text, texts.database))
            .collect(),
    )
}

fn candidate(text: &Text, database: Option<&Snapshot>) -> Option<Candidate> {
    let values = &text.values;
    let deep = values.deep_offsets();
    let rows_max = database.and_then(|one| rows_of(text, one));
    if deep < EXECUTIONS_MIN || rows_max.is_some_and(|rows| rows < ROWS_MIN) {
        return None;
    }
    // Beyond its end there is nothing to be thrown away.
    let most = rows_max.unwrap_or(f64::INFINITY);
    let deepest = (values.offset_max as f64).min(most);
    let skipped = (values.offset_sum as f64).min(most * values.offsets as f64);
    let spared = skipped / (skipped + text.rows as f64);
    let cost = Cost::of(text, spared);
    let title = format!(
        "{} skips up to {} rows to come to a page of {}.",
        cost.who(),
        count(deepest as u64),
        average(text.mean_rows())
    );
    let lost_ms = text.time_ms * spared;
    let finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
        .fact("offset_max", values.offset_max)
        .fact(
            "offset_mean",
            values.offset_sum as f64 / values.offsets.max(1) as f64,
        )
        .fact("executions_deep", deep)
        .detail(
            "Offset",
            format!(
                "{} of {} executions skip 1,000 rows or more",
                count(deep),
                count(text.executions)
            ),
        )
        .gain(Gain::time(
            lost_ms,
            format!(
                "up to {} of the {} so far; each page costs what the first one does",
                time(lost_ms),
                time(text.time_ms)
            ),
        ));
    let finding = cost.told(finding);
    let finding = match keyset_form(&text.shape.text) {
        Some(form) => finding
            .remedy(Effort::Medium, remedy(&form, database))
            .statement(form.text),
        None => finding.remedy(
            Effort::Medium,
            "Let clients ask for the rows behind the last one they saw, by the columns that the rows are sorted by (keyset pagination): \
             sort by columns that are unique together, such as (created_at, id), and compare all of them.",
        ),
    };
    Some(Candidate {
        key: cost.subject().name,
        finding: Finding {
            time_lost_ms: lost_ms,
            ..finding
        },
    })
}

/// Rows of the largest table that the outermost SELECT reads, if all are known.
fn rows_of(text: &Text, snapshot: &Snapshot) -> Option<f64> {
    let block = text.structure()?.blocks.first()?;
    let tables = (0..block.sources.len()).map(|number| source(snapshot, block, number));
    let rows = tables.map(|table| table.map(rows));
    rows.collect::<Option<Vec<_>>>()?
        .into_iter()
        .reduce(f64::max)
}

fn remedy(form: &KeysetForm, database: Option<&Snapshot>) -> String {
    let values = form.columns.iter();
    let values = values.map(|one| format!("${} is its `{}`", one.parameter, one.name));
    let mut text = format!(
        "Begin behind the last row of the page before ({})",
        values.collect::<Vec<_>>().join(", ")
    );
    let facts = database.and_then(|one| Facts::of(form, one));
    let is_unique = match &facts {
        Some(facts) => facts.are_unique,
        None => form
            .columns
            .iter()
            .any(|one| one.name == "id" || one.name.ends_with("_id")),
    };
    if !is_unique {
        text.push_str("; sort by a unique column at last, such as the primary key, or rows that are equal get lost between two pages");
    }
    let nullable = facts.map(|facts| facts.nullable).unwrap_or_default();
    if !nullable.is_empty() {
        let _ = write!(
            text,
            "; rows in which {} is NULL are not found so",
            nullable.join(", ")
        );
    }
    text.push_str(". The first page is the same without that condition; a link to page 500 becomes a link to the next one:");
    text
}

/// What the catalogue knows of the columns that are sorted by.
struct Facts {
    are_unique: bool,
    nullable: Vec<String>,
}

impl Facts {
    /// `None`: they are not all of one known table.
    fn of(form: &KeysetForm, snapshot: &Snapshot) -> Option<Self> {
        let first = form.columns.first()?.relation.as_ref()?;
        let of_first = |one: &paceline_sql::KeysetColumn| one.relation.as_ref() == Some(first);
        let table = table(snapshot, first)?;
        let known: Vec<_> = form.columns.iter().filter(|one| of_first(one)).collect();
        let columns = known.iter().map(|one| {
            let mut columns = table.columns.iter();
            columns.find(|column| column.name == one.name)
        });
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let is_sorted_by =
            |number: Option<i16>| columns.iter().any(|one| Some(one.number) == number);
        let are_unique = known.len() == form.columns.len()
            && indexes(snapshot, table)
                .any(|one| one.is_unique && one.keys.iter().all(|key| is_sorted_by(key.column)));
        let nullable = columns.iter().filter(|one| !one.is_not_null);
        Some(Self {
            are_unique,
            nullable: nullable.map(|one| format!("`{}`", one.name)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, index_on, table_of};
    use super::*;
    use crate::finding::Severity;

    const TEXT: &str =
        "SELECT id, posted_at FROM jobs ORDER BY posted_at DESC, id DESC LIMIT $1 OFFSET $2";

    fn planted(offsets: &[u64]) -> Scene {
        let mut scene = Scene::new(vec![table_of("jobs", 50_000, &["id", "posted_at"])]);
        let mut key = index_on(&scene.snapshot, "jobs", "id");
        key.is_unique = true;
        scene.snapshot.indexes = vec![key];
        for offset in offsets {
            scene.run("/jobs", TEXT, 30, 0, Some(*offset));
        }
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let rows: &[(&str, &[u64], bool)] = &[
            ("deep", &[1_000, 2_000, 10_000], true),
            (
                "mostly the first",
                &[0, 0, 0, 0, 0, 0, 5_000, 5_000, 5_000],
                true,
            ),
            ("twice", &[1_000, 2_000, 20, 20], false),
            ("not so deep", &[999; 20], false),
            ("the first only", &[0; 20], false),
        ];
        for (what, offsets, fires) in rows {
            let expected: &[&str] = if *fires { &["GET /jobs"] } else { &[] };
            check(&RULE, what, &planted(offsets), expected);
        }
        let mut small = planted(&[5_000; 5]);
        small.snapshot.relations = vec![table_of("jobs", 900, &["id", "posted_at"])];
        check(&RULE, "a table that ends before", &small, &[]);
    }

    #[test]
    fn the_page_behind_the_last_row_is_printed() {
        let findings = planted(&[5_000; 5]).look(&RULE);
        let finding = &findings[0];
        assert_eq!(
            finding.title,
            "GET /jobs executes `SELECT jobs`, which skips up to 5,000 rows to come to a page of 1."
        );
        let statement = finding.remedy.statement.as_deref();
        let expected = "SELECT id, posted_at FROM jobs WHERE (posted_at, id) < ($2, $3) ORDER BY posted_at DESC, id DESC LIMIT $1";
        assert_eq!(statement, Some(expected));
        assert!(
            !finding.remedy.text.contains("unique"),
            "{}",
            finding.remedy.text
        );
        assert_eq!(finding.severity, Severity::High);
        let mut unsure = planted(&[5_000; 5]);
        unsure.snapshot.indexes.clear();
        unsure.snapshot.relations[0].columns[1].is_not_null = false;
        let text = &unsure.look(&RULE)[0].remedy.text;
        assert!(
            text.contains("unique") && text.contains("`posted_at` is NULL"),
            "{text}"
        );
    }

    #[test]
    fn statements_of_one_route_are_one_finding() {
        let mut scene = planted(&[5_000; 5]);
        let other = "SELECT id FROM jobs WHERE id > $1 ORDER BY id LIMIT $2 OFFSET $3";
        (0..5).for_each(|_| scene.run("/jobs", other, 3, 0, Some(5_000)));
        let findings = scene.look(&RULE);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].evidence.get("statements"),
            Some(&serde_json::json!(2))
        );
        assert!(
            findings[0].time_lost_ms > 150.0,
            "{}",
            findings[0].time_lost_ms
        );
    }
}
