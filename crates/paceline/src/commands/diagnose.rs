//! `paceline diagnose`: the findings of a running instance.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_diagnose::{Finding, Severity, render_text};
use paceline_loadgen::{Fetcher, Sample, Target};
use serde::Deserialize;

use super::GATE_FAILED;
use crate::terminal;

const AFTER_HELP: &str = "\
Examples:
  paceline diagnose                               the instance on this machine
  paceline diagnose --url http://10.0.0.7:9090    another one
  paceline diagnose --json | jq '.findings[0].remedy'
  paceline diagnose --fail-on medium              as a gate in CI: exit code 1
                                                  from medium on

Findings come from the traffic that the instance has seen since its start, the
one that costs most time first.
Exit codes: 0 fine, 1 a finding reaches --fail-on, 2 the instance could not be
asked.";

/// Ask a running instance what is slow, why, and what to do about it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The admin port of the instance
    #[arg(
        long,
        value_name = "URL",
        env = "PACELINE_ADMIN_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    url: String,
    /// Print the findings as one JSON object: findings[]
    #[arg(long)]
    json: bool,
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

#[derive(Deserialize)]
struct Answer {
    findings: Vec<Finding>,
}

/// Far more than an answer takes; a stuck instance must not hang a pipeline.
const TIME_MAX: Duration = Duration::from_secs(30);

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let findings = fetch(&args.url)?;
    if args.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({ "findings": findings }))?;
        terminal::say(&format!("{text}\n"))?;
    } else {
        terminal::say(&render_text(&findings))?;
    }
    let limit = args.fail_on.map(Severity::from);
    let reached =
        limit.is_some_and(|limit| findings.iter().any(|finding| finding.severity >= limit));
    Ok(if reached {
        ExitCode::from(GATE_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn fetch(url: &str) -> anyhow::Result<Vec<Finding>> {
    let target = Target::parse(url)?;
    let sample = Sample {
        route: 0,
        method: Default::default(),
        path: "/api/v1/findings".to_owned(),
        headers: Default::default(),
        body: Default::default(),
    };
    let answer = Fetcher::new(&target, TIME_MAX)
        .and_then(|mut fetcher| fetcher.fetch(&sample))
        .with_context(|| {
            format!("Could not ask {target}; is `paceline run` there, and is this its admin port")
        })?;
    if answer.status != 200 {
        bail!(
            "{target} answered with {}; it is not the admin port of an instance.",
            answer.status
        );
    }
    let Answer { findings } = serde_json::from_slice(&answer.body).with_context(|| {
        format!("{target} did not answer as the admin port of this version does")
    })?;
    Ok(findings)
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
