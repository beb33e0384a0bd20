//! Which columns an expression refers to.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::tree::names;
use super::{Column, Place, Source};

/// Deeper trees are not walked.
pub(super) const DEPTH_MAX: usize = 64;

/// What an expression holds.
pub(super) struct Walk<'s, 't> {
    sources: &'s [Source],
    pub(super) columns: Vec<Column>,
    /// Whether all of it was understood.
    pub(super) is_whole: bool,
    /// The SELECTs in it, to be read as blocks of their own.
    pub(super) selects: Vec<&'t pb::SelectStmt>,
    /// Within a SELECT of its own: columns without a table are that one's, or ours.
    is_nested: bool,
}

impl<'s, 't> Walk<'s, 't> {
    pub(super) fn new(sources: &'s [Source]) -> Self {
        Self {
            sources,
            columns: Vec::new(),
            is_whole: true,
            selects: Vec::new(),
            is_nested: false,
        }
    }

    pub(super) fn all(&mut self, nodes: &'t [pb::Node], depth: usize) {
        nodes.iter().for_each(|node| self.one(node, depth));
    }

    fn option(&mut self, node: &'t Option<Box<pb::Node>>, depth: usize) {
        if let Some(node) = node {
            self.one(node, depth);
        }
    }

    pub(super) fn one(&mut self, node: &'t pb::Node, depth: usize) {
        use NodeEnum as N;
        let Some(node) = &node.node else { return };
        if depth > DEPTH_MAX {
            self.is_whole = false;
            return;
        }
        let depth = depth + 1;
        match node {
            N::ColumnRef(column) => self.column(column),
            N::ParamRef(_) | N::AConst(_) | N::SqlvalueFunction(_) | N::SetToDefault(_) => {}
            N::ResTarget(target) => self.option(&target.val, depth),
            N::SortBy(sort) => self.option(&sort.node, depth),
            N::AExpr(expression) => {
                self.option(&expression.lexpr, depth);
                self.option(&expression.rexpr, depth);
            }
            N::BoolExpr(expression) => self.all(&expression.args, depth),
            N::NullTest(test) => self.option(&test.arg, depth),
            N::BooleanTest(test) => self.option(&test.arg, depth),
            N::TypeCast(cast) => self.option(&cast.arg, depth),
            N::CollateClause(clause) => self.option(&clause.arg, depth),
            N::CoalesceExpr(coalesce) => self.all(&coalesce.args, depth),
            N::MinMaxExpr(of) => self.all(&of.args, depth),
            N::List(list) => self.all(&list.items, depth),
            N::RowExpr(row) => self.all(&row.args, depth),
            N::AArrayExpr(array) => self.all(&array.elements, depth),
            N::CaseExpr(case) => {
                self.option(&case.arg, depth);
                self.all(&case.args, depth);
                self.option(&case.defresult, depth);
            }
            N::CaseWhen(when) => {
                self.option(&when.expr, depth);
                self.option(&when.result, depth);
            }
            N::FuncCall(call) => {
                self.all(&call.args, depth);
                self.all(&call.agg_order, depth);
                self.option(&call.agg_filter, depth);
                self.is_whole &= call.over.is_none();
            }
            N::SubLink(link) => {
                self.option(&link.testexpr, depth);
                self.nested(link.subselect.as_deref(), depth);
            }
            N::JoinExpr(join) => {
                self.option(&join.larg, depth);
                self.option(&join.rarg, depth);
                self.option(&join.quals, depth);
            }
            N::RangeVar(_) => {}
            N::RangeSubselect(select) => self.nested(select.subquery.as_deref(), depth),
            _ => self.is_whole = false,
        }
    }

    fn nested(&mut self, select: Option<&'t pb::Node>, depth: usize) {
        let Some(NodeEnum::SelectStmt(select)) = select.and_then(|node| node.node.as_ref()) else {
            self.is_whole = false;
            return;
        };
        if !self.is_nested {
            self.selects.push(select);
        }
        let was = std::mem::replace(&mut self.is_nested, true);
        self.select(select, depth);
        self.is_nested = was;
    }

    fn select(&mut self, select: &'t pb::SelectStmt, depth: usize) {
        self.is_whole &= select.larg.is_none() && select.with_clause.is_none();
        for list in [
            &select.target_list,
            &select.from_clause,
            &select.group_clause,
            &select.sort_clause,
            &select.values_lists,
        ] {
            self.all(list, depth);
        }
        self.option(&select.where_clause, depth);
        self.option(&select.having_clause, depth);
    }

    fn column(&mut self, column: &pb::ColumnRef) {
        let place = place(column, self.sources);
        let is_star = matches!(
            column.fields.last().and_then(|last| last.node.as_ref()),
            Some(NodeEnum::AStar(_))
        );
        if is_star {
            // `count(*)`, or a whole row.
            self.is_whole &= self.is_nested || column.fields.len() == 1;
        } else if self.is_nested && column.fields.len() == 1 {
            // It may be ours after all. That of a select list hardly ever is, nor does it matter there.
            self.columns.push(Column {
                place: Place::Outside,
                name: name(column),
            });
        } else {
            self.columns.push(Column {
                place,
                name: name(column),
            });
        }
    }
}

/// The column's name without its table's.
fn name(column: &pb::ColumnRef) -> Box<str> {
    names(&column.fields).last().copied().unwrap_or("").into()
}

/// The column that is named.
pub(super) fn column(column: &pb::ColumnRef, sources: &[Source]) -> Option<Column> {
    let found = Column {
        place: place(column, sources),
        name: name(column),
    };
    (names(&column.fields).len() == column.fields.len()).then_some(found)
}

/// Which source a column, or `t.*`, belongs to.
pub(super) fn place(column: &pb::ColumnRef, sources: &[Source]) -> Place {
    let Some((_, qualifier)) = column.fields.split_last() else {
        return Place::Unsaid;
    };
    let Some(alias) = names(qualifier).last().copied() else {
        return if sources.len() == 1 {
            Place::Source(0)
        } else {
            Place::Unsaid
        };
    };
    let known = sources.iter().position(|source| *source.alias == *alias);
    known.map_or(Place::Outside, Place::Source)
}
