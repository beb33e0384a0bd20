//! What Postgres itself counted. Before and after are counted by the same queries on the server,
//! not by anything that Paceline says.

use anyhow::{Context as _, bail};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use super::interrupt::Interrupt;

/// The database that the sample API uses.
pub(super) const DATABASE: &str = "jobboard";
/// What it is copied from before each measurement, so that all begin with the same data.
const SEED: &str = "jobboard_seed";
/// The same with what the API written well wants.
const SEED_TUNED: &str = "jobboard_seed_tuned";
const SETTLE_TIME_MAX: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_millis(20);
/// The first version that counts sessions.
const VERSION_MIN: i32 = 14_00_00;
/// The first version that can copy a database without writing every block to the log.
const VERSION_FILE_COPY: i32 = 15_00_00;

/// Counters of the sample API's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    /// Statements executed, by whomever.
    pub(super) statements: i64,
    /// Connections opened.
    pub(super) sessions: i64,
}

/// A connection for book-keeping. It is to another database, so that it counts nothing of its own.
pub(super) struct Statistics {
    runtime: Runtime,
    client: Client,
    version: i32,
}

impl Statistics {
    pub(super) fn connect(url: &str) -> anyhow::Result<Statistics> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = runtime.block_on(open(url))?;
        let mut statistics = Statistics {
            runtime,
            client,
            version: 0,
        };
        let version = statistics.text("SHOW server_version_num")?;
        statistics.version = version.parse().context("Postgres told no version")?;
        if statistics.version < VERSION_MIN {
            bail!("the demo needs Postgres 14 or newer, which counts the connections it accepts");
        }
        let made = statistics.execute("CREATE EXTENSION pg_stat_statements");
        made.context(
            "the demo counts statements with pg_stat_statements; install it with \
             `apt install postgresql-contrib` (Debian's `postgresql` has it)",
        )?;
        Ok(statistics)
    }

    /// Makes the database to be seeded.
    pub(super) fn create_seed(&self) -> anyhow::Result<&'static str> {
        self.execute(&format!("CREATE DATABASE {SEED}"))?;
        Ok(SEED)
    }

    /// Brings what was seeded to rest: statistics and visibility are as they would be a while
    /// later, and no background work falls into a measurement.
    pub(super) fn settle_seed(&self, url: &str) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let client = open(url).await?;
            client
                .batch_execute("VACUUM ANALYZE")
                .await
                .context("could not vacuum")?;
            client
                .batch_execute("CHECKPOINT")
                .await
                .context("could not checkpoint")
        })
    }

    /// Makes a copy of what was seeded, in which the API written well finds what it wants. `url` leads to a database by its
    /// name.
    pub(super) fn tune_seed(&self, url: impl Fn(&str) -> String, sql: &str) -> anyhow::Result<()> {
        self.copy(SEED, SEED_TUNED)?;
        let url = url(SEED_TUNED);
        self.runtime.block_on(async {
            let client = open(&url).await?;
            let done = client.batch_execute(sql).await;
            done.context("could not build the indexes")
        })?;
        self.settle_seed(&url)
    }

    /// Gives the API's database the seeded content again, whoever is connected to it.
    pub(super) fn renew(&self) -> anyhow::Result<()> {
        self.copy(SEED, DATABASE)
    }

    /// The same from the copy that was tuned.
    pub(super) fn renew_tuned(&self) -> anyhow::Result<()> {
        self.copy(SEED_TUNED, DATABASE)
    }

    fn copy(&self, from: &str, to: &str) -> anyhow::Result<()> {
        self.execute(&format!("DROP DATABASE IF EXISTS {to} WITH (FORCE)"))?;
        let copy = if self.version >= VERSION_FILE_COPY {
            " STRATEGY = file_copy"
        } else {
            ""
        };
        self.execute(&format!("CREATE DATABASE {to} TEMPLATE {from}{copy}"))
    }

    /// The counters, once they stand still. A backend adds what it has counted when its
    /// transaction ends, which can be a moment after its client has read the answer.
    pub(super) fn counters(&self, interrupt: &Interrupt) -> anyhow::Result<Counters> {
        let deadline = Instant::now() + SETTLE_TIME_MAX;
        let mut last = self.read_counters()?;
        loop {
            interrupt.pause(SETTLE_POLL)?;
            let next = self.read_counters()?;
            if next == last {
                return Ok(next);
            }
            if Instant::now() > deadline {
                bail!("somebody else uses the demo's database: its counters do not stand still");
            }
            last = next;
        }
    }

    fn read_counters(&self) -> anyhow::Result<Counters> {
        let query = "SELECT d.sessions, (SELECT coalesce(sum(calls), 0)::bigint \
                     FROM pg_stat_statements s WHERE s.dbid = d.datid) \
                     FROM pg_stat_database d WHERE d.datname = $1";
        let row = self
            .runtime
            .block_on(self.client.query_one(query, &[&DATABASE]));
        let row = row.context("could not read Postgres's statistics")?;
        Ok(Counters {
            sessions: row.get(0),
            statements: row.get(1),
        })
    }

    fn execute(&self, statement: &str) -> anyhow::Result<()> {
        let done = self.runtime.block_on(self.client.batch_execute(statement));
        done.with_context(|| format!("Postgres refused `{statement}`"))
    }

    fn text(&self, query: &str) -> anyhow::Result<String> {
        let row = self.runtime.block_on(self.client.query_one(query, &[]))?;
        Ok(row.get(0))
    }
}

impl std::ops::Sub for Counters {
    type Output = Counters;

    fn sub(self, earlier: Counters) -> Counters {
        Counters {
            statements: self.statements - earlier.statements,
            sessions: self.sessions - earlier.sessions,
        }
    }
}

/// The connection's own task runs whenever the runtime does.
async fn open(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("could not connect to Postgres")?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
