//! `paceline diagnose`.

use std::process::ExitCode;

/// (being laid)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`paceline diagnose` is being built.")
}
