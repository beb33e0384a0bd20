//! The functions of the catalogue and of common extensions that do more than compute a value.
//!
//! A user-defined function may do anything, and its name does not tell. Functions are therefore taken at their word: only
//! those below are known to write or to leave something behind in the session.

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use crate::SessionEffect;

/// What a call does besides computing a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) session: SessionEffect,
    pub(super) writes: bool,
}

/// The effect of a call.
pub(super) fn effect(name: &str, arguments: &[pb::Node]) -> Effect {
    let name = unqualified(name);
    if name == "set_config" {
        let is_local = arguments.get(2).is_some_and(is_true);
        let session = if is_local {
            SessionEffect::None
        } else {
            SessionEffect::Sets
        };
        return Effect {
            session,
            writes: false,
        };
    }
    let session = if LEAVES_STATE.contains(&name) {
        SessionEffect::Sets
    } else {
        SessionEffect::None
    };
    Effect {
        session,
        writes: WRITES.contains(&name),
    }
}

/// Whether this is the function whose last argument decides what it leaves behind.
pub(super) fn is_set_config(name: &str) -> bool {
    unqualified(name) == "set_config"
}

/// True for the keyword `TRUE` alone. A text, a cast or a parameter that may be true is not: it is in doubt.
pub(super) fn is_true(node: &pb::Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => {
            matches!(&constant.val, Some(pb::a_const::Val::Boolval(value)) if value.boolval)
        }
        _ => false,
    }
}

/// The name of a function that is called without parentheses.
pub(super) fn value_function(op: pb::SqlValueFunctionOp) -> &'static str {
    use pb::SqlValueFunctionOp as Op;
    match op {
        Op::SvfopCurrentDate => "current_date",
        Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => "current_time",
        Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => "current_timestamp",
        Op::SvfopLocaltime | Op::SvfopLocaltimeN => "localtime",
        Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => "localtimestamp",
        Op::SvfopCurrentRole => "current_role",
        Op::SvfopCurrentUser => "current_user",
        Op::SvfopUser => "user",
        Op::SvfopSessionUser => "session_user",
        Op::SvfopCurrentCatalog => "current_catalog",
        Op::SvfopCurrentSchema => "current_schema",
        Op::SqlvalueFunctionOpUndefined => "unknown",
    }
}

/// The name without the schemas in which the functions below are found: `pg_catalog`, and `public` for extensions.
fn unqualified(name: &str) -> &str {
    name.strip_prefix("pg_catalog.")
        .or_else(|| name.strip_prefix("public."))
        .unwrap_or(name)
}

/// Leave something behind that outlives the transaction: session-level locks, temporary replication slots, connections of
/// their own, settings, the seed of `random()`.
const LEAVES_STATE: [&str; 13] = [
    "dblink_connect",
    "dblink_connect_u",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_replication_origin_session_setup",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "set_limit",
    "setseed",
];

/// Write something that the text does not name as a relation.
const WRITES: [&str; 27] = [
    "dblink",
    "dblink_exec",
    "dblink_send_query",
    "lo_creat",
    "lo_create",
    "lo_export",
    "lo_from_bytea",
    "lo_import",
    "lo_open",
    "lo_put",
    "lo_truncate",
    "lo_truncate64",
    "lo_unlink",
    "lowrite",
    "nextval",
    "pg_create_restore_point",
    "pg_drop_replication_slot",
    "pg_import_system_collations",
    "pg_logical_emit_message",
    "pg_logical_slot_get_binary_changes",
    "pg_logical_slot_get_changes",
    "pg_replication_origin_create",
    "pg_replication_origin_drop",
    "pg_rotate_logfile",
    "pg_stat_reset",
    "pg_stat_statements_reset",
    "setval",
];
