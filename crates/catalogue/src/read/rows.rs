//! Rows as what they mean.

use tokio_postgres::{Error, Row};

use crate::activity::{LockWait, Session, SessionState};
use crate::relation::{
    Column, Constraint, ConstraintKind, ForeignKey, Index, IndexKey, Persistence, Relation,
    RelationKind, Sequence, TableStatistics,
};
use crate::snapshot::{Database, Server};
use crate::statement::Statement;

pub(super) fn server(row: &Row) -> Result<(Server, Database), Error> {
    let server = Server {
        version_number: u32::try_from(row.try_get::<_, i32>("version_number")?).unwrap_or(0),
        version: row.try_get("version")?,
        up_s: row.try_get("up_s")?,
        is_in_recovery: row.try_get("is_in_recovery")?,
        block_bytes: count(row, "block_bytes")?,
        sessions: row
            .try_get::<_, Option<i64>>("sessions")?
            .and_then(|count| u64::try_from(count).ok()),
    };
    let database = Database {
        name: row.try_get("name")?,
        bytes: count(row, "bytes")?,
        blocks_hit: count(row, "blocks_hit")?,
        blocks_read: count(row, "blocks_read")?,
        temp_files: count(row, "temp_files")?,
        temp_bytes: count(row, "temp_bytes")?,
        deadlocks: count(row, "deadlocks")?,
        statistics_age_s: row
            .try_get::<_, Option<f64>>("statistics_age_s")?
            .unwrap_or(0.0),
    };
    Ok((server, database))
}

pub(super) fn relation(row: &Row) -> Result<Relation, Error> {
    let kind = match row.try_get("kind")? {
        "p" => RelationKind::Partitioned,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::Foreign,
        _ => RelationKind::Table,
    };
    let persistence = match row.try_get("persistence")? {
        "u" => Persistence::Unlogged,
        _ => Persistence::Permanent,
    };
    let is_counted = row.try_get("is_counted")?;
    Ok(Relation {
        oid: row.try_get("oid")?,
        schema: row.try_get("schema")?,
        name: row.try_get("name")?,
        kind,
        persistence,
        is_partition: row.try_get("is_partition")?,
        is_of_extension: row.try_get("is_of_extension")?,
        // Before 14, a table that was never looked at has none of both.
        estimated_rows: match row.try_get("estimated_rows")? {
            Some(0.0) if row.try_get::<_, i64>("pages")? == 0 => None,
            rows => rows,
        },
        heap_bytes: count(row, "heap_bytes")?,
        index_bytes: count(row, "index_bytes")?,
        toast_bytes: count(row, "toast_bytes")?,
        fillfactor: percent(row, "fillfactor")?,
        columns: Vec::new(),
        statistics: if is_counted {
            Some(table_statistics(row)?)
        } else {
            None
        },
    })
}

fn table_statistics(row: &Row) -> Result<TableStatistics, Error> {
    Ok(TableStatistics {
        sequential_scans: count(row, "seq_scan")?,
        sequential_rows: count(row, "seq_tup_read")?,
        index_scans: count(row, "idx_scan")?,
        inserted: count(row, "n_tup_ins")?,
        updated: count(row, "n_tup_upd")?,
        updated_hot: count(row, "n_tup_hot_upd")?,
        deleted: count(row, "n_tup_del")?,
        live_rows: count(row, "n_live_tup")?,
        dead_rows: count(row, "n_dead_tup")?,
        modified_since_analyze: count(row, "n_mod_since_analyze")?,
        vacuumed_s_ago: row.try_get("vacuumed_s_ago")?,
        analysed_s_ago: row.try_get("analysed_s_ago")?,
        blocks_hit: count(row, "blocks_hit")?,
        blocks_read: count(row, "blocks_read")?,
    })
}

/// Gives each relation its columns. Rows come in the order of relations' OIDs.
pub(super) fn assign_columns(relations: &mut [Relation], rows: &[Row]) -> Result<(), Error> {
    let mut at: std::collections::HashMap<u32, usize> = std::collections::HashMap::new();
    for (number, relation) in relations.iter().enumerate() {
        at.insert(relation.oid, number);
    }
    for row in rows {
        let column = Column {
            number: row.try_get("number")?,
            name: row.try_get("name")?,
            type_name: row.try_get("type_name")?,
            type_oid: row.try_get("type_oid")?,
            is_not_null: row.try_get("is_not_null")?,
            average_width_bytes: row.try_get("average_width")?,
            null_fraction: row.try_get("null_fraction")?,
            distinct: row.try_get("distinct_values")?,
        };
        if let Some(number) = at.get(&row.try_get("relation")?) {
            relations[*number].columns.push(column);
        }
    }
    Ok(())
}

pub(super) fn index(row: &Row) -> Result<Index, Error> {
    let columns: Vec<i16> = row.try_get("columns")?;
    let key_count = usize::try_from(row.try_get::<_, i32>("key_count")?).unwrap_or(0);
    let (classes, collations): (Vec<u32>, Vec<u32>) =
        (row.try_get("classes")?, row.try_get("collations")?);
    let (options, texts): (Vec<i16>, Vec<String>) =
        (row.try_get("options")?, row.try_get("texts")?);
    let keys = texts.into_iter().enumerate().map(|(at, text)| IndexKey {
        column: columns.get(at).copied().filter(|number| *number > 0),
        text,
        operator_class: classes.get(at).copied().unwrap_or(0),
        collation: collations.get(at).copied().unwrap_or(0),
        options: options.get(at).copied().unwrap_or(0),
    });
    Ok(Index {
        oid: row.try_get("oid")?,
        relation: row.try_get("relation")?,
        schema: row.try_get("schema")?,
        name: row.try_get("name")?,
        method: row.try_get("method")?,
        keys: keys.collect(),
        included: columns.get(key_count..).unwrap_or_default().to_vec(),
        predicate: row.try_get("predicate")?,
        definition: row.try_get("definition")?,
        is_unique: row.try_get("is_unique")?,
        is_primary: row.try_get("is_primary")?,
        backs_constraint: row.try_get("backs_constraint")?,
        is_replica_identity: row.try_get("is_replica_identity")?,
        is_partition: row.try_get("is_partition")?,
        is_valid: row.try_get("is_valid")?,
        is_being_built: row.try_get("is_being_built")?,
        bytes: count(row, "bytes")?,
        estimated_entries: row.try_get("entries")?,
        fillfactor: percent(row, "fillfactor")?,
        scans: count(row, "scans")?,
        scanned_s_ago: row.try_get("scanned_s_ago")?,
    })
}

pub(super) fn constraint(row: &Row) -> Result<Constraint, Error> {
    let kind = match row.try_get("kind")? {
        "p" => ConstraintKind::Primary,
        "u" => ConstraintKind::Unique,
        "f" => ConstraintKind::Foreign,
        "x" => ConstraintKind::Exclusion,
        _ => ConstraintKind::Check,
    };
    let foreign = match row.try_get::<_, Option<Vec<i16>>>("foreign_columns")? {
        Some(columns) if kind == ConstraintKind::Foreign => Some(ForeignKey {
            relation: row.try_get("foreign_relation")?,
            columns,
            deletes_on: row.try_get("deletes_on")?,
        }),
        _ => None,
    };
    Ok(Constraint {
        name: row.try_get("name")?,
        relation: row.try_get("relation")?,
        kind,
        columns: row.try_get("columns")?,
        foreign,
        is_validated: row.try_get("is_validated")?,
    })
}

pub(super) fn sequence(row: &Row) -> Result<Sequence, Error> {
    let relation: Option<u32> = row.try_get("fed_relation")?;
    let number: Option<i16> = row.try_get("fed_number")?;
    Ok(Sequence {
        schema: row.try_get("schema")?,
        name: row.try_get("name")?,
        last: row.try_get("last")?,
        min: row.try_get("min")?,
        max: row.try_get("max")?,
        increment: row.try_get("increment")?,
        cycles: row.try_get("cycles")?,
        feeds: relation.zip(number),
    })
}

pub(super) fn session(row: &Row) -> Result<Session, Error> {
    let state = match row.try_get("state")? {
        "active" => SessionState::Active,
        "idle" => SessionState::Idle,
        "idle in transaction" | "idle in transaction (aborted)" => SessionState::IdleInTransaction,
        _ => SessionState::Other,
    };
    let text = |name| Ok::<_, Error>(row.try_get::<_, Option<String>>(name)?.unwrap_or_default());
    Ok(Session {
        pid: row.try_get("pid")?,
        user: text("role")?,
        application: text("application")?,
        state,
        state_age_s: row.try_get::<_, Option<f64>>("state_age_s")?.unwrap_or(0.0),
        transaction_age_s: row.try_get("transaction_age_s")?,
        statement_age_s: row.try_get("statement_age_s")?,
        holds_snapshot: row.try_get("holds_snapshot")?,
        statement: text("statement")?,
    })
}

pub(super) fn lock_wait(row: &Row) -> Result<LockWait, Error> {
    let text = |name| Ok::<_, Error>(row.try_get::<_, Option<String>>(name)?.unwrap_or_default());
    Ok(LockWait {
        pid: row.try_get("pid")?,
        blockers: row.try_get("blockers")?,
        mode: text("mode")?,
        kind: text("kind")?,
        relation: row.try_get("relation")?,
        waiting_s: row.try_get::<_, Option<f64>>("waiting_s")?.unwrap_or(0.0),
    })
}

pub(super) fn statement(row: &Row) -> Result<Statement, Error> {
    Ok(Statement {
        query_id: row.try_get("query_id")?,
        text: row
            .try_get::<_, Option<String>>("text")?
            .unwrap_or_default(),
        calls: count(row, "calls")?,
        total_ms: row.try_get("total_ms")?,
        max_ms: row.try_get("max_ms")?,
        rows: count(row, "rows")?,
        blocks_hit: count(row, "blocks_hit")?,
        blocks_read: count(row, "blocks_read")?,
        temp_blocks_written: count(row, "temp_blocks_written")?,
        plan: None,
    })
}

/// A number that is never below zero.
fn count(row: &Row, name: &str) -> Result<u64, Error> {
    Ok(u64::try_from(row.try_get::<_, i64>(name)?).unwrap_or(0))
}

fn percent(row: &Row, name: &str) -> Result<u32, Error> {
    Ok(u32::try_from(row.try_get::<_, i32>(name)?).unwrap_or(100))
}
