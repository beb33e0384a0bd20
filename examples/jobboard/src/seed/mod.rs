//! `jobboard seed`: tables and made-up data, always the same.

mod random;
mod rows;

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::Client;

use crate::db::Database;
use random::Random;
use rows::Sizes;

/// Rows are sent in pieces of about this size.
const CHUNK_BYTES: usize = 128 * 1024;

const TABLES: &str = include_str!("tables.sql");
const KEYS: &str = include_str!("keys.sql");
const TUNED: &str = include_str!("tuned.sql");

/// What to fill, and how full.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The database.
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// How many jobs; everything else follows from it.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    jobs: u64,
    /// Replace the tables if they are there already.
    #[arg(long)]
    replace: bool,
    /// With the indexes and constraints that `serve --tuned` wants.
    #[arg(long)]
    tuned: bool,
}

pub(crate) async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let client = Database::new(&args.database_url)?.connect().await?;
    let taken = client
        .query_one("SELECT to_regclass('jobs') IS NOT NULL", &[])
        .await?;
    if taken.try_get::<_, bool>(0)? && !args.replace {
        return Err("there is a table `jobs` already; with --replace it would be replaced".into());
    }
    client.batch_execute(TABLES).await?;
    let sizes = Sizes::for_jobs(args.jobs);
    copy(&client, "companies", 1, sizes.companies, rows::company).await?;
    copy(&client, "locations", 2, sizes.locations, rows::location).await?;
    copy(&client, "skills", 3, sizes.skills, rows::skill).await?;
    copy(&client, "jobs", 4, sizes.jobs, |r, id| {
        rows::job(r, id, sizes)
    })
    .await?;
    copy(&client, "job_skills", 5, sizes.jobs, |r, id| {
        rows::job_skills(r, id, sizes)
    })
    .await?;
    copy(&client, "users", 6, sizes.users, rows::user).await?;
    copy(&client, "applications", 7, sizes.applications, |r, id| {
        rows::application(r, id, sizes)
    })
    .await?;
    // Keys after the rows: building an index at once is much cheaper than row by row.
    client.batch_execute(KEYS).await?;
    if args.tuned {
        client.batch_execute(TUNED).await?;
    }
    client.batch_execute("VACUUM (ANALYZE)").await?;
    report(sizes, began);
    Ok(())
}

async fn copy(
    client: &Client,
    table: &str,
    seed: u64,
    count: u64,
    mut row: impl FnMut(&mut Random, u64) -> String,
) -> Result<(), tokio_postgres::Error> {
    let sink = client.copy_in(&format!("COPY {table} FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    let mut random = Random::new(seed);
    let mut chunk = String::with_capacity(CHUNK_BYTES * 2);
    for id in 1..=count {
        chunk.push_str(&row(&mut random, id));
        if chunk.len() >= CHUNK_BYTES || id == count {
            sink.send(Bytes::from(std::mem::take(&mut chunk))).await?;
        }
    }
    sink.finish().await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a command")]
fn report(sizes: Sizes, began: Instant) {
    eprintln!(
        "seeded {} companies, {} jobs, {} users and {} applications in {:.1} s",
        sizes.companies,
        sizes.jobs,
        sizes.users,
        sizes.applications,
        began.elapsed().as_secs_f64()
    );
}
