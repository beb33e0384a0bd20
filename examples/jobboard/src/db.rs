//! The database, and the trace comment on each statement.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row};

use crate::error::ApiError;

/// A parameter and its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Database {
    config: Arc<Config>,
}

impl Database {
    pub(crate) fn new(url: &str) -> Result<Self, tokio_postgres::Error> {
        let mut config: Config = url.parse()?;
        config.application_name("jobboard");
        Ok(Database {
            config: Arc::new(config),
        })
    }

    /// Opens a connection, and lets it run until the client is dropped.
    pub(crate) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(async move {
            // Whatever ends the connection also fails the statement that waits on it.
            let _ = connection.await;
        });
        Ok(client)
    }
}

/// A connection for one request.
pub(crate) struct Db {
    client: Client,
    /// The request's trace, which its statements name in a comment.
    traceparent: Option<String>,
}

impl FromRequestParts<Database> for Db {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Database) -> Result<Self, ApiError> {
        Ok(Db {
            client: state.connect().await?,
            traceparent: traceparent_of(parts),
        })
    }
}

impl Db {
    /// Runs a statement. Its parameters' types are given, so that it goes to the server in one
    /// message batch (Parse, Bind, Execute, Sync) as a one-shot statement, and the comment in its
    /// text is that of the request which executes it. A prepared statement that is bound again
    /// later would carry the comment of whoever prepared it.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(&self.tagged(sql), parameters).await
    }

    pub(crate) async fn query_opt(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        self.client
            .query_typed_opt(&self.tagged(sql), parameters)
            .await
    }

    pub(crate) async fn query_one(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Row, tokio_postgres::Error> {
        self.client
            .query_typed_one(&self.tagged(sql), parameters)
            .await
    }

    pub(crate) async fn execute(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, tokio_postgres::Error> {
        self.client
            .execute_typed(&self.tagged(sql), parameters)
            .await
    }

    /// Begins a transaction. If the request fails before [`Db::commit`], its connection is closed,
    /// which rolls back.
    pub(crate) async fn begin(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(&self.tagged("BEGIN")).await
    }

    pub(crate) async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(&self.tagged("COMMIT")).await
    }

    fn tagged<'a>(&self, sql: &'a str) -> Cow<'a, str> {
        match &self.traceparent {
            Some(trace) => format!("{sql} /*traceparent='{trace}'*/").into(),
            None => sql.into(),
        }
    }
}

/// The trace of a request, if it names one.
pub(crate) fn traceparent_of(parts: &Parts) -> Option<String> {
    let header = parts.headers.get("traceparent")?.to_str().ok()?;
    is_traceparent(header).then(|| header.to_owned())
}

/// Whether this is a `traceparent` of W3C Trace Context, version 00. It ends up inside a comment,
/// so nothing else may pass.
fn is_traceparent(value: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let parts: Vec<&str> = value.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
        && parts[0] == "00"
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_a_traceparent_gets_into_a_comment() {
        let fine = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(fine));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473*-00f067aa0ba902b/-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "*/; DROP TABLE jobs; --",
        ] {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
