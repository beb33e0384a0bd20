//! Parsing and writing back, with bounds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::TEXT_BYTES_MAX;
use crate::batch::{is_plain, is_plain_select};

/// The only statement of a text.
pub(super) fn parse(text: &str) -> Option<NodeEnum> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    // The parser is C and its wrapper indexes into what it gets.
    let parsed = catch_unwind(AssertUnwindSafe(|| pg_query::parse(text, 0)));
    let mut tree = parsed.ok()?.ok()?.protobuf;
    match &mut tree.stmts[..] {
        [raw] => raw.stmt.take()?.node,
        _ => None,
    }
}

/// The SELECT of a text that holds only what is surely written back as it was.
pub(super) fn parse_plain_select(text: &str) -> Option<Box<pb::SelectStmt>> {
    let Some(NodeEnum::SelectStmt(select)) = parse(text) else {
        return None;
    };
    let limits = [&select.limit_count, &select.limit_offset];
    let is_writable = is_plain_select(&select)
        && select.with_clause.is_none()
        && select.locking_clause.is_empty()
        && limits.into_iter().flatten().all(|node| is_plain(node));
    is_writable.then_some(select)
}

/// A tree as a text. Only for trees that are plain.
pub(super) fn write(node: NodeEnum) -> Option<String> {
    let raw = pb::RawStmt {
        stmt: Some(Box::new(pb::Node { node: Some(node) })),
        ..pb::RawStmt::default()
    };
    let tree = pb::ParseResult {
        stmts: vec![raw],
        ..pb::ParseResult::default()
    };
    let written = catch_unwind(AssertUnwindSafe(|| {
        pg_query::deparse(&tree, pg_query::DeparseOptions::default())
    }));
    written.ok()?.ok()
}

/// An expression as a text. Only for those that are plain.
pub(super) fn expression(node: &pb::Node) -> Option<String> {
    let target = pb::ResTarget {
        val: Some(Box::new(node.clone())),
        ..pb::ResTarget::default()
    };
    let select = pb::SelectStmt {
        target_list: vec![of(NodeEnum::ResTarget(Box::new(target)))],
        limit_option: pb::LimitOption::Default as i32,
        op: pb::SetOperation::SetopNone as i32,
        ..pb::SelectStmt::default()
    };
    let text = write(NodeEnum::SelectStmt(Box::new(select)))?;
    text.strip_prefix("SELECT ").map(str::to_owned)
}

/// A condition from its text.
pub(super) fn condition(text: &str) -> Option<pb::Node> {
    match parse(&format!("SELECT WHERE {text}"))? {
        NodeEnum::SelectStmt(select) => select.where_clause.map(|node| *node),
        _ => None,
    }
}

/// Takes a condition apart where AND connects it.
pub(super) fn conjuncts(node: &pb::Node) -> &[pb::Node] {
    match &node.node {
        Some(NodeEnum::BoolExpr(all)) if all.boolop() == pb::BoolExprType::AndExpr => &all.args,
        _ => std::slice::from_ref(node),
    }
}

/// Puts conditions together again.
pub(super) fn all_of(mut conditions: Vec<pb::Node>) -> Option<Box<pb::Node>> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop().map(Box::new),
        _ => Some(Box::new(of(NodeEnum::BoolExpr(Box::new(pb::BoolExpr {
            boolop: pb::BoolExprType::AndExpr as i32,
            args: conditions,
            ..pb::BoolExpr::default()
        }))))),
    }
}

/// The greatest number of a parameter in a text.
pub(super) fn parameters_max(text: &str) -> u32 {
    let numbers = text.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().unwrap_or(0)
    });
    numbers.max().unwrap_or(0)
}

/// The parts of a name, without those that are no names.
pub(super) fn names(fields: &[pb::Node]) -> Vec<&str> {
    let names = fields.iter().filter_map(|field| match &field.node {
        Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
        _ => None,
    });
    names.collect()
}

pub(super) fn of(node: NodeEnum) -> pb::Node {
    pb::Node { node: Some(node) }
}
