//! A day as a range of times, which an index on the column serves.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::tree::{all_of, condition, conjuncts, expression, names, parse_plain_select, write};

/// A shape's text with each `column::date = …` as a range of the column, or `None` when there is none of these, or more than a
/// plain SELECT.
///
/// Both mean the same for `timestamp` and for `timestamptz`, whatever the time zone.
///
/// ```
/// use paceline_sql::range_form;
///
/// assert_eq!(
///     range_form("SELECT count(*) FROM orders WHERE placed_at::date = $1").as_deref(),
///     Some("SELECT count(*) FROM orders WHERE placed_at >= $1::date AND placed_at < $1::date + 1")
/// );
/// ```
pub fn range_form(shape_text: &str) -> Option<String> {
    let mut select = parse_plain_select(shape_text)?;
    let all = select.where_clause.take()?;
    let mut has_range = false;
    let mut conditions = Vec::new();
    for part in conjuncts(&all) {
        match range(part) {
            Some(range) => {
                conditions.extend(conjuncts(&range).to_vec());
                has_range = true;
            }
            None => conditions.push(part.clone()),
        }
    }
    select.where_clause = all_of(conditions);
    has_range.then(|| write(NodeEnum::SelectStmt(select)))?
}

fn range(node: &pb::Node) -> Option<pb::Node> {
    let Some(NodeEnum::AExpr(comparison)) = &node.node else {
        return None;
    };
    if comparison.kind() != pb::AExprKind::AexprOp || names(&comparison.name) != ["="] {
        return None;
    }
    let (left, right) = (comparison.lexpr.as_deref()?, comparison.rexpr.as_deref()?);
    let (column, value) = match (dated(left), dated(right)) {
        (Some(column), None) => (column, right),
        (None, Some(column)) => (column, left),
        _ => return None,
    };
    let (column, text) = (expression(column)?, expression(value)?);
    let day = match &value.node {
        Some(NodeEnum::TypeCast(cast)) if is_date(cast) => text,
        Some(NodeEnum::ParamRef(_)) => format!("{text}::date"),
        _ => format!("({text})::date"),
    };
    condition(&format!("{column} >= {day} AND {column} < {day} + 1"))
}

/// The column that is made a date.
fn dated(node: &pb::Node) -> Option<&pb::Node> {
    let inner = match node.node.as_ref()? {
        NodeEnum::TypeCast(cast) if is_date(cast) => cast.arg.as_deref()?,
        NodeEnum::FuncCall(call) if names(&call.funcname).last() == Some(&"date") => {
            match &call.args[..] {
                [only] => only,
                _ => return None,
            }
        }
        _ => return None,
    };
    matches!(inner.node, Some(NodeEnum::ColumnRef(_))).then_some(inner)
}

fn is_date(cast: &pb::TypeCast) -> bool {
    let name = cast.type_name.as_ref();
    name.is_some_and(|name| {
        names(&name.names).last() == Some(&"date") && name.array_bounds.is_empty()
    })
}
