//! Tables that nothing joins: each row of one with each row of the other.

use paceline_catalogue::{ConstraintKind, Relation, Snapshot};
use paceline_sql::{Block, Form, Place};

use super::EXECUTIONS_MIN;
use super::told::{Candidate, Cost, once};
use super::within::{column, place, rows, source};
use crate::finding::{Effort, Finding, Gain};
use crate::render::units::{count, time};
use crate::rule::{Check, Rule};
use crate::texts::{Text, Texts};

pub(super) const RULE: Rule = Rule {
    name: "cross-join",
    about: "Nothing joins the tables of a FROM: each row of one is combined with each row of the other.",
    check: Check::Texts(findings),
};

/// Fewer may well be meant: the days of a week, the kinds of something.
const ROWS_MIN: f64 = 10.0;

fn findings(texts: &Texts<'_>) -> Vec<Finding> {
    let candidates = texts.list.iter();
    let candidates = candidates.filter_map(|text| candidate(text, texts.database));
    once(candidates.collect())
}

fn candidate(text: &Text, database: Option<&Snapshot>) -> Option<Candidate> {
    if text.executions < EXECUTIONS_MIN {
        return None;
    }
    let blocks = &text.structure()?.blocks;
    let found = blocks.iter().find_map(|block| look(block, database))?;
    let share = found.rows.map_or(0.5, |rows| 1.0 - 1.0 / rows);
    let cost = Cost::of(text, share);
    let Found { one, other, .. } = &found;
    let times = found
        .rows
        .map_or("as often as that has rows".to_owned(), |rows| {
            format!("{} times", count(rows as u64))
        });
    let title = format!(
        "{} reads {one} {times}, because no condition joins it to {other}.",
        cost.who()
    );
    let lost_ms = text.time_ms * share;
    let mut finding = Finding::new(RULE.name, cost.subject(), cost.severity, title)
        .fact("table", one.as_str())
        .fact("not_joined", other.as_str())
        .fact("rows_not_joined", found.rows.map(|rows| rows as u64))
        .gain(Gain::time(
            lost_ms,
            format!(
                "up to {} of the {} so far",
                time(lost_ms),
                time(text.time_ms)
            ),
        ));
    let remedy = match &found.key {
        Some(key) => format!(
            "Join them (a foreign key says how: {key}), or leave {other} out if nothing of it is needed."
        ),
        None => format!("Join them, or leave {other} out if nothing of it is needed."),
    };
    if let Some(key) = &found.key {
        finding = finding.statement(format!("-- in WHERE, or as JOIN … ON\n{key}"));
    }
    let finding = cost.told(finding).remedy(
        Effort::Small,
        format!("{remedy} A DISTINCT that was put there against rows that came twice can go then."),
    );
    Some(Candidate {
        key: format!("{} {one} {other}", cost.subject().name),
        finding: Finding {
            time_lost_ms: lost_ms,
            ..finding
        },
    })
}

struct Found {
    one: String,
    /// The table that is not joined; if neither is, the smaller.
    other: String,
    /// Its rows, if they are known.
    rows: Option<f64>,
    /// The condition that a foreign key suggests.
    key: Option<String>,
}

fn look(block: &Block, database: Option<&Snapshot>) -> Option<Found> {
    let groups = groups(block, database)?;
    if groups.len() < 2 {
        return None;
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|members| Group::of(members, block, database))
        .collect::<Option<_>>()?;
    // The last is the one that is joined too little.
    groups.sort_by(|one, two| {
        let by_size = two.members.len().cmp(&one.members.len());
        by_size.then(two.rows.unwrap_or(0.0).total_cmp(&one.rows.unwrap_or(0.0)))
    });
    let other = groups.pop().filter(|one| one.has_many)?;
    let main = groups.iter().find(|one| one.has_many)?;
    let name = |group: &Group| {
        let relation = block.sources[*group.members.first()?].relation.as_ref()?;
        Some(relation.to_string())
    };
    let key = database.and_then(|snapshot| key(snapshot, block, main, &other));
    Some(Found {
        one: name(main)?,
        other: name(&other)?,
        rows: other.rows.filter(|_| other.members.len() == 1),
        key,
    })
}

/// Tables that conditions join.
struct Group {
    members: Vec<usize>,
    /// Rows of its largest table, if all are known.
    rows: Option<f64>,
    /// Whether it surely has several rows.
    has_many: bool,
}

impl Group {
    /// `None`: there is something else than tables among them.
    fn of(members: Vec<usize>, block: &Block, database: Option<&Snapshot>) -> Option<Self> {
        let is_table = |number: &usize| block.sources[*number].relation.is_some();
        if !members.iter().all(is_table) {
            return None;
        }
        let has_equality = |number: usize| {
            block
                .conditions
                .iter()
                .any(|condition| match &condition.form {
                    Form::Equals(column) => place(database, block, column) == Some(number),
                    _ => false,
                })
        };
        let Some(snapshot) = database else {
            // One row, perhaps, if a value finds it.
            let has_many = members.len() > 1 || !has_equality(members[0]);
            return Some(Self {
                members,
                rows: None,
                has_many,
            });
        };
        let mut most = 0.0_f64;
        let mut has_many = false;
        for number in &members {
            let table = source(snapshot, block, *number)?;
            most = most.max(rows(table));
            has_many |= rows(table) >= ROWS_MIN && !is_one_row(snapshot, block, *number, table);
        }
        Some(Self {
            members,
            rows: Some(most),
            has_many,
        })
    }
}

/// Whether values find one row of the table at most.
fn is_one_row(snapshot: &Snapshot, block: &Block, number: usize, table: &Relation) -> bool {
    let equal: Vec<i16> = block
        .conditions
        .iter()
        .filter_map(|condition| {
            let Form::Equals(one) = &condition.form else {
                return None;
            };
            let is_its = place(Some(snapshot), block, one) == Some(number);
            let (_, column) = column(snapshot, block, one).filter(|_| is_its)?;
            Some(column.number)
        })
        .collect();
    // One of many values may be meant, and a condition that finds few rows is good enough.
    let mut indexes = snapshot.indexes_of(table.oid);
    indexes.any(|index| {
        let mut keys = index.keys.iter();
        index.is_unique && keys.all(|key| key.column.is_some_and(|one| equal.contains(&one)))
    })
}

/// The sources, in groups that conditions join. `None`: a condition may join more than is seen.
fn groups(block: &Block, database: Option<&Snapshot>) -> Option<Vec<Vec<usize>>> {
    let mut group: Vec<usize> = (0..block.sources.len()).collect();
    // Tables whose columns equal values may well equal the same one.
    let mut with_values = Vec::new();
    for condition in &block.conditions {
        if !condition.is_whole {
            return None;
        }
        let mut joined = Vec::new();
        for column in &condition.columns {
            match (column.place, place(database, block, column)) {
                (_, Some(number)) => joined.push(number),
                (Place::Outside, None) => {}
                (_, None) => return None,
            }
        }
        if matches!(condition.form, Form::Equals(_)) {
            with_values.extend(&joined);
        }
        join(&mut group, &joined);
    }
    join(&mut group, &with_values);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for number in 0..group.len() {
        let known = groups
            .iter_mut()
            .find(|members| group[members[0]] == group[number]);
        match known {
            Some(members) => members.push(number),
            None => groups.push(vec![number]),
        }
    }
    Some(groups)
}

/// Makes one group of those of all members.
fn join(group: &mut [usize], members: &[usize]) {
    let joined: Vec<usize> = members.iter().map(|number| group[*number]).collect();
    let Some(first) = joined.first().copied() else {
        return;
    };
    for one in group {
        if joined.contains(one) {
            *one = first;
        }
    }
}

/// `products.category_id = categories.id`, if a foreign key leads from one group to the other.
fn key(snapshot: &Snapshot, block: &Block, one: &Group, two: &Group) -> Option<String> {
    let pairs = one.members.iter().flat_map(|from| {
        let there = two.members.iter().map(move |to| (*from, *to));
        there.chain(two.members.iter().map(move |to| (*to, *from)))
    });
    let mut pairs = pairs;
    pairs.find_map(|(from, to)| {
        let (table, target) = (source(snapshot, block, from)?, source(snapshot, block, to)?);
        let key = snapshot.constraints.iter().find(|key| {
            key.kind == ConstraintKind::Foreign
                && key.relation == table.oid
                && key
                    .foreign
                    .as_ref()
                    .is_some_and(|to| to.relation == target.oid)
        })?;
        let columns = key.columns.iter().zip(&key.foreign.as_ref()?.columns);
        let (from, to) = (&block.sources[from].alias, &block.sources[to].alias);
        let equal = columns.map(|(one, two)| {
            let (one, two) = (table.column(*one)?, target.column(*two)?);
            Some(format!("{from}.{} = {to}.{}", one.quoted(), two.quoted()))
        });
        Some(equal.collect::<Option<Vec<_>>>()?.join(" AND "))
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scene, check, index_on, table_of};
    use super::*;
    use crate::rules::testing::foreign_key;

    fn planted(text: &str) -> Scene {
        let mut scene = Scene::new(vec![
            table_of("products", 5_000, &["id", "brand", "category_id"]),
            table_of("brands", 50, &["code", "name"]),
            table_of("categories", 125, &["id", "visible"]),
            table_of("settings", 4, &["key", "value"]),
        ]);
        let mut key = index_on(&scene.snapshot, "categories", "id");
        key.is_unique = true;
        scene.snapshot.indexes = vec![key];
        let oid = |name: &str| {
            let mut tables = scene.snapshot.relations.iter();
            tables.find(|one| one.name == name).unwrap().oid
        };
        scene.snapshot.constraints = vec![foreign_key(oid("products"), 3, oid("categories"))];
        (0..5).for_each(|_| scene.run("/brands", text, 20, 0, None));
        scene
    }

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            (
                "SELECT DISTINCT brands.code FROM brands, products, categories \
                 WHERE products.brand = brands.code AND products.category_id = $1 AND categories.visible",
                true,
            ),
            ("SELECT code FROM brands, categories", true),
            (
                "SELECT code FROM brands CROSS JOIN categories WHERE visible",
                true,
            ),
            (
                "SELECT code FROM products, categories WHERE category_id > $1 AND visible",
                true,
            ),
            // Joined, one way or another.
            (
                "SELECT brand FROM products, categories WHERE products.category_id = categories.id",
                false,
            ),
            (
                "SELECT brand FROM products, categories WHERE category_id > categories.id",
                false,
            ),
            (
                "SELECT brand FROM products JOIN categories USING (id)",
                false,
            ),
            ("SELECT brand FROM products NATURAL JOIN categories", false),
            (
                "SELECT brand FROM products, categories WHERE (brand, visible) IN (SELECT a, b FROM other)",
                false,
            ),
            // Perhaps the same value.
            (
                "SELECT brand FROM products, categories WHERE category_id = $1 AND visible = $2",
                false,
            ),
            (
                "SELECT EXISTS (SELECT 1 FROM products p, brands b WHERE p.brand = s.key AND b.code = s.key) FROM settings s",
                false,
            ),
            // One row, or a few.
            ("SELECT code FROM brands, settings", false),
            (
                "SELECT code FROM brands, categories WHERE categories.id = $1",
                false,
            ),
            ("SELECT code FROM brands", false),
            // No tables, or none that is known.
            ("SELECT code FROM brands, generate_series($1, $2)", false),
            (
                "SELECT code FROM brands, (SELECT max(id) FROM products) AS newest",
                false,
            ),
            ("SELECT code FROM brands, others", false),
        ];
        for (text, fires) in rows {
            let expected: &[&str] = if fires { &["GET /brands"] } else { &[] };
            check(&RULE, text, &planted(text), expected);
        }
    }

    #[test]
    fn a_foreign_key_says_how_to_join() {
        let text = "SELECT DISTINCT brands.code FROM brands, products AS p, categories \
                    WHERE p.brand = brands.code AND p.category_id = $1 AND categories.visible";
        let finding = &planted(text).look(&RULE)[0];
        assert!(
            finding
                .title
                .contains("no condition joins it to categories"),
            "{}",
            finding.title
        );
        let statement = finding.remedy.statement.as_deref().unwrap_or_default();
        assert!(
            statement.ends_with("p.category_id = categories.id"),
            "{statement}"
        );
    }

    #[test]
    fn without_a_catalogue_a_value_may_find_one_row() {
        for (text, fires) in [
            ("SELECT code FROM brands, categories", 1),
            (
                "SELECT code FROM brands, categories WHERE categories.id = $1",
                0,
            ),
            ("SELECT code FROM brands, categories WHERE visible", 0),
        ] {
            assert_eq!(planted(text).look_at_traffic(&RULE).len(), fires, "{text}");
        }
    }
}
