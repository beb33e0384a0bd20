//! From one row that is changed to many.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::TypeOf;
use super::select::{column_name, compare_with_array, equality, is_plain};
use super::visit::{any, column, has_parameter, parameter, quoted, visit};
use crate::shape::Relation;

/// A parameter of the original that becomes a column of the values.
struct Value {
    /// The column's name among the values.
    name: String,
    /// An array of its type, around the parameter; `None` when the type is not known.
    array: Option<pb::Node>,
    /// Whether the parameter is all that is assigned to the column of its name, or compared with it.
    is_whole: bool,
}

/// Rewrites an `UPDATE` to many keys; gives the names of the columns that are compared.
pub(super) fn batch(statement: &mut pb::UpdateStmt, type_of: TypeOf<'_>) -> Option<String> {
    if !is_simple(statement) {
        return None;
    }
    if !statement.target_list.iter().any(has_parameter) {
        let key = compare_with_array(statement.where_clause.as_deref_mut()?)?;
        return Some(column_name(&key)?.to_owned());
    }
    if has_subquery(statement) {
        return None;
    }
    let table = statement.relation.clone()?;
    let (values, keys) = values(statement, &table, type_of)?;
    let from = source(&values, &table)?;
    let target = alias_of(&table).to_owned();
    let name_of = if target == "v" { "new_values" } else { "v" };
    let nodes = statement.target_list.iter_mut();
    for node in nodes.chain(statement.where_clause.as_deref_mut()) {
        visit(node, &mut |node| replace(node, &target, name_of, &values));
    }
    statement.from_clause = vec![from];
    Some(keys.join(", "))
}

fn is_simple(statement: &pb::UpdateStmt) -> bool {
    statement.with_clause.is_none()
        && statement.from_clause.is_empty()
        && statement.returning_clause.is_none()
        && statement.where_clause.as_deref().is_some_and(is_plain)
        && statement.target_list.iter().all(is_plain)
}

/// Names in a subquery may be its own tables': they could not be qualified.
fn has_subquery(statement: &pb::UpdateStmt) -> bool {
    let condition = statement.where_clause.as_deref();
    let mut nodes = statement.target_list.iter().chain(condition);
    nodes.any(|node| any(node, &|node| matches!(node, NodeEnum::SubLink(_))))
}

/// What the parameters of a statement become, as they are found.
struct Values<'a> {
    table: Relation,
    type_of: TypeOf<'a>,
    found: Vec<(i32, Value)>,
}

/// What each parameter becomes, in the order of their numbers, and which columns are compared with one.
fn values(
    statement: &mut pb::UpdateStmt,
    table: &pb::RangeVar,
    type_of: TypeOf<'_>,
) -> Option<(Vec<Value>, Vec<String>)> {
    let mut values = Values {
        table: Relation {
            schema: (!table.schemaname.is_empty()).then(|| table.schemaname.as_str().into()),
            name: table.relname.as_str().into(),
        },
        type_of,
        found: Vec::new(),
    };
    for target in &mut statement.target_list {
        values.add_assigned(target)?;
    }
    let mut keys = Vec::new();
    for condition in conditions(statement.where_clause.as_deref_mut()?) {
        match equality(condition) {
            Some((key, value)) => {
                let name = column_name(key)?.to_owned();
                let type_name = values.type_name(&name);
                values.add(value, &name, true, type_name)?;
                keys.push(name);
            }
            None if has_parameter(condition) => return None,
            None => {}
        }
    }
    let mut found = values.found;
    found.sort_by_key(|(number, _)| *number);
    let in_order = found
        .iter()
        .map(|(number, _)| *number)
        .eq(1..=found.len() as i32);
    (in_order && !keys.is_empty()).then(|| {
        let values = found.into_iter().map(|(_, value)| value);
        (values.collect(), keys)
    })
}

impl Values<'_> {
    fn type_name(&self, column: &str) -> Option<String> {
        (self.type_of)(&self.table, column)
    }

    fn add(
        &mut self,
        node: &pb::Node,
        name: &str,
        is_whole: bool,
        type_name: Option<String>,
    ) -> Option<()> {
        let number = parameter(node)?;
        let (mut free, mut copies) = (name.to_owned(), 1);
        while self.found.iter().any(|(_, value)| value.name == free) {
            copies += 1;
            free = format!("{name}_{copies}");
        }
        let value = Value {
            is_whole: is_whole && free == name,
            array: array(node, number, type_name),
            name: free,
        };
        self.found.push((number, value));
        Some(())
    }

    /// The parameters in what is assigned to a column.
    fn add_assigned(&mut self, target: &mut pb::Node) -> Option<()> {
        let Some(NodeEnum::ResTarget(target)) = &mut target.node else {
            return None;
        };
        let (name, value) = (target.name.clone(), target.val.as_deref_mut()?);
        let type_name = self.type_name(&name);
        if parameter(value).is_some() {
            return self.add(value, &name, true, type_name);
        }
        // In a sum the other side has the column's type, if that is a number's.
        let number = type_name.filter(|name| is_number(name) && is_sum(value));
        let mut parts = Vec::new();
        visit(value, &mut |node| {
            let is_one = parameter(node).is_some();
            if is_one {
                parts.push(node.clone());
            }
            is_one
        });
        let mut parts = parts.iter();
        parts.try_for_each(|part| self.add(part, &name, false, number.clone()))
    }
}

fn conditions(condition: &mut pb::Node) -> &mut [pb::Node] {
    let is_and = matches!(&condition.node, Some(NodeEnum::BoolExpr(all)) if all.boolop() == pb::BoolExprType::AndExpr);
    if !is_and {
        return std::slice::from_mut(condition);
    }
    match &mut condition.node {
        Some(NodeEnum::BoolExpr(all)) => &mut all.args,
        _ => &mut [],
    }
}

/// The parameter with a cast to an array of its type: the one that it is cast to, else the one given.
fn array(node: &pb::Node, number: i32, type_name: Option<String>) -> Option<pb::Node> {
    let type_of = |cast: &pb::Node| match &cast.node {
        Some(NodeEnum::TypeCast(cast)) => cast.type_name.clone(),
        _ => None,
    };
    let mut element = match type_of(node) {
        Some(element) => element,
        None => type_of(&parsed_expression(&format!("$1::{}", type_name?))?)?,
    };
    if !element.array_bounds.is_empty() {
        // unnest() would take an array of arrays apart to its last element.
        return None;
    }
    let any_length = NodeEnum::Integer(pb::Integer { ival: -1 });
    element.array_bounds = vec![pb::Node {
        node: Some(any_length),
    }];
    let parameter = NodeEnum::ParamRef(pb::ParamRef {
        number,
        location: 0,
    });
    Some(pb::Node {
        node: Some(NodeEnum::TypeCast(Box::new(pb::TypeCast {
            arg: Some(Box::new(pb::Node {
                node: Some(parameter),
            })),
            type_name: Some(element),
            location: 0,
        }))),
    })
}

fn is_number(type_name: &str) -> bool {
    let names = ["smallint", "integer", "bigint", "real", "double precision"];
    names.contains(&type_name) || type_name.starts_with("numeric")
}

fn is_sum(node: &pb::Node) -> bool {
    let Some(NodeEnum::AExpr(expression)) = &node.node else {
        return false;
    };
    let operator = expression.name.first().and_then(|name| name.node.as_ref());
    matches!(operator, Some(NodeEnum::String(name)) if name.sval == "+" || name.sval == "-")
}

fn alias_of(table: &pb::RangeVar) -> &str {
    match &table.alias {
        Some(alias) => &alias.aliasname,
        None => &table.relname,
    }
}

/// The values as a table: arrays side by side where all types are known; else one JSON array of objects, which takes the types
/// from the table.
fn source(values: &[Value], table: &pb::RangeVar) -> Option<pb::Node> {
    let name = if alias_of(table) == "v" {
        "new_values"
    } else {
        "v"
    };
    if values.iter().all(|value| value.array.is_some()) {
        let columns: Vec<_> = values.iter().map(|value| quoted(&value.name)).collect();
        let text = format!("SELECT FROM unnest(1) AS {name} ({})", columns.join(", "));
        let mut from = parsed_from(&text)?;
        let arrays = values.iter().filter_map(|value| value.array.clone());
        call_in(&mut from)?.args = arrays.collect();
        return Some(from);
    }
    // Two parameters for one column have no place there.
    if values.iter().any(|value| !value.is_whole) {
        return None;
    }
    let schema = match table.schemaname.as_str() {
        "" => String::new(),
        schema => format!("{}.", quoted(schema)),
    };
    let relation = quoted(&table.relname);
    parsed_from(&format!(
        "SELECT FROM jsonb_populate_recordset(NULL::{schema}{relation}, $1) AS {name}"
    ))
}

fn call_in(from: &mut pb::Node) -> Option<&mut pb::FuncCall> {
    let Some(NodeEnum::RangeFunction(function)) = &mut from.node else {
        return None;
    };
    let Some(NodeEnum::List(list)) = &mut function.functions.first_mut()?.node else {
        return None;
    };
    match &mut list.items.first_mut()?.node {
        Some(NodeEnum::FuncCall(call)) => Some(call),
        _ => None,
    }
}

/// A parameter becomes a column of the values; a column without a qualifier is the target's, and says so.
fn replace(node: &mut pb::Node, target: &str, values_name: &str, values: &[Value]) -> bool {
    if let Some(number) = parameter(node) {
        if let Some(value) = values.get(number as usize - 1) {
            *node = column(values_name, &value.name);
        }
        return true;
    }
    if let Some(NodeEnum::ColumnRef(found)) = &node.node
        && found.fields.len() == 1
        && let Some(name) = column_name(found)
    {
        *node = column(target, name);
        return true;
    }
    false
}

fn parsed_from(text: &str) -> Option<pb::Node> {
    parsed(text)?.from_clause.pop()
}

fn parsed_expression(expression: &str) -> Option<pb::Node> {
    let target = parsed(&format!("SELECT {expression}"))?.target_list.pop()?;
    match target.node? {
        NodeEnum::ResTarget(target) => target.val.map(|value| *value),
        _ => None,
    }
}

fn parsed(text: &str) -> Option<Box<pb::SelectStmt>> {
    let statement = pg_query::parse(text, 0).ok()?.protobuf.stmts.pop()?.stmt?;
    match statement.node? {
        NodeEnum::SelectStmt(select) => Some(select),
        _ => None,
    }
}
