//! Statements that create, alter or drop an object or a right.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::reader::{Reader, may_be_temporary, may_be_temporary_schema, parts};
use super::walk::Part;
use super::{Masked, Single};
use crate::{Kind, Relation, SessionState};

/// Reads a statement that defines something. Whatever is not known to be anything else is one of these.
pub(super) fn read(node: &NodeEnum, reader: &mut Reader<'_>) -> Single {
    let verb = match node {
        NodeEnum::CreateStmt(statement) => {
            create(statement, reader);
            "CREATE TABLE"
        }
        NodeEnum::CreateForeignTableStmt(statement) => {
            statement
                .base_stmt
                .iter()
                .for_each(|statement| create(statement, reader));
            "CREATE FOREIGN TABLE"
        }
        NodeEnum::CreateTableAsStmt(statement) => {
            statement.into.read(reader);
            statement.query.read(reader);
            runs_prepared(statement.query.as_deref(), reader);
            "CREATE TABLE AS"
        }
        NodeEnum::ViewStmt(statement) => {
            write(statement.view.as_ref(), true, reader);
            statement.query.read(reader);
            "CREATE VIEW"
        }
        NodeEnum::CreateSeqStmt(statement) => {
            write(statement.sequence.as_ref(), true, reader);
            "CREATE SEQUENCE"
        }
        NodeEnum::CreateSchemaStmt(statement) => {
            let elements = statement
                .schema_elts
                .iter()
                .filter_map(|element| element.node.as_ref());
            elements.for_each(|element| {
                read(element, reader);
            });
            "CREATE SCHEMA"
        }
        NodeEnum::TruncateStmt(statement) => {
            for relation in &statement.relations {
                if let Some(NodeEnum::RangeVar(relation)) = &relation.node {
                    reader.found.write(relation);
                }
            }
            "TRUNCATE"
        }
        NodeEnum::DropStmt(statement) => {
            drop_objects(statement, reader);
            reader.found.session.take(SessionState::TEMPORARY);
            "DROP"
        }
        NodeEnum::DropOwnedStmt(_) => {
            reader.found.session.take(SessionState::TEMPORARY);
            "DROP OWNED"
        }
        // An extension's script may do anything.
        NodeEnum::CreateExtensionStmt(_) | NodeEnum::AlterExtensionStmt(_) => {
            reader.found.is_opaque();
            reader.found.hidden_writes = true;
            "CREATE EXTENSION"
        }
        _ => {
            let (verb, relation) = of_relation(node);
            write(relation, false, reader);
            temporary_objects(node, reader);
            runs_expressions(node, reader);
            verb
        }
    };
    let utility = Some(Masked {
        numbers: false,
        name: None,
    });
    Single {
        kind: Kind::Ddl,
        verb,
        transaction: None,
        utility,
    }
}

fn write(relation: Option<&pb::RangeVar>, creates: bool, reader: &mut Reader<'_>) {
    let Some(relation) = relation else { return };
    reader.found.write(relation);
    if creates && may_be_temporary(relation) {
        reader.found.session.leave(SessionState::TEMPORARY);
    }
}

fn create(statement: &pb::CreateStmt, reader: &mut Reader<'_>) {
    let lasts = statement.oncommit() != pb::OnCommitAction::OncommitDrop;
    write(statement.relation.as_ref(), lasts, reader);
}

/// `CREATE TABLE … AS EXECUTE`.
fn runs_prepared(query: Option<&pb::Node>, reader: &mut Reader<'_>) {
    if matches!(
        query.and_then(|query| query.node.as_ref()),
        Some(NodeEnum::ExecuteStmt(_))
    ) {
        reader.found.is_opaque();
        reader.found.hidden_writes = true;
    }
}

fn drop_objects(statement: &pb::DropStmt, reader: &mut Reader<'_>) {
    use pb::ObjectType as Sort;
    let is_relation = matches!(
        statement.remove_type(),
        Sort::ObjectTable
            | Sort::ObjectView
            | Sort::ObjectMatview
            | Sort::ObjectForeignTable
            | Sort::ObjectSequence
            | Sort::ObjectIndex
    );
    for object in &statement.objects {
        let Some(NodeEnum::List(names)) = &object.node else {
            continue;
        };
        if !is_relation {
            continue;
        }
        let names = names.items.iter().filter_map(|name| match &name.node {
            Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
            _ => None,
        });
        let names: Vec<&str> = names.collect();
        if let Some((name, schema)) = names.split_last() {
            let schema = schema.last().map(|schema| (*schema).into());
            reader.found.writes.push(Relation {
                schema,
                name: (*name).into(),
            });
        }
    }
}

/// The verb, and the relation that the statement is about.
fn of_relation(node: &NodeEnum) -> (&'static str, Option<&pb::RangeVar>) {
    match node {
        NodeEnum::AlterTableStmt(statement) => ("ALTER TABLE", statement.relation.as_ref()),
        NodeEnum::IndexStmt(statement) => ("CREATE INDEX", statement.relation.as_ref()),
        NodeEnum::RenameStmt(statement) => ("ALTER", statement.relation.as_ref()),
        NodeEnum::AlterObjectSchemaStmt(statement) => ("ALTER", statement.relation.as_ref()),
        NodeEnum::AlterObjectDependsStmt(statement) => ("ALTER", statement.relation.as_ref()),
        NodeEnum::AlterOwnerStmt(statement) => ("ALTER", statement.relation.as_ref()),
        NodeEnum::AlterSeqStmt(statement) => ("ALTER SEQUENCE", statement.sequence.as_ref()),
        NodeEnum::RuleStmt(statement) => ("CREATE RULE", statement.relation.as_ref()),
        NodeEnum::CreateTrigStmt(statement) => ("CREATE TRIGGER", statement.relation.as_ref()),
        NodeEnum::CreatePolicyStmt(statement) => ("CREATE POLICY", statement.table.as_ref()),
        NodeEnum::AlterPolicyStmt(statement) => ("ALTER POLICY", statement.table.as_ref()),
        NodeEnum::CompositeTypeStmt(_)
        | NodeEnum::CreateEnumStmt(_)
        | NodeEnum::CreateRangeStmt(_) => ("CREATE TYPE", None),
        NodeEnum::CreateFunctionStmt(_) => ("CREATE FUNCTION", None),
        NodeEnum::GrantStmt(statement) => (
            if statement.is_grant {
                "GRANT"
            } else {
                "REVOKE"
            },
            None,
        ),
        NodeEnum::GrantRoleStmt(statement) => (
            if statement.is_grant {
                "GRANT"
            } else {
                "REVOKE"
            },
            None,
        ),
        NodeEnum::CommentStmt(_) => ("COMMENT", None),
        NodeEnum::CreateRoleStmt(_) => ("CREATE ROLE", None),
        NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => ("ALTER ROLE", None),
        NodeEnum::SecLabelStmt(_) => ("SECURITY LABEL", None),
        _ => ("DDL", None),
    }
}

/// A new default, a check, an index or a change of type computes something for every row there is.
fn runs_expressions(node: &NodeEnum, reader: &mut Reader<'_>) {
    let of_constraint = |constraint: &pb::Node, reader: &mut Reader<'_>| {
        if let Some(NodeEnum::Constraint(constraint)) = &constraint.node {
            reader.calls_in(&constraint.raw_expr);
        }
    };
    match node {
        NodeEnum::AlterTableStmt(statement) => {
            let definitions = statement
                .cmds
                .iter()
                .filter_map(|command| match &command.node {
                    Some(NodeEnum::AlterTableCmd(command)) => command.def.as_deref(),
                    _ => None,
                });
            for definition in definitions {
                if let Some(NodeEnum::ColumnDef(column)) = &definition.node {
                    reader.calls_in(&column.raw_default);
                    for constraint in &column.constraints {
                        of_constraint(constraint, reader);
                    }
                }
                of_constraint(definition, reader);
            }
        }
        NodeEnum::AlterDomainStmt(statement) => {
            if let Some(definition) = &statement.def {
                of_constraint(definition, reader);
            }
        }
        NodeEnum::IndexStmt(statement) => {
            reader.calls_in(&statement.index_params);
            reader.calls_in(&statement.where_clause);
        }
        _ => {}
    }
}

/// Functions, types and other objects can be created in the session's temporary schema, too.
fn temporary_objects(node: &NodeEnum, reader: &mut Reader<'_>) {
    let names: &[pb::Node] = match node {
        NodeEnum::CreateFunctionStmt(statement) => &statement.funcname,
        NodeEnum::CreateEnumStmt(statement) => &statement.type_name,
        NodeEnum::CreateRangeStmt(statement) => &statement.type_name,
        NodeEnum::CreateDomainStmt(statement) => &statement.domainname,
        NodeEnum::DefineStmt(statement) => &statement.defnames,
        NodeEnum::CreateOpClassStmt(statement) => &statement.opclassname,
        NodeEnum::CreateOpFamilyStmt(statement) => &statement.opfamilyname,
        NodeEnum::CreateStatsStmt(statement) => &statement.defnames,
        NodeEnum::CreateConversionStmt(statement) => &statement.conversion_name,
        NodeEnum::CompositeTypeStmt(statement) => {
            if statement.typevar.as_ref().is_some_and(may_be_temporary) {
                reader.found.session.leave(SessionState::TEMPORARY);
            }
            return;
        }
        _ => return,
    };
    let schema = match *parts(names) {
        [.., schema, _] => schema,
        _ => "",
    };
    if may_be_temporary_schema(schema) {
        reader.found.session.leave(SessionState::TEMPORARY);
    }
}
