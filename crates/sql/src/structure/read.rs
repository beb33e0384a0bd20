//! From the tree to blocks.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::columns::{DEPTH_MAX, Walk, place};
use super::condition;
use super::tree::{conjuncts, names, parse};
use super::{Block, Column, Condition, Form, Place, Selected, Source, Structure};
use crate::Relation;
use crate::watched::likes;

/// More than any statement has that a person could read.
const BLOCKS_MAX: usize = 64;
const SOURCES_MAX: usize = 64;
const CONDITIONS_MAX: usize = 256;

pub(super) fn read(text: &str) -> Option<Structure> {
    let statement = parse(text)?;
    let mut reader = Reader {
        likes: likes(text).map(|like| like.position).collect(),
        ctes: Vec::new(),
        blocks: Vec::new(),
        is_whole: true,
    };
    match &statement {
        NodeEnum::SelectStmt(select) => reader.select(select, 0),
        NodeEnum::InsertStmt(insert) => reader.insert(insert),
        NodeEnum::UpdateStmt(update) => reader.change(&Change {
            relation: update.relation.as_ref(),
            from: &update.from_clause,
            condition: update.where_clause.as_deref(),
            with: update.with_clause.as_ref(),
        }),
        NodeEnum::DeleteStmt(delete) => reader.change(&Change {
            relation: delete.relation.as_ref(),
            from: &delete.using_clause,
            condition: delete.where_clause.as_deref(),
            with: delete.with_clause.as_ref(),
        }),
        _ => return None,
    }
    reader.is_whole.then_some(Structure {
        blocks: reader.blocks,
    })
}

/// What an UPDATE and a DELETE have in common.
struct Change<'t> {
    relation: Option<&'t pb::RangeVar>,
    from: &'t [pb::Node],
    condition: Option<&'t pb::Node>,
    with: Option<&'t pb::WithClause>,
}

struct Reader {
    /// Where in the text each LIKE stands.
    likes: Vec<usize>,
    /// Names of the common table expressions so far.
    ctes: Vec<Box<str>>,
    blocks: Vec<Block>,
    /// No bound was met.
    is_whole: bool,
}

/// A block that is being read.
#[derive(Default)]
struct Open<'t> {
    sources: Vec<Source>,
    /// Conditions, not yet taken apart.
    conditions: Vec<&'t pb::Node>,
    /// Sources that a NATURAL JOIN or USING links.
    linked: Vec<(usize, usize)>,
    subqueries: Vec<&'t pb::SelectStmt>,
}

impl Reader {
    fn select(&mut self, select: &pb::SelectStmt, depth: usize) {
        if depth > DEPTH_MAX || self.blocks.len() >= BLOCKS_MAX {
            self.is_whole = false;
            return;
        }
        let known = self.ctes.len();
        self.with(select.with_clause.as_ref(), depth + 1);
        if select.larg.is_some() || select.rarg.is_some() {
            for arm in [&select.larg, &select.rarg].into_iter().flatten() {
                self.select(arm, depth + 1);
            }
        } else {
            let mut open = Open::default();
            self.sources(&mut open, &select.from_clause, depth);
            open.conditions.extend(select.where_clause.as_deref());
            self.block(open, &select.target_list, depth);
        }
        self.ctes.truncate(known);
    }

    fn insert(&mut self, insert: &pb::InsertStmt) {
        self.with(insert.with_clause.as_ref(), 1);
        if let Some(NodeEnum::SelectStmt(select)) = insert
            .select_stmt
            .as_deref()
            .and_then(|node| node.node.as_ref())
        {
            self.select(select, 1);
        }
    }

    fn change(&mut self, change: &Change<'_>) {
        self.with(change.with, 1);
        let mut open = Open::default();
        if let Some(relation) = change.relation {
            self.table(&mut open, relation);
        }
        self.sources(&mut open, change.from, 0);
        open.conditions.extend(change.condition);
        self.block(open, &[], 0);
    }

    fn with(&mut self, with: Option<&pb::WithClause>, depth: usize) {
        for node in with.iter().flat_map(|with| &with.ctes) {
            let Some(NodeEnum::CommonTableExpr(cte)) = &node.node else {
                continue;
            };
            self.ctes.push(cte.ctename.as_str().into());
            let query = cte.ctequery.as_deref().and_then(|node| node.node.as_ref());
            if let Some(NodeEnum::SelectStmt(select)) = query {
                self.select(select, depth + 1);
            }
        }
    }

    fn sources<'t>(&mut self, open: &mut Open<'t>, nodes: &'t [pb::Node], depth: usize) {
        nodes.iter().for_each(|node| self.source(open, node, depth));
    }

    fn source<'t>(&mut self, open: &mut Open<'t>, node: &'t pb::Node, depth: usize) {
        if depth > DEPTH_MAX || open.sources.len() >= SOURCES_MAX {
            self.is_whole = false;
            return;
        }
        let alias = |alias: &Option<pb::Alias>| {
            let name = alias.as_ref().map(|alias| alias.aliasname.as_str());
            name.unwrap_or_default().into()
        };
        match &node.node {
            Some(NodeEnum::RangeVar(relation)) => self.table(open, relation),
            Some(NodeEnum::JoinExpr(join)) => {
                let first = open.sources.len();
                let sides = [&join.larg, &join.rarg];
                let mut ends = [first; 2];
                for (side, end) in sides.into_iter().zip(&mut ends) {
                    if let Some(side) = side {
                        self.source(open, side, depth + 1);
                    }
                    *end = open.sources.len();
                }
                open.conditions.extend(join.quals.as_deref());
                if join.is_natural || !join.using_clause.is_empty() {
                    let (left, right) = (first..ends[0], ends[0]..ends[1]);
                    let pairs = left.flat_map(|one| right.clone().map(move |two| (one, two)));
                    open.linked.extend(pairs);
                }
            }
            Some(NodeEnum::RangeSubselect(select)) => {
                open.sources.push(Source {
                    relation: None,
                    alias: alias(&select.alias),
                });
                let inner = select
                    .subquery
                    .as_deref()
                    .and_then(|node| node.node.as_ref());
                if let Some(NodeEnum::SelectStmt(inner)) = inner {
                    open.subqueries.push(inner);
                }
            }
            Some(NodeEnum::RangeFunction(function)) => open.sources.push(Source {
                relation: None,
                alias: alias(&function.alias),
            }),
            _ => open.sources.push(Source {
                relation: None,
                alias: "".into(),
            }),
        }
    }

    fn table(&mut self, open: &mut Open<'_>, relation: &pb::RangeVar) {
        let is_cte = relation.schemaname.is_empty()
            && self.ctes.iter().any(|name| **name == *relation.relname);
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        let alias = relation.alias.as_ref().map(|alias| &*alias.aliasname);
        open.sources.push(Source {
            relation: (!is_cte).then(|| Relation {
                schema: schema.map(Into::into),
                name: relation.relname.as_str().into(),
            }),
            alias: alias.unwrap_or(&relation.relname).into(),
        });
    }

    /// Closes a block, and reads what is in it.
    fn block(&mut self, open: Open<'_>, targets: &[pb::Node], depth: usize) {
        let sources = open.sources;
        let mut subqueries = open.subqueries;
        let mut conditions = Vec::new();
        for node in open.conditions.iter().flat_map(|node| conjuncts(node)) {
            let mut walk = Walk::new(&sources);
            walk.one(node, depth);
            subqueries.append(&mut walk.selects);
            conditions.push(condition::read(node, &sources, &self.likes));
        }
        for (one, two) in open.linked {
            let column = |source| Column {
                place: Place::Source(source),
                name: "".into(),
            };
            conditions.push(Condition {
                form: Form::Else,
                columns: vec![column(one), column(two)],
                is_whole: true,
            });
        }
        let mut walk = Walk::new(&sources);
        walk.all(targets, depth);
        subqueries.append(&mut walk.selects);
        self.is_whole &= conditions.len() <= CONDITIONS_MAX;
        let selected = targets.iter().map(|target| selected(target, &sources));
        self.blocks.push(Block {
            selected: selected.collect(),
            conditions,
            sources,
        });
        for select in subqueries {
            self.select(select, depth + 1);
        }
    }
}

fn selected(target: &pb::Node, sources: &[Source]) -> Selected {
    let Some(NodeEnum::ResTarget(target)) = &target.node else {
        return Selected::Expression;
    };
    let value = target.val.as_deref().and_then(|value| value.node.as_ref());
    let Some(NodeEnum::ColumnRef(column)) = value else {
        return Selected::Expression;
    };
    let is_star = matches!(
        column.fields.last().and_then(|last| last.node.as_ref()),
        Some(NodeEnum::AStar(_))
    );
    match (is_star, place(column, sources)) {
        (true, _) if column.fields.len() == 1 => Selected::All,
        (true, Place::Source(source)) => Selected::AllOf(source),
        (true, _) => Selected::Expression,
        (false, place) => Selected::Column(Column {
            place,
            name: names(&column.fields).last().copied().unwrap_or("").into(),
        }),
    }
}
