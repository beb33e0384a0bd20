//! Serves one database on 127.0.0.1:6432 until it is killed: for measuring the proxy alone.
//!
//! `cargo run --release -p paceline-pgproxy --example serve -- postgres://user@127.0.0.1:5432/db [workers] [pool size]`

use std::error::Error;
use std::sync::Arc;

use paceline_journal::Journal;
use paceline_listen::{bind, drain};
use paceline_pgproxy::{Config, Database, DatabaseUrl, Proxy};
use paceline_sql::{Limits, Statements};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let database = DatabaseUrl::parse(&arguments.next().ok_or("give a database URL")?)?;
    let workers = arguments.next().map_or(Ok(1), |number| number.parse())?;
    let pool_size = arguments.next().map_or(Ok(20), |number| number.parse())?;
    let config = Config {
        databases: vec![Database::new(database)],
        workers,
        pool_size,
        ..Config::default()
    };
    let listen = config.listen;
    let journal = Journal::new(paceline_journal::Config::default());
    let proxy = Proxy::new(
        config,
        journal,
        Arc::new(Statements::new(Limits::default())),
    )?;
    let (_drain, signal) = drain();
    let threads: Vec<_> = bind(listen, workers)?
        .into_iter()
        .enumerate()
        .map(|(worker, socket)| {
            let (proxy, signal) = (Arc::clone(&proxy), signal.clone());
            std::thread::spawn(move || -> std::io::Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, proxy.serve(worker, socket, signal));
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}
