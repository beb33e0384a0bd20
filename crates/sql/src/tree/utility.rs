//! Statements that are no queries.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use super::reader::Reader;
use super::walk::Part;
use super::{Masked, Single, read_statement};
use crate::{Kind, SessionEffect, TransactionControl};

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
    reader.found.affects_session(SessionEffect::Unknown);
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
            found.affects_session(SessionEffect::Unknown);
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
///
/// * What gives the session something that its client may rely upon later pins ([`SessionEffect::Sets`]): settings,
///   `LISTEN`, prepared statements, cursors `WITH HOLD`, loaded libraries.
/// * What takes something away that a pool of connections may rely upon, or puts settings back to values that need not be
///   the pool's, makes the session unknown: `RESET`, `SET … TO DEFAULT`, `DISCARD ALL`, `DEALLOCATE`. Nothing is left that
///   the client could miss, so it is not pinned (many drivers send `DISCARD ALL` on every return to their own pool).
/// * What only takes away what pinned in the first place, or ends with the transaction, has no effect: `UNLISTEN`,
///   `DISCARD PLANS`, `SEQUENCES` and `TEMP`, `CLOSE`, `SET LOCAL`, `SET TRANSACTION`.
fn session(node: &NodeEnum, reader: &mut Reader<'_>) -> Option<Single> {
    use SessionEffect::{None as Nothing, Sets, Unknown};
    let (verb, effect, name) = match node {
        NodeEnum::VariableSetStmt(statement) => {
            let (verb, effect) = variable(statement);
            (verb, effect, None)
        }
        NodeEnum::VariableShowStmt(_) => ("SHOW", Nothing, None),
        NodeEnum::DiscardStmt(statement) => match statement.target() {
            pb::DiscardMode::DiscardAll | pb::DiscardMode::Undefined => {
                ("DISCARD ALL", Unknown, None)
            }
            _ => ("DISCARD", Nothing, None),
        },
        NodeEnum::ListenStmt(_) => ("LISTEN", Sets, None),
        NodeEnum::UnlistenStmt(_) => ("UNLISTEN", Nothing, None),
        NodeEnum::LoadStmt(_) => ("LOAD", Sets, None),
        // What is prepared does not run yet: its relations are not read or written by this statement.
        NodeEnum::PrepareStmt(statement) => ("PREPARE", Sets, Some(&statement.name)),
        NodeEnum::DeallocateStmt(statement) => (
            "DEALLOCATE",
            Unknown,
            Some(&statement.name).filter(|_| !statement.isall),
        ),
        NodeEnum::DeclareCursorStmt(statement) => {
            statement.query.read(reader);
            let holds = statement.options & CURSOR_OPT_HOLD != 0;
            (
                "DECLARE",
                if holds { Sets } else { Nothing },
                Some(&statement.portalname),
            )
        }
        NodeEnum::FetchStmt(statement) => (
            if statement.ismove { "MOVE" } else { "FETCH" },
            Nothing,
            Some(&statement.portalname),
        ),
        NodeEnum::ClosePortalStmt(statement) => ("CLOSE", Nothing, Some(&statement.portalname)),
        _ => return None,
    };
    reader.found.affects_session(effect);
    let name = name.map(String::as_str).filter(|name| !name.is_empty());
    Some(Single {
        kind: Kind::Session,
        verb,
        transaction: None,
        utility: masked(name),
    })
}

fn variable(statement: &pb::VariableSetStmt) -> (&'static str, SessionEffect) {
    use pb::VariableSetKind as Sort;
    let verb = match statement.kind() {
        Sort::VarReset | Sort::VarResetAll => "RESET",
        _ => "SET",
    };
    if statement.is_local {
        return (verb, SessionEffect::None);
    }
    let effect = match statement.kind() {
        Sort::VarSetDefault | Sort::VarReset | Sort::VarResetAll => SessionEffect::Unknown,
        Sort::VarSetMulti => match statement.name.as_str() {
            "TRANSACTION" | "TRANSACTION SNAPSHOT" => SessionEffect::None,
            _ => SessionEffect::Sets,
        },
        // `SET transaction_isolation = …` is `SET TRANSACTION` by another name.
        _ => match statement.name.as_str() {
            "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {
                SessionEffect::None
            }
            _ => SessionEffect::Sets,
        },
    };
    (verb, effect)
}
