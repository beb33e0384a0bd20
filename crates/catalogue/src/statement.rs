//! What pg_stat_statements has counted.

use crate::plan::{Plan, PlanError};

/// The statements that took most time.
#[derive(Debug, Clone, Default)]
pub struct Statements {
    /// Since when it is counted at most, as far as that is known (Postgres 14).
    pub age_s: Option<f64>,
    /// Time of all statements in this database, also those that are not listed.
    pub total_ms: f64,
    /// The costliest first.
    pub list: Vec<Statement>,
}

/// One statement, whatever its values.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// Postgres's own id of the statement.
    pub query_id: i64,
    /// The text with `$n` for its values.
    pub text: String,
    /// How often it ran.
    pub calls: u64,
    /// All its time.
    pub total_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// Rows that it gave or changed, in all.
    pub rows: u64,
    /// Blocks that were found in the server's own memory.
    pub blocks_hit: u64,
    /// Blocks that were not.
    pub blocks_read: u64,
    /// Blocks that sorts and hashes have written to disk.
    pub temp_blocks_written: u64,
    /// How it would be executed, where that was asked.
    pub plan: Option<Result<Plan, PlanError>>,
}

impl Statement {
    /// Time of one execution on average.
    pub fn mean_ms(&self) -> f64 {
        self.total_ms / self.calls.max(1) as f64
    }

    /// Rows of one execution on average.
    pub fn mean_rows(&self) -> f64 {
        self.rows as f64 / self.calls.max(1) as f64
    }
}
