//! All that the demo knows of the sample API.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use paceline_loadgen::Scenario;

/// What the same API written well wants of its database.
pub(super) const TUNED_SQL: &str = include_str!("../../../../examples/jobboard/src/seed/tuned.sql");
const SCENARIO: &str = include_str!("../../../../examples/jobboard/scenario.toml");
/// The ranges in the scenario, which fit a board of the usual size.
const RANGE_JOBS: &str = "{1..100000}";
const RANGE_COMPANIES: &str = "{1..5000}";
const JOBS_PER_COMPANY: u32 = 20;

/// The route that is known to run a query for each of its rows.
pub(super) const ROUTE_N_PLUS_ONE: &str = "GET /jobs";

/// Answers as soon as the API listens.
pub(super) const PATH_ALIVE: &str = "/healthz";

/// The executable, beside our own.
pub(super) fn executable(paceline: &Path) -> anyhow::Result<PathBuf> {
    let folder = paceline.parent().context("the executable has no folder")?;
    let found = folder.join("jobboard");
    if found.is_file() {
        return Ok(found);
    }
    let flag = if folder.ends_with("release") {
        " --release"
    } else {
        ""
    };
    bail!(
        "the sample API is not beside {}; build it with `cargo build{flag} -p jobboard`, \
         or run `make demo`, which does",
        paceline.display()
    );
}

/// Fills an empty database.
pub(super) fn seed(executable: &Path, database_url: &str, jobs: u32) -> Command {
    let mut command = Command::new(executable);
    command
        .arg("seed")
        .args(["--jobs", &jobs.to_string()])
        .env("DATABASE_URL", database_url);
    command
}

/// How the sample API is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With all that the findings find.
    Naive,
    /// As the findings' remedies ask for.
    Tuned,
}

/// Serves on a port of 127.0.0.1.
pub(super) fn serve(executable: &Path, database_url: &str, port: u16, style: Style) -> Command {
    let mut command = Command::new(executable);
    command
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args((style == Style::Tuned).then_some("--tuned"))
        .env("DATABASE_URL", database_url);
    command
}

/// What its users ask for, of a board with so many jobs.
pub(super) fn scenario(jobs: u32) -> anyhow::Result<Scenario> {
    let companies = (jobs / JOBS_PER_COMPANY).max(1);
    let text = SCENARIO
        .replace(RANGE_JOBS, &format!("{{1..{jobs}}}"))
        .replace(RANGE_COMPANIES, &format!("{{1..{companies}}}"));
    Scenario::from_toml(&text).context("the demo's scenario")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenario_is_sound_and_asks_the_known_route() {
        assert!(SCENARIO.contains(RANGE_JOBS) && SCENARIO.contains(RANGE_COMPANIES));
        let scenario = scenario(1000).unwrap();
        assert!(
            scenario
                .routes()
                .iter()
                .any(|route| route.name() == ROUTE_N_PLUS_ONE)
        );
    }

    #[test]
    fn a_missing_api_is_one_sentence_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let error = executable(&folder.path().join("paceline"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("cargo build -p jobboard"), "{error}");
    }
}
