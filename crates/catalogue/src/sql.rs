//! All that is asked of the database. Right for Postgres 13 to 18: columns that only newer versions have are read through
//! `to_jsonb`, which gives NULL for what is not there.

/// The transaction that all is read in; the time-outs come behind it.
pub(crate) const BEGIN: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL search_path = pg_catalog;
SET LOCAL DateStyle = 'ISO';
SET LOCAL client_min_messages = 'error';
SET LOCAL row_security = off;
";

pub(crate) const SERVER: &str = "\
SELECT current_setting('server_version_num')::int4 AS version_number,
       current_setting('server_version') AS version,
       current_setting('block_size')::int8 AS block_bytes,
       pg_is_in_recovery() AS is_in_recovery,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS up_s,
       current_database()::text AS name,
       pg_database_size(current_database()) AS bytes,
       coalesce(s.blks_hit, 0) AS blocks_hit,
       coalesce(s.blks_read, 0) AS blocks_read,
       coalesce(s.temp_files, 0) AS temp_files,
       coalesce(s.temp_bytes, 0) AS temp_bytes,
       coalesce(s.deadlocks, 0) AS deadlocks,
       -- A crash throws statistics away, which only the time of the shared ones shows.
       extract(epoch FROM clock_timestamp() - greatest(s.stats_reset,
           (SELECT stats_reset FROM pg_stat_bgwriter)))::float8 AS statistics_age_s,
       (SELECT sum(numbackends) FROM pg_stat_database WHERE datid <> 0)::int8 AS sessions
  FROM (SELECT 1) AS one
  LEFT JOIN pg_stat_database AS s ON s.datname = current_database()";

/// Who takes a table for himself would keep us waiting: of such tables the size is that of the last VACUUM.
pub(crate) const RELATIONS: &str = "\
WITH taken AS (
    SELECT relation FROM pg_locks
     WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL AND pid <> pg_backend_pid())
SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relispartition AS is_partition,
       EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
           AS is_of_extension,
       nullif(c.reltuples, -1)::float8 AS estimated_rows, c.relpages::int8 AS pages,
       CASE WHEN c.relkind NOT IN ('r', 'm') THEN 0
            WHEN t.relation IS NOT NULL THEN c.relpages::int8 * current_setting('block_size')::int8
            ELSE coalesce(pg_relation_size(c.oid), 0) END AS heap_bytes,
       CASE WHEN c.relkind NOT IN ('r', 'm') OR t.relation IS NOT NULL THEN 0
            ELSE coalesce(pg_indexes_size(c.oid), 0) END AS index_bytes,
       CASE WHEN c.reltoastrelid = 0 OR t.relation IS NOT NULL THEN 0
            ELSE coalesce(pg_total_relation_size(c.reltoastrelid), 0) END AS toast_bytes,
       coalesce((SELECT option_value::int4 FROM pg_options_to_table(c.reloptions)
                  WHERE option_name = 'fillfactor'), 100) AS fillfactor,
       has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT') AS may_read,
       s.relid IS NOT NULL AS is_counted,
       coalesce(s.seq_scan, 0) AS seq_scan, coalesce(s.seq_tup_read, 0) AS seq_tup_read,
       coalesce(s.idx_scan, 0) AS idx_scan, coalesce(s.n_tup_ins, 0) AS n_tup_ins,
       coalesce(s.n_tup_upd, 0) AS n_tup_upd, coalesce(s.n_tup_hot_upd, 0) AS n_tup_hot_upd,
       coalesce(s.n_tup_del, 0) AS n_tup_del, coalesce(s.n_live_tup, 0) AS n_live_tup,
       coalesce(s.n_dead_tup, 0) AS n_dead_tup, coalesce(s.n_mod_since_analyze, 0) AS n_mod_since_analyze,
       extract(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed_s_ago,
       extract(epoch FROM clock_timestamp() - greatest(s.last_analyze, s.last_autoanalyze))::float8 AS analysed_s_ago,
       coalesce(io.heap_blks_hit, 0) AS blocks_hit, coalesce(io.heap_blks_read, 0) AS blocks_read
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT DISTINCT relation FROM taken) AS t ON t.relation = c.oid
  LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
  LEFT JOIN pg_statio_all_tables AS io ON io.relid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY c.relpages DESC, c.oid
 LIMIT $1";

pub(crate) const COLUMNS: &str = "\
SELECT a.attrelid AS relation, a.attnum AS number, a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type_name, a.atttypid AS type_oid, a.attnotnull AS is_not_null,
       s.avg_width AS average_width, s.null_frac AS null_fraction, s.n_distinct AS distinct_values
  FROM pg_attribute AS a
  JOIN pg_class AS c ON c.oid = a.attrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
                         AND s.inherited = (c.relkind = 'p')
 WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY ($1)
 ORDER BY a.attrelid, a.attnum
 LIMIT $2";

/// Telling an expression or a condition as SQL locks the table. Where that would wait, a text stands in that equals no other.
pub(crate) const INDEXES: &str = "\
WITH taken AS (
    SELECT relation FROM pg_locks
     WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL AND pid <> pg_backend_pid())
SELECT i.indexrelid AS oid, i.indrelid AS relation, n.nspname::text AS schema, c.relname::text AS name,
       am.amname::text AS method, i.indnkeyatts::int4 AS key_count,
       i.indkey::int2[] AS columns, i.indclass::oid[] AS classes, i.indcollation::oid[] AS collations,
       i.indoption::int2[] AS options,
       ARRAY(SELECT CASE WHEN NOT t.is_taken THEN pg_get_indexdef(i.indexrelid, k, false)
                         ELSE coalesce((SELECT quote_ident(a.attname) FROM pg_attribute AS a
                                         WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum > 0),
                                       'an expression of ' || c.relname) END
               FROM generate_series(1, i.indnkeyatts::int4) AS k) AS texts,
       CASE WHEN i.indpred IS NULL THEN NULL WHEN t.is_taken THEN 'the condition of ' || c.relname
            ELSE pg_get_expr(i.indpred, i.indrelid) END AS predicate,
       CASE WHEN t.is_taken THEN '' ELSE pg_get_indexdef(i.indexrelid) END AS definition,
       i.indisunique AS is_unique, i.indisprimary AS is_primary, i.indisreplident AS is_replica_identity,
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
           OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype = 'f')
           AS backs_constraint,
       c.relispartition AS is_partition, i.indisvalid AS is_valid,
       EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid) AS is_being_built,
       CASE WHEN c.relkind <> 'i' THEN 0
            WHEN t.is_taken THEN c.relpages::int8 * current_setting('block_size')::int8
            ELSE coalesce(pg_relation_size(c.oid), 0) END AS bytes,
       greatest(c.reltuples, 0)::float8 AS entries,
       coalesce((SELECT option_value::int4 FROM pg_options_to_table(c.reloptions)
                  WHERE option_name = 'fillfactor'), 90) AS fillfactor,
       coalesce(s.idx_scan, 0) AS scans,
       extract(epoch FROM clock_timestamp() - (to_jsonb(s) ->> 'last_idx_scan')::timestamptz)::float8 AS scanned_s_ago
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_am AS am ON am.oid = c.relam
  CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM taken WHERE relation IN (i.indexrelid, i.indrelid)) AS is_taken) AS t
  LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
 WHERE i.indrelid = ANY ($1)
 ORDER BY c.relpages DESC, c.oid
 LIMIT $2";

pub(crate) const CONSTRAINTS: &str = "\
SELECT k.conname::text AS name, k.conrelid AS relation, k.contype::text AS kind, k.conkey AS columns,
       k.confrelid AS foreign_relation, k.confkey AS foreign_columns,
       k.confdeltype IN ('c', 'n', 'd') AS deletes_on, k.convalidated AS is_validated
  FROM pg_constraint AS k
 WHERE k.conrelid = ANY ($1) AND k.contype IN ('c', 'p', 'u', 'f', 'x') AND k.conkey IS NOT NULL
 ORDER BY k.oid
 LIMIT $2";

pub(crate) const SEQUENCES: &str = "\
SELECT n.nspname::text AS schema, c.relname::text AS name, s.seqmin AS min, s.seqmax AS max,
       s.seqincrement AS increment, s.seqcycle AS cycles,
       has_sequence_privilege(c.oid, 'USAGE, SELECT') AS may_read,
       CASE WHEN has_sequence_privilege(c.oid, 'USAGE, SELECT')
                 AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
            THEN pg_sequence_last_value(c.oid) END AS last,
       f.relation AS fed_relation, f.number AS fed_number
  FROM pg_sequence AS s
  JOIN pg_class AS c ON c.oid = s.seqrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  -- The column that owns it, or whose default it is; the narrowest one.
  LEFT JOIN LATERAL (
       SELECT a.attrelid AS relation, a.attnum AS number
         FROM (SELECT d.refobjid AS relation, d.refobjsubid AS number FROM pg_depend AS d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
               UNION
               SELECT x.adrelid, x.adnum FROM pg_depend AS d JOIN pg_attrdef AS x ON x.oid = d.objid
                WHERE d.classid = 'pg_attrdef'::regclass
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid) AS fed
         JOIN pg_attribute AS a ON a.attrelid = fed.relation AND a.attnum = fed.number AND NOT a.attisdropped
        ORDER BY a.attlen LIMIT 1) AS f ON true
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY c.oid
 LIMIT $1";

pub(crate) const SESSIONS: &str = "\
SELECT pid, usename::text AS role, application_name AS application, coalesce(state, '') AS state,
       extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_age_s,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_age_s,
       extract(epoch FROM clock_timestamp() - query_start)::float8 AS statement_age_s,
       backend_xmin IS NOT NULL OR backend_xid IS NOT NULL AS holds_snapshot,
       left(query, 4000) AS statement
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
   -- The type of other roles' sessions is hidden from an ordinary one.
   AND usename IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
 ORDER BY xact_start NULLS LAST, pid
 LIMIT $1";

pub(crate) const LOCK_WAITS: &str = "\
SELECT a.pid, pg_blocking_pids(a.pid) AS blockers, l.mode, l.locktype AS kind, l.relation::regclass::text AS relation,
       extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS waiting_s
  FROM pg_stat_activity AS a
  JOIN LATERAL (SELECT mode, locktype, relation FROM pg_locks WHERE pid = a.pid AND NOT granted LIMIT 1) AS l ON true
 WHERE a.datname = current_database() AND a.wait_event_type = 'Lock' AND a.pid <> pg_backend_pid()
 ORDER BY a.query_start
 LIMIT $1";

pub(crate) const SETTINGS: &str = "\
SELECT name, coalesce(reset_val, '') AS value, coalesce(unit, '') AS unit
  FROM pg_settings
 WHERE name = ANY (ARRAY[
       'autovacuum', 'autovacuum_analyze_scale_factor', 'autovacuum_analyze_threshold', 'autovacuum_vacuum_scale_factor',
       'autovacuum_vacuum_threshold', 'default_statistics_target', 'effective_cache_size', 'hash_mem_multiplier',
       'idle_in_transaction_session_timeout', 'lock_timeout', 'maintenance_work_mem', 'max_connections', 'max_wal_size',
       'random_page_cost', 'reserved_connections', 'shared_buffers', 'shared_preload_libraries', 'statement_timeout',
       'superuser_reserved_connections', 'track_counts', 'track_io_timing', 'work_mem'])";

/// Where pg_stat_statements is, if it is there.
pub(crate) const STATEMENTS_PLACE: &str = "\
SELECT quote_ident(n.nspname) AS schema,
       EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = n.oid AND c.relname = 'pg_stat_statements_info') AS has_info
  FROM pg_extension AS x JOIN pg_namespace AS n ON n.oid = x.extnamespace
 WHERE x.extname = 'pg_stat_statements'";

/// The costliest statements of this database. One text can be there for several roles.
pub(crate) fn statements(schema: &str, has_info: bool) -> String {
    let age = if has_info {
        format!(
            "(SELECT extract(epoch FROM clock_timestamp() - stats_reset)::float8 FROM {schema}.pg_stat_statements_info)"
        )
    } else {
        "NULL::float8".to_owned()
    };
    format!(
        "\
WITH known AS (
    SELECT s.* FROM {schema}.pg_stat_statements AS s
      JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database()
     WHERE coalesce((to_jsonb(s) ->> 'toplevel')::bool, true))
SELECT coalesce(queryid, 0) AS query_id, left(max(query), 20000) AS text, sum(calls)::int8 AS calls,
       sum(total_exec_time)::float8 AS total_ms, max(max_exec_time)::float8 AS max_ms, sum(rows)::int8 AS rows,
       sum(shared_blks_hit)::int8 AS blocks_hit, sum(shared_blks_read)::int8 AS blocks_read,
       sum(temp_blks_written)::int8 AS temp_blocks_written,
       (SELECT sum(total_exec_time) FROM known)::float8 AS all_ms, {age} AS age_s
  FROM known
 GROUP BY queryid
 ORDER BY sum(total_exec_time) DESC
 LIMIT $1"
    )
}
