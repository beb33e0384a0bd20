//! Names in a statement against the catalogue.

use paceline_catalogue::{Column, Index, Relation, RelationKind, Snapshot};
use paceline_sql::{self as sql, Block, Condition, Form, Place};

/// The table that a statement means. A name without a schema is that of `public`, or of the only table that is called so.
pub(super) fn table<'s>(snapshot: &'s Snapshot, named: &sql::Relation) -> Option<&'s Relation> {
    let same = |one: &&Relation| one.name == *named.name;
    let mut tables = snapshot.relations.iter().filter(same);
    let found = match &named.schema {
        Some(schema) => tables.find(|one| one.schema == **schema)?,
        None => {
            let all: Vec<_> = tables.collect();
            let public = all.iter().copied().find(|one| one.schema == "public");
            match (public, &all[..]) {
                (Some(public), _) => public,
                (None, [only]) => *only,
                _ => return None,
            }
        }
    };
    let has_rows = matches!(
        found.kind,
        RelationKind::Table | RelationKind::Partitioned | RelationKind::MaterializedView
    );
    has_rows.then_some(found)
}

/// The table of a source.
pub(super) fn source<'s>(
    snapshot: &'s Snapshot,
    block: &Block,
    number: usize,
) -> Option<&'s Relation> {
    table(snapshot, block.sources.get(number)?.relation.as_ref()?)
}

/// Rows of a table, as its last VACUUM or ANALYZE found it. What is counted since then comes late, and twice when rows were inserted
/// right before.
pub(super) fn rows(table: &Relation) -> f64 {
    table.estimated_rows.unwrap_or_else(|| table.rows())
}

/// The source whose column it is. A column that is named without a table is that of the only one that has it.
pub(super) fn place(
    snapshot: Option<&Snapshot>,
    block: &Block,
    column: &sql::Column,
) -> Option<usize> {
    match column.place {
        Place::Source(source) => Some(source),
        Place::Outside => None,
        Place::Unsaid => {
            let snapshot = snapshot?;
            let mut found = None;
            for number in 0..block.sources.len() {
                let table = source(snapshot, block, number)?;
                if table.columns.iter().any(|one| one.name == *column.name)
                    && found.replace(number).is_some()
                {
                    return None;
                }
            }
            found
        }
    }
}

/// The table and the column that is meant.
pub(super) fn column<'s>(
    snapshot: &'s Snapshot,
    block: &Block,
    column: &sql::Column,
) -> Option<(&'s Relation, &'s Column)> {
    let table = source(snapshot, block, place(Some(snapshot), block, column)?)?;
    let found = table.columns.iter().find(|one| one.name == *column.name)?;
    Some((table, found))
}

/// The indexes of a table that queries can use for all its rows.
pub(super) fn indexes<'s>(
    snapshot: &'s Snapshot,
    table: &Relation,
) -> impl Iterator<Item = &'s Index> {
    let indexes = snapshot.indexes_of(table.oid);
    indexes.filter(|one| one.is_valid && one.predicate.is_none())
}

/// An index that finds rows by a column.
pub(super) fn index_on<'s>(
    snapshot: &'s Snapshot,
    table: &Relation,
    column: &Column,
) -> Option<&'s Index> {
    indexes(snapshot, table).find(|one| {
        let by_value = matches!(one.method.as_str(), "btree" | "hash");
        by_value && one.leading_columns().next() == Some(column.number)
    })
}

/// Whether the rows of a table are found by another condition already: an index serves a column that must equal a value.
pub(super) fn is_found_otherwise(snapshot: &Snapshot, block: &Block, table: &Relation) -> bool {
    parts(&block.conditions).any(|condition| {
        let Form::Equals(equal) = &condition.form else {
            return false;
        };
        column(snapshot, block, equal).is_some_and(|(its, found)| {
            its.oid == table.oid && index_on(snapshot, its, found).is_some()
        })
    })
}

/// Conditions that must all be true.
pub(super) fn parts(conditions: &[Condition]) -> impl Iterator<Item = &Condition> {
    conditions.iter().flat_map(|one| match &one.form {
        Form::All(parts) => &parts[..],
        _ => std::slice::from_ref(one),
    })
}

/// Whether a name stands in a text as a word of its own.
pub(super) fn has_word(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}
