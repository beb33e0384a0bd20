//! Reading it all: one transaction, one question per kind of thing.

mod rows;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use crate::plan::{Plan, PlanError};
use crate::snapshot::{Gap, Setting, Snapshot};
use crate::sql;
use crate::statement::{Statement, Statements};

/// How much is read, and how long it may take.
#[derive(Debug, Clone)]
pub struct Options {
    /// Any one question.
    pub statement_timeout: Duration,
    /// Waiting for anybody else's lock.
    pub lock_timeout: Duration,
    /// Relations at most, the largest first; also sequences and sessions.
    pub relations_max: usize,
    /// Columns, indexes and constraints at most, of each.
    pub parts_max: usize,
    /// Statements at most, the costliest first.
    pub statements_max: usize,
    /// Of how many of these the plan is asked.
    pub plans_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            statement_timeout: Duration::from_secs(20),
            lock_timeout: Duration::from_millis(500),
            relations_max: 10_000,
            parts_max: 200_000,
            statements_max: 100,
            plans_max: 20,
        }
    }
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection is lost, or the server does not do what every server does.
    #[error("the database could not be asked: {}", told(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// An answer that no version from 13 to 18 gives.
    #[error("the database gave an answer of an unknown form: {}", told(.0))]
    Form(#[source] tokio_postgres::Error),
}

/// Reads a snapshot. Changes nothing, and leaves the connection outside of a transaction.
///
/// # Errors
///
/// When the connection is lost, or not even the version could be read. All else is a [`Gap`].
pub async fn read(client: &Client, options: &Options) -> Result<Snapshot, Error> {
    let timeouts = format!(
        "SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {};",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis()
    );
    client
        .batch_execute(&format!("{}{timeouts}", sql::BEGIN))
        .await?;
    let mut reader = Reader {
        client,
        options,
        snapshot: Snapshot::default(),
    };
    let read = reader.read().await;
    // Whatever has come of it; a lost connection needs no end.
    let ended = client.batch_execute("ROLLBACK").await;
    read?;
    ended?;
    Ok(reader.snapshot)
}

/// A reading under way.
struct Reader<'a> {
    client: &'a Client,
    options: &'a Options,
    snapshot: Snapshot,
}

type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl Reader<'_> {
    async fn read(&mut self) -> Result<(), Error> {
        let row = self.client.query_typed_one(sql::SERVER, &[]).await?;
        (self.snapshot.server, self.snapshot.database) = rows::server(&row).map_err(Error::Form)?;
        self.read_relations().await?;
        self.read_activity().await?;
        let settings = self.ask("settings", sql::SETTINGS, &[]).await?;
        self.snapshot.settings = settings
            .iter()
            .map(setting)
            .collect::<Result<BTreeMap<_, _>, _>>()
            .map_err(Error::Form)?;
        self.read_statements().await
    }

    async fn read_relations(&mut self) -> Result<(), Error> {
        let limit = self.options.relations_max as i64;
        let found = self
            .ask("tables", sql::RELATIONS, &[(&limit, Type::INT8)])
            .await?;
        self.bounded("tables", found.len(), self.options.relations_max);
        self.snapshot.relations = each(&found, rows::relation)?;
        let hidden = each(&found, |row| row.try_get("may_read"))?;
        let hidden = hidden.iter().filter(|may_read: &&bool| !**may_read).count();
        if hidden > 0 {
            self.gap(
                &format!("column statistics of {hidden} tables"),
                "the role may not read them (GRANT SELECT, or the role pg_read_all_data)",
            );
        }
        let oids: Vec<u32> = self.snapshot.relations.iter().map(|one| one.oid).collect();
        let limit = self.options.parts_max as i64;
        let parameters: [Parameter<'_>; 2] = [(&oids, Type::OID_ARRAY), (&limit, Type::INT8)];
        let columns = self.ask("columns", sql::COLUMNS, &parameters).await?;
        self.bounded("columns", columns.len(), self.options.parts_max);
        rows::assign_columns(&mut self.snapshot.relations, &columns).map_err(Error::Form)?;
        let indexes = self.ask("indexes", sql::INDEXES, &parameters).await?;
        self.bounded("indexes", indexes.len(), self.options.parts_max);
        self.snapshot.indexes = each(&indexes, rows::index)?;
        let constraints = self
            .ask("constraints", sql::CONSTRAINTS, &parameters)
            .await?;
        self.bounded("constraints", constraints.len(), self.options.parts_max);
        self.snapshot.constraints = each(&constraints, rows::constraint)?;
        let limit = self.options.relations_max as i64;
        let sequences = self
            .ask("sequences", sql::SEQUENCES, &[(&limit, Type::INT8)])
            .await?;
        self.bounded("sequences", sequences.len(), self.options.relations_max);
        let hidden = each(&sequences, |row| row.try_get("may_read"))?;
        let hidden = hidden.iter().filter(|may_read: &&bool| !**may_read).count();
        if hidden > 0 {
            let reason =
                "the role may not read them (GRANT SELECT ON SEQUENCE, or pg_read_all_data)";
            self.gap(&format!("values of {hidden} sequences"), reason);
        }
        self.snapshot.sequences = each(&sequences, rows::sequence)?;
        Ok(())
    }

    async fn read_activity(&mut self) -> Result<(), Error> {
        let limit = self.options.relations_max as i64;
        let parameters: [Parameter<'_>; 1] = [(&limit, Type::INT8)];
        let sessions = self.ask("sessions", sql::SESSIONS, &parameters).await?;
        self.snapshot.sessions = each(&sessions, rows::session)?;
        let hidden = self.snapshot.sessions.iter();
        let hidden = hidden
            .filter(|one| one.statement == "<insufficient privilege>")
            .count();
        if hidden > 0 {
            let reason = "they are another role's (GRANT pg_read_all_stats, or pg_monitor)";
            self.gap(&format!("what {hidden} sessions do"), reason);
        }
        let waits = self.ask("lock waits", sql::LOCK_WAITS, &parameters).await?;
        self.snapshot.lock_waits = each(&waits, rows::lock_wait)?;
        Ok(())
    }

    async fn read_statements(&mut self) -> Result<(), Error> {
        let place = self
            .ask("pg_stat_statements", sql::STATEMENTS_PLACE, &[])
            .await?;
        let Some(place) = place.first() else {
            return Ok(());
        };
        let schema: String = place.try_get("schema").map_err(Error::Form)?;
        let has_info = place.try_get("has_info").map_err(Error::Form)?;
        let limit = self.options.statements_max as i64;
        let parameters: [Parameter<'_>; 1] = [(&limit, Type::INT8)];
        let text = sql::statements(&schema, has_info);
        let Some(found) = self
            .try_ask("pg_stat_statements", &text, &parameters)
            .await?
        else {
            return Ok(());
        };
        let mut statements = Statements::default();
        if let Some(row) = found.first() {
            statements.age_s = row.try_get("age_s").map_err(Error::Form)?;
            statements.total_ms = row.try_get("all_ms").map_err(Error::Form)?;
        }
        statements.list = each(&found, rows::statement)?;
        let before = statements.list.len();
        let hidden = |one: &Statement| one.text == "<insufficient privilege>";
        statements.list.retain(|one| !hidden(one));
        if statements.list.len() < before {
            let hidden = before - statements.list.len();
            let reason = "they are another role's (GRANT pg_read_all_stats, or pg_monitor)";
            self.gap(&format!("{hidden} texts of pg_stat_statements"), reason);
        }
        // Names in these texts are those of the application's own search_path.
        self.client
            .batch_execute("SET LOCAL search_path TO DEFAULT")
            .await?;
        for statement in statements.list.iter_mut().take(self.options.plans_max) {
            statement.plan = Some(self.explain(&statement.text).await?);
        }
        self.snapshot.statements = Some(statements);
        Ok(())
    }

    /// Asks how a statement would be executed. It is not.
    async fn explain(&self, text: &str) -> Result<Result<Plan, PlanError>, Error> {
        let first = text.split_whitespace().next().unwrap_or_default();
        let planned = [
            "select", "with", "insert", "update", "delete", "merge", "values",
        ];
        if !planned.iter().any(|word| first.eq_ignore_ascii_case(word)) {
            return Ok(Err(PlanError::NotPlanned));
        }
        let has_parameters = has_parameters(text);
        if has_parameters && self.snapshot.server.version_number < 160_000 {
            return Ok(Err(PlanError::NeedsValues));
        }
        let generic = if has_parameters { ", GENERIC_PLAN" } else { "" };
        let text = format!("EXPLAIN (FORMAT JSON, VERBOSE{generic}) {text}");
        self.client.batch_execute("SAVEPOINT question").await?;
        let answer = self.explained(&text).await;
        let back = "ROLLBACK TO SAVEPOINT question; RELEASE SAVEPOINT question";
        self.client.batch_execute(back).await?;
        match answer {
            Ok(json) => Ok(Plan::parse(&json).ok_or(PlanError::NotPlanned)),
            Err(error) if error.as_db_error().is_some() => {
                Ok(Err(PlanError::Refused(told(&error))))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What is not exactly one statement is refused when it is prepared. A generic plan needs no values, which only a
    /// simple query can leave out.
    async fn explained(&self, text: &str) -> Result<String, tokio_postgres::Error> {
        self.client.prepare(text).await?;
        let messages = self.client.simple_query(text).await?;
        let rows = messages.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(rows.collect::<Vec<_>>().join("\n"))
    }

    /// What is asked for; nothing, and a gap, when the server refuses.
    async fn ask(
        &mut self,
        what: &str,
        text: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let answer = self.try_ask(what, text, parameters).await?;
        Ok(answer.unwrap_or_default())
    }

    async fn try_ask(
        &mut self,
        what: &str,
        text: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Vec<Row>>, Error> {
        match self.guarded(text, parameters).await? {
            Ok(rows) => Ok(Some(rows)),
            Err(refusal) => {
                self.gap(what, &refusal);
                Ok(None)
            }
        }
    }

    /// Asks in a transaction within the transaction, so that a refusal is the end of the question only.
    async fn guarded(
        &self,
        text: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Result<Vec<Row>, String>, Error> {
        self.client.batch_execute("SAVEPOINT question").await?;
        let answer = self.client.query_typed(text, parameters).await;
        match answer {
            Ok(rows) => {
                self.client
                    .batch_execute("RELEASE SAVEPOINT question")
                    .await?;
                Ok(Ok(rows))
            }
            Err(error) if error.as_db_error().is_some() => {
                let back = "ROLLBACK TO SAVEPOINT question; RELEASE SAVEPOINT question";
                self.client.batch_execute(back).await?;
                Ok(Err(told(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn gap(&mut self, what: &str, reason: &str) {
        self.snapshot.gaps.push(Gap::new(what, reason));
    }

    fn bounded(&mut self, what: &str, found: usize, limit: usize) {
        if found >= limit {
            self.gap(
                what,
                &format!("there are more than the {limit} that are looked at"),
            );
        }
    }
}

fn each<T>(
    found: &[Row],
    read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Result<Vec<T>, Error> {
    found
        .iter()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(Error::Form)
}

fn setting(row: &Row) -> Result<(String, Setting), tokio_postgres::Error> {
    let (value, unit) = (row.try_get("value")?, row.try_get("unit")?);
    Ok((row.try_get("name")?, Setting { value, unit }))
}

/// The message of the server, or what became of the connection.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => format!("{} ({})", refusal.message(), refusal.code().code()),
        None => {
            let source = std::error::Error::source(error);
            source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        }
    }
}

/// Whether `$1` stands in the text. In a literal it would do no harm: pg_stat_statements shows none.
fn has_parameters(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(2)
        .any(|pair| pair[0] == b'$' && pair[1].is_ascii_digit())
}
