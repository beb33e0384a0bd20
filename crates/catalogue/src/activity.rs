//! Who is connected, and who waits for whom.

/// A session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// The process id of its backend.
    pub pid: i32,
    /// Its role.
    pub user: String,
    /// What it calls itself.
    pub application: String,
    /// What it does.
    pub state: SessionState,
    /// For how long it has been doing that.
    pub state_age_s: f64,
    /// For how long its transaction has been open.
    pub transaction_age_s: Option<f64>,
    /// For how long the statement has been running, or since when the last one did.
    pub statement_age_s: Option<f64>,
    /// Whether its snapshot keeps dead rows from being removed.
    pub holds_snapshot: bool,
    /// The statement that runs, or the last one. Empty when hidden from our role.
    pub statement: String,
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionState {
    /// It runs a statement.
    Active,
    /// Nothing.
    #[default]
    Idle,
    /// Nothing, with a transaction open.
    IdleInTransaction,
    /// Something else, or it is hidden.
    Other,
}

/// A session that waits for a lock.
#[derive(Debug, Clone, Default)]
pub struct LockWait {
    /// Who waits.
    pub pid: i32,
    /// Those whom it waits for.
    pub blockers: Vec<i32>,
    /// The lock that it wants, `ShareLock`.
    pub mode: String,
    /// On what, `relation` or `transactionid`.
    pub kind: String,
    /// Which table, if it is one.
    pub relation: Option<String>,
    /// For how long its statement has been running.
    pub waiting_s: f64,
}
