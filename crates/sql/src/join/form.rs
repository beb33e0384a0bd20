//! A statement and the one that was run for each of its rows, in one.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::{outputs_of, owner, select, tables};
use crate::batch::select::column_name;
use crate::batch::visit::{column, parameter, visit};

/// Names for the first statement's rows; the first that neither text has a word of is taken.
const NAMES: [(&str, &str); 3] = [("p", "r"), ("parent", "found"), ("outer_row", "inner_row")];

/// `before`, each of its rows with those that `repeated` finds for it: the loop as one statement. `parameter` of `repeated` is
/// the column `key` of the result of `before`; a row for which nothing is found stays, with nulls.
///
/// LATERAL means exactly what the loop did, with LIMIT, aggregates and all; a plain look-up the planner takes apart
/// into an ordinary join. The order of `before` is kept where it is by columns that it returns. `None` when it is not
/// sure to mean the same.
///
/// ```
/// let form = paceline_sql::join_form(
///     "SELECT id, company_id FROM jobs ORDER BY id LIMIT $1",
///     "company_id",
///     "SELECT name FROM companies WHERE id = $1",
///     1,
/// );
/// assert_eq!(
///     form.unwrap(),
///     "SELECT p.*, r.* FROM (SELECT id, company_id FROM jobs ORDER BY id LIMIT $1) p \
///      LEFT JOIN LATERAL (SELECT name FROM companies WHERE id = p.company_id) r ON true ORDER BY p.id",
/// );
/// ```
pub fn join_form(before: &str, key: &str, repeated: &str, number: usize) -> Option<String> {
    let (outer, mut inner) = (select(before)?, select(repeated)?);
    let known = outputs_of(&outer)
        .into_iter()
        .any(|output| match output.column {
            Some((_, name)) => name == key,
            None => true,
        });
    let words = |text: &str, name: &str| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        text.split(|c| !is_word(c)).any(|word| word == name)
    };
    let is_free = |name: &str| !words(before, name) && !words(repeated, name);
    let free = NAMES.iter().find(|(p, r)| is_free(p) && is_free(r));
    let (p, r) = free.filter(|_| known)?;

    let taken = highest_parameter(before)?;
    let number = i32::try_from(number).ok()?;
    let mut found = false;
    let mut root = pb::Node {
        node: Some(NodeEnum::SelectStmt(inner)),
    };
    visit(&mut root, &mut |node| {
        if parameter(node) == Some(number) {
            *node = column(p, key);
            found = true;
            return true;
        }
        if let Some(NodeEnum::ParamRef(other)) = &mut node.node {
            other.number += taken - i32::from(other.number > number);
        }
        false
    });
    inner = match root.node? {
        NodeEnum::SelectStmt(inner) => inner,
        _ => return None,
    };
    let text = format!(
        "SELECT {p}.*, {r}.* FROM ({before}) AS {p} LEFT JOIN LATERAL (SELECT) AS {r} ON true"
    );
    let mut tree = pg_query::parse(&text, 0).ok()?.protobuf;
    let whole = match tree.stmts.first_mut()?.stmt.as_mut()?.node.as_mut()? {
        NodeEnum::SelectStmt(whole) => whole,
        _ => return None,
    };
    whole.sort_clause = order(&outer, p);
    put_inner(whole, inner)?;
    found.then_some(())?;
    pg_query::deparse(&tree, pg_query::DeparseOptions::default()).ok()
}

fn highest_parameter(text: &str) -> Option<i32> {
    let mut highest = 0;
    let mut root = pb::Node {
        node: Some(NodeEnum::SelectStmt(select(text)?)),
    };
    visit(&mut root, &mut |node| {
        if let Some(NodeEnum::ParamRef(parameter)) = &node.node {
            highest = highest.max(parameter.number);
        }
        false
    });
    Some(highest)
}

fn put_inner(whole: &mut pb::SelectStmt, inner: Box<pb::SelectStmt>) -> Option<()> {
    let Some(NodeEnum::JoinExpr(join)) = &mut whole.from_clause.first_mut()?.node else {
        return None;
    };
    let Some(NodeEnum::RangeSubselect(lateral)) = &mut join.rarg.as_mut()?.node else {
        return None;
    };
    lateral.subquery = Some(Box::new(pb::Node {
        node: Some(NodeEnum::SelectStmt(inner)),
    }));
    Some(())
}

/// The order of a statement, by the names that its columns have outside of it. Empty when one has none.
fn order(select: &pb::SelectStmt, p: &str) -> Vec<pb::Node> {
    let (tables, outputs) = (tables(&select.from_clause), outputs_of(select));
    let outside = |found: &pb::ColumnRef| {
        let (name, relation) = (column_name(found)?, owner(found, &tables)?);
        outputs.iter().find_map(|output| match &output.column {
            _ if output.relation != relation => None,
            Some((column, shown)) => (column == name).then(|| shown.clone()),
            None => Some(name.to_owned()),
        })
    };
    let sorted = select.sort_clause.iter().map(|node| {
        let Some(NodeEnum::SortBy(sort)) = &node.node else {
            return None;
        };
        let Some(NodeEnum::ColumnRef(found)) = &sort.node.as_deref()?.node else {
            return None;
        };
        let by = Some(Box::new(column(p, &outside(found)?)));
        let sort = pb::SortBy {
            node: by,
            ..(**sort).clone()
        };
        Some(pb::Node {
            node: Some(NodeEnum::SortBy(Box::new(sort))),
        })
    });
    sorted.collect::<Option<Vec<_>>>().unwrap_or_default()
}
