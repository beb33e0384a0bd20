//! What the functions that a statement calls do besides computing a value.
//!
//! A function may do anything, and a name outside Postgres's own catalogue does not tell. So only the functions of
//! `pg_catalog` are known, by the list beside this file, and those that the operator trusts.

use std::sync::LazyLock;

use pg_query::NodeEnum;
use pg_query::protobuf as pb;

use crate::{SessionState, SettingName, TrustedFunction};

/// What a call does besides computing a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effect {
    pub(super) session: CallEffect,
    pub(super) writes: bool,
}

/// What a call does to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallEffect {
    Nothing,
    Unknown,
    Leaves(SessionState),
    Takes(SessionState),
    /// `set_config`: the arguments say which setting.
    Sets,
    /// A setting by another name.
    SetsThis(&'static str),
}

/// The effect of a call, by the parts of the function's name.
pub(super) fn effect(name: &[&str], trusted: &[TrustedFunction]) -> Effect {
    let own = match name {
        [name] | ["pg_catalog", name] => Some(*name),
        _ => None,
    };
    let last = name.last().copied().unwrap_or_default();
    let session = if own == Some("set_config") {
        CallEffect::Sets
    } else if let Some((_, effect)) = SESSION.iter().find(|(known, _)| *known == last) {
        // In whatever schema: extensions can be in any.
        *effect
    } else if own.is_some_and(is_harmless) || trusted.iter().any(|function| function.covers(name)) {
        CallEffect::Nothing
    } else {
        CallEffect::Unknown
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
/// * those that do leave something ([`SESSION`], `set_config`),
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

/// The value of a text constant.
pub(super) fn text(node: &pb::Node) -> Option<&str> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(pb::a_const::Val::Sval(text)) => Some(&text.sval),
            _ => None,
        },
        _ => None,
    }
}

/// Which setting a call of `set_config` changes.
pub(super) fn setting_name(arguments: &[pb::Node]) -> SettingName {
    let Some(name) = arguments.first() else {
        return SettingName::Computed;
    };
    if let Some(name) = text(name) {
        return SettingName::named(name);
    }
    let mut node = &name.node;
    // `$1::text` is what some drivers make of it.
    if let Some(NodeEnum::TypeCast(cast)) = node
        && let Some(inner) = &cast.arg
    {
        node = &inner.node;
    }
    match node {
        Some(NodeEnum::ParamRef(parameter)) => {
            u16::try_from(parameter.number).map_or(SettingName::Computed, SettingName::Parameter)
        }
        _ => SettingName::Computed,
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

const HIDDEN: CallEffect = CallEffect::Leaves(SessionState::HIDDEN);
const LOCK: CallEffect = CallEffect::Leaves(SessionState::ADVISORY_LOCK);
const UNLOCK: CallEffect = CallEffect::Takes(SessionState::ADVISORY_LOCK);

/// Leave something behind that outlives the transaction, or take it away: session-level locks, temporary replication slots,
/// backups, connections of their own, settings, the seed of `random()`.
const SESSION: [(&str, CallEffect); 18] = [
    ("dblink_connect", HIDDEN),
    ("dblink_connect_u", HIDDEN),
    ("pg_advisory_lock", LOCK),
    ("pg_advisory_lock_shared", LOCK),
    ("pg_advisory_unlock", UNLOCK),
    ("pg_advisory_unlock_all", UNLOCK),
    ("pg_advisory_unlock_shared", UNLOCK),
    ("pg_backup_start", HIDDEN),
    ("pg_copy_logical_replication_slot", HIDDEN),
    ("pg_copy_physical_replication_slot", HIDDEN),
    ("pg_create_logical_replication_slot", HIDDEN),
    ("pg_create_physical_replication_slot", HIDDEN),
    ("pg_replication_origin_session_setup", HIDDEN),
    ("pg_start_backup", HIDDEN),
    ("pg_try_advisory_lock", LOCK),
    ("pg_try_advisory_lock_shared", LOCK),
    (
        "set_limit",
        CallEffect::SetsThis("pg_trgm.similarity_threshold"),
    ),
    ("setseed", HIDDEN),
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
