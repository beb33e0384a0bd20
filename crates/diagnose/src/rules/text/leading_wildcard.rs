//! A LIKE whose pattern begins with a wildcard: no ordinary index finds it.

use paceline_catalogue::{Column, Relation, Snapshot};
use paceline_sql::{Block, Condition, Form, Like};

use super::told::{Candidate, Cost, once};
use super::within::{column, has_word, is_found_otherwise, rows};
use super::{EXECUTIONS_MIN, ROWS_MIN};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::{count, percent, time};
use crate::rule::{Check, Rule};
use crate::texts::{Text, Texts};

pub(super) const RULE: Rule = Rule {
    name: "leading-wildcard",
    about: "The pattern of a LIKE begins with a wildcard: no ordinary index serves, and there is no trigram index.",
    check: Check::TrafficOfTables(findings),
};

/// A part of the executions that is worth an index.
const SHARE_MIN: f64 = 0.1;

fn findings(texts: &Texts<'_>, snapshot: &Snapshot) -> Vec<Finding> {
    let is_seen = |text: &&Text| text.values.leading_wildcards.iter().any(|count| *count > 0);
    let candidates = texts.list.iter().filter(is_seen);
    once(
        candidates
            .flat_map(|text| of_text(text, snapshot))
            .collect(),
    )
}

fn of_text(text: &Text, snapshot: &Snapshot) -> Vec<Candidate> {
    let blocks = text.structure().map_or(&[][..], |one| &one.blocks);
    let found = blocks.iter().flat_map(|block| {
        likes(&block.conditions)
            .into_iter()
            .filter_map(move |like| candidate(text, snapshot, block, like))
    });
    found.collect()
}

/// All LIKEs that an index could serve, also those in the arms of an OR.
fn likes(conditions: &[Condition]) -> Vec<&Like> {
    let of = conditions.iter().flat_map(|one| match &one.form {
        Form::Like(like) if !like.is_negated => vec![like],
        Form::Any(inner) | Form::All(inner) => likes(inner),
        _ => Vec::new(),
    });
    of.collect()
}

fn candidate(text: &Text, snapshot: &Snapshot, block: &Block, like: &Like) -> Option<Candidate> {
    let (table, column) = column(snapshot, block, like.column.as_ref()?)?;
    let leading = *text.values.leading_wildcards.get(like.number)?;
    let share = leading as f64 / text.executions.max(1) as f64;
    let rows = rows(table);
    let is_text = ["text", "character", "name"]
        .iter()
        .any(|one| column.type_name.starts_with(one));
    if leading < EXECUTIONS_MIN
        || !is_text
        || share < SHARE_MIN
        || rows < ROWS_MIN
        || is_found_otherwise(snapshot, block, table)
        || has_trigram_index(snapshot, table, column)
    {
        return None;
    }
    let cost = Cost::of(text, share);
    let name = table.full_name();
    let expression = match &like.function {
        Some(function) => format!("{function}({})", column.quoted()),
        None => column.quoted(),
    };
    let title = format!(
        "{} searches {name} for a part of `{expression}`, and no index serves that.",
        cost.who()
    );
    let finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
        .fact("table", name.as_str())
        .fact("column", column.name.as_str())
        .fact("rows", rows as u64)
        .fact("leading_share", share)
        .detail(
            "Pattern",
            format!(
                "begins with a wildcard in {} of the executions; {} rows; {} each time",
                percent(share),
                count(rows as u64),
                time(text.mean_ms())
            ),
        );
    let lost_ms = text.time_ms * share;
    let index = format!(
        "CREATE EXTENSION IF NOT EXISTS pg_trgm;\nCREATE INDEX CONCURRENTLY ON {} USING gin ({} gin_trgm_ops)",
        table.quoted(),
        if like.function.is_some() {
            format!("({expression})")
        } else {
            expression.clone()
        },
    );
    let finding = cost
        .told(finding)
        .remedy(
            Effort::Small,
            "Create a trigram index. It serves LIKE and ILIKE with patterns of three characters and more, and costs each write of the \
             column more than an ordinary index does. For words, full-text search is the better question.",
        )
        .statement(index)
        .gain(Gain::time(
            lost_ms,
            format!("up to {} of the {} so far", time(lost_ms), time(text.time_ms)),
        ));
    Some(Candidate {
        key: format!("{name} {expression}"),
        finding: Finding {
            time_lost_ms: lost_ms,
            ..finding
        },
    })
}

/// Whether an index of trigrams has the column, alone or within an expression.
fn has_trigram_index(snapshot: &Snapshot, table: &Relation, column: &Column) -> bool {
    let indexes = snapshot.indexes_of(table.oid);
    let mut indexes = indexes.filter(|one| one.is_valid && one.definition.contains("trgm_ops"));
    indexes.any(|index| {
        let mut keys = index.keys.iter();
        keys.any(|key| match key.column {
            Some(number) => number == column.number,
            None => has_word(&key.text, &column.name),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, index_on, table_of};
    use super::*;

    const TEXT: &str = "SELECT id FROM jobs WHERE title ILIKE $1";

    fn planted(text: &str, leading: u64) -> Scene {
        let mut scene = Scene::new(vec![table_of("jobs", 50_000, &["id", "title"])]);
        for number in 0..10 {
            let leading = u8::from(number < leading);
            scene.run("/search", text, 20, leading, None);
        }
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let found: &[&str] = &["GET /search"];
        check(&RULE, "a wildcard", &planted(TEXT, 10), found);
        check(&RULE, "in some", &planted(TEXT, 3), found);
        check(&RULE, "hardly ever", &planted(TEXT, 2), &[]);
        check(&RULE, "never", &planted(TEXT, 0), &[]);
        for (text, fires) in [
            ("SELECT id FROM jobs WHERE lower(title) LIKE $1", true),
            ("SELECT id FROM jobs WHERE title LIKE $1 OR id = $2", true),
            ("SELECT id FROM jobs WHERE title NOT LIKE $1", false),
            ("SELECT id FROM other WHERE title LIKE $1", false),
            // The key finds the row.
            ("SELECT id FROM jobs WHERE id = $1 AND title LIKE $2", false),
        ] {
            let mut scene = planted(text, 10);
            scene
                .snapshot
                .indexes
                .push(index_on(&scene.snapshot, "jobs", "id"));
            let expected: &[&str] = if fires { found } else { &[] };
            check(&RULE, text, &scene, expected);
        }
        let mut small = planted(TEXT, 10);
        small.snapshot.relations = vec![table_of("jobs", 900, &["id", "title"])];
        check(&RULE, "a small table", &small, &[]);
        // VACUUM has counted its rows, and then the server has added those that were inserted before.
        if let Some(counted) = &mut small.snapshot.relations[0].statistics {
            counted.live_rows = 1_800;
        }
        check(&RULE, "a small table, counted twice", &small, &[]);
        let mut ordinary = planted(TEXT, 10);
        let mut index = index_on(&ordinary.snapshot, "jobs", "title");
        ordinary.snapshot.indexes.push(index.clone());
        check(&RULE, "an ordinary index", &ordinary, found);
        index.definition = "CREATE INDEX i ON jobs USING gin (title gin_trgm_ops)".to_owned();
        ordinary.snapshot.indexes.push(index.clone());
        check(&RULE, "a trigram index", &ordinary, &[]);
        index.keys[0].column = None;
        index.keys[0].text = "lower(title)".to_owned();
        ordinary.snapshot.indexes = vec![index];
        check(&RULE, "a trigram index on an expression", &ordinary, &[]);
    }

    #[test]
    fn each_like_is_counted_for_itself() {
        let text = "SELECT id FROM jobs WHERE id LIKE $1 OR title LIKE $2";
        let mut scene = Scene::new(vec![table_of("jobs", 50_000, &["id", "title"])]);
        (0..5).for_each(|_| scene.run("/search", text, 20, 0b10, None));
        let findings = scene.look(&RULE);
        assert_eq!(findings.len(), 1);
        let statement = findings[0].remedy.statement.as_deref();
        assert!(
            statement
                .is_some_and(|one| one.ends_with("ON public.jobs USING gin (title gin_trgm_ops)")),
            "{statement:?}"
        );
    }
}
