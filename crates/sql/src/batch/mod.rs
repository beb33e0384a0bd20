//! The batched form of a statement that was run once per row: what to write instead of an N+1.

pub(crate) mod select;
mod update;
pub(crate) mod visit;

pub(crate) use select::{is_aggregate, is_plain, is_plain_select};

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use crate::shape::Relation;

/// A statement that does for many keys at once what the original did for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchForm {
    /// The statement to write instead. The parameter that was the key is now an array of keys; all others stay.
    /// For an `INSERT`, the same with two rows: it stands for as many as there are. For an `UPDATE`, one array for each
    /// parameter, or one array of JSON objects for all of them.
    pub text: String,
    /// The name, in the result, of the column by which rows are assigned to their keys; for a `DELETE` or `UPDATE` the columns
    /// that are compared; empty for an `INSERT`.
    pub key: String,
}

/// What is known of a column's type: its name as it is written in SQL.
pub type TypeOf<'a> = &'a dyn Fn(&Relation, &str) -> Option<String>;

/// The batched form of a shape's text, or `None` when there is none that is sure to mean the same.
///
/// * `SELECT … WHERE t.c = $1` becomes `… WHERE t.c = ANY($1)`, and `t.c` joins the select list when it is not there, and the
///   `GROUP BY` when there are aggregates (a key without rows then has no row in the result, in place of one with a count of
///   0). With several such conditions the one on `id` is taken, else the last on a `…_id`, else the first. Set
///   operations, window functions, `OFFSET`, locking clauses and `WITH` are refused, and so is `LIMIT`, except on a column that
///   is called `id`, where it has nothing to cut off.
/// * `DELETE … WHERE c = $1` likewise.
/// * `INSERT … VALUES` with one row becomes one with several.
/// * `UPDATE … SET a = $1 WHERE c = $2` takes its values from `unnest` of one array for each parameter, where the types are known
///   by casts in the text, else from `jsonb_populate_recordset`, which takes them from the table. One that assigns no
///   parameter gets `= ANY($1)`. A key must come once only: of several values for one row, one is taken.
///
/// Costs a parse and a deparse; meant for reports, not for statements under way.
///
/// ```
/// use paceline_sql::batch_form;
///
/// let form = batch_form("SELECT name FROM skills WHERE job_id = $1 ORDER BY name").expect("has a batched form");
/// assert_eq!(form.text, "SELECT name, job_id FROM skills WHERE job_id = ANY($1) ORDER BY name");
/// assert_eq!(form.key, "job_id");
/// ```
pub fn batch_form(shape_text: &str) -> Option<BatchForm> {
    batch_form_typed(shape_text, &|_, _| None)
}

/// [`batch_form`] for whoever knows the types of columns: then an `UPDATE` needs no JSON.
pub fn batch_form_typed(shape_text: &str, type_of: TypeOf<'_>) -> Option<BatchForm> {
    const TEXT_BYTES_MAX: usize = 16 * 1024;
    if shape_text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut tree = pg_query::parse(shape_text, 0).ok()?.protobuf;
    let [raw] = &mut tree.stmts[..] else {
        return None;
    };
    let key = match raw.stmt.as_mut()?.node.as_mut()? {
        NodeEnum::SelectStmt(statement) => select::batch(statement)?,
        NodeEnum::DeleteStmt(statement) => delete(statement)?,
        NodeEnum::InsertStmt(statement) => insert(statement)?,
        NodeEnum::UpdateStmt(statement) => update::batch(statement, type_of)?,
        _ => return None,
    };
    let text = pg_query::deparse(&tree, pg_query::DeparseOptions::default()).ok()?;
    Some(BatchForm { text, key })
}

fn delete(statement: &mut pb::DeleteStmt) -> Option<String> {
    let simple = statement.with_clause.is_none()
        && statement.using_clause.is_empty()
        && statement.returning_clause.is_none();
    let condition = statement.where_clause.as_deref_mut().filter(|_| simple)?;
    if !is_plain(condition) {
        return None;
    }
    let key = select::compare_with_array(condition)?;
    Some(select::column_name(&key)?.to_owned())
}

fn insert(statement: &mut pb::InsertStmt) -> Option<String> {
    // A multi-row INSERT that meets a row twice fails where single ones update it twice.
    let updates = statement
        .on_conflict_clause
        .as_ref()
        .is_some_and(|conflict| conflict.action() == pb::OnConflictAction::OnconflictUpdate);
    // What has parameters behind the row would need other numbers for them.
    let returning = statement.returning_clause.iter();
    let mut returned = returning.flat_map(|clause| &clause.exprs);
    if updates
        || statement.with_clause.is_some()
        || returned.any(|node| !is_plain(node) || visit::has_parameter(node))
    {
        return None;
    }
    let Some(NodeEnum::SelectStmt(values)) = statement.select_stmt.as_mut()?.node.as_mut() else {
        return None;
    };
    let [row] = &values.values_lists[..] else {
        return None;
    };
    let Some(NodeEnum::List(first)) = &row.node else {
        return None;
    };
    if !first.items.iter().all(is_plain) {
        return None;
    }
    let mut second = first.clone();
    let parameters = first
        .items
        .iter()
        .filter(|item| parameter(item).is_some())
        .count();
    if parameters == 0 {
        return None;
    }
    for item in &mut second.items {
        if let Some(NodeEnum::ParamRef(parameter)) = &mut item.node {
            parameter.number += parameters as i32;
        } else if !matches!(
            item.node,
            Some(NodeEnum::SetToDefault(_) | NodeEnum::AConst(_))
        ) {
            // Parameters deeper in an expression would need numbers of their own.
            return None;
        }
    }
    values.values_lists.push(pb::Node {
        node: Some(NodeEnum::List(second)),
    });
    Some(String::new())
}

fn parameter(node: &pb::Node) -> Option<&pb::ParamRef> {
    match &node.node {
        Some(NodeEnum::ParamRef(parameter)) => Some(parameter),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
