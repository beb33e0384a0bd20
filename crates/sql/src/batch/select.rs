//! From one key to an array of keys.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

/// Rewrites a `SELECT` to many keys; gives the name of the key's column in the result.
pub(super) fn batch(statement: &mut pb::SelectStmt) -> Option<String> {
    if !is_batchable(statement) {
        return None;
    }
    let key = compare_with_array(statement.where_clause.as_deref_mut()?)?;
    let column = column_name(&key)?.to_owned();
    if statement.limit_count.is_some() {
        if column != "id" || !statement.sort_clause.is_empty() {
            return None;
        }
        statement.limit_count = None;
        statement.limit_option = pb::LimitOption::Default as i32;
    }
    let aggregates = statement.target_list.iter().any(is_aggregate);
    if aggregates || !statement.group_clause.is_empty() {
        statement
            .group_clause
            .push(node(NodeEnum::ColumnRef(key.clone())));
    }
    Some(select_key(&mut statement.target_list, key, column))
}

fn is_batchable(statement: &pb::SelectStmt) -> bool {
    // DISTINCT has one empty node in this list, DISTINCT ON its expressions.
    let distinct_on = statement
        .distinct_clause
        .iter()
        .any(|node| node.node.is_some());
    statement.limit_offset.is_none()
        && !distinct_on
        && statement.locking_clause.is_empty()
        && statement.with_clause.is_none()
        && !statement.from_clause.is_empty()
        && is_plain_select(statement)
}

/// Makes `column = $1` into `column = ANY($1)`; gives the column.
pub(super) fn compare_with_array(condition: &mut pb::Node) -> Option<pb::ColumnRef> {
    let conditions = match condition.node.as_mut()? {
        NodeEnum::BoolExpr(all) if all.boolop() == pb::BoolExprType::AndExpr => &mut all.args[..],
        _ => std::slice::from_mut(condition),
    };
    let keys: Vec<(usize, &str)> = conditions
        .iter()
        .enumerate()
        .filter_map(|(index, condition)| Some((index, column_name(equality(condition)?.0)?)))
        .collect();
    let chosen = keys.iter().find(|(_, name)| *name == "id");
    let chosen = chosen.or_else(|| keys.iter().rev().find(|(_, name)| name.ends_with("_id")));
    let (index, _) = *chosen.or(keys.first())?;
    let (column, value) = equality(&conditions[index])?;
    let (column, mut value) = (column.clone(), value.clone());
    if let Some(NodeEnum::TypeCast(cast)) = &mut value.node {
        let type_name = cast.type_name.as_mut()?;
        if !type_name.array_bounds.is_empty() {
            return None;
        }
        // An array of any length.
        type_name
            .array_bounds
            .push(node(NodeEnum::Integer(pb::Integer { ival: -1 })));
    }
    conditions[index].node = Some(NodeEnum::AExpr(Box::new(pb::AExpr {
        kind: pb::AExprKind::AexprOpAny as i32,
        name: vec![node(NodeEnum::String(pb::String {
            sval: "=".to_owned(),
        }))],
        lexpr: Some(Box::new(node(NodeEnum::ColumnRef(column.clone())))),
        rexpr: Some(Box::new(value)),
        ..pb::AExpr::default()
    })));
    Some(column)
}

/// The two sides of `column = $1`, in either order; the parameter may be cast.
pub(crate) fn equality(condition: &pb::Node) -> Option<(&pb::ColumnRef, &pb::Node)> {
    let Some(NodeEnum::AExpr(expression)) = &condition.node else {
        return None;
    };
    let [operator] = &expression.name[..] else {
        return None;
    };
    let equals = matches!(&operator.node, Some(NodeEnum::String(name)) if name.sval == "=");
    if !equals || expression.kind() != pb::AExprKind::AexprOp {
        return None;
    }
    let (left, right) = (expression.lexpr.as_deref()?, expression.rexpr.as_deref()?);
    match (&left.node, &right.node) {
        (Some(NodeEnum::ColumnRef(column)), _) if is_parameter(right) => Some((column, right)),
        (_, Some(NodeEnum::ColumnRef(column))) if is_parameter(left) => Some((column, left)),
        _ => None,
    }
}

fn is_parameter(node: &pb::Node) -> bool {
    match &node.node {
        Some(NodeEnum::ParamRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast
            .arg
            .as_ref()
            .is_some_and(|arg| matches!(arg.node, Some(NodeEnum::ParamRef(_)))),
        _ => false,
    }
}

/// Adds the key to the select list unless it is there; gives its name in the result.
fn select_key(targets: &mut Vec<pb::Node>, key: pb::ColumnRef, column: String) -> String {
    if targets.iter().any(|target| selects(target, &key)) {
        return column;
    }
    let taken = targets
        .iter()
        .any(|target| output_name(target) == Some(&column));
    let alias = if taken { "batch_key" } else { "" };
    targets.push(node(NodeEnum::ResTarget(Box::new(pb::ResTarget {
        name: alias.to_owned(),
        val: Some(Box::new(node(NodeEnum::ColumnRef(key)))),
        ..pb::ResTarget::default()
    }))));
    if taken { alias.to_owned() } else { column }
}

/// Whether an item of the select list holds the key under its own name: `key`, `t.key`, `*`, `t.*`.
fn selects(target: &pb::Node, key: &pb::ColumnRef) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return false;
    };
    let Some(NodeEnum::ColumnRef(column)) = target.val.as_ref().and_then(|val| val.node.as_ref())
    else {
        return false;
    };
    if let Some(NodeEnum::AStar(_)) = column.fields.last().and_then(|last| last.node.as_ref()) {
        let qualifier = &column.fields[..column.fields.len() - 1];
        return qualifier.is_empty()
            || names(qualifier) == names(&key.fields[..key.fields.len() - 1]);
    }
    let renamed = !target.name.is_empty() && Some(target.name.as_str()) != column_name(key);
    !renamed && names(&column.fields) == names(&key.fields)
}

fn output_name(target: &pb::Node) -> Option<&str> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return None;
    };
    if !target.name.is_empty() {
        return Some(&target.name);
    }
    match target.val.as_ref()?.node.as_ref()? {
        NodeEnum::ColumnRef(column) => column_name(column),
        _ => None,
    }
}

/// A column's name without its qualifiers.
pub(crate) fn column_name(column: &pb::ColumnRef) -> Option<&str> {
    match column.fields.last()?.node.as_ref()? {
        NodeEnum::String(name) => Some(&name.sval),
        _ => None,
    }
}

fn names(fields: &[pb::Node]) -> Vec<&str> {
    let names = fields.iter().filter_map(|field| match &field.node {
        Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
        _ => None,
    });
    names.collect()
}

pub(crate) fn is_aggregate(target: &pb::Node) -> bool {
    const AGGREGATES: [&str; 14] = [
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "every",
        "json_agg",
        "json_object_agg",
        "jsonb_agg",
        "jsonb_object_agg",
        "max",
        "min",
        "string_agg",
        "sum",
    ];
    match &target.node {
        Some(NodeEnum::FuncCall(call)) => {
            names(&call.funcname)
                .last()
                .is_some_and(|name| AGGREGATES.contains(name))
                || call.args.iter().any(is_aggregate)
        }
        Some(NodeEnum::ResTarget(target)) => target.val.as_deref().is_some_and(is_aggregate),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_aggregate),
        Some(NodeEnum::CoalesceExpr(coalesce)) => coalesce.args.iter().any(is_aggregate),
        Some(NodeEnum::AExpr(expression)) => [&expression.lexpr, &expression.rexpr]
            .into_iter()
            .any(|side| side.as_deref().is_some_and(is_aggregate)),
        _ => false,
    }
}

fn node(node: NodeEnum) -> pb::Node {
    pb::Node { node: Some(node) }
}

pub(crate) fn is_plain_select(statement: &pb::SelectStmt) -> bool {
    let lists = [
        &statement.target_list,
        &statement.from_clause,
        &statement.group_clause,
        &statement.sort_clause,
    ];
    statement.larg.is_none()
        && statement.values_lists.is_empty()
        && statement.into_clause.is_none()
        && statement.window_clause.is_empty()
        && lists.into_iter().flatten().all(is_plain)
        && [&statement.where_clause, &statement.having_clause]
            .into_iter()
            .all(is_plain_option)
}

fn is_plain_option(node: &Option<Box<pb::Node>>) -> bool {
    node.as_deref().is_none_or(is_plain)
}

/// Whether a tree holds only nodes that are common and surely written back as they were. The deparser takes special
/// syntax (`XMLROOT`, `NORMALIZE`, …) for granted to hold constants where the shape has parameters.
pub(crate) fn is_plain(node: &pb::Node) -> bool {
    use NodeEnum as N;
    let Some(node) = &node.node else { return true };
    match node {
        N::ColumnRef(_) | N::ParamRef(_) | N::AConst(_) | N::RangeVar(_) | N::SetToDefault(_) => {
            true
        }
        N::SqlvalueFunction(_) => true,
        N::ResTarget(target) => target.indirection.is_empty() && is_plain_option(&target.val),
        N::SortBy(sort) => is_plain_option(&sort.node),
        N::AExpr(expression) => {
            is_plain_option(&expression.lexpr) && is_plain_option(&expression.rexpr)
        }
        N::BoolExpr(expression) => expression.args.iter().all(is_plain),
        N::NullTest(test) => is_plain_option(&test.arg),
        N::BooleanTest(test) => is_plain_option(&test.arg),
        N::TypeCast(cast) => is_plain_option(&cast.arg),
        N::CoalesceExpr(coalesce) => coalesce.args.iter().all(is_plain),
        N::CaseExpr(case) => {
            is_plain_option(&case.arg)
                && case.args.iter().all(is_plain)
                && is_plain_option(&case.defresult)
        }
        N::CaseWhen(when) => is_plain_option(&when.expr) && is_plain_option(&when.result),
        N::List(list) => list.items.iter().all(is_plain),
        N::AArrayExpr(array) => array.elements.iter().all(is_plain),
        N::FuncCall(call) => {
            call.over.is_none()
                && !call.agg_within_group
                && call.funcformat() == pb::CoercionForm::CoerceExplicitCall
                && call.args.iter().chain(&call.agg_order).all(is_plain)
                && is_plain_option(&call.agg_filter)
        }
        N::JoinExpr(join) => {
            is_plain_option(&join.larg)
                && is_plain_option(&join.rarg)
                && is_plain_option(&join.quals)
        }
        N::SubLink(link) => is_plain_option(&link.testexpr) && is_plain_option(&link.subselect),
        N::RangeSubselect(select) => !select.lateral && is_plain_option(&select.subquery),
        N::SelectStmt(select) => {
            select.with_clause.is_none()
                && select.locking_clause.is_empty()
                && is_plain_select(select)
                && is_plain_option(&select.limit_count)
                && is_plain_option(&select.limit_offset)
        }
        _ => false,
    }
}
