//! `paceline demo`: the whole loop on a sample backend.

mod answers;
mod findings;
mod house;
mod interrupt;
mod jobboard;
mod measure;
mod page;
mod progress;
mod remedies;
mod statistics;
mod story;
mod summary;
mod text;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::terminal;
use interrupt::Interrupt;

const ABOUT: &str = "\
Starts a private Postgres with a job board of 100,000 jobs and a deliberately naive API, and \
then: measures it, diagnoses it through Paceline in observe mode, switches the fixes on, and \
proves what they changed, at the same rate of requests and with answers compared; then it measures \
the same API written well, for what the findings' remedies gain. It takes about two minutes. Whatever it starts is gone afterwards.

Exit code 1 when answers through Paceline differ from direct ones, or when the N+1 that the \
sample API is known to have was not found.";

/// The whole loop on a sample backend: measure, diagnose, fix, prove.
#[derive(Debug, clap::Args)]
#[command(long_about = ABOUT)]
pub(crate) struct Args {
    /// Print the result as one JSON object on stdout.
    #[arg(long)]
    json: bool,

    /// Write the result as one HTML page, which needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Leave everything running at the end, print the addresses, and wait for Ctrl-C.
    #[arg(long)]
    keep: bool,

    /// How long each of the four loads is measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 12, hide_short_help = true,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// How many jobs the job board has.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, hide_short_help = true,
          value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    jobs: u32,

    /// Where Postgres's programs are, instead of on PATH or where distributions put them.
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    postgres_bin: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    match story::tell(&args, &interrupt) {
        // What failed then failed because everything is being taken down.
        Err(_) if interrupt.signal().is_some() => {
            terminal::complain("interrupted; whatever the demo started is gone.");
            Ok(interrupt.exit_code())
        }
        outcome => outcome,
    }
}
