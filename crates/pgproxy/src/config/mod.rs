//! What the proxy is told: plain values, parsed once.

mod auth;
mod database;
mod fixed;
mod limits;
mod tls;
mod url;
mod user;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use auth::{AuthMethod, AuthQuery, ClientAuth};
pub use database::{ANY, Database};
pub(crate) use fixed::Fixed;
pub use limits::Timeouts;
pub use tls::{
    ChannelBindingMode, ClientTls, ClientTlsMode, RootCertificates, ServerMethod, ServerTls,
    SslMode,
};
pub use url::{DatabaseUrl, DatabaseUrlError, SessionAttrs};
pub use user::User;

/// How the proxy stands between its clients and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Server connections are shared: a client holds one from the first message of a transaction to its end.
    #[default]
    Transaction,
    /// Each client has a server connection of its own, and every byte passes as it came. Paceline only reads along.
    Observe,
}

/// How long a client keeps its server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pooling {
    /// From the first message of a transaction to its end.
    #[default]
    Transaction,
    /// From its first message until it leaves.
    Session,
}

/// The configuration of the Postgres half.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// What clients may ask for. The first is the main one.
    pub databases: Vec<Database>,
    /// What holds for single users.
    pub users: Vec<User>,
    /// Pooling, or only reading along.
    pub mode: Mode,
    /// Server connections of each pool at most; 0: twice `server_cores` plus one, at least 5, or 20 if that is not known.
    pub pool_size: usize,
    /// Server connections of each pool that are kept open.
    pub pool_size_min: usize,
    /// Server connections of each pool beyond its maximum, for clients that have waited for `reserve_after`.
    pub reserve_size: usize,
    /// How long a client waits until the reserve is there for it.
    pub reserve_after: Duration,
    /// Server connections that each pool opens at once.
    pub opening_max: usize,
    /// The cores of the database server; 0: not known.
    pub server_cores: usize,
    /// How many Pacelines share the server: each takes its part of the maxima of server connections.
    pub instances: usize,
    /// Server connections of all pools together at most; 0: no bound.
    pub server_connections_max: usize,
    /// Server connections of each database at most, over all its users; 0: no bound.
    pub database_connections_max: usize,
    /// Server connections of each user at most, over all databases; 0: no bound.
    pub user_connections_max: usize,
    /// Clients of each database at most; 0: no bound.
    pub database_clients_max: usize,
    /// Clients of each user at most; 0: no bound.
    pub user_clients_max: usize,
    /// A server connection that has idled for this long is looked at before a client gets it.
    pub check_after: Duration,
    /// How long things may take that are stopped otherwise.
    pub timeouts: Timeouts,
    /// How long a client waits for a server connection before it is told 53300.
    pub wait_timeout: Duration,
    /// How long opening a server connection may take, authentication included.
    pub connect_timeout: Duration,
    /// A server connection that nobody has used for this long is closed.
    pub idle_timeout: Duration,
    /// A server connection older than this is closed when it comes back.
    pub lifetime_max: Duration,
    /// Statements that each server connection keeps prepared; the least recently used goes first.
    pub prepared_statements_max: usize,
    /// Named statements that one client may hold.
    pub client_statements_max: usize,
    /// Clients at most, those that still authenticate included.
    pub clients_max: usize,
    /// The longest statement text that is accepted, and the most that all named statements of one client may add up to.
    pub statement_bytes_max: usize,
    /// What large texts under way and all prepared texts of all clients may take in memory. A text counts twice: as it comes, and
    /// as it is passed on.
    pub statement_memory_max: usize,
    /// How clients prove who they are.
    pub client_auth: ClientAuth,
    /// What clients get that ask for TLS.
    pub client_tls: ClientTls,
    /// How long a client may take from its connection to its authentication.
    pub login_timeout: Duration,
    /// Whether the trace comment is left in the text that the server gets. Off, statements that differ in nothing else
    /// share one prepared statement.
    pub forward_trace_comment: bool,
    /// Who may do everything at the console; nobody named: the user of the main database's URL.
    pub console_users: Vec<String>,
    /// Who may look at the console's tables.
    pub console_stats_users: Vec<String>,
    /// Statements from this on are logged one by one. `None`: none are.
    pub slow_query: Option<Duration>,
    /// Whether their parameters are logged as well.
    pub slow_query_parameters: bool,
    /// Worker threads; as many calls of [`Proxy::serve`](crate::Proxy::serve) are expected.
    pub workers: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 6432)),
            databases: vec![Database::default()],
            users: Vec::new(),
            mode: Mode::default(),
            pool_size: 0,
            pool_size_min: 0,
            reserve_size: 0,
            reserve_after: Duration::from_secs(1),
            opening_max: 4,
            server_cores: 0,
            instances: 1,
            server_connections_max: 0,
            database_connections_max: 0,
            user_connections_max: 0,
            database_clients_max: 0,
            user_clients_max: 0,
            check_after: Duration::from_secs(30),
            timeouts: Timeouts::default(),
            wait_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            lifetime_max: Duration::from_secs(3600),
            prepared_statements_max: 500,
            client_statements_max: 10_000,
            clients_max: 10_000,
            statement_bytes_max: 64 * 1024 * 1024,
            statement_memory_max: 256 * 1024 * 1024,
            client_auth: ClientAuth::default(),
            client_tls: ClientTls::default(),
            login_timeout: Duration::from_secs(30),
            forward_trace_comment: false,
            slow_query: None,
            slow_query_parameters: false,
            console_users: Vec::new(),
            console_stats_users: Vec::new(),
            workers: 1,
        }
    }
}

impl Config {
    /// The URL of the main database.
    ///
    /// # Panics
    ///
    /// When there is no database at all, which [`Proxy::new`](crate::Proxy::new) refuses.
    pub fn main_url(&self) -> &DatabaseUrl {
        &self.databases[0].url
    }

    /// What a client gets that asks for the database of this name.
    pub(crate) fn database(&self, name: &str) -> Option<&Database> {
        self.position(name).map(|index| &self.databases[index])
    }

    /// Which of the databases that is.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let named = |wanted: &str| self.databases.iter().position(|found| found.name == wanted);
        named(name).or_else(|| named(ANY))
    }

    /// Whether nothing is known that clients could prove: then those who name the user of a URL without a password are let in.
    pub(crate) fn is_open(&self) -> bool {
        let asks = !matches!(self.client_auth.method, AuthMethod::Cert);
        let knows_users = self.users.iter().any(|user| user.password.is_some())
            || self.client_auth.userlist.is_some()
            || self.client_auth.query().is_some();
        asks && !knows_users
    }

    /// What holds for the user of this name.
    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}
