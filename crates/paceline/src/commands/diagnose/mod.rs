//! `paceline diagnose`: the findings of a running instance, and those of a database.

mod database;
mod probe;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use paceline_catalogue::Snapshot;
use paceline_diagnose::{Material, Report, Severity, Suppression, render_markdown, render_report};

use super::GATE_FAILED;
use crate::config::{self, Origin, Problem};
use crate::instance::{Instance, URL_DEFAULT};
use crate::page;
use crate::terminal;

const AFTER_HELP: &str = "\
Examples:
  paceline diagnose                               the instance on this machine
  paceline diagnose --url http://10.0.0.7:9090    another one
  paceline diagnose --database postgres://app@db/app
                                                  a database alone: indexes,
                                                  tables, sessions, statements
  paceline diagnose --url http://127.0.0.1:9090 \\
      --database postgres://app@db/app            both, in one report
  paceline diagnose --probe scenario.toml         send these requests through
                                                  it, one at a time, and look
                                                  at nothing else
  paceline diagnose --json | jq '.findings[0].remedy'
  paceline diagnose --fail-on medium              as a gate in CI: exit code 1
                                                  from medium on
  paceline diagnose --format html > findings.html

Findings come from the traffic that the instance has seen since its start, and
from what the database says of itself (it is only read, in one transaction; an
ordinary role will do, one in pg_monitor sees more). The one that costs most
time comes first. What [[diagnose.suppress]] in the configuration names is
counted and listed with its reason instead.
Exit codes: 0 fine, 1 a finding reaches --fail-on, 2 could not look.";

/// Columns of the text.
const WIDTH: usize = 100;

/// Ask a running instance, or a database, what is slow, why, and what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The admin port of the instance [default, without --database: http://127.0.0.1:9090]
    #[arg(long, value_name = "URL", env = "PACELINE_ADMIN_URL")]
    url: Option<String>,
    /// The database to look at, with all that a URL of Paceline's can say (sslmode and so on). Other users of this machine
    /// can read a command line; a password is better put into PACELINE_DATABASE_URL
    #[arg(
        long,
        value_name = "URL",
        env = "PACELINE_DATABASE_URL",
        hide_env_values = true
    )]
    database: Option<String>,
    #[command(flatten)]
    probe: probe::Args,
    #[command(flatten)]
    watch: watch::Args,
    /// The configuration file, for what it suppresses
    #[arg(long, value_name = "FILE", env = "PACELINE_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON object: findings[], quick_wins[], suppressed[], not_looked_at[], not_read[]
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// What to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Exit with 1 when a finding is at least so severe
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Level>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Level {
    Low,
    Medium,
    High,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Markdown,
    Html,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let suppressions = suppressions(args.config.clone())?;
    let url = args.url.as_deref();
    // It takes its time; the traffic is looked at as it is then.
    let process = args.watch.look(url.unwrap_or(URL_DEFAULT))?;
    let traffic = match (url, args.database.as_deref()) {
        _ if args.probe.is_wanted() => Some(probe::look(url.unwrap_or(URL_DEFAULT), &args.probe)?),
        (None, Some(_)) => None,
        (url, _) => Some(fetch(url.unwrap_or(URL_DEFAULT))?),
    };
    let database = args.database.as_deref().map(database::read).transpose()?;
    let reports = [traffic, database.as_ref().map(findings_of), process];
    let report = reports.into_iter().flatten().reduce(Report::with);
    let mut report = report.unwrap_or_default();
    if let Some(database) = &database {
        report = report.explained_by(database);
    }
    let report = report.without(&suppressions);
    let format = if args.json { Format::Json } else { args.format };
    terminal::say(&match format {
        Format::Text => render_report(&report, WIDTH),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
        Format::Markdown => render_markdown(&report),
        Format::Html => page::html(&page::of_diagnosis(&report)),
    })?;
    let limit = args.fail_on.map(Severity::from);
    Ok(if limit.is_some_and(|limit| report.reaches(limit)) {
        ExitCode::from(GATE_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn findings_of(database: &Snapshot) -> Report {
    Report::of(&Material {
        database: Some(database),
        ..Material::default()
    })
}

/// What a running instance has found.
fn fetch(url: &str) -> anyhow::Result<Report> {
    Instance::at(url)?.get("/api/v1/findings")
}

/// What the configuration suppresses. What is wrong elsewhere in it is not our business.
fn suppressions(file: Option<PathBuf>) -> anyhow::Result<Vec<Suppression>> {
    if file.is_none() {
        return Ok(Vec::new());
    }
    let loaded = config::load(config::Sources {
        file,
        may_lack_secrets: true,
        ..config::Sources::default()
    });
    let concerns_us = |problem: &&Problem| {
        problem.severity == config::Severity::Error
            && match &problem.key {
                Some(key) => key.starts_with("diagnose."),
                None => problem.origin != Origin::Default,
            }
    };
    match loaded.problems.iter().find(concerns_us) {
        Some(problem) => bail!("{problem}"),
        None => Ok(loaded.suppressions),
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Low => Self::Low,
            Level::Medium => Self::Medium,
            Level::High => Self::High,
        }
    }
}
