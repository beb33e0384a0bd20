//! All columns of a table are fetched, and the answers show that most of their bytes are not needed.

use paceline_catalogue::{Column, Relation, Snapshot};
use paceline_sql::{Block, Kind, Selected};

use super::EXECUTIONS_MIN;
use super::told::{Candidate, Cost, once};
use super::within::{place, source};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::bytes;
use crate::rule::{Check, Rule};
use crate::texts::{Text, Texts, Use};

pub(super) const RULE: Rule = Rule {
    name: "select-star",
    about: "All columns of a table are fetched, many times the bytes of the answers that are made of them.",
    check: Check::TrafficOfTables(findings),
};

/// Less is not worth a change.
const UNUSED_MIN_BYTES: f64 = 8.0 * 1024.0;
/// Answers may be compressed, and text seldom becomes less than a fifth.
const ANSWERS_MIN: f64 = 5.0;
/// Columns that are wide enough to be named.
const WIDE_MIN_BYTES: i32 = 64;
/// An ORM that names fewer columns has perhaps been told to.
const COLUMNS_MIN: usize = 6;

fn findings(texts: &Texts<'_>, snapshot: &Snapshot) -> Vec<Finding> {
    let candidates = texts.list.iter().flat_map(|text| of_text(text, snapshot));
    once(candidates.collect())
}

fn of_text(text: &Text, snapshot: &Snapshot) -> Vec<Candidate> {
    let block = text.structure().and_then(|one| one.blocks.first());
    let block =
        block.filter(|_| text.shape.kind == Kind::Select && text.executions >= EXECUTIONS_MIN);
    let Some(whole) = block.and_then(|block| Whole::widest(block, snapshot)) else {
        return Vec::new();
    };
    let found = text.uses.iter();
    found
        .filter_map(|usage| candidate(text, usage, &whole))
        .collect()
}

/// A table all of whose columns are fetched.
struct Whole<'s> {
    table: &'s Relation,
    /// As the select list has it, when that is a star.
    star: Option<String>,
    alias: Box<str>,
    width_bytes: f64,
}

impl<'s> Whole<'s> {
    fn widest(block: &Block, snapshot: &'s Snapshot) -> Option<Self> {
        let found = (0..block.sources.len()).filter_map(|number| {
            let star = star(block, snapshot, number)?;
            let table = source(snapshot, block, number)?;
            let widths = table.columns.iter().map(|one| one.average_width_bytes);
            // Before the first ANALYZE nothing is known.
            let width: i32 = widths.collect::<Option<Vec<_>>>()?.iter().sum();
            Some(Whole {
                table,
                star: Some(star).filter(|star| !star.is_empty()),
                alias: block.sources[number].alias.clone(),
                width_bytes: width.into(),
            })
        });
        found.max_by(|one, two| one.width_bytes.total_cmp(&two.width_bytes))
    }

    fn columns(&self, are_wide: bool) -> impl Iterator<Item = &'s Column> {
        let is_wide = |one: &&Column| one.average_width_bytes >= Some(WIDE_MIN_BYTES);
        let columns = self.table.columns.iter();
        columns.filter(move |one| is_wide(one) == are_wide)
    }
}

/// How all columns of a source are selected: `*`, `jobs.*`, or (empty) one by one.
fn star(block: &Block, snapshot: &Snapshot, number: usize) -> Option<String> {
    let mut named = Vec::new();
    for selected in &block.selected {
        match selected {
            Selected::All => return Some("*".to_owned()),
            Selected::AllOf(of) if *of == number => {
                return Some(format!("{}.*", block.sources[number].alias));
            }
            Selected::Column(column) if place(Some(snapshot), block, column) == Some(number) => {
                named.push(&*column.name);
            }
            _ => {}
        }
    }
    let table = source(snapshot, block, number)?;
    let is_named = |column: &Column| named.contains(&column.name.as_str());
    let has_all = named.len() >= COLUMNS_MIN && table.columns.iter().all(is_named);
    has_all.then(String::new)
}

fn candidate(text: &Text, usage: &Use, whole: &Whole<'_>) -> Option<Candidate> {
    let per_request = usage.executions as f64 / usage.requests.max(1) as f64;
    let fetched = text.mean_rows() * per_request * whole.width_bytes;
    let unused = fetched - usage.answer_bytes;
    if usage.requests < EXECUTIONS_MIN
        || unused < UNUSED_MIN_BYTES
        || fetched < usage.answer_bytes * ANSWERS_MIN
    {
        return None;
    }
    let spared = unused / fetched;
    let cost = Cost::in_route(text, usage, spared);
    let name = whole.table.full_name();
    let title = format!(
        "{} fetches all columns of {name}, {} per request, for an answer of {}.",
        usage.route,
        bytes(fetched as u64),
        bytes(usage.answer_bytes as u64)
    );
    let wide: Vec<_> = whole
        .columns(true)
        .map(|one| {
            format!(
                "{} ({})",
                one.name,
                bytes(u64::try_from(one.average_width_bytes.unwrap_or(0)).unwrap_or(0))
            )
        })
        .collect();
    let mut finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
        .fact("table", name.as_str())
        .fact("row_width_bytes", whole.width_bytes)
        .fact("fetched_bytes_per_request", fetched)
        .fact("answer_bytes", usage.answer_bytes);
    if !wide.is_empty() {
        finding = finding.detail("Wide columns", wide.join(", "));
    }
    let all_bytes = unused * usage.requests as f64;
    let finding = cost.told(finding).gain(Gain::text(format!(
        "{} less from the database so far",
        bytes(all_bytes as u64)
    )));
    Some(Candidate {
        key: format!("{} {name}", usage.route),
        finding: remedy(finding, text, whole),
    })
}

fn remedy(finding: Finding, text: &Text, whole: &Whole<'_>) -> Finding {
    let orm = "With an ORM: SQLAlchemy `load_only(…)`, Django `.only(…)` or `.values(…)`, Rails `.select(…)`, Prisma `select: {…}`.";
    let alias = &whole.alias;
    let narrow = whole.columns(false).map(|one| match whole.star.as_deref() {
        Some("*") => one.quoted(),
        _ => format!("{alias}.{}", one.quoted()),
    });
    let narrow = narrow.collect::<Vec<_>>().join(", ");
    let has_wide = whole.columns(true).next().is_some();
    let Some(star) = whole
        .star
        .as_deref()
        .filter(|_| has_wide && !narrow.is_empty())
    else {
        return finding.remedy(
            Effort::Small,
            format!("Name the columns that the answer shows, and leave out the rest. {orm}"),
        );
    };
    let shape = &text.shape.text;
    let at = shape.find(&format!(" {star}")).map(|at| at + 1);
    let finding = finding.remedy(
        Effort::Small,
        format!("Name the columns that the answer shows; here without the wide ones, of which it can hold only a few. {orm}"),
    );
    match at {
        Some(at) => {
            let behind = &shape[at + star.len()..];
            finding.statement(format!("{}{narrow}{behind}", &shape[..at]))
        }
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, table_of};
    use super::*;

    const ALL: &str = "SELECT * FROM jobs ORDER BY id LIMIT $1";

    /// Twenty rows of 1,032 bytes, of which an answer of so many bytes is made.
    fn planted(text: &str, answer_bytes: u64) -> Scene {
        let names = ["id", "a", "b", "c", "description"];
        let mut scene = Scene::new(vec![table_of("jobs", 50_000, &names)]);
        scene.snapshot.relations[0].columns[4].average_width_bytes = Some(1_000);
        scene.rows = 20;
        scene.answer_bytes = answer_bytes;
        (0..5).for_each(|_| scene.run("/jobs", text, 20, 0, None));
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let found: &[&str] = &["GET /jobs"];
        for (what, text, answer, fires) in [
            ("all", ALL, 1_500, true),
            (
                "of one table",
                "SELECT j.*, o.x FROM jobs AS j, LATERAL o(j.id) AS o",
                1_500,
                true,
            ),
            (
                "an answer that may hold them, compressed",
                ALL,
                5_000,
                false,
            ),
            ("an answer that holds them", ALL, 21_000, false),
            (
                "some columns",
                "SELECT id, description FROM jobs",
                1_500,
                false,
            ),
            (
                "of another table",
                "SELECT x.* FROM jobs, (SELECT 1 AS a) AS x",
                1_500,
                false,
            ),
            (
                "all, but within",
                "SELECT count(*) FROM (SELECT * FROM jobs) x",
                1_500,
                false,
            ),
        ] {
            let expected = if fires { found } else { &[] };
            check(&RULE, what, &planted(text, answer), expected);
        }
        let mut few = planted(ALL, 100);
        few.snapshot.relations[0].columns[4].average_width_bytes = Some(300);
        check(&RULE, "little", &few, &[]);
        few.snapshot.relations[0].columns[4].average_width_bytes = None;
        check(&RULE, "never analysed", &few, &[]);
    }

    #[test]
    fn columns_that_an_orm_names_one_by_one_are_all_as_well() {
        let names = ["id", "a", "b", "c", "d", "description"];
        let text = "SELECT jobs.id, jobs.a, jobs.b, jobs.c, jobs.d, jobs.description FROM jobs";
        for (text, fires) in [(text, true), (&*text.replace("jobs.a, ", ""), false)] {
            let mut scene = planted(text, 1_500);
            let mut table = table_of("jobs", 50_000, &names);
            table.columns[5].average_width_bytes = Some(1_000);
            scene.snapshot.relations = vec![table];
            let expected: &[&str] = if fires { &["GET /jobs"] } else { &[] };
            check(&RULE, text, &scene, expected);
        }
    }

    #[test]
    fn the_statement_without_the_wide_columns_is_printed() {
        let findings = planted(ALL, 1_500).look(&RULE);
        let statement = findings[0].remedy.statement.as_deref();
        assert_eq!(
            statement,
            Some("SELECT id, a, b, c FROM jobs ORDER BY id LIMIT $1")
        );
        assert!(
            findings[0]
                .title
                .contains("of public.jobs, 20.2 KiB per request, for an answer of 1.46 KiB"),
            "{}",
            findings[0].title
        );
    }
}
