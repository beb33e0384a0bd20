//! What the parse tree says of a text.

mod ddl;
mod functions;
mod reader;
mod utility;
mod walk;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use self::reader::{Found, Reader};
use self::walk::Part;
use crate::reduce::Utility;
use crate::{Kind, Relation, SessionEffect, TransactionControl, TrustedFunction};

/// All that is read out of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: Kind,
    /// A few words for people.
    pub(crate) summary: String,
    /// Sorted, each once; so are the next two.
    pub(crate) reads: Vec<Relation>,
    pub(crate) writes: Vec<Relation>,
    pub(crate) functions: Vec<Box<str>>,
    pub(crate) session: SessionEffect,
    pub(crate) transaction: Option<TransactionControl>,
    pub(crate) locks: bool,
    pub(crate) hidden_writes: bool,
    /// Where in the text constants are that a shape leaves out, sorted.
    pub(crate) constants: Vec<usize>,
    /// The statements that are no queries.
    pub(crate) utilities: Vec<Utility>,
}

impl Facts {
    /// Of a text that may do anything.
    pub(crate) fn unknown(text: &str) -> Facts {
        let whole = Utility {
            range: 0..text.len(),
            numbers: true,
            name: None,
        };
        Facts {
            kind: Kind::Unknown,
            summary: "UNKNOWN".to_owned(),
            reads: Vec::new(),
            writes: Vec::new(),
            functions: Vec::new(),
            session: SessionEffect::unknown(),
            transaction: None,
            locks: false,
            hidden_writes: true,
            constants: Vec::new(),
            utilities: vec![whole],
        }
    }
}

/// Parses a text and reads the tree. What the parser refuses may do anything, and so may a function that is neither
/// Postgres's own nor trusted.
pub(crate) fn read(text: &str, trusted: &[TrustedFunction]) -> Facts {
    // The parser is C and its wrapper indexes into what it gets; nothing that a peer sends may take us down.
    let parsed = catch_unwind(AssertUnwindSafe(|| pg_query::parse(text, 0)));
    match parsed {
        Ok(Ok(result)) => read_statements(text, &result.protobuf.stmts, trusted),
        _ => Facts::unknown(text),
    }
}

/// One statement of a text.
#[derive(Debug)]
struct Single {
    kind: Kind,
    verb: &'static str,
    transaction: Option<TransactionControl>,
    /// Set when the statement is no query: its literals are left out of the shape whatever the tree says.
    utility: Option<Masked>,
}

/// What the shape of a statement that is no query leaves out besides strings.
#[derive(Debug, Default)]
struct Masked {
    numbers: bool,
    name: Option<Box<str>>,
}

fn read_statements(text: &str, statements: &[pb::RawStmt], trusted: &[TrustedFunction]) -> Facts {
    let mut reader = Reader::new(text, trusted);
    let mut kinds = Vec::with_capacity(statements.len());
    let mut verb = "";
    let mut transaction = None;
    let mut utilities = Vec::new();
    for raw in statements {
        let Some(node) = raw.stmt.as_ref().and_then(|stmt| stmt.node.as_ref()) else {
            continue;
        };
        let single = read_statement(node, &mut reader);
        if let Some(masked) = single.utility {
            let range = range(raw, text.len());
            utilities.push(Utility {
                range,
                numbers: masked.numbers,
                name: masked.name,
            });
        }
        kinds.push(single.kind);
        verb = single.verb;
        transaction = single.transaction.or(transaction);
    }
    let kind = match kinds[..] {
        [] => Kind::Empty,
        [only] => only,
        _ if kinds.contains(&Kind::Unknown) => Kind::Unknown,
        _ => Kind::Several,
    };
    if kinds.len() > 1 {
        verb = "SEVERAL";
    }
    let Found {
        reads,
        writes,
        functions,
        mut constants,
        session,
        calls_unknown: _,
        locks,
        hidden_writes,
    } = reader.found;
    constants.sort_unstable();
    constants.dedup();
    Facts {
        kind,
        summary: summary(verb, &writes, &reads),
        reads: sorted(reads),
        writes: sorted(writes),
        functions: sorted(functions),
        session,
        transaction,
        locks,
        hidden_writes,
        constants,
        utilities,
    }
}

fn range(raw: &pb::RawStmt, text_bytes: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => start..start + length,
        _ => start..text_bytes,
    }
}

fn read_statement(node: &NodeEnum, reader: &mut Reader<'_>) -> Single {
    let (kind, verb) = match node {
        NodeEnum::SelectStmt(select) if creates_table(select) => (Kind::Ddl, "SELECT INTO"),
        NodeEnum::SelectStmt(select) if !select.values_lists.is_empty() => (Kind::Select, "VALUES"),
        NodeEnum::SelectStmt(_) => (Kind::Select, "SELECT"),
        NodeEnum::InsertStmt(_) => (Kind::Insert, "INSERT"),
        NodeEnum::UpdateStmt(_) => (Kind::Update, "UPDATE"),
        NodeEnum::DeleteStmt(_) => (Kind::Delete, "DELETE"),
        NodeEnum::MergeStmt(_) => (Kind::Merge, "MERGE"),
        _ => return utility::read(node, reader),
    };
    node.read(reader);
    Single {
        kind,
        verb,
        transaction: None,
        utility: None,
    }
}

/// `SELECT … INTO`, where the clause may stand in the first branch of a set operation.
fn creates_table(select: &pb::SelectStmt) -> bool {
    select.into_clause.is_some()
        || select
            .larg
            .as_ref()
            .is_some_and(|first| creates_table(first))
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort_unstable();
    items.dedup();
    items
}

/// The verb, and the relations in the order of the statement, as far as they make a short label.
fn summary(verb: &str, writes: &[Relation], reads: &[Relation]) -> String {
    const RELATIONS_MAX: usize = 4;
    const BYTES_MAX: usize = 160;
    let mut named: Vec<&Relation> = Vec::new();
    let mut summary = verb.to_owned();
    for relation in writes.iter().chain(reads) {
        if named.contains(&relation) {
            continue;
        }
        let name = relation.to_string();
        if named.len() == RELATIONS_MAX || summary.len() + name.len() > BYTES_MAX {
            summary.push_str(" …");
            break;
        }
        summary.push(' ');
        summary.push_str(&name);
        named.push(relation);
    }
    summary
}

#[cfg(test)]
mod tests;
