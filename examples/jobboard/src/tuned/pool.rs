//! A small pool of connections, and statements on them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, RowStream, Statement};

use crate::db::{Database, Parameter};
use crate::error::ApiError;

const CONNECTIONS_MAX: usize = 10;
const WAIT: Duration = Duration::from_secs(10);
/// Texts prepared per connection. The program has a few dozen; nothing that a visitor sends gets into one.
const PREPARED_MAX: usize = 100;

/// Connections that are opened on demand and kept.
pub(crate) struct Pool {
    database: Database,
    idle: Mutex<Vec<Session>>,
    places: Arc<Semaphore>,
}

struct Session {
    client: Client,
    prepared: Mutex<HashMap<String, Statement>>,
}

impl Pool {
    pub(crate) fn new(database: Database) -> Arc<Self> {
        Arc::new(Pool {
            database,
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        })
    }

    /// A connection for as long as the guard lives. Nobody may leave a transaction open on it.
    pub(crate) async fn check_out(
        self: &Arc<Self>,
        traceparent: Option<String>,
    ) -> Result<Connection, ApiError> {
        let place = tokio::time::timeout(WAIT, Arc::clone(&self.places).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(ApiError::Busy)?;
        let session = match self.take_idle() {
            Some(session) => session,
            None => Session {
                client: self.database.connect().await?,
                prepared: Mutex::default(),
            },
        };
        Ok(Connection {
            session: Some(session),
            pool: Arc::clone(self),
            traceparent,
            _place: place,
        })
    }

    /// The one that was used last: its backend's caches are warm.
    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(session) = idle.pop() {
            if !session.client.is_closed() {
                return Some(session);
            }
        }
        None
    }
}

/// A checked-out connection. Statements that are awaited together go out together.
pub(crate) struct Connection {
    session: Option<Session>,
    pool: Arc<Pool>,
    traceparent: Option<String>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let mut idle = self
                .pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(session);
        }
    }
}

impl Connection {
    /// Runs a statement. One that bears the trace of its request is sent as a one-shot statement, since
    /// a prepared one would bear that of whoever prepared it; without a trace it is prepared once.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ApiError> {
        let client = &self.session().client;
        if let Some(sql) = self.tagged(sql) {
            return Ok(client.query_typed(&sql, parameters).await?);
        }
        let statement = self.prepared(sql, parameters).await?;
        let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|(value, _)| *value).collect();
        Ok(client.query(&statement, &values).await?)
    }

    pub(crate) async fn query_opt(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, ApiError> {
        Ok(self.query(sql, parameters).await?.pop())
    }

    /// The rows as they come.
    pub(crate) async fn stream(
        &self,
        sql: &str,
        parameters: Vec<(&(dyn ToSql + Sync), Type)>,
    ) -> Result<RowStream, ApiError> {
        let sql = self.tagged(sql).unwrap_or(Cow::Borrowed(sql));
        let client = &self.session().client;
        Ok(client.query_typed_raw(&sql, parameters).await?)
    }

    fn session(&self) -> &Session {
        self.session
            .as_ref()
            .expect("it is taken only when the guard is dropped")
    }

    fn tagged<'s>(&self, sql: &'s str) -> Option<Cow<'s, str>> {
        let trace = self.traceparent.as_ref()?;
        Some(format!("{sql} /*traceparent='{trace}'*/").into())
    }

    async fn prepared(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Statement, tokio_postgres::Error> {
        let Session { client, prepared } = self.session();
        let known = || prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known().get(sql) {
            return Ok(statement.clone());
        }
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        let statement = client.prepare_typed(sql, &types).await?;
        if known().len() < PREPARED_MAX {
            known().insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }
}
