//! What can go wrong, and how each of it is said on the wire: SQLSTATE, what happened, why, what to do.

mod login;

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use paceline_listen::is_out_of_descriptors;
use paceline_pgwire::{ErrorFields, Report, Severity, SqlState};

use crate::files::FileError;
use crate::pool::Fullness;
use crate::room::Room;
use crate::tls::TlsError;

/// Why a proxy cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Without a password anybody who reaches the port would be the database's user.
    #[error(
        "a database URL has no password, and {listen} is not a loopback address: everybody who reaches that port would \
         be let in. Put the password into the URL, name users, or listen on 127.0.0.1"
    )]
    OpenToAll {
        /// The address to listen on.
        listen: SocketAddr,
    },
    /// There is nothing to connect to.
    #[error("no database is configured")]
    NoDatabase,
    /// It could not be told which one clients mean.
    #[error("the database \"{name}\" is configured twice")]
    DatabaseTwice {
        /// The name that two have.
        name: String,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// TLS cannot be had as configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A number that makes no sense.
    #[error("{setting} must be at least 1")]
    Zero {
        /// Which setting.
        setting: &'static str,
    },
    /// The longest text that is accepted could never be passed on.
    #[error(
        "statement_memory_max must be at least {least} bytes, three times statement_bytes_max: a text is held as it comes, as it is passed on, and as it is prepared"
    )]
    StatementMemory {
        /// What it must be at least.
        least: usize,
    },
    /// The system gives no random numbers, or no threads.
    #[error("could not read random numbers from /dev/urandom, or start a thread: {0}")]
    Start(#[source] std::io::Error),
}

/// Why there is no session with the database server.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No connection.
    #[error("could not connect to the database server at {place}: {source}")]
    Connect {
        /// Host and port.
        place: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// No session in time.
    #[error("the database server at {place} did not let us in within {} ms", limit.as_millis())]
    Timeout {
        /// Host and port.
        place: String,
        /// The time that it had.
        limit: Duration,
    },
    /// The server is not what the URL asks for.
    #[error(
        "the database server at {place} is not what target_session_attrs={wanted} asks for, and no other host can be used"
    )]
    Unsuitable {
        /// Host and port.
        place: String,
        /// What is asked for.
        wanted: &'static str,
    },
    /// The connection could not be encrypted as demanded.
    #[error("no TLS connection to the database server at {place}: {reason}")]
    Tls {
        /// Host and port.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// The server asks for what we do not have, or does not speak the protocol.
    #[error("no session with the database server: {0}")]
    Protocol(#[source] paceline_pgwire::Error),
    /// The server would not have us.
    #[error("the database server refused the connection: {message}")]
    Refused {
        /// The SQLSTATE that it gave.
        sqlstate: String,
        /// Its own words.
        message: String,
        /// And more of them.
        detail: Option<String>,
    },
}

impl Unavailable {
    /// Whether the server wants a password and there is none.
    pub fn asks_for_password(&self) -> bool {
        matches!(self, Self::Protocol(paceline_pgwire::Error::NoPassword))
    }

    /// Whether no patience helps: somebody has to change something.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Unsuitable { .. } => false,
            Self::Protocol(_) | Self::Tls { .. } => true,
            // Too many connections, starting up, shutting down, failing over, short of memory: these pass.
            Self::Refused { sqlstate, .. } => !["08", "53", "57", "58"]
                .iter()
                .any(|class| sqlstate.starts_with(class)),
        }
    }

    pub(crate) fn refused(fields: &ErrorFields<'_>) -> Self {
        let text = |code| {
            fields
                .get(code)
                .map(|text| String::from_utf8_lossy(text).into_owned())
        };
        Self::Refused {
            sqlstate: fields
                .sqlstate()
                .unwrap_or(SqlState::CONNECTION_FAILURE)
                .to_string(),
            message: text(b'M').unwrap_or_else(|| "no reason given".to_owned()),
            detail: text(b'D'),
        }
    }
}

/// An error for a client. One word large, since every step of a session may end in one, and hardly any does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(Box<Words>);

/// What an error says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) sqlstate: SqlState,
    pub(crate) message: String,
    detail: Option<String>,
    hint: Option<&'static str>,
}

impl Deref for Refusal {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.0
    }
}

impl Refusal {
    fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(Words {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
        }))
    }

    fn message(mut self, message: String) -> Self {
        self.0.message = message;
        self
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Writes it as an error after which the session goes on.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.report(Severity::Error, out);
    }

    /// Writes it as the last word of a session.
    pub(crate) fn write_fatal(&self, out: &mut Vec<u8>) {
        self.report(Severity::Fatal, out);
    }

    fn report(&self, severity: Severity, out: &mut Vec<u8>) {
        let mut report = Report::new(severity, self.sqlstate, &self.message);
        if let Some(detail) = &self.detail {
            report = report.detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.hint(hint);
        }
        report.write(out);
    }
}

/// The sentences.
impl Refusal {
    /// Nothing came back in time.
    pub(crate) fn wait_timeout(waited: Duration, full: &Fullness) -> Self {
        let others = match full.waiting {
            0 => "no other client waits".to_owned(),
            1 => "1 other client waits".to_owned(),
            more => format!("{more} other clients wait"),
        };
        let bound = match (full.shared_max, full.reserve) {
            (Some(max), _) => format!("the limit over several pools is {max}"),
            (None, 0) => format!("pool_size is {}", full.size),
            (None, reserve) => format!("pool_size is {}, reserve_size {reserve}", full.size),
        };
        let message = format!(
            "no server connection became free within {} ms: all are in use ({bound}), and {others}",
            waited.as_millis()
        );
        let mut held = format!("{} server connections are in use", full.open);
        for (count, what) in [
            (full.idle_in_transaction, "are idle in a transaction"),
            (
                full.pinned,
                "are kept by their clients because of session state",
            ),
        ] {
            if count > 0 {
                held += &format!(", of which {count} {what}");
            }
        }
        if full.opening > 0 {
            held += &format!("; {} are being opened", full.opening);
        }
        Self::new(SqlState::TOO_MANY_CONNECTIONS, message)
            .detail(held + ".")
            .hint("Make transactions shorter, raise pool_size if the database can carry more, or wait_timeout.")
    }

    /// The server's own SQLSTATE where it gave one, so that a client can tell "starting up" from "too many connections".
    pub(crate) fn unavailable(error: &Unavailable) -> Self {
        let sqlstate = match error {
            Unavailable::Connect { source, .. } if is_out_of_descriptors(source) => {
                OUT_OF_RESOURCES
            }
            Unavailable::Connect { .. }
            | Unavailable::Timeout { .. }
            | Unavailable::Tls { .. }
            | Unavailable::Unsuitable { .. } => CANNOT_CONNECT,
            Unavailable::Protocol(error) => error.sqlstate(),
            Unavailable::Refused { sqlstate, .. } => {
                let code = sqlstate.as_bytes().try_into();
                code.map_or(SqlState::CONNECTION_FAILURE, SqlState)
            }
        };
        let refusal = Self::new(sqlstate, error.to_string());
        match error {
            Unavailable::Refused { detail: Some(detail), .. } => refusal.detail(detail),
            Unavailable::Refused { .. } | Unavailable::Protocol(_) | Unavailable::Tls { .. } => refusal,
            Unavailable::Unsuitable { .. } => {
                refusal.hint("Is a fail-over under way? Trying again later works.")
            }
            Unavailable::Connect { source, .. } if is_out_of_descriptors(source) => refusal.hint(
                "Paceline has too few file descriptors for its clients and server connections: raise the limit (ulimit -n). \
                 Trying again later works.",
            ),
            Unavailable::Connect { .. } | Unavailable::Timeout { .. } => refusal.hint(
                "Is the server running there, and does it accept TCP connections? Trying again later works.",
            ),
        }
    }

    /// The same for a client that has waited for it to pass.
    pub(crate) fn after(self, waited: Duration) -> Self {
        let waited = waited.as_millis();
        let detail = match &self.detail {
            Some(detail) => format!("{detail} Paceline went on trying for {waited} ms."),
            None => format!("Paceline went on trying for {waited} ms."),
        };
        self.detail(detail)
    }

    pub(crate) fn server_lost(last_words: Option<&str>) -> Self {
        let lost = Self::new(
            SqlState::CONNECTION_FAILURE,
            "the connection to the database server was lost; its transaction is rolled back, unless it was committing",
        )
        .hint("The session goes on: the next transaction gets a new server connection.");
        match last_words {
            Some(words) => lost.detail(format!("The server said: {words}")),
            None => lost,
        }
    }

    /// The same for a client that cannot be left to go on, because what it sends next may belong to the lost transaction.
    pub(crate) fn ends_session(self) -> Self {
        self.hint("The session ends with its transaction: connect again.")
    }

    /// The same for one that was refused a BEGIN: what comes next would not be part of a transaction.
    pub(crate) fn begins_nothing(self) -> Self {
        let detail = self.0.detail.clone().unwrap_or_default();
        let ends = "The session ends, since what follows was to be one transaction: connect again.";
        self.detail(format!("{detail} {ends}").trim_start())
    }

    /// For a client that did not wait for the answer to what was refused.
    pub(crate) fn sent_ahead() -> Self {
        Self::new(
            SqlState::CONNECTION_FAILURE,
            "what was sent behind the refused query has not been run, because it may belong to the same transaction",
        )
        .hint("The session ends: connect again, and try the whole transaction again.")
    }

    /// The client's own cancel has come before a server connection.
    pub(crate) fn cancelled_in_queue() -> Self {
        Self::new(
            SqlState::QUERY_CANCELED,
            "canceling statement due to user request: it was waiting for a server connection",
        )
    }

    pub(crate) fn server_out_of_step(tag: u8) -> Self {
        let tag = tag.escape_ascii();
        Self::new(
            SqlState::PROTOCOL_VIOLATION,
            format!(
                "the database server sent a message of type '{tag}' that nothing had asked for"
            ),
        )
    }

    /// `25P03` idle_in_transaction_session_timeout.
    pub(crate) fn idle_in_transaction(limit: Duration) -> Self {
        let ms = limit.as_millis();
        Self::new(
            SqlState(*b"25P03"),
            format!("terminating connection: its transaction was idle for {ms} ms (idle_in_transaction_timeout)"),
        )
        .hint("The transaction was rolled back. Commit before waiting for something else, then connect again.")
    }

    /// `57P05` idle_session_timeout.
    pub(crate) fn client_idle(limit: Duration) -> Self {
        let ms = limit.as_millis();
        Self::new(
            SqlState(*b"57P05"),
            format!("terminating connection: it was idle for {ms} ms (client_idle_timeout)"),
        )
        .hint("Connect again.")
    }

    pub(crate) fn unread_notifications() -> Self {
        Self::new(
            SqlState(*b"53400"),
            "terminating connection: more than 1 MiB of notifications waits for a client that does not read",
        )
        .hint("Read while the connection is idle; after connecting again, look what has happened meanwhile.")
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new(
            SqlState::ADMIN_SHUTDOWN,
            "terminating connection: Paceline is shutting down",
        )
        .hint("Connect again.")
    }

    pub(crate) fn killed() -> Self {
        Self::new(
            SqlState::ADMIN_SHUTDOWN,
            "the connection was ended from Paceline's console",
        )
    }

    pub(crate) fn database_disabled(name: &str) -> Self {
        Self::new(
            SqlState::CANNOT_CONNECT_NOW,
            format!("database {name:?} is disabled"),
        )
        .hint("ENABLE it at Paceline's console.")
    }

    pub(crate) fn no_console_user(user: &str) -> Self {
        Self::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("user {user:?} may not use the console"),
        )
        .hint("Name the user in postgres.console_users, or in postgres.console_stats_users to look only.")
    }

    pub(crate) fn console_shows_only() -> Self {
        Self::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            "admin access needed: this user may only SHOW",
        )
        .hint("Name the user in postgres.console_users.")
    }

    /// What the console cannot do as things stand.
    pub(crate) fn console(message: impl Into<String>) -> Self {
        Self::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    }

    pub(crate) fn console_syntax(message: impl Into<String>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message)
    }

    pub(crate) fn console_unsupported(message: impl Into<String>) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    pub(crate) fn console_config(message: String, detail: String) -> Self {
        Self::new(SqlState::CONFIG_FILE_ERROR, message).detail(detail)
    }

    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        self.hint(hint)
    }

    pub(crate) fn unknown_database(name: &str) -> Self {
        Self::new(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        )
        .hint("Clients reach the databases that are configured here.")
    }

    pub(crate) fn too_many_targets(max: usize) -> Self {
        Self::new(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("too many different databases and users are in use: there can be {max} pools"),
        )
        .hint("Trying again works when another pool has not been used for a minute.")
    }

    pub(crate) fn too_many_clients_of(kind: &str, name: &str, max: usize) -> Self {
        Self::new(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("there are too many clients of {kind} \"{name}\" already: at most {max}"),
        )
        .hint(
            "Close connections that are not needed, or raise clients_max of this database or user.",
        )
    }

    pub(crate) fn too_many_clients(max: usize) -> Self {
        Self::new(
            SqlState::TOO_MANY_CONNECTIONS,
            format!("there are too many clients already: clients_max is {max}"),
        )
    }

    pub(crate) fn statement_too_long(bytes: usize, max: usize) -> Self {
        Self::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the statement's text has {bytes} bytes, statement_bytes_max is {max}"),
        )
        .hint("Pass large values as parameters or by COPY, or raise statement_bytes_max.")
    }

    pub(crate) fn no_room_for_text(bytes: usize, room: &Room) -> Self {
        let (held, max) = (room.held(), room.max());
        Self::new(
            SqlState::OUT_OF_MEMORY,
            format!("no memory for a statement's text of {bytes} bytes: {held} are in use for all clients, statement_memory_max is {max}"),
        )
        .hint("Try again when others have sent theirs, pass large values as parameters or by COPY, close prepared statements, or raise statement_memory_max.")
    }

    pub(crate) fn name_too_long() -> Self {
        Self::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            "the names in a Bind message must stand within its first 4,000 bytes",
        )
    }

    pub(crate) fn too_many_statements(max: usize) -> Self {
        Self::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("this session holds too many prepared statements: client_statements_max is {max}"),
        )
        .hint("Close statements that are no longer needed; many texts that differ in values only want parameters.")
    }

    pub(crate) fn statements_too_large(max: usize) -> Self {
        Self::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("the texts of this session's prepared statements have more than {max} bytes (statement_bytes_max)"),
        )
        .hint("Close statements that are no longer needed.")
    }

    pub(crate) fn duplicate_statement(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        let message = format!("prepared statement \"{name}\" already exists");
        Self::new(SqlState::DUPLICATE_PREPARED_STATEMENT, message)
    }

    pub(crate) fn no_statement(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name);
        let message = format!("prepared statement \"{name}\" does not exist");
        Self::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
    }

    pub(crate) fn no_unnamed_statement() -> Self {
        let message = "unnamed prepared statement does not exist";
        Self::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
    }

    pub(crate) fn replication() -> Self {
        Self::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "replication connections cannot share server connections",
        )
        .hint("Connect to the database directly, or use observe mode.")
    }

    pub(crate) fn setting(name: &str) -> Self {
        Self::new(
            SqlState(*b"22023"),
            format!("the startup parameter \"{name}\" cannot be used through a pool"),
        )
        .hint("Possible are settings that SET and RESET can change, and options of the form -c name=value.")
    }

    /// The server did not take the client's settings, from its startup packet or set since: its own words.
    pub(crate) fn settings_refused(sqlstate: SqlState, message: &str) -> Self {
        Self::new(
            sqlstate,
            format!("the settings of this session were refused: {message}"),
        )
    }

    pub(crate) fn client_protocol(error: &paceline_pgwire::Error) -> Self {
        Self::new(error.sqlstate(), error.to_string())
    }

    pub(crate) fn out_of_place(tag: u8) -> Self {
        let tag = tag.escape_ascii();
        Self::new(
            SqlState::PROTOCOL_VIOLATION,
            format!("a message of type '{tag}' is out of place here"),
        )
    }
}

/// `08001` sqlclient_unable_to_establish_sqlconnection.
const CANNOT_CONNECT: SqlState = SqlState(*b"08001");
/// `53000` insufficient_resources.
const OUT_OF_RESOURCES: SqlState = SqlState(*b"53000");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_whole_message() {
        let mut out = Vec::new();
        let full = Fullness {
            size: 20,
            open: 20,
            waiting: 9,
            pinned: 2,
            ..Fullness::default()
        };
        Refusal::wait_timeout(Duration::from_secs(5), &full).write(&mut out);
        assert_eq!(
            (out[0], out.len()),
            (
                b'E',
                1 + u32::from_be_bytes([out[1], out[2], out[3], out[4]]) as usize
            )
        );
        let fields = ErrorFields::parse(&out[5..]).unwrap();
        assert_eq!(fields.sqlstate(), Some(SqlState::TOO_MANY_CONNECTIONS));
        let message = String::from_utf8_lossy(fields.message().unwrap()).into_owned();
        let detail = String::from_utf8_lossy(fields.get(b'D').unwrap()).into_owned();
        assert_eq!(
            detail,
            "20 server connections are in use, of which 2 are kept by their clients because of session state."
        );
        for part in ["5000 ms", "pool_size is 20", "9 other clients wait"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
