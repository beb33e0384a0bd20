//! Statements that are no queries.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::reader::Reader;
use super::walk::Part;
use super::{Masked, Single, read_statement};
use crate::{Kind, SessionState, SettingName, TransactionControl};

/// `WITH HOLD`, in the options of `DECLARE`.
const CURSOR_OPT_HOLD: i32 = 0x20;

/// Reads a statement that is no query.
pub(super) fn read(node: &NodeEnum, reader: &mut Reader<'_>) -> Single {
    match node {
        NodeEnum::TransactionStmt(statement) => transaction(statement),
        NodeEnum::CopyStmt(statement) => copy(statement, reader),
        NodeEnum::ExplainStmt(statement) => explain(statement, reader),
        NodeEnum::DoStmt(_) => opaque("DO", reader),
        NodeEnum::CallStmt(statement) => {
            statement.funccall.read(reader);
            opaque("CALL", reader)
        }
        NodeEnum::ExecuteStmt(statement) => {
            let single = opaque("EXECUTE", reader);
            Single {
                utility: masked(Some(&statement.name)),
                ..single
            }
        }
        NodeEnum::NotifyStmt(_) => plain(Kind::Utility, "NOTIFY"),
        NodeEnum::CheckPointStmt(_) => plain(Kind::Utility, "CHECKPOINT"),
        NodeEnum::ConstraintsSetStmt(_) => plain(Kind::Session, "SET CONSTRAINTS"),
        NodeEnum::LockStmt(_) => {
            reader.found.locks = true;
            plain(Kind::Utility, "LOCK")
        }
        NodeEnum::VacuumStmt(statement) => plain(
            Kind::Utility,
            if statement.is_vacuumcmd {
                "VACUUM"
            } else {
                "ANALYZE"
            },
        ),
        NodeEnum::ClusterStmt(_) => plain(Kind::Utility, "CLUSTER"),
        NodeEnum::ReindexStmt(_) => plain(Kind::Utility, "REINDEX"),
        NodeEnum::RefreshMatViewStmt(statement) => {
            statement
                .relation
                .iter()
                .for_each(|relation| reader.found.write(relation));
            plain(Kind::Utility, "REFRESH MATERIALIZED VIEW")
        }
        _ => session(node, reader).unwrap_or_else(|| super::ddl::read(node, reader)),
    }
}

fn plain(kind: Kind, verb: &'static str) -> Single {
    Single {
        kind,
        verb,
        transaction: None,
        utility: masked(None),
    }
}

fn masked(name: Option<&str>) -> Option<Masked> {
    Some(Masked {
        numbers: true,
        name: name.map(Into::into),
    })
}

/// What it does cannot be seen: it may write anything and leave anything behind.
fn opaque(verb: &'static str, reader: &mut Reader<'_>) -> Single {
    reader.found.is_opaque();
    reader.found.hidden_writes = true;
    plain(Kind::Unknown, verb)
}

fn transaction(statement: &pb::TransactionStmt) -> Single {
    use pb::TransactionStmtKind as Sort;
    let (control, verb) = match statement.kind() {
        Sort::TransStmtBegin | Sort::TransStmtStart => (TransactionControl::Begin, "BEGIN"),
        Sort::TransStmtCommit => (TransactionControl::Commit, "COMMIT"),
        Sort::TransStmtRollback | Sort::Undefined => (TransactionControl::Rollback, "ROLLBACK"),
        Sort::TransStmtSavepoint => (TransactionControl::Savepoint, "SAVEPOINT"),
        Sort::TransStmtRelease => (TransactionControl::Release, "RELEASE"),
        Sort::TransStmtRollbackTo => (TransactionControl::RollbackTo, "ROLLBACK TO"),
        Sort::TransStmtPrepare => (TransactionControl::Prepare, "PREPARE TRANSACTION"),
        Sort::TransStmtCommitPrepared => (TransactionControl::CommitPrepared, "COMMIT PREPARED"),
        Sort::TransStmtRollbackPrepared => {
            (TransactionControl::RollbackPrepared, "ROLLBACK PREPARED")
        }
    };
    let name = Some(statement.savepoint_name.as_str()).filter(|name| !name.is_empty());
    Single {
        kind: Kind::Transaction,
        verb,
        transaction: Some(control),
        utility: masked(name),
    }
}

fn copy(statement: &pb::CopyStmt, reader: &mut Reader<'_>) -> Single {
    if let Some(relation) = &statement.relation {
        if statement.is_from {
            reader.found.write(relation);
        } else {
            reader.found.read(relation);
        }
    }
    statement.query.read(reader);
    statement.where_clause.read(reader);
    plain(Kind::Copy, "COPY")
}

/// `EXPLAIN` without `ANALYZE` only plans: what its statement writes or leaves behind does not happen, but functions may
/// run.
fn explain(statement: &pb::ExplainStmt, reader: &mut Reader<'_>) -> Single {
    let is_analyze = |option: &pb::Node| match &option.node {
        Some(NodeEnum::DefElem(option)) => option.defname == "analyze" && !is_off(option),
        _ => false,
    };
    let runs = statement.options.iter().any(is_analyze);
    let before = reader.found.clone();
    let inner = statement
        .query
        .as_ref()
        .and_then(|query| query.node.as_ref());
    let inner = inner.map(|query| read_statement(query, reader));
    if !runs {
        let found = &mut reader.found;
        found.writes = before.writes;
        found.session = before.session;
        if found.calls_unknown {
            found.is_opaque();
        }
        found.locks = before.locks;
        found.hidden_writes = before.hidden_writes;
    }
    let opaque = runs && inner.is_some_and(|inner| inner.kind == Kind::Unknown);
    plain(
        if opaque { Kind::Unknown } else { Kind::Utility },
        "EXPLAIN",
    )
}

fn is_off(option: &pb::DefElem) -> bool {
    match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::String(value)) => ["off", "false", "0"]
            .iter()
            .any(|off| value.sval.eq_ignore_ascii_case(off)),
        Some(NodeEnum::Boolean(value)) => !value.boolval,
        Some(NodeEnum::Integer(value)) => value.ival == 0,
        _ => false,
    }
}

/// Statements about this session.
fn session(node: &NodeEnum, reader: &mut Reader<'_>) -> Option<Single> {
    use SessionState as State;
    let session = &mut reader.found.session;
    let (verb, name) = match node {
        NodeEnum::VariableSetStmt(statement) => (variable(statement, reader), None),
        NodeEnum::VariableShowStmt(_) => ("SHOW", None),
        NodeEnum::DiscardStmt(statement) => (discard(statement, reader), None),
        NodeEnum::ListenStmt(_) => {
            session.leave(State::LISTEN);
            ("LISTEN", None)
        }
        NodeEnum::UnlistenStmt(statement) => {
            session.take(State::LISTEN);
            let name = Some(&*statement.conditionname).filter(|name| !name.is_empty());
            session.facts_mut().unlistens.push(name.map(Into::into));
            ("UNLISTEN", None)
        }
        NodeEnum::LoadStmt(_) => {
            session.leave(State::HIDDEN);
            ("LOAD", None)
        }
        // What is prepared does not run yet: its relations are not read or written by this statement.
        NodeEnum::PrepareStmt(statement) => {
            session.leave(State::PREPARED);
            ("PREPARE", Some(&statement.name))
        }
        NodeEnum::DeallocateStmt(statement) => {
            session.take(State::PREPARED);
            let name = Some(&statement.name).filter(|_| !statement.isall);
            ("DEALLOCATE", name)
        }
        NodeEnum::DeclareCursorStmt(statement) => {
            statement.query.read(reader);
            if statement.options & CURSOR_OPT_HOLD != 0 {
                reader.found.session.leave(State::CURSOR);
            }
            ("DECLARE", Some(&statement.portalname))
        }
        NodeEnum::FetchStmt(statement) => {
            let verb = if statement.ismove { "MOVE" } else { "FETCH" };
            (verb, Some(&statement.portalname))
        }
        NodeEnum::ClosePortalStmt(statement) => {
            session.take(State::CURSOR);
            ("CLOSE", Some(&statement.portalname))
        }
        _ => return None,
    };
    let name = name.map(String::as_str).filter(|name| !name.is_empty());
    Some(Single {
        kind: Kind::Session,
        verb,
        transaction: None,
        utility: masked(name),
    })
}

/// What is planned and where a sequence stands concerns nobody; the rest is taken away.
fn discard(statement: &pb::DiscardStmt, reader: &mut Reader<'_>) -> &'static str {
    let session = &mut reader.found.session;
    match statement.target() {
        pb::DiscardMode::DiscardAll | pb::DiscardMode::Undefined => {
            session.take(SessionState::ALL.without(SessionState::HIDDEN));
            session.change(SettingName::All, true, false);
            session.facts_mut().discards_all = true;
            "DISCARD ALL"
        }
        pb::DiscardMode::DiscardTemp => {
            session.take(SessionState::TEMPORARY);
            "DISCARD"
        }
        _ => "DISCARD",
    }
}

fn variable(statement: &pb::VariableSetStmt, reader: &mut Reader<'_>) -> &'static str {
    use pb::VariableSetKind as Sort;
    let (kind, is_local) = (statement.kind(), statement.is_local);
    let session = &mut reader.found.session;
    let is_reset = matches!(kind, Sort::VarReset | Sort::VarSetDefault);
    match (kind, statement.name.as_str()) {
        (Sort::VarResetAll, _) => session.change(SettingName::All, true, false),
        (Sort::VarSetMulti, "SESSION CHARACTERISTICS") => {
            for name in ["deferrable", "isolation", "read_only"] {
                let name = format!("default_transaction_{name}");
                session.change(SettingName::named(&name), false, false);
            }
        }
        // They concern the transaction, by whatever name.
        (Sort::VarSetMulti, _)
        | (_, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable") => {}
        // The state of a generator, not a value.
        (_, "seed") => session.leave(SessionState::HIDDEN),
        (_, name) => {
            // The role goes with it.
            if name == "session_authorization" {
                session.change(SettingName::named("role"), is_reset, is_local);
            }
            session.change(SettingName::named(name), is_reset, is_local);
        }
    }
    match kind {
        Sort::VarReset | Sort::VarResetAll => "RESET",
        _ => "SET",
    }
}
