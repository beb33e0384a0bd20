//! A job board: the sample backend of Paceline's demo.
//!
//! It is written as a hurried but competent developer writes one, and it knows nothing of Paceline.
//! `FAULTS.md` lists what is slow about it.

mod db;
mod error;
mod mail;
mod model;
mod password;
mod routes;
mod seed;
mod tuned;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::db::Database;

/// A job board API on Postgres.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates the tables and fills them with made-up data, always the same.
    Seed(seed::Args),
    /// Serves the API.
    Serve {
        /// Where to listen; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:3000")]
        listen: SocketAddr,
        /// The database.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: String,
        /// Serves the same API written well; the database must have been seeded with --tuned.
        #[arg(long)]
        tuned: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Seed(args) => seed::run(args).await,
        Command::Serve {
            listen,
            database_url,
            tuned,
        } => serve(listen, &database_url, tuned).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::from(2)
        }
    }
}

async fn serve(listen: SocketAddr, database_url: &str, tuned: bool) -> Result<(), Box<dyn Error>> {
    let database = Database::new(database_url)?;
    let router = if tuned {
        tuned::router(database)
    } else {
        routes::router(database)
    };
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    announce(listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(asked_to_end())
        .await?;
    Ok(())
}

async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "whoever starts us on port 0 reads the port here"
)]
fn announce(address: SocketAddr) {
    println!("listening on http://{address}");
}

#[expect(clippy::print_stderr, reason = "a program's last words")]
fn complain(error: &dyn Error) {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    eprintln!("error: {message}");
}
