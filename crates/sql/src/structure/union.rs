//! OR over several tables as the union of what each arm finds.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::tree::{all_of, condition, conjuncts, expression, names, of, parse_plain_select, write};
use crate::batch::is_aggregate;

/// More arms make a statement that nobody wants to read.
const ARMS_MAX: usize = 4;

/// A statement that looks for what each arm of an OR finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnionForm {
    /// The statement to write instead.
    pub text: String,
    /// How many columns it has behind those of the original, because UNION can only sort by what is selected.
    pub columns_added: usize,
}

/// The shape's text with the arms of its OR apart, or `None` when there is no OR among the conditions, or the statement is more than
/// a plain SELECT. Each row is found as often as before.
///
/// ```
/// use paceline_sql::union_form;
///
/// let text = "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE o.code = $1 OR u.email = $2";
/// assert_eq!(
///     union_form(text).expect("has one").text,
///     "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE o.code = $1 \
///      UNION ALL SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE u.email = $2 AND o.code = $1 IS NOT TRUE"
/// );
/// ```
pub fn union_form(shape_text: &str) -> Option<UnionForm> {
    let mut select = parse_plain_select(shape_text)?;
    let is_more = !select.distinct_clause.is_empty()
        || !select.group_clause.is_empty()
        || select.having_clause.is_some()
        || select.limit_option() == pb::LimitOption::WithTies
        || select.target_list.iter().any(is_aggregate);
    if is_more {
        return None;
    }
    let all = select.where_clause.take()?;
    let (or, others) = split(&all)?;
    let sort = std::mem::take(&mut select.sort_clause);
    let (limit, offset) = (select.limit_count.take(), select.limit_offset.take());
    let limit_option = std::mem::replace(&mut select.limit_option, pb::LimitOption::Default as i32);
    let known = select.target_list.len();
    let sort = sort
        .iter()
        .map(|node| sorted(node, &mut select.target_list))
        .collect::<Option<Vec<_>>>()?;
    let columns_added = select.target_list.len() - known;
    let mut union: Option<pb::SelectStmt> = None;
    for (index, arm) in or.iter().enumerate() {
        let mut conditions = others.clone();
        conditions.push(arm.clone());
        for before in &or[..index] {
            conditions.push(condition(&format!(
                "({}) IS NOT TRUE",
                expression(before)?
            ))?);
        }
        let mut part = (*select).clone();
        part.where_clause = all_of(conditions);
        union = Some(match union {
            None => part,
            Some(before) => pb::SelectStmt {
                op: pb::SetOperation::SetopUnion as i32,
                all: true,
                larg: Some(Box::new(before)),
                rarg: Some(Box::new(part)),
                limit_option: pb::LimitOption::Default as i32,
                ..pb::SelectStmt::default()
            },
        });
    }
    let union = pb::SelectStmt {
        sort_clause: sort,
        limit_count: limit,
        limit_offset: offset,
        limit_option,
        ..union?
    };
    let text = write(NodeEnum::SelectStmt(Box::new(union)))?;
    Some(UnionForm {
        text,
        columns_added,
    })
}

/// The arms of the only OR, and all other conditions.
fn split(all: &pb::Node) -> Option<(Vec<pb::Node>, Vec<pb::Node>)> {
    let is_or = |node: &pb::Node| match &node.node {
        Some(NodeEnum::BoolExpr(some)) => some.boolop() == pb::BoolExprType::OrExpr,
        _ => false,
    };
    let (ors, others): (Vec<_>, Vec<_>) = conjuncts(all).iter().cloned().partition(is_or);
    let [only] = &ors[..] else {
        return None;
    };
    match &only.node {
        Some(NodeEnum::BoolExpr(some)) if some.args.len() <= ARMS_MAX => {
            Some((some.args.clone(), others))
        }
        _ => None,
    }
}

/// What is sorted by, as a name of the result. What is not selected yet is added.
fn sorted(node: &pb::Node, targets: &mut Vec<pb::Node>) -> Option<pb::Node> {
    let Some(NodeEnum::SortBy(sort)) = &node.node else {
        return None;
    };
    let by = sort.node.as_deref()?;
    let name = match by.node.as_ref()? {
        NodeEnum::ColumnRef(column) => {
            let wanted = names(&column.fields);
            let known = targets.iter().find_map(|target| output(target, &wanted));
            known.unwrap_or_else(|| {
                let name = format!("sort_{}", targets.len() + 1);
                targets.push(of(NodeEnum::ResTarget(Box::new(pb::ResTarget {
                    name: name.clone(),
                    val: Some(Box::new(by.clone())),
                    ..pb::ResTarget::default()
                }))));
                name
            })
        }
        _ => return None,
    };
    let field = of(NodeEnum::String(pb::String { sval: name }));
    let column = pb::ColumnRef {
        fields: vec![field],
        ..pb::ColumnRef::default()
    };
    let mut sort = sort.clone();
    sort.node = Some(Box::new(of(NodeEnum::ColumnRef(column))));
    Some(of(NodeEnum::SortBy(sort)))
}

/// The name that a column has in the result, if this item of the select list is that column.
fn output(target: &pb::Node, wanted: &[&str]) -> Option<String> {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return None;
    };
    let alias = Some(target.name.as_str()).filter(|name| !name.is_empty());
    if wanted.len() == 1 && alias == wanted.first().copied() {
        return alias.map(str::to_owned);
    }
    let Some(NodeEnum::ColumnRef(column)) = target.val.as_deref()?.node.as_ref() else {
        return None;
    };
    let known = names(&column.fields);
    (known == wanted).then(|| alias.unwrap_or(known[known.len() - 1]).to_owned())
}
