//! What the functions that a statement calls do besides computing a value.
//!
//! A function may do anything, and a name outside Postgres's own catalogue does not tell. So only the functions of
//! `pg_catalog` are known, by the list beside this file, and those that the operator trusts.

use std::sync::LazyLock;

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use crate::{SessionEffect, TrustedFunction};

/// What a call does besides computing a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) session: SessionEffect,
    pub(super) writes: bool,
}

/// The effect of a call, by the parts of the function's name.
pub(super) fn effect(name: &[&str], arguments: &[pb::Node], trusted: &[TrustedFunction]) -> Effect {
    let own = match name {
        [name] | ["pg_catalog", name] => Some(*name),
        _ => None,
    };
    let last = name.last().copied().unwrap_or_default();
    let is_local = || arguments.get(2).is_some_and(is_true);
    let session = if own == Some("set_config") {
        if is_local() {
            SessionEffect::None
        } else {
            SessionEffect::Sets
        }
    } else if LEAVES_STATE.contains(&last) {
        // In whatever schema: extensions can be in any.
        SessionEffect::Sets
    } else if own.is_some_and(is_harmless) || trusted.iter().any(|function| function.covers(name)) {
        SessionEffect::None
    } else {
        SessionEffect::Unknown
    };
    let is_common = own.is_some() || matches!(name, ["public", _]);
    Effect {
        session,
        writes: is_common && WRITES.contains(&last),
    }
}

/// Whether this is the function whose last argument decides what it leaves behind.
pub(super) fn is_set_config(name: &[&str]) -> bool {
    matches!(
        name,
        ["set_config"] | ["pg_catalog" | "public", "set_config"]
    )
}

/// Whether a function of `pg_catalog` leaves nothing behind in its session.
///
/// The list has the names that Postgres 15 comes with and those that 16 to 18 added, without
///
/// * those that do leave something ([`LEAVES_STATE`], `set_config`),
/// * those that run what they are given, be it a query, a relation (that may be a view), a check or an index expression:
///   `query_to_xml` and its kin, `ts_stat`, `ts_rewrite`, `domain_in`, `brin_summarize_range`, and the output plugin behind
///   `pg_logical_slot_get_changes`,
/// * those that are not for statements: handlers, validators, triggers, `binary_upgrade_…`.
///
/// Large objects are in it: their descriptors end with the transaction. A name stands for all functions so called; an
/// overload of somebody else's making is taken for Postgres's own.
fn is_harmless(name: &str) -> bool {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| PG_CATALOG.lines().collect());
    NAMES.binary_search(&name).is_ok()
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

/// A name a line, sorted.
const PG_CATALOG: &str = include_str!("pg_catalog_functions.txt");

/// Leave something behind that outlives the transaction: session-level locks, temporary replication slots, backups,
/// connections of their own, settings, the seed of `random()`.
const LEAVES_STATE: [&str; 15] = [
    "dblink_connect",
    "dblink_connect_u",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_backup_start",
    "pg_copy_logical_replication_slot",
    "pg_copy_physical_replication_slot",
    "pg_create_logical_replication_slot",
    "pg_create_physical_replication_slot",
    "pg_replication_origin_session_setup",
    "pg_start_backup",
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

#[cfg(test)]
mod tests;
