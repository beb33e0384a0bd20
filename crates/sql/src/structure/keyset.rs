//! The keyset form of a page: instead of counting rows away, it begins behind the last row of the page before.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::columns::place;
use super::tree::{
    all_of, condition, expression, names, of, parameters_max, parse_plain_select, write,
};
use super::{Place, Source};
use crate::Relation;

/// A page that begins behind the last row of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysetForm {
    /// The statement to write instead, for all pages but the first. In the place of the offset it takes the values that the last row of
    /// the page before has in the [columns](KeysetForm::columns).
    pub text: String,
    /// What the rows are sorted by, in order.
    pub columns: Vec<KeysetColumn>,
}

/// A column that rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysetColumn {
    /// Its table, when the text says which one it is.
    pub relation: Option<Relation>,
    /// Its name.
    pub name: String,
    /// The number of the parameter that takes the last row's value.
    pub parameter: u32,
    /// Whether it is sorted in descending order.
    pub is_descending: bool,
    /// Whether it has joined the select list, so that clients have its value.
    pub is_added: bool,
}

/// The keyset form of a shape's text, or `None` when there is none that is sure to give the same pages.
///
/// That is for a plain SELECT with ORDER BY of columns, and OFFSET of a parameter. Both forms give the same pages where the columns
/// together are unique and none of them is NULL: nobody can tell that from the text.
///
/// ```
/// use paceline_sql::keyset_form;
///
/// let form = keyset_form("SELECT id, posted_at FROM jobs ORDER BY posted_at DESC, id DESC LIMIT $1 OFFSET $2").expect("has one");
/// assert_eq!(
///     form.text,
///     "SELECT id, posted_at FROM jobs WHERE (posted_at, id) < ($2, $3) ORDER BY posted_at DESC, id DESC LIMIT $1"
/// );
/// ```
pub fn keyset_form(shape_text: &str) -> Option<KeysetForm> {
    let mut select = parse_plain_select(shape_text)?;
    let offset = parameter(select.limit_offset.take()?.as_ref())?;
    let is_distinct = !select.distinct_clause.is_empty();
    if is_distinct || !select.group_clause.is_empty() || select.having_clause.is_some() {
        return None;
    }
    if select.limit_option() == pb::LimitOption::WithTies {
        return None;
    }
    if select.limit_count.is_none() {
        select.limit_option = pb::LimitOption::Default as i32;
    }
    let sources = sources(&select.from_clause)?;
    let mut next = parameters_max(shape_text);
    let mut keys = Vec::new();
    for (index, node) in select.sort_clause.iter().enumerate() {
        // The offset's number is free.
        let number = if index == 0 {
            offset
        } else {
            next += 1;
            next
        };
        keys.push(Key::read(node, number, &select.target_list)?);
    }
    let behind = condition(&behind(&keys)?)?;
    let mut conditions = select
        .where_clause
        .take()
        .map_or_else(Vec::new, |all| super::tree::conjuncts(&all).to_vec());
    conditions.push(behind);
    select.where_clause = all_of(conditions);
    let mut columns = Vec::new();
    for key in keys {
        let is_added = !select
            .target_list
            .iter()
            .any(|target| is_selected(target, &key.column));
        if is_added {
            let target = pb::ResTarget {
                val: Some(Box::new(of(NodeEnum::ColumnRef(key.column.clone())))),
                ..pb::ResTarget::default()
            };
            select
                .target_list
                .push(of(NodeEnum::ResTarget(Box::new(target))));
        }
        columns.push(key.told(&sources, is_added)?);
    }
    let text = write(NodeEnum::SelectStmt(select))?;
    Some(KeysetForm { text, columns })
}

/// One of the columns that rows are sorted by.
struct Key {
    column: pb::ColumnRef,
    /// With its table's name, as a text.
    text: String,
    number: u32,
    is_descending: bool,
}

impl Key {
    fn read(node: &pb::Node, number: u32, targets: &[pb::Node]) -> Option<Self> {
        let Some(NodeEnum::SortBy(sort)) = &node.node else {
            return None;
        };
        let is_descending = match sort.sortby_dir() {
            pb::SortByDir::SortbyDesc => true,
            pb::SortByDir::SortbyDefault | pb::SortByDir::SortbyAsc => false,
            _ => return None,
        };
        let by = sort.node.as_deref()?;
        let Some(NodeEnum::ColumnRef(column)) = &by.node else {
            return None;
        };
        let name = names(&column.fields);
        // Here, unlike in WHERE, a bare name means what the select list calls so.
        let is_alias = |target: &pb::Node| match &target.node {
            Some(NodeEnum::ResTarget(target)) => {
                Some(target.name.as_str()) == name.first().copied()
            }
            _ => true,
        };
        if name.len() != column.fields.len() || name.len() == 1 && targets.iter().any(is_alias) {
            return None;
        }
        Some(Self {
            column: column.clone(),
            text: expression(by)?,
            number,
            is_descending,
        })
    }

    fn told(self, sources: &[Source], is_added: bool) -> Option<KeysetColumn> {
        let relation = match place(&self.column, sources) {
            Place::Source(source) => sources.get(source)?.relation.clone(),
            _ => None,
        };
        Some(KeysetColumn {
            relation,
            name: (*names(&self.column.fields).last()?).to_owned(),
            parameter: self.number,
            is_descending: self.is_descending,
            is_added,
        })
    }
}

/// The condition that a row stands behind the last one of the page before.
fn behind(keys: &[Key]) -> Option<String> {
    let operator = |key: &Key| if key.is_descending { "<" } else { ">" };
    let list = |of: &dyn Fn(&Key) -> String| keys.iter().map(of).collect::<Vec<_>>().join(", ");
    let (first, rest) = keys.split_first()?;
    if rest.is_empty() {
        return Some(format!(
            "{} {} ${}",
            first.text,
            operator(first),
            first.number
        ));
    }
    if rest
        .iter()
        .all(|key| key.is_descending == first.is_descending)
    {
        let columns = list(&|key| key.text.clone());
        let values = list(&|key| format!("${}", key.number));
        return Some(format!("({columns}) {} ({values})", operator(first)));
    }
    // Rows can be compared in one direction only.
    let arms = (0..keys.len()).map(|last| {
        let equal = keys[..last].iter();
        let equal = equal.map(|key| format!("{} = ${} AND ", key.text, key.number));
        let key = &keys[last];
        let equal = equal.collect::<String>();
        format!("({equal}{} {} ${})", key.text, operator(key), key.number)
    });
    Some(format!("({})", arms.collect::<Vec<_>>().join(" OR ")))
}

fn parameter(node: &pb::Node) -> Option<u32> {
    match &node.node {
        Some(NodeEnum::ParamRef(parameter)) => {
            u32::try_from(parameter.number).ok().filter(|one| *one > 0)
        }
        Some(NodeEnum::TypeCast(cast)) => parameter(cast.arg.as_deref()?),
        _ => None,
    }
}

/// Whether an item of the select list holds the column, under its own name.
fn is_selected(target: &pb::Node, key: &pb::ColumnRef) -> bool {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return false;
    };
    let value = target.val.as_deref().and_then(|value| value.node.as_ref());
    let Some(NodeEnum::ColumnRef(column)) = value else {
        return false;
    };
    let (known, wanted) = (names(&column.fields), names(&key.fields));
    if known.len() < column.fields.len() {
        // `*`, or `t.*`.
        return known.is_empty() || wanted.len() == 1 || wanted[..wanted.len() - 1] == known[..];
    }
    target.name.is_empty()
        && known.last() == wanted.last()
        && (known == wanted || wanted.len() == 1)
}

/// The tables of a FROM without anything else in it.
pub(super) fn sources(from: &[pb::Node]) -> Option<Vec<Source>> {
    let mut sources = Vec::new();
    let mut rest: Vec<&pb::Node> = from.iter().rev().collect();
    while let Some(node) = rest.pop() {
        match node.node.as_ref()? {
            NodeEnum::RangeVar(relation) => {
                let alias = relation.alias.as_ref().map(|alias| &*alias.aliasname);
                let schema = Some(&*relation.schemaname).filter(|schema| !schema.is_empty());
                sources.push(Source {
                    relation: Some(Relation {
                        schema: schema.map(Into::into),
                        name: relation.relname.as_str().into(),
                    }),
                    alias: alias.unwrap_or(&relation.relname).into(),
                });
            }
            NodeEnum::JoinExpr(join) => {
                rest.extend(join.rarg.as_deref());
                rest.extend(join.larg.as_deref());
            }
            NodeEnum::RangeSubselect(select) => {
                let alias = select.alias.as_ref().map(|alias| &*alias.aliasname);
                sources.push(Source {
                    relation: None,
                    alias: alias.unwrap_or_default().into(),
                });
            }
            _ => return None,
        }
    }
    Some(sources)
}
