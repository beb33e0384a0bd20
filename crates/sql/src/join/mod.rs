//! Where the parameters of a statement may come from, and both statements in one.

mod form;
#[cfg(test)]
mod tests;

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use crate::batch::select::{column_name, equality, is_plain};
use crate::batch::visit::parameter;
use crate::shape::Relation;

pub use form::join_form;

/// Longer texts are not looked at.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A condition `column = $n` that each row of a `SELECT` must meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The column's table, as the text names it.
    pub relation: Relation,
    /// The column.
    pub column: String,
    /// The number of the parameter, from 1.
    pub parameter: usize,
}

/// A column of a table, or all of them, in the result of a `SELECT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The table, as the text names it.
    pub relation: Relation,
    /// The column and its name in the result. `None`: all of them, under their own names.
    pub column: Option<(String, String)>,
}

/// By which columns a `SELECT` looks rows up.
///
/// ```
/// let lookups = paceline_sql::lookups("SELECT c.name FROM companies AS c WHERE c.id = $1 AND c.is_open");
/// assert_eq!((&*lookups[0].relation.name, &*lookups[0].column, lookups[0].parameter), ("companies", "id", 1));
/// ```
pub fn lookups(text: &str) -> Vec<Lookup> {
    let found = select(text).map(|select| {
        let tables = tables(&select.from_clause);
        let condition = select.where_clause.as_deref();
        let all = condition.map_or(&[][..], conjuncts);
        let found = all.iter().filter_map(|condition| {
            let (column, value) = equality(condition)?;
            Some(Lookup {
                relation: owner(column, &tables)?,
                column: column_name(column)?.to_owned(),
                parameter: usize::try_from(parameter(value)?).ok()?,
            })
        });
        found.collect()
    });
    found.unwrap_or_default()
}

/// Which columns of which tables a `SELECT` returns, as far as they can be called by their name.
pub fn outputs(text: &str) -> Vec<Output> {
    select(text)
        .map(|select| outputs_of(&select))
        .unwrap_or_default()
}

fn outputs_of(select: &pb::SelectStmt) -> Vec<Output> {
    let tables = tables(&select.from_clause);
    let mut outputs = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let mut stars = 0;
    for target in &select.target_list {
        let Some(NodeEnum::ResTarget(target)) = &target.node else {
            continue;
        };
        let value = target.val.as_ref().and_then(|value| value.node.as_ref());
        let Some(NodeEnum::ColumnRef(column)) = value else {
            names.extend((!target.name.is_empty()).then_some(&*target.name));
            continue;
        };
        let Some(name) = column_name(column) else {
            // A star without a qualifier is one for each table.
            let is_bare = column.fields.len() == 1;
            stars += if is_bare { tables.len() } else { 1 };
            let relation = match (is_bare, &tables[..]) {
                (true, [(_, relation)]) => relation.clone(),
                (true, _) => None,
                (false, _) => owner(column, &tables),
            };
            outputs.extend(relation.map(|relation| Output {
                relation,
                column: None,
            }));
            continue;
        };
        let shown = match target.name.as_str() {
            "" => name,
            alias => alias,
        };
        names.push(shown);
        outputs.extend(owner(column, &tables).map(|relation| Output {
            relation,
            column: Some((name.to_owned(), shown.to_owned())),
        }));
    }
    // Beside a star nothing is sure to be the only one of its name.
    if stars > 0 {
        let is_alone = stars == 1 && names.is_empty();
        outputs.retain(|output| is_alone && output.column.is_none());
        return outputs;
    }
    let is_unique = |name: &str| names.iter().filter(|other| **other == name).count() == 1;
    outputs.retain(|output| matches!(&output.column, Some((_, name)) if is_unique(name)));
    outputs
}

/// The one plain `SELECT` with a FROM that a text is.
fn select(text: &str) -> Option<Box<pb::SelectStmt>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut statements = pg_query::parse(text, 0).ok()?.protobuf.stmts;
    let statement = statements.pop().filter(|_| statements.is_empty())?.stmt?;
    if !is_plain(&statement) {
        return None;
    }
    match statement.node? {
        NodeEnum::SelectStmt(select) if !select.from_clause.is_empty() => Some(select),
        _ => None,
    }
}

/// The tables of a FROM by the names that they have there. `None` for what is no table.
fn tables(from: &[pb::Node]) -> Vec<(&str, Option<Relation>)> {
    let mut found = Vec::new();
    from.iter().for_each(|node| add_tables(node, &mut found));
    found
}

fn add_tables<'a>(node: &'a pb::Node, found: &mut Vec<(&'a str, Option<Relation>)>) {
    match &node.node {
        Some(NodeEnum::RangeVar(table)) => {
            let relation = Relation {
                schema: (!table.schemaname.is_empty()).then(|| table.schemaname.as_str().into()),
                name: table.relname.as_str().into(),
            };
            let alias = table.alias.as_ref().map(|alias| &*alias.aliasname);
            found.push((alias.unwrap_or(&table.relname), Some(relation)));
        }
        Some(NodeEnum::JoinExpr(join)) => {
            let sides = [&join.larg, &join.rarg];
            for side in sides.into_iter().flatten() {
                add_tables(side, found);
            }
        }
        _ => found.push(("", None)),
    }
}

/// The table that a column belongs to.
fn owner(column: &pb::ColumnRef, tables: &[(&str, Option<Relation>)]) -> Option<Relation> {
    let mut names = column
        .fields
        .iter()
        .rev()
        .skip(1)
        .map(|field| match &field.node {
            Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
            _ => None,
        });
    let Some(qualifier) = names.next() else {
        // Without a qualifier it may be any table's.
        let [(_, relation)] = tables else { return None };
        return relation.clone();
    };
    let qualifier = qualifier?;
    let schema = names.next().flatten();
    let mut found = tables.iter().filter(|(name, relation)| {
        let of = relation
            .as_ref()
            .and_then(|relation| relation.schema.as_deref());
        *name == qualifier && (schema.is_none() || schema == of)
    });
    let (_, relation) = found.next()?;
    // The same table twice cannot have one name.
    found.next().is_none().then(|| relation.clone())?
}

fn conjuncts(condition: &pb::Node) -> &[pb::Node] {
    match &condition.node {
        Some(NodeEnum::BoolExpr(all)) if all.boolop() == pb::BoolExprType::AndExpr => &all.args,
        _ => std::slice::from_ref(condition),
    }
}
