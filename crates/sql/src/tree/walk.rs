//! How the parse tree is walked: for each sort of node, the children that a [`Reader`] goes on to.
//!
//! Names of types and operators, column names and aliases are not walked: neither constants nor relations hide in them.
//! `every_constant_is_reached` in the tests compares the table below with the tree's own serialisation.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::reader::Reader;

/// A part of a parse tree.
pub(super) trait Part {
    fn read(&self, reader: &mut Reader<'_>);
}

impl Part for pb::Node {
    fn read(&self, reader: &mut Reader<'_>) {
        self.node.read(reader);
    }
}

impl<T: Part> Part for Option<T> {
    fn read(&self, reader: &mut Reader<'_>) {
        if let Some(part) = self {
            part.read(reader);
        }
    }
}

impl<T: Part> Part for Box<T> {
    fn read(&self, reader: &mut Reader<'_>) {
        (**self).read(reader);
    }
}

impl<T: Part> Part for Vec<T> {
    fn read(&self, reader: &mut Reader<'_>) {
        for part in self {
            part.read(reader);
        }
    }
}

/// The nodes that a reader treats in a way of its own: `Part` is implemented beside it.
macro_rules! nodes {
    (own { $($own:ident)* } plain { $($node:ident { $($field:ident)* })* } inner { $($inner:ident { $($inner_field:ident)* })* }) => {
        impl Part for NodeEnum {
            fn read(&self, reader: &mut Reader<'_>) {
                match self {
                    $(NodeEnum::$own(node) => node.read(reader),)*
                    $(NodeEnum::$node(node) => node.read(reader),)*
                    NodeEnum::CtecycleClause(node) => node.read(reader),
                    NodeEnum::SqlvalueFunction(node) => node.read(reader),
                    _ => {}
                }
            }
        }
        $(impl Part for pb::$node {
            fn read(&self, reader: &mut Reader<'_>) {
                $(self.$field.read(reader);)*
            }
        })*
        $(impl Part for pb::$inner {
            fn read(&self, reader: &mut Reader<'_>) {
                $(self.$inner_field.read(reader);)*
            }
        })*
    };
}

nodes! {
    own {
        AConst FuncCall RangeVar LockingClause IntoClause
        SelectStmt InsertStmt UpdateStmt DeleteStmt MergeStmt
    }
    plain {
        List { items }
        // Expressions.
        AExpr { lexpr rexpr }
        AArrayExpr { elements }
        AIndices { lidx uidx }
        AIndirection { arg indirection }
        BoolExpr { args }
        BooleanTest { arg }
        CaseExpr { arg args defresult }
        CaseWhen { expr result }
        CoalesceExpr { args }
        CollateClause { arg }
        GroupingFunc { args }
        MinMaxExpr { args }
        NamedArgExpr { arg }
        NullTest { arg }
        RowExpr { args }
        SubLink { testexpr subselect }
        TypeCast { arg }
        XmlExpr { named_args args }
        XmlSerialize { expr }
        // Clauses.
        GroupingSet { content }
        IndexElem { expr }
        InferClause { index_elems where_clause }
        MergeWhenClause { condition target_list values }
        MultiAssignRef { source }
        OnConflictClause { infer target_list where_clause }
        ResTarget { indirection val }
        ReturningClause { exprs }
        SortBy { node }
        WindowDef { partition_clause order_clause start_offset end_offset }
        // FROM.
        JoinExpr { larg rarg quals }
        RangeFunction { functions }
        RangeSubselect { subquery }
        RangeTableFunc { docexpr rowexpr namespaces columns }
        RangeTableFuncCol { colexpr coldefexpr }
        RangeTableSample { relation args repeatable }
        // SQL/JSON.
        JsonAggConstructor { agg_filter agg_order over }
        JsonArgument { val }
        JsonArrayAgg { constructor arg }
        JsonArrayConstructor { exprs }
        JsonArrayQueryConstructor { query }
        JsonBehavior { expr }
        JsonFuncExpr { context_item pathspec passing on_empty on_error }
        JsonIsPredicate { expr }
        JsonKeyValue { key value }
        JsonObjectAgg { constructor arg }
        JsonObjectConstructor { exprs }
        JsonParseExpr { expr }
        JsonScalarExpr { expr }
        JsonSerializeExpr { expr }
        JsonTable { context_item pathspec passing columns on_error }
        JsonTableColumn { pathspec columns on_empty on_error }
        JsonTablePathSpec { string }
        JsonValueExpr { raw_expr }
    }
    inner {
        CteCycleClause { cycle_mark_value cycle_mark_default }
    }
}
