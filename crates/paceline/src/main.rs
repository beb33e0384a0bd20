//! Paceline: the performance layer for HTTP APIs that run on Postgres.
//!
//! This crate alone knows the command line, the environment and the file format. It turns them into the typed
//! configurations of the other crates and wires the parts together.

mod commands;
mod config;
mod demo;
mod explain;
mod instance;
mod interrupt;
mod page;
mod server;
mod snapshot;
mod terminal;
mod top;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Thousands of idle clients are to cost kilobytes: huge pages round what is used up to two megabytes at a time. Where the
    // kernel has none, none have to be forbidden.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let cli = commands::Cli::parse();
    match cli.command.run() {
        Ok(code) => code,
        Err(error) if terminal::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(&format!("{error:#}"));
            ExitCode::from(commands::COULD_NOT_RUN)
        }
    }
}
