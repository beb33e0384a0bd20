//! Changes within a plain tree.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

/// Calls `change` for each node of a plain tree, from the outside in. What it answers with true is not gone into. Knows the nodes
/// that [`super::select::is_plain`] lets pass.
pub(crate) fn visit(node: &mut pb::Node, change: &mut dyn FnMut(&mut pb::Node) -> bool) {
    use NodeEnum as N;
    if change(node) {
        return;
    }
    let Some(node) = &mut node.node else { return };
    match node {
        N::ResTarget(target) => option(&mut target.val, change),
        N::SortBy(sort) => option(&mut sort.node, change),
        N::AExpr(expression) => {
            option(&mut expression.lexpr, change);
            option(&mut expression.rexpr, change);
        }
        N::BoolExpr(expression) => list(&mut expression.args, change),
        N::NullTest(test) => option(&mut test.arg, change),
        N::BooleanTest(test) => option(&mut test.arg, change),
        N::TypeCast(cast) => option(&mut cast.arg, change),
        N::CoalesceExpr(coalesce) => list(&mut coalesce.args, change),
        N::CaseExpr(case) => {
            option(&mut case.arg, change);
            list(&mut case.args, change);
            option(&mut case.defresult, change);
        }
        N::CaseWhen(when) => {
            option(&mut when.expr, change);
            option(&mut when.result, change);
        }
        N::List(items) => list(&mut items.items, change),
        N::AArrayExpr(array) => list(&mut array.elements, change),
        N::FuncCall(call) => {
            list(&mut call.args, change);
            list(&mut call.agg_order, change);
            option(&mut call.agg_filter, change);
        }
        N::JoinExpr(join) => {
            option(&mut join.larg, change);
            option(&mut join.rarg, change);
            option(&mut join.quals, change);
        }
        N::SubLink(link) => {
            option(&mut link.testexpr, change);
            option(&mut link.subselect, change);
        }
        N::RangeSubselect(select) => option(&mut select.subquery, change),
        N::SelectStmt(select) => {
            list(&mut select.target_list, change);
            list(&mut select.from_clause, change);
            option(&mut select.where_clause, change);
            list(&mut select.group_clause, change);
            option(&mut select.having_clause, change);
            list(&mut select.sort_clause, change);
            option(&mut select.limit_offset, change);
            option(&mut select.limit_count, change);
        }
        _ => {}
    }
}

fn option(node: &mut Option<Box<pb::Node>>, change: &mut dyn FnMut(&mut pb::Node) -> bool) {
    if let Some(node) = node {
        visit(node, change);
    }
}

fn list(nodes: &mut [pb::Node], change: &mut dyn FnMut(&mut pb::Node) -> bool) {
    nodes.iter_mut().for_each(|node| visit(node, change));
}

/// The number of a parameter, with a cast around it or without.
pub(crate) fn parameter(node: &pb::Node) -> Option<i32> {
    match &node.node {
        Some(NodeEnum::ParamRef(parameter)) => Some(parameter.number),
        Some(NodeEnum::TypeCast(cast)) => match &cast.arg.as_deref()?.node {
            Some(NodeEnum::ParamRef(parameter)) => Some(parameter.number),
            _ => None,
        },
        _ => None,
    }
}

/// `qualifier.name` as a node.
pub(crate) fn column(qualifier: &str, name: &str) -> pb::Node {
    let fields = [qualifier, name].map(|part| pb::Node {
        node: Some(NodeEnum::String(pb::String {
            sval: part.to_owned(),
        })),
    });
    pb::Node {
        node: Some(NodeEnum::ColumnRef(pb::ColumnRef {
            fields: fields.into(),
            location: 0,
        })),
    }
}

/// An identifier that means the same whatever its letters are.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether there is a parameter anywhere in a plain tree.
pub(crate) fn has_parameter(node: &pb::Node) -> bool {
    any(node, &|node| matches!(node, NodeEnum::ParamRef(_)))
}

/// Whether a node of a plain tree is one of those.
pub(crate) fn any(node: &pb::Node, is_one: &dyn Fn(&NodeEnum) -> bool) -> bool {
    let mut found = false;
    visit(&mut node.clone(), &mut |node| {
        found |= node.node.as_ref().is_some_and(is_one);
        found
    });
    found
}
