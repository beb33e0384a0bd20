//! Drives sqlx through the proxy: binary format, a cache of named statements, a pool that pings.

use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use paceline_driver_tests::{
    Arguments, LARGE_BYTES, Outcome, Program, ROUNDS, TASKS, TERMINATE_OTHERS, same, version_of,
};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, Row};

struct Checks(Arguments);

impl Checks {
    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new()
            .host(&self.0.host)
            .port(self.0.port)
            .database(&self.0.database)
            .username("postgres")
            .ssl_mode(PgSslMode::Disable)
    }

    async fn client(&self) -> sqlx::Result<PgConnection> {
        self.options().connect().await
    }

    async fn pool(&self, max: u32) -> sqlx::Result<PgPool> {
        PgPoolOptions::new()
            .max_connections(max)
            .connect_with(self.options())
            .await
    }

    async fn connect(&self) -> Outcome {
        let options = self
            .options()
            .application_name("check")
            .options([("search_path", "elsewhere")]);
        let mut client = options.connect().await?;
        let found: String = sqlx::query_scalar("SELECT current_setting('application_name')")
            .fetch_one(&mut client)
            .await?;
        same(found, "check")?;
        let found: String = sqlx::query_scalar("SHOW search_path")
            .fetch_one(&mut client)
            .await?;
        same(found, "elsewhere")?;
        client.close().await?;
        Ok(())
    }

    async fn simple(&self) -> Outcome {
        let mut client = self.client().await?;
        let done = client
            .execute("CREATE TABLE simple (n int); INSERT INTO simple VALUES (1), (2)")
            .await?;
        same(done.rows_affected(), 2)?;
        let rows = client
            .fetch_all("SELECT n FROM simple ORDER BY n; SELECT 7")
            .await?;
        same(
            rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>(),
            [1, 2, 7],
        )
    }

    async fn parameters(&self) -> Outcome {
        let mut client = self.client().await?;
        let found: (i32, String) = sqlx::query_as("SELECT $1::int4, $2::text")
            .bind(42)
            .bind("grün 'x'")
            .fetch_one(&mut client)
            .await?;
        same(found, (42, "grün 'x'".to_owned()))?;
        let many: Vec<i32> = sqlx::query_scalar("SELECT generate_series(1, $1::int4)")
            .bind(5000)
            .fetch_all(&mut client)
            .await?;
        same(many, (1..=5000).collect::<Vec<i32>>())
    }

    async fn prepared(&self) -> Outcome {
        try_join_all(
            (0..self.0.server_connections as i32 * 3).map(async |number| -> Outcome {
                // Three statements are kept, more are used: the driver closes and prepares again.
                let mut client = self.options().statement_cache_capacity(3).connect().await?;
                for turn in 0..40 {
                    let text = format!("SELECT {number} * 1000 + {} + $1::int4", turn % 5);
                    let found: i32 = sqlx::query_scalar(&text)
                        .bind(turn)
                        .fetch_one(&mut client)
                        .await?;
                    same(found, number * 1000 + turn % 5 + turn)?;
                }
                let found: i32 = sqlx::query_scalar("SELECT $1::int4")
                    .persistent(false)
                    .bind(number)
                    .fetch_one(&mut client)
                    .await?;
                same(found, number)
            }),
        )
        .await
        .map(drop)
    }

    async fn types_binary(&self) -> Outcome {
        let mut client = self.client().await?;
        let bytes: Vec<u8> = (0..=255).collect();
        type Found = (i16, i64, f64, bool, String, Vec<u8>, Vec<i32>, Vec<String>);
        let texts = vec!["a".to_owned(), "b,c".to_owned(), "d\"e".to_owned()];
        let wanted: Found = (
            -32768,
            i64::MIN,
            0.1,
            true,
            "grün \u{2603}".to_owned(),
            bytes.clone(),
            vec![1, 2],
            texts.clone(),
        );
        let found: Found = sqlx::query_as("SELECT $1, $2, $3, $4, $5, $6, $7, $8")
            .bind(-32768_i16)
            .bind(i64::MIN)
            .bind(0.1_f64)
            .bind(true)
            .bind("grün \u{2603}")
            .bind(&bytes)
            .bind(vec![1_i32, 2])
            .bind(&texts)
            .fetch_one(&mut client)
            .await?;
        same(found, wanted)
    }

    async fn types_text(&self) -> Outcome {
        let row = self
            .client()
            .await?
            .fetch_one("SELECT 42::int4, true, 'x'::text, '{1,2}'::int4[]")
            .await?;
        same(
            (
                row.get::<i32, _>(0),
                row.get::<bool, _>(1),
                row.get::<String, _>(2),
                row.get::<Vec<i32>, _>(3),
            ),
            (42, true, "x".to_owned(), vec![1, 2]),
        )
    }

    async fn nulls(&self) -> Outcome {
        let mut client = self.client().await?;
        let found: (Option<i32>, Option<String>) = sqlx::query_as("SELECT $1::int4, $2::text")
            .bind(None::<i32>)
            .bind(None::<String>)
            .fetch_one(&mut client)
            .await?;
        same(found, (None, None))
    }

    async fn transactions(&self) -> Outcome {
        let (mut client, mut other) = (self.client().await?, self.client().await?);
        client.execute("CREATE TABLE ledger (n int4)").await?;
        let mut transaction = Connection::begin(&mut client).await?;
        sqlx::query("INSERT INTO ledger VALUES ($1)")
            .bind(1)
            .execute(&mut *transaction)
            .await?;
        same(
            sqlx::query("SELECT n FROM ledger")
                .fetch_all(&mut other)
                .await?
                .len(),
            0,
        )?;
        // Dropped without a commit: rolled back, with the next statement at the latest.
        drop(transaction);
        let mut transaction = Connection::begin(&mut client).await?;
        sqlx::query("INSERT INTO ledger VALUES ($1)")
            .bind(2)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT n FROM ledger")
                .fetch_all(&mut other)
                .await?,
            [2],
        )
    }

    async fn savepoints(&self) -> Outcome {
        let mut client = self.client().await?;
        let mut transaction = Connection::begin(&mut client).await?;
        transaction
            .execute("CREATE TABLE saved (n int4); INSERT INTO saved VALUES (1)")
            .await?;
        let mut inner = Connection::begin(&mut *transaction).await?;
        same(
            sqlx::query("SELECT 1 / $1::int4")
                .bind(0)
                .execute(&mut *inner)
                .await
                .is_err(),
            true,
        )?;
        inner.rollback().await?;
        sqlx::query("INSERT INTO saved VALUES ($1)")
            .bind(3)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT n FROM saved ORDER BY n")
                .fetch_all(&mut client)
                .await?,
            [1, 3],
        )
    }

    async fn errors(&self) -> Outcome {
        let mut client = self.client().await?;
        for (text, code) in [
            ("SELECT * FROM nowhere", "42P01"),
            ("SELEKT 1", "42601"),
            ("SELECT 1 / 0", "22012"),
        ] {
            same(code_of(sqlx::query(text).execute(&mut client).await), code)?;
            same(code_of(client.execute(text).await), code)?;
        }
        client
            .execute("CREATE TABLE changing (a int4); INSERT INTO changing VALUES (1)")
            .await?;
        same(
            sqlx::query("SELECT * FROM changing")
                .fetch_one(&mut client)
                .await?
                .len(),
            1,
        )?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT 3")
                .fetch_one(&mut client)
                .await?,
            3,
        )
    }

    async fn copy(&self) -> Outcome {
        let mut client = self.client().await?;
        client
            .execute("CREATE TABLE copied (n int4, note text)")
            .await?;
        let mut sink = client.copy_in_raw("COPY copied FROM STDIN").await?;
        for number in 0..1000 {
            sink.send(format!("{number}\tnote {number}\n").as_bytes())
                .await?;
        }
        same(sink.finish().await?, 1000)?;
        let all: Vec<_> = client
            .copy_out_raw("COPY copied TO STDOUT (FORMAT binary)")
            .await?
            .try_collect()
            .await?;
        let mut sink = client
            .copy_in_raw("COPY copied FROM STDIN (FORMAT binary)")
            .await?;
        sink.send(all.concat()).await?;
        same(sink.finish().await?, 1000)?;
        let mut sink = client.copy_in_raw("COPY copied FROM STDIN").await?;
        sink.send("1\tone\n".as_bytes()).await?;
        sink.abort("changed my mind").await?;
        let mut sink = client.copy_in_raw("COPY copied FROM STDIN").await?;
        sink.send("not a number\tx\n".as_bytes()).await?;
        same(sink.finish().await.is_err(), true)?;
        same(
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM copied")
                .fetch_one(&mut client)
                .await?,
            2000,
        )
    }

    async fn row_limit(&self) -> Outcome {
        let mut client = self.client().await?;
        // One row is wanted: the Execute bears a limit, and the portal is left suspended.
        for _ in 0..10 {
            let row = sqlx::query("SELECT generate_series(1, $1::int4)")
                .bind(1000)
                .fetch_one(&mut client)
                .await?;
            same(row.get::<i32, _>(0), 1)?;
        }
        {
            let mut stream = sqlx::query_scalar::<_, i32>("SELECT generate_series(1, 100000)")
                .fetch(&mut client);
            same(stream.try_next().await?, Some(1))?;
        }
        same(
            sqlx::query_scalar::<_, i32>("SELECT 8")
                .fetch_one(&mut client)
                .await?,
            8,
        )
    }

    async fn concurrency(&self) -> Outcome {
        let pool = self.pool(20).await?;
        pool.execute("CREATE TABLE counter (n int4); INSERT INTO counter VALUES (0)")
            .await?;
        try_join_all((0..TASKS).map(async |number| -> Outcome {
            for turn in 0..ROUNDS {
                let mut transaction = pool.begin().await?;
                sqlx::query("UPDATE counter SET n = n + $1")
                    .bind(1)
                    .execute(&mut *transaction)
                    .await?;
                let found: i32 = sqlx::query_scalar("SELECT $1::int4 + $2::int4")
                    .bind(number)
                    .bind(turn)
                    .fetch_one(&mut *transaction)
                    .await?;
                same(found, number + turn)?;
                transaction.commit().await?;
            }
            Ok(())
        }))
        .await?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT n FROM counter")
                .fetch_one(&pool)
                .await?,
            TASKS * ROUNDS,
        )
    }

    async fn timeout(&self) -> Outcome {
        let mut client = self
            .options()
            .options([("statement_timeout", "200")])
            .connect()
            .await?;
        same(
            code_of(client.execute("SELECT pg_sleep(30)").await),
            "57014",
        )?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT 5")
                .fetch_one(&mut client)
                .await?,
            5,
        )
    }

    async fn listen(&self) -> Outcome {
        let pool = self.pool(2).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen("news").await?;
        sqlx::query("SELECT pg_notify('news', $1)")
            .bind("one")
            .execute(&pool)
            .await?;
        let told = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await??;
        same((told.channel(), told.payload()), ("news", "one"))
    }

    async fn settings(&self) -> Outcome {
        let mut clients = Vec::new();
        for number in 1..=self.0.server_connections * 2 {
            let mut client = self.client().await?;
            client
                .execute(&*format!("SET work_mem = '{number}MB'"))
                .await?;
            clients.push(client);
        }
        for _ in 0..3 {
            for (number, client) in clients.iter_mut().enumerate() {
                let found: String = sqlx::query_scalar("SELECT current_setting('work_mem')")
                    .fetch_one(client)
                    .await?;
                same(found, format!("{}MB", number + 1))?;
            }
        }
        Ok(())
    }

    async fn large_value(&self) -> Outcome {
        let value: Vec<u8> = (0..LARGE_BYTES).map(|number| number as u8).collect();
        let mut client = self.client().await?;
        let found: Vec<u8> = sqlx::query_scalar("SELECT $1::bytea")
            .bind(&value)
            .fetch_one(&mut client)
            .await?;
        same(found == value, true)
    }

    async fn reconnect(&self) -> Outcome {
        let (mut client, mut busy, mut killer) = (
            self.client().await?,
            self.client().await?,
            self.client().await?,
        );
        sqlx::query("SELECT 1").execute(&mut client).await?;
        let mut transaction = Connection::begin(&mut busy).await?;
        killer.execute(TERMINATE_OTHERS).await?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT 1")
                .fetch_one(&mut client)
                .await?,
            1,
        )?;
        same(transaction.execute("SELECT 1").await.is_err(), true)?;
        same(
            sqlx::query_scalar::<_, i32>("SELECT 2")
                .fetch_one(&mut self.client().await?)
                .await?,
            2,
        )
    }
}

fn code_of<T>(result: sqlx::Result<T>) -> String {
    let code = |error: sqlx::Error| {
        error
            .as_database_error()
            .and_then(|error| error.code().map(String::from))
    };
    result.err().and_then(code).unwrap_or_default()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let checks = Checks(Arguments::read());
    let mut program = Program::new("sqlx", &version_of("sqlx"));
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
    program.skip("pipelining", "the driver has none");
    program.check("copy", checks.copy()).await;
    program.check("row_limit", checks.row_limit()).await;
    program.check("concurrency", checks.concurrency()).await;
    program.skip("cancel", "the driver has none");
    program.check("timeout", checks.timeout()).await;
    program.check("listen", checks.listen()).await;
    program.check("settings", checks.settings()).await;
    program.check("large_value", checks.large_value()).await;
    program.check("reconnect", checks.reconnect()).await;
    program.end();
}
