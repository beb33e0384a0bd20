//! How clients prove who they are, and where it is known who they may be.

use std::fmt;
use std::path::PathBuf;

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AuthMethod {
    /// SCRAM-SHA-256, bound to the TLS connection where there is one.
    #[default]
    ScramSha256,
    /// md5, for those of whom no SCRAM verifier is known.
    Md5,
    /// The password itself, over TLS only.
    Password,
    /// A certificate whose common name is the user's.
    Cert,
    /// Not at all; the user must be known all the same.
    Trust,
}

/// How clients log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// How they prove who they are.
    pub method: AuthMethod,
    /// A file of users in PgBouncer's format.
    pub userlist: Option<PathBuf>,
    /// How users are looked up in the database who are known nowhere else.
    pub query: AuthQuery,
    /// Failed logins per minute that are taken from one address; 0: any number.
    pub failures_per_minute_max: usize,
}

impl Default for ClientAuth {
    fn default() -> Self {
        Self {
            method: AuthMethod::default(),
            userlist: None,
            query: AuthQuery::default(),
            failures_per_minute_max: 60,
        }
    }
}

/// A look into the database for what it keeps of a user's password.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthQuery {
    /// The role that looks; when it is empty, nobody is looked up.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// A file with its password in it.
    pub password_file: Option<PathBuf>,
    /// The query: `$1` is the user's name; the last column of its row is the password or what is stored of it, or NULL.
    pub sql: String,
    /// The database that is asked; by default the one that the client wants.
    pub database: Option<String>,
}

impl AuthQuery {
    /// Who may log in at the server itself, and until when, as Postgres keeps it. Its role needs to be allowed to read `pg_shadow`.
    pub const DEFAULT_SQL: &'static str = "SELECT usename, CASE WHEN valuntil IS NULL OR valuntil > now() THEN passwd END \
                                           FROM pg_catalog.pg_shadow WHERE usename = $1";
}

impl ClientAuth {
    /// The look into the database, if there is one.
    pub(crate) fn query(&self) -> Option<&AuthQuery> {
        (!self.query.user.is_empty()).then_some(&self.query)
    }
}

impl Default for AuthQuery {
    fn default() -> Self {
        Self {
            user: String::new(),
            password: None,
            password_file: None,
            sql: Self::DEFAULT_SQL.to_owned(),
            database: None,
        }
    }
}

impl fmt::Debug for AuthQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthQuery")
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("password_file", &self.password_file)
            .field("sql", &self.sql)
            .field("database", &self.database)
            .finish()
    }
}
