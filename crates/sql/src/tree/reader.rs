//! Reads the relations, functions and constants out of a query's tree.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::functions::{self, CallEffect};
use super::walk::Part;
use crate::lexer::is_word_byte;
use crate::{Relation, SessionEffect, SessionState, SettingName, TrustedFunction};

/// Walks a tree and keeps what it finds.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a [u8],
    trusted: &'a [TrustedFunction],
    /// Names of the common table expressions in scope.
    ctes: Vec<Box<str>>,
    pub(super) found: Found,
}

/// What a [`Reader`] finds. Lists hold duplicates, in the order in which the tree is walked.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) reads: Vec<Relation>,
    pub(super) writes: Vec<Relation>,
    pub(super) functions: Vec<Box<str>>,
    /// Where in the text a constant stands whose value is no part of the statement's structure.
    pub(super) constants: Vec<usize>,
    pub(super) session: SessionEffect,
    /// Set when a function is called that may do anything. The planner may do that, too: it runs what is declared immutable or
    /// stable to see what comes of it.
    pub(super) calls_unknown: bool,
    pub(super) locks: bool,
    pub(super) hidden_writes: bool,
}

impl Found {
    pub(super) fn read(&mut self, relation: &pb::RangeVar) {
        self.reads.push(name(relation));
    }

    pub(super) fn write(&mut self, relation: &pb::RangeVar) {
        self.writes.push(name(relation));
    }

    /// It may do anything unseen.
    pub(super) fn is_opaque(&mut self) {
        self.session.facts_mut().is_unknown = true;
    }
}

fn name(relation: &pb::RangeVar) -> Relation {
    let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
    Relation {
        schema: schema.map(Into::into),
        name: relation.relname.as_str().into(),
    }
}

/// True when the relation is in the session's own temporary schema.
/// Whether what is created under this name may be temporary. Where no schema is named, the search path decides, and nobody knows
/// what roles, databases and functions make of that.
pub(super) fn may_be_temporary(relation: &pb::RangeVar) -> bool {
    relation.relpersistence == "t" || may_be_temporary_schema(&relation.schemaname)
}

pub(super) fn may_be_temporary_schema(schema: &str) -> bool {
    matches!(schema, "" | "pg_temp") || schema.starts_with("pg_temp_")
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, trusted: &'a [TrustedFunction]) -> Reader<'a> {
        Reader {
            text: text.as_bytes(),
            trusted,
            ctes: Vec::new(),
            found: Found::default(),
        }
    }

    /// Reads a statement that may begin with `WITH`: `rest` sees the names that it introduces.
    fn with(&mut self, with: Option<&pb::WithClause>, rest: impl FnOnce(&mut Self)) {
        let outer = self.ctes.len();
        if let Some(with) = with {
            let ctes = || {
                with.ctes.iter().filter_map(|node| match &node.node {
                    Some(NodeEnum::CommonTableExpr(cte)) => Some(cte),
                    _ => None,
                })
            };
            if with.recursive {
                self.ctes
                    .extend(ctes().map(|cte| cte.ctename.as_str().into()));
            }
            for cte in ctes() {
                cte.ctequery.read(self);
                cte.cycle_clause.read(self);
                if !with.recursive {
                    self.ctes.push(cte.ctename.as_str().into());
                }
            }
        }
        rest(self);
        self.ctes.truncate(outer);
    }

    /// Reads clauses in which a bare integer is the number of a column: `ORDER BY 1`, `GROUP BY 1`, `DISTINCT ON (1)`.
    fn positions(&mut self, nodes: &[pb::Node]) {
        for node in nodes {
            match &node.node {
                Some(NodeEnum::AConst(constant)) if is_integer(constant) => {}
                Some(NodeEnum::SortBy(sort)) => {
                    self.positions(sort.node.as_deref().map_or(&[], std::slice::from_ref));
                }
                Some(NodeEnum::GroupingSet(set)) => self.positions(&set.content),
                Some(NodeEnum::RowExpr(row)) => self.positions(&row.args),
                _ => node.read(self),
            }
        }
    }

    /// Notes a constant when the text has it as a literal or as `TRUE`, `FALSE`, `NULL`; some constants in the tree come
    /// from other words (`EXTRACT(year FROM …)`, `FETCH FIRST ROW ONLY`) and are structure.
    fn constant(&mut self, constant: &pb::AConst) {
        let Ok(place) = usize::try_from(constant.location) else {
            return;
        };
        let Some(rest) = self.text.get(place..) else {
            return;
        };
        let is_word = |word: &str| {
            rest.len() >= word.len()
                && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
                && !rest.get(word.len()).copied().is_some_and(is_word_byte)
        };
        let is_literal = match rest {
            [b'0'..=b'9' | b'.' | b'\'' | b'$' | b'-', ..] => true,
            [
                b'e' | b'E' | b'b' | b'B' | b'x' | b'X' | b'n' | b'N',
                b'\'',
                ..,
            ] => true,
            [b'u' | b'U', b'&', b'\'', ..] => true,
            _ => ["true", "false", "null"].into_iter().any(is_word),
        };
        if is_literal {
            self.found.constants.push(place);
        }
    }

    fn call(&mut self, name: &[&str], arguments: &[pb::Node]) {
        let effect = functions::effect(name, self.trusted);
        let session = &mut self.found.session;
        match effect.session {
            CallEffect::Nothing => {}
            CallEffect::Unknown => {
                self.found.calls_unknown = true;
                session.facts_mut().is_unknown = true;
            }
            CallEffect::Leaves(state) => session.leave(state),
            CallEffect::Takes(state) => session.take(state),
            CallEffect::Sets => {
                let is_local = arguments.get(2).is_some_and(functions::is_true);
                session.change(functions::setting_name(arguments), false, is_local);
            }
            CallEffect::SetsThis(name) => session.change(SettingName::named(name), false, false),
        }
        self.found.hidden_writes |= effect.writes;
        self.found.functions.push(name.join(".").into());
    }

    /// Reads the expressions of a statement whose literals are no constants of its shape.
    pub(super) fn calls_in(&mut self, part: &impl Part) {
        let constants = self.found.constants.len();
        part.read(self);
        self.found.constants.truncate(constants);
    }
}

fn is_integer(constant: &pb::AConst) -> bool {
    matches!(constant.val, Some(pb::a_const::Val::Ival(_))) && !constant.isnull
}

impl Part for pb::AConst {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.constant(self);
    }
}

impl Part for pb::RangeVar {
    fn read(&self, reader: &mut Reader<'_>) {
        let plain = self.schemaname.is_empty() && self.catalogname.is_empty();
        if !(plain && reader.ctes.iter().any(|cte| **cte == *self.relname)) {
            reader.found.read(self);
        }
    }
}

impl Part for pb::FuncCall {
    fn read(&self, reader: &mut Reader<'_>) {
        let name = parts(&self.funcname);
        reader.call(&name, &self.args);
        // What set_config leaves behind is decided by its first argument, and by whether the last one is TRUE.
        let is_set_config = functions::is_set_config(&name);
        for (index, argument) in self.args.iter().enumerate() {
            let is_name = index == 0 && functions::text(argument).is_some();
            let is_local = index == 2 && functions::is_true(argument);
            if !(is_set_config && (is_name || is_local)) {
                argument.read(reader);
            }
        }
        self.agg_order.read(reader);
        self.agg_filter.read(reader);
        self.over.read(reader);
    }
}

impl Part for pb::SqlValueFunction {
    fn read(&self, reader: &mut Reader<'_>) {
        let name = functions::value_function(self.op());
        reader.found.functions.push(name.into());
    }
}

impl Part for pb::LockingClause {
    /// The relations named are aliases from the `FROM` clause.
    fn read(&self, reader: &mut Reader<'_>) {
        reader.found.locks = true;
    }
}

impl Part for pb::IntoClause {
    fn read(&self, reader: &mut Reader<'_>) {
        let Some(relation) = &self.rel else { return };
        reader.found.write(relation);
        if may_be_temporary(relation) && self.on_commit() != pb::OnCommitAction::OncommitDrop {
            reader.found.session.leave(SessionState::TEMPORARY);
        }
    }
}

impl Part for pb::SelectStmt {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.with(self.with_clause.as_ref(), |reader| {
            self.larg.read(reader);
            self.rarg.read(reader);
            reader.positions(&self.distinct_clause);
            self.target_list.read(reader);
            self.into_clause.read(reader);
            self.from_clause.read(reader);
            self.where_clause.read(reader);
            reader.positions(&self.group_clause);
            self.having_clause.read(reader);
            self.window_clause.read(reader);
            self.values_lists.read(reader);
            reader.positions(&self.sort_clause);
            self.limit_count.read(reader);
            self.limit_offset.read(reader);
            self.locking_clause.read(reader);
        });
    }
}

impl Part for pb::InsertStmt {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.with(self.with_clause.as_ref(), |reader| {
            self.relation
                .iter()
                .for_each(|relation| reader.found.write(relation));
            self.cols.read(reader);
            self.select_stmt.read(reader);
            self.on_conflict_clause.read(reader);
            self.returning_clause.read(reader);
        });
    }
}

impl Part for pb::UpdateStmt {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.with(self.with_clause.as_ref(), |reader| {
            self.relation
                .iter()
                .for_each(|relation| reader.found.write(relation));
            let is_settings = |relation: &pb::RangeVar| {
                relation.relname == "pg_settings"
                    && matches!(&*relation.schemaname, "" | "pg_catalog")
            };
            if self.relation.as_ref().is_some_and(is_settings) {
                // A rule of Postgres's own makes set_config of it.
                let session = &mut reader.found.session;
                session.change(SettingName::Computed, false, false);
            }
            self.target_list.read(reader);
            self.from_clause.read(reader);
            self.where_clause.read(reader);
            self.returning_clause.read(reader);
        });
    }
}

impl Part for pb::DeleteStmt {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.with(self.with_clause.as_ref(), |reader| {
            self.relation
                .iter()
                .for_each(|relation| reader.found.write(relation));
            self.using_clause.read(reader);
            self.where_clause.read(reader);
            self.returning_clause.read(reader);
        });
    }
}

impl Part for pb::MergeStmt {
    fn read(&self, reader: &mut Reader<'_>) {
        reader.with(self.with_clause.as_ref(), |reader| {
            self.relation
                .iter()
                .for_each(|relation| reader.found.write(relation));
            self.source_relation.read(reader);
            self.join_condition.read(reader);
            self.merge_when_clauses.read(reader);
            self.returning_clause.read(reader);
        });
    }
}

/// The parts of a name.
pub(super) fn parts(name: &[pb::Node]) -> Vec<&str> {
    name.iter()
        .filter_map(|part| match &part.node {
            Some(NodeEnum::String(part)) => Some(part.sval.as_str()),
            _ => None,
        })
        .collect()
}
