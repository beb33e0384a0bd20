//! The forms of conditions.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::columns::{DEPTH_MAX, Walk, column};
use super::tree::{conjuncts, expression, names};
use super::{Column, Condition, Form, Like, Source, Wrapped, Wrapper};
use crate::batch::is_plain;

/// What a condition says. `likes` are the places of all LIKEs of the text.
pub(super) fn read(node: &pb::Node, sources: &[Source], likes: &[usize]) -> Condition {
    Reader { sources, likes }.condition(node, 0)
}

struct Reader<'a> {
    sources: &'a [Source],
    likes: &'a [usize],
}

impl Reader<'_> {
    fn condition(&self, node: &pb::Node, depth: usize) -> Condition {
        let mut walk = Walk::new(self.sources);
        walk.one(node, depth);
        let form = if depth > DEPTH_MAX {
            None
        } else {
            self.form(node, depth)
        };
        Condition {
            form: form.unwrap_or(Form::Else),
            columns: walk.columns,
            is_whole: walk.is_whole,
        }
    }

    fn form(&self, node: &pb::Node, depth: usize) -> Option<Form> {
        match node.node.as_ref()? {
            NodeEnum::BoolExpr(some) if some.boolop() == pb::BoolExprType::OrExpr => {
                let arms = some.args.iter();
                Some(Form::Any(
                    arms.map(|arm| self.condition(arm, depth + 1)).collect(),
                ))
            }
            NodeEnum::BoolExpr(all) if all.boolop() == pb::BoolExprType::AndExpr => {
                let parts = conjuncts(node).iter();
                Some(Form::All(
                    parts.map(|part| self.condition(part, depth + 1)).collect(),
                ))
            }
            NodeEnum::AExpr(expression) => self.comparison(expression),
            // `column IN (SELECT …)`
            NodeEnum::SubLink(link) if link.sub_link_type() == pb::SubLinkType::AnySublink => {
                let is_in = link.oper_name.is_empty() || names(&link.oper_name) == ["="];
                let tested = link.testexpr.as_deref().filter(|_| is_in)?;
                self.bare(tested).map(Form::Equals)
            }
            _ => None,
        }
    }

    fn comparison(&self, expression: &pb::AExpr) -> Option<Form> {
        use pb::AExprKind as Kind;
        let operator = names(&expression.name).last().copied()?;
        let (left, right) = (expression.lexpr.as_deref()?, expression.rexpr.as_deref()?);
        let is_like = operator.trim_start_matches('!').starts_with("~~");
        match expression.kind() {
            Kind::AexprLike | Kind::AexprIlike => Some(Form::Like(self.like(expression, left))),
            Kind::AexprOp if is_like => Some(Form::Like(self.like(expression, left))),
            Kind::AexprOp => {
                let is_equality = operator == "=";
                if !is_equality && !["<", ">", "<=", ">="].contains(&operator) {
                    return None;
                }
                self.with_value(left, right, is_equality)
                    .or_else(|| self.with_value(right, left, is_equality))
            }
            Kind::AexprIn | Kind::AexprOpAny if operator == "=" => {
                self.with_value(left, right, true)
            }
            Kind::AexprBetween | Kind::AexprBetweenSym => self.with_value(left, right, false),
            _ => None,
        }
    }

    /// One side is made of a column, and the other one is a value.
    fn with_value(&self, side: &pb::Node, value: &pb::Node, is_equality: bool) -> Option<Form> {
        let mut walk = Walk::new(self.sources);
        walk.one(value, 0);
        let is_outside = |column: &Column| column.place == super::Place::Outside;
        if !walk.is_whole || !walk.columns.iter().all(is_outside) {
            return None;
        }
        if let Some(column) = self.bare(side) {
            return Some(if is_equality {
                Form::Equals(column)
            } else {
                Form::Compares(column)
            });
        }
        self.wrapped(side, is_equality).map(Form::Wrapped)
    }

    fn bare(&self, node: &pb::Node) -> Option<Column> {
        match &node.node {
            Some(NodeEnum::ColumnRef(reference)) => column(reference, self.sources),
            _ => None,
        }
    }

    fn like(&self, expression: &pb::AExpr, searched: &pb::Node) -> Like {
        let operator = names(&expression.name).last().copied().unwrap_or("");
        let place = usize::try_from(expression.location).unwrap_or(0);
        let number = self.likes.partition_point(|like| *like < place);
        let wrapped = self.wrapped(searched, true);
        let function = wrapped.as_ref().and_then(|one| match &one.wrapper {
            Wrapper::Function(name) => Some(name.clone()),
            _ => None,
        });
        let is_cast = |one: &Wrapped| matches!(one.wrapper, Wrapper::Cast(_));
        let inner = wrapped.filter(|one| function.is_some() || is_cast(one));
        Like {
            column: self.bare(searched).or(inner.map(|one| one.column)),
            function,
            number,
            ignores_case: operator.ends_with('*'),
            is_negated: operator.starts_with('!'),
        }
    }

    /// A column with something around it.
    fn wrapped(&self, node: &pb::Node, is_equality: bool) -> Option<Wrapped> {
        let mut inside = Inside::default();
        let mut bare = node.clone();
        inside.take(&mut bare, 0)?;
        let wrapper = match &bare.node {
            Some(NodeEnum::FuncCall(call)) => {
                Wrapper::Function(names(&call.funcname).last().copied()?.into())
            }
            Some(NodeEnum::CoalesceExpr(_)) => Wrapper::Function("coalesce".into()),
            Some(NodeEnum::TypeCast(cast)) => Wrapper::Cast(type_name(cast)?.into()),
            Some(NodeEnum::AExpr(made)) => {
                Wrapper::Operator(names(&made.name).last().copied()?.into())
            }
            _ => return None,
        };
        Some(Wrapped {
            column: column(inside.column.as_ref()?, self.sources)?,
            expression: expression(&bare)?,
            wrapper,
            names: inside.names,
            has_values: inside.has_values,
            is_equality,
        })
    }
}

/// What stands within an expression around a column.
#[derive(Default)]
struct Inside {
    column: Option<pb::ColumnRef>,
    names: Vec<Box<str>>,
    has_values: bool,
}

impl Inside {
    /// `None`: it is not only one column and what is made of it. Takes the table's name off the column.
    fn take(&mut self, node: &mut pb::Node, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match node.node.as_mut()? {
            NodeEnum::ColumnRef(column) => {
                let known = self.column.get_or_insert_with(|| column.clone());
                if names(&known.fields) != names(&column.fields) {
                    return None;
                }
                column.fields.drain(..column.fields.len().saturating_sub(1));
                Some(())
            }
            NodeEnum::ParamRef(_) => {
                self.has_values = true;
                Some(())
            }
            NodeEnum::AConst(_) => Some(()),
            NodeEnum::TypeCast(cast) => {
                self.names.push(type_name(cast)?.into());
                self.take(cast.arg.as_deref_mut()?, depth + 1)
            }
            NodeEnum::CoalesceExpr(coalesce) => {
                self.names.push("coalesce".into());
                self.each(&mut coalesce.args, depth)
            }
            NodeEnum::AExpr(made) => {
                let operator = names(&made.name).last().copied()?;
                let is_arithmetic = ["+", "-", "*", "/", "%", "||"].contains(&operator);
                if made.kind() != pb::AExprKind::AexprOp || !is_arithmetic {
                    return None;
                }
                self.names.push(operator.into());
                if let Some(left) = made.lexpr.as_deref_mut() {
                    self.take(left, depth + 1)?;
                }
                self.take(made.rexpr.as_deref_mut()?, depth + 1)
            }
            NodeEnum::FuncCall(call) => {
                let name = names(&call.funcname).last().copied()?;
                if !is_writable(call, name) {
                    return None;
                }
                self.names.push(name.into());
                self.each(&mut call.args, depth)
            }
            _ => None,
        }
    }

    fn each(&mut self, nodes: &mut [pb::Node], depth: usize) -> Option<()> {
        nodes
            .iter_mut()
            .try_for_each(|node| self.take(node, depth + 1))
    }
}

/// Whether a call is surely written back as it was. Its arguments are looked at elsewhere.
fn is_writable(call: &pb::FuncCall, name: &str) -> bool {
    let alone = pb::FuncCall {
        args: Vec::new(),
        ..call.clone()
    };
    if is_plain(&super::tree::of(NodeEnum::FuncCall(Box::new(alone)))) {
        return true;
    }
    let first = call.args.first().and_then(|first| first.node.as_ref());
    match name {
        // The field is a word of the syntax, no parameter.
        "extract" => matches!(first, Some(NodeEnum::AConst(_))) && call.args.len() == 2,
        "btrim" | "ltrim" | "rtrim" => call.args.len() == 1,
        _ => false,
    }
}

fn type_name(cast: &pb::TypeCast) -> Option<&str> {
    let name = cast.type_name.as_ref()?;
    let is_plain = name.array_bounds.is_empty() && !name.setof && !name.pct_type;
    names(&name.names).last().copied().filter(|_| is_plain)
}
