//! The command line: one file per command.

mod check;
mod diagnose;
mod explain;
mod load;
mod run;
mod settings;
mod top;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::demo;

/// The exit code of a gate that failed: a missed threshold, a finding that is too severe.
pub(crate) const GATE_FAILED: u8 = 1;
/// The exit code when the command could not do its work at all.
pub(crate) const COULD_NOT_RUN: u8 = 2;

const AFTER_HELP: &str = "\
Start here:
  paceline demo                   see the whole loop on a sample backend
  paceline run --upstream http://127.0.0.1:3000 \\
      --database postgres://app@127.0.0.1:5432/app
  paceline diagnose               what that instance has found
  paceline top                    what it does now
  paceline explain --slowest      where one request's time went

Exit codes: 0 fine, 1 a gate failed (threshold, finding), 2 could not run.
Data goes to stdout, everything else to stderr. NO_COLOR is honoured.";

/// The performance layer for HTTP APIs that run on Postgres.
///
/// Paceline stands in front of the API and between the API and its database. Because it sees both sides, it knows
/// which SQL each request caused: it measures, diagnoses, fixes and proves, and the application's code stays as it is.
#[derive(Debug, Parser)]
#[command(name = "paceline", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Args),
    Check(check::Args),
    Diagnose(diagnose::Args),
    Explain(explain::Args),
    Top(top::Args),
    Load(load::Args),
    Demo(demo::Args),
}

impl Command {
    /// Does what the command says, and answers with its exit code.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(args),
            Self::Check(args) => check::run(args),
            Self::Diagnose(args) => diagnose::run(args),
            Self::Explain(args) => explain::run(args),
            Self::Top(args) => top::run(args),
            Self::Load(args) => load::run(args),
            Self::Demo(args) => demo::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_stands_below_the_flags_fits_a_terminal() {
        let cli = Cli::command();
        for command in std::iter::once(&cli).chain(cli.get_subcommands()) {
            let below = command.get_after_help().map(ToString::to_string);
            for line in below.unwrap_or_default().lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }
}
