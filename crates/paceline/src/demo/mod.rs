//! `paceline demo`.

use std::process::ExitCode;

/// The whole loop on a sample backend: measure, diagnose, fix, prove.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`paceline demo` is being built.")
}
