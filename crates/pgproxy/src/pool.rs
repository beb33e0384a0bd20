//! The server connections of one database and user.

use std::time::Duration;

use paceline_journal::Latencies;

/// The state of a pool at one moment.
#[derive(Debug, Clone)]
pub struct PoolSnapshot {
    /// The database.
    pub database: String,
    /// The role on the server.
    pub user: String,
    /// Server connections at most.
    pub max: usize,
    /// Server connections that exist.
    pub open: usize,
    /// Of these, those that wait for work.
    pub idle: usize,
    /// Of these, those that a client holds.
    pub used: usize,
    /// Server connections that are being opened.
    pub opening: usize,
    /// Clients in the queue.
    pub waiting: usize,
    /// How long the client at the head of the queue has waited.
    pub longest_wait: Option<Duration>,
    /// Server connections that belong to one client until it leaves, because of session state.
    pub pinned: usize,
    /// Server connections opened so far.
    pub connects_total: u64,
    /// Attempts to open one that failed.
    pub connect_errors_total: u64,
    /// Clients that were told 53300 because their wait was over.
    pub wait_timeouts_total: u64,
    /// The waits that ended with a server connection, of the clients that had to wait.
    pub waits: Latencies,
}
