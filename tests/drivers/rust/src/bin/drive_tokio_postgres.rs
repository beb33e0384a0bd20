//! Drives tokio-postgres through the proxy: binary format, named statements, pipelines.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::{join_all, poll_fn, try_join_all};
use futures_util::{SinkExt, TryStreamExt};
use paceline_driver_tests::{
    Arguments, LARGE_BYTES, Outcome, Program, ROUNDS, TASKS, TERMINATE_OTHERS, same, version_of,
};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{
    AsyncMessage, Client, Config, Error, IsolationLevel, NoTls, SimpleQueryMessage,
};

struct Checks(Arguments);

impl Checks {
    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(&self.0.host)
            .port(self.0.port)
            .dbname(&self.0.database)
            .user("postgres");
        config
    }

    async fn client(&self) -> Result<Client, Error> {
        self.client_of(&self.config()).await
    }

    async fn client_of(&self, config: &Config) -> Result<Client, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn connect(&self) -> Outcome {
        let mut config = self.config();
        config
            .application_name("check")
            .options("-c search_path=elsewhere,public");
        let client = self.client_of(&config).await?;
        same(
            client
                .query_one("SHOW application_name", &[])
                .await?
                .get::<_, &str>(0),
            "check",
        )?;
        same(
            client
                .query_one("SHOW search_path", &[])
                .await?
                .get::<_, String>(0)
                .replace(' ', ""),
            "elsewhere,public",
        )
    }

    async fn simple(&self) -> Outcome {
        let messages = self
            .client()
            .await?
            .simple_query("SELECT 1; SELECT 'two'; ")
            .await?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        let found: Vec<String> = messages.iter().filter_map(row).collect();
        same(found, ["1", "two"])
    }

    async fn parameters(&self) -> Outcome {
        let client = self.client().await?;
        let row = client
            .query_one("SELECT $1::int4, $2::text", &[&42_i32, &"grün 'x'"])
            .await?;
        same(
            (row.get::<_, i32>(0), row.get::<_, &str>(1)),
            (42, "grün 'x'"),
        )?;
        same(
            client
                .query("SELECT generate_series(1, $1::int4)", &[&5000_i32])
                .await?
                .len(),
            5000,
        )
    }

    async fn prepared(&self) -> Outcome {
        let work = async |number: i32| -> Outcome {
            let client = self.client().await?;
            let mine = client
                .prepare(&format!("SELECT {number} * 1000 + $1::int4"))
                .await?;
            for turn in 0..40 {
                same(
                    client.query_one(&mine, &[&turn]).await?.get::<_, i32>(0),
                    number * 1000 + turn,
                )?;
                let text = format!("SELECT {} + $1::int4", turn % 4);
                same(
                    client.query_one(&text, &[&turn]).await?.get::<_, i32>(0),
                    turn % 4 + turn,
                )?;
            }
            Ok(())
        };
        try_join_all((0..self.0.server_connections as i32 * 3).map(work))
            .await
            .map(drop)
    }

    async fn types_text(&self) -> Outcome {
        let messages = self
            .client()
            .await?
            .simple_query("SELECT 1.5::numeric, '\\x00ff'::bytea, NULL, '{1,2}'::int[]")
            .await?;
        let Some(SimpleQueryMessage::Row(row)) = messages
            .iter()
            .find(|message| matches!(message, SimpleQueryMessage::Row(_)))
        else {
            return Err("no row".into());
        };
        let found: Vec<_> = (0..4).map(|column| row.get(column)).collect();
        same(found, [Some("1.5"), Some("\\x00ff"), None, Some("{1,2}")])
    }

    async fn types_binary(&self) -> Outcome {
        let client = self.client().await?;
        let moment = SystemTime::UNIX_EPOCH + Duration::from_micros(1_709_212_455_161_718);
        let bytes: Vec<u8> = (0..=255).collect();
        let text = "SELECT $1::int2, $2::int8, $3::float8, $4::bool, $5::text, $6::bytea, $7::timestamptz, $8::int4[], $9::text[]";
        let texts = vec!["a", "b,c", "d\"e"];
        let row = client
            .query_one(
                text,
                &[
                    &-32768_i16,
                    &i64::MIN,
                    &0.1_f64,
                    &true,
                    &"grün \u{2603}",
                    &bytes,
                    &moment,
                    &vec![1_i32, 2],
                    &texts,
                ],
            )
            .await?;
        same(
            (
                row.get::<_, i16>(0),
                row.get::<_, i64>(1),
                row.get::<_, f64>(2),
                row.get::<_, bool>(3),
            ),
            (-32768, i64::MIN, 0.1, true),
        )?;
        same(row.get::<_, &str>(4), "grün \u{2603}")?;
        same(row.get::<_, Vec<u8>>(5), bytes)?;
        same(row.get::<_, SystemTime>(6), moment)?;
        same(row.get::<_, Vec<i32>>(7), [1, 2])?;
        same(row.get::<_, Vec<&str>>(8), texts)?;
        // A type that the driver looks up first, with prepared queries of its own.
        client
            .batch_execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
            .await?;
        let statement = client.prepare("SELECT $1::mood").await?;
        same(statement.params()[0].name(), "mood")
    }

    async fn nulls(&self) -> Outcome {
        let row = self
            .client()
            .await?
            .query_one("SELECT $1::int4, $2::text", &[&None::<i32>, &None::<&str>])
            .await?;
        same(
            (row.get::<_, Option<i32>>(0), row.get::<_, Option<&str>>(1)),
            (None, None),
        )
    }

    async fn transactions(&self) -> Outcome {
        let (mut client, other) = (self.client().await?, self.client().await?);
        client.batch_execute("CREATE TABLE ledger (n int4)").await?;
        let transaction = client.transaction().await?;
        transaction
            .execute("INSERT INTO ledger VALUES ($1)", &[&1])
            .await?;
        same(other.query("SELECT * FROM ledger", &[]).await?.len(), 0)?;
        // Dropped without a commit: rolled back.
        drop(transaction);
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::Serializable)
            .start()
            .await?;
        transaction
            .execute("INSERT INTO ledger VALUES ($1)", &[&2])
            .await?;
        transaction.commit().await?;
        same(
            other
                .query_one("SELECT n FROM ledger", &[])
                .await?
                .get::<_, i32>(0),
            2,
        )
    }

    async fn savepoints(&self) -> Outcome {
        let mut client = self.client().await?;
        let mut transaction = client.transaction().await?;
        transaction
            .batch_execute("CREATE TABLE saved (n int4); INSERT INTO saved VALUES (1)")
            .await?;
        let inner = transaction.transaction().await?;
        same(
            inner.query("SELECT 1 / $1::int4", &[&0]).await.is_err(),
            true,
        )?;
        inner.rollback().await?;
        transaction
            .execute("INSERT INTO saved VALUES ($1)", &[&3])
            .await?;
        transaction.commit().await?;
        let rows = client.query("SELECT n FROM saved ORDER BY n", &[]).await?;
        same(
            rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(),
            [1, 3],
        )
    }

    async fn errors(&self) -> Outcome {
        let client = self.client().await?;
        let code = |result: Result<Vec<tokio_postgres::Row>, Error>| {
            result.err().and_then(|error| error.code().cloned())
        };
        same(
            code(client.query("SELECT * FROM nowhere", &[]).await),
            Some(SqlState::UNDEFINED_TABLE),
        )?;
        same(
            code(client.query("SELEKT 1", &[]).await),
            Some(SqlState::SYNTAX_ERROR),
        )?;
        same(
            code(client.query("SELECT $1::text::int4", &[&"x"]).await),
            Some(SqlState::INVALID_TEXT_REPRESENTATION),
        )?;
        same(client.query_one("SELECT 3", &[]).await?.get::<_, i32>(0), 3)
    }

    async fn pipelining(&self) -> Outcome {
        let client = self.client().await?;
        let statement = client.prepare("SELECT 100 / $1::int4").await?;
        let results = join_all(
            (0..200).map(async |number: i32| client.query_one(&statement, &[&(number % 5)]).await),
        )
        .await;
        for (number, result) in (0..200).zip(results) {
            match number % 5 {
                0 => same(
                    result.err().and_then(|error| error.code().cloned()),
                    Some(SqlState::DIVISION_BY_ZERO),
                )?,
                divisor => same(result?.get::<_, i32>(0), 100 / divisor)?,
            }
        }
        // Preparing and running different texts, all at once.
        let results = try_join_all((0..50).map(async |number: i32| {
            client
                .query_one(&format!("SELECT {number} + $1::int4"), &[&number])
                .await
        }));
        let found: Vec<i32> = results.await?.iter().map(|row| row.get(0)).collect();
        same(
            found,
            (0..50).map(|number| number * 2).collect::<Vec<i32>>(),
        )
    }

    async fn copy(&self) -> Outcome {
        let client = self.client().await?;
        client
            .batch_execute("CREATE TABLE copied (n int4, note text)")
            .await?;
        let mut sink = pin!(client.copy_in("COPY copied FROM STDIN").await?);
        for number in 0..10_000 {
            sink.send(Bytes::from(format!("{number}\tnote {number}\n")))
                .await?;
        }
        same(sink.finish().await?, 10_000)?;
        let stream = client
            .copy_out("COPY copied TO STDOUT (FORMAT binary)")
            .await?;
        let all: Vec<Bytes> = stream.try_collect().await?;
        let mut sink = pin!(
            client
                .copy_in("COPY copied FROM STDIN (FORMAT binary)")
                .await?
        );
        for bytes in all {
            sink.send(bytes).await?;
        }
        same(sink.finish().await?, 10_000)?;
        {
            // Dropped in the middle: the driver sends CopyFail.
            let mut sink = pin!(client.copy_in("COPY copied FROM STDIN").await?);
            sink.send(Bytes::from_static(b"1\tone\n")).await?;
        }
        let mut sink = pin!(client.copy_in("COPY copied FROM STDIN").await?);
        sink.send(Bytes::from_static(b"not a number\tx\n")).await?;
        same(sink.finish().await.is_err(), true)?;
        same(
            client
                .query_one("SELECT count(*) FROM copied", &[])
                .await?
                .get::<_, i64>(0),
            20_000,
        )
    }

    async fn row_limit(&self) -> Outcome {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let portal = transaction
            .bind("SELECT generate_series(1, $1::int4)", &[&1000])
            .await?;
        let mut total = 0;
        loop {
            let rows = transaction.query_portal(&portal, 70).await?;
            total += rows.iter().map(|row| row.get::<_, i32>(0)).sum::<i32>();
            // Another statement between two parts of the answer.
            transaction.query_one("SELECT 1", &[]).await?;
            if rows.len() < 70 {
                break;
            }
        }
        transaction.commit().await?;
        same(total, 500_500)
    }

    async fn concurrency(&self) -> Outcome {
        let client = self.client().await?;
        client
            .batch_execute("CREATE TABLE counter (n int4); INSERT INTO counter VALUES (0)")
            .await?;
        try_join_all((0..TASKS).map(async |number| -> Outcome {
            let mut client = self.client().await?;
            for turn in 0..ROUNDS {
                let transaction = client.transaction().await?;
                transaction
                    .execute("UPDATE counter SET n = n + 1", &[])
                    .await?;
                let row = transaction
                    .query_one("SELECT $1::int4 + $2::int4", &[&number, &turn])
                    .await?;
                same(row.get::<_, i32>(0), number + turn)?;
                transaction.commit().await?;
            }
            Ok(())
        }))
        .await?;
        same(
            client
                .query_one("SELECT n FROM counter", &[])
                .await?
                .get::<_, i32>(0),
            TASKS * ROUNDS,
        )
    }

    async fn cancel(&self) -> Outcome {
        let client = self.client().await?;
        let token = client.cancel_token();
        let canceller = async {
            sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await
        };
        let (slept, cancelled) =
            tokio::join!(client.batch_execute("SELECT pg_sleep(30)"), canceller);
        cancelled?;
        same(
            slept.err().and_then(|error| error.code().cloned()),
            Some(SqlState::QUERY_CANCELED),
        )?;
        same(client.query_one("SELECT 5", &[]).await?.get::<_, i32>(0), 5)
    }

    async fn timeout(&self) -> Outcome {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        transaction
            .batch_execute("SET LOCAL statement_timeout = 100")
            .await?;
        let slept = transaction.batch_execute("SELECT pg_sleep(30)").await;
        same(
            slept.err().and_then(|error| error.code().cloned()),
            Some(SqlState::QUERY_CANCELED),
        )?;
        transaction.rollback().await?;
        same(
            client
                .query_one("SHOW statement_timeout", &[])
                .await?
                .get::<_, &str>(0),
            "0",
        )
    }

    async fn listen(&self) -> Outcome {
        let (listener, mut connection) = self.config().connect(NoTls).await?;
        let notification = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(told))) => return Some(told),
                    Some(Ok(_)) => {}
                    _ => return None,
                }
            }
        });
        listener.batch_execute("LISTEN news").await?;
        self.client()
            .await?
            .query("SELECT pg_notify('news', $1)", &[&"one"])
            .await?;
        let told = notification.await?.ok_or("the connection ended")?;
        same((told.channel(), told.payload()), ("news", "one"))
    }

    async fn settings(&self) -> Outcome {
        let clients =
            try_join_all((0..self.0.server_connections * 2).map(|_| self.client())).await?;
        for (number, client) in clients.iter().enumerate() {
            client
                .batch_execute(&format!("SET work_mem = '{}MB'", number + 1))
                .await?;
        }
        for _ in 0..3 {
            for (number, client) in clients.iter().enumerate() {
                let row = client
                    .query_one("SELECT current_setting('work_mem')", &[])
                    .await?;
                same(row.get::<_, &str>(0), format!("{}MB", number + 1))?;
            }
        }
        Ok(())
    }

    async fn large_value(&self) -> Outcome {
        let value: Vec<u8> = (0..LARGE_BYTES).map(|number| number as u8).collect();
        let row = self
            .client()
            .await?
            .query_one("SELECT $1::bytea", &[&value])
            .await?;
        same(row.get::<_, &[u8]>(0) == value, true)
    }

    async fn reconnect(&self) -> Outcome {
        let (client, mut busy, killer) = (
            self.client().await?,
            self.client().await?,
            self.client().await?,
        );
        client.query("SELECT 1", &[]).await?;
        let transaction = busy.transaction().await?;
        killer.query(TERMINATE_OTHERS, &[]).await?;
        same(client.query_one("SELECT 1", &[]).await?.get::<_, i32>(0), 1)?;
        same(transaction.query("SELECT 1", &[]).await.is_err(), true)?;
        same(
            self.client()
                .await?
                .query_one("SELECT 2", &[])
                .await?
                .get::<_, i32>(0),
            2,
        )
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let checks = Checks(Arguments::read());
    let mut program = Program::new("tokio-postgres", &version_of("tokio-postgres"));
    program.check("connect", checks.connect()).await;
    program.check("simple", checks.simple()).await;
    program.check("parameters", checks.parameters()).await;
    program.check("prepared", checks.prepared()).await;
    program.check("types_text", checks.types_text()).await;
    program.check("types_binary", checks.types_binary()).await;
    program.check("nulls", checks.nulls()).await;
    program.check("transactions", checks.transactions()).await;
    program.check("savepoints", checks.savepoints()).await;
    program.check("errors", checks.errors()).await;
    program.check("pipelining", checks.pipelining()).await;
    program.check("copy", checks.copy()).await;
    program.check("row_limit", checks.row_limit()).await;
    program.check("concurrency", checks.concurrency()).await;
    program.check("cancel", checks.cancel()).await;
    program.check("timeout", checks.timeout()).await;
    program.check("listen", checks.listen()).await;
    program.check("settings", checks.settings()).await;
    program.check("large_value", checks.large_value()).await;
    program.check("reconnect", checks.reconnect()).await;
    program.end();
}
