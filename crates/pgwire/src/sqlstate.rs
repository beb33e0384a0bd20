//! Error codes (appendix "PostgreSQL Error Codes").

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub [u8; 5]);

impl SqlState {
    /// `08P01` protocol_violation.
    pub const PROTOCOL_VIOLATION: SqlState = SqlState(*b"08P01");
    /// `08006` connection_failure: the server connection was lost or could not be opened.
    pub const CONNECTION_FAILURE: SqlState = SqlState(*b"08006");
    /// `0A000` feature_not_supported.
    pub const FEATURE_NOT_SUPPORTED: SqlState = SqlState(*b"0A000");
    /// `25P02` in_failed_sql_transaction.
    pub const IN_FAILED_SQL_TRANSACTION: SqlState = SqlState(*b"25P02");
    /// `26000` invalid_sql_statement_name: no such prepared statement.
    pub const INVALID_SQL_STATEMENT_NAME: SqlState = SqlState(*b"26000");
    /// `28000` invalid_authorization_specification.
    pub const INVALID_AUTHORIZATION: SqlState = SqlState(*b"28000");
    /// `28P01` invalid_password.
    pub const INVALID_PASSWORD: SqlState = SqlState(*b"28P01");
    /// `34000` invalid_cursor_name: no such portal.
    pub const INVALID_CURSOR_NAME: SqlState = SqlState(*b"34000");
    /// `3D000` invalid_catalog_name: no such database.
    pub const INVALID_CATALOG_NAME: SqlState = SqlState(*b"3D000");
    /// `42P05` duplicate_prepared_statement.
    pub const DUPLICATE_PREPARED_STATEMENT: SqlState = SqlState(*b"42P05");
    /// `53200` out_of_memory.
    pub const OUT_OF_MEMORY: SqlState = SqlState(*b"53200");
    /// `53300` too_many_connections: no server connection in time.
    pub const TOO_MANY_CONNECTIONS: SqlState = SqlState(*b"53300");
    /// `42501`
    pub const INSUFFICIENT_PRIVILEGE: SqlState = SqlState(*b"42501");
    /// `42601`
    pub const SYNTAX_ERROR: SqlState = SqlState(*b"42601");
    /// `55000`
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: SqlState = SqlState(*b"55000");
    /// `F0000`
    pub const CONFIG_FILE_ERROR: SqlState = SqlState(*b"F0000");
    /// `54000` program_limit_exceeded.
    pub const PROGRAM_LIMIT_EXCEEDED: SqlState = SqlState(*b"54000");
    /// `57014` query_canceled.
    pub const QUERY_CANCELED: SqlState = SqlState(*b"57014");
    /// `57P01` admin_shutdown.
    pub const ADMIN_SHUTDOWN: SqlState = SqlState(*b"57P01");
    /// `57P03` cannot_connect_now.
    pub const CANNOT_CONNECT_NOW: SqlState = SqlState(*b"57P03");
    /// `57P05` idle_session_timeout.
    pub const IDLE_SESSION_TIMEOUT: SqlState = SqlState(*b"57P05");
    /// `XX000` internal_error.
    pub const INTERNAL_ERROR: SqlState = SqlState(*b"XX000");

    /// The code as text; a code that is not ASCII shows as `?????`.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("?????")
    }

    /// The first two characters, which name the class (`08` connection exception, …).
    pub fn class(&self) -> [u8; 2] {
        [self.0[0], self.0[1]]
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlState({})", self.as_str())
    }
}
