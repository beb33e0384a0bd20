//! Rules on indexes: those that are missing, and those that are there in vain.

mod bloated;
mod duplicate;
mod foreign_key;
mod invalid;
mod unused;

use paceline_catalogue::{Constraint, ConstraintKind, Index, Snapshot};

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    foreign_key::RULE,
    unused::RULE,
    duplicate::RULE,
    invalid::RULE,
    bloated::RULE,
];

/// Whether the rows of a foreign key can be found by the index: its columns stand first in it, in whatever order.
fn serves(index: &Index, constraint: &Constraint) -> bool {
    let columns = &constraint.columns;
    let leading: Vec<i16> = index.leading_columns().take(columns.len()).collect();
    let is_same_set =
        leading.len() == columns.len() && columns.iter().all(|column| leading.contains(column));
    // A row that leads somewhere is not null: an index over just these is as good.
    let has_all_rows = index.predicate.as_deref().is_none_or(|condition| {
        columns.len() == 1
            && index
                .keys
                .first()
                .is_some_and(|key| condition == format!("({} IS NOT NULL)", key.text))
    });
    is_same_set && has_all_rows && index.is_valid && matches!(&*index.method, "btree" | "hash")
}

fn foreign_keys_of(snapshot: &Snapshot, relation: u32) -> impl Iterator<Item = &Constraint> {
    let keys = snapshot.constraints.iter();
    keys.filter(move |one| one.relation == relation && one.kind == ConstraintKind::Foreign)
}
