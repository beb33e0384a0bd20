//! `paceline load`: a measured load, and the gate made of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_loadgen::{
    Arrivals, Cancel, Load, Plan, Report, Row, Scenario, Target, Threshold, Verdict,
};
use serde::Serialize;

use super::GATE_FAILED;
use crate::config::units;
use crate::{interrupt, terminal};

const AFTER_HELP: &str = "\
Examples:
  paceline load --url http://127.0.0.1:8080/jobs
  paceline load --url 'http://127.0.0.1:8080/jobs/{1..1000}' --rate 200
  paceline load --target http://127.0.0.1:8080 --scenario scenario.toml \\
      --rate 200 --duration 30s --threshold 'p95<200ms' \\
      --threshold 'error_rate<0.1%' --threshold 'GET /jobs:p99<500ms'
  paceline load --target http://127.0.0.1:8080 --scenario scenario.toml \\
      --connections 32 --json

A scenario is a list of weighted routes:
  [[route]]
  name = \"GET /jobs/{id}\"
  path = \"/jobs/{1..100000}\"
  weight = 3
Generators: {1..9} a number, {pick:a|b} a word, {hex:8} digits, {seq} a count.

With --rate (the default, 50 a second) requests start by a schedule, whether or
not earlier ones were answered, and latency counts from the intended start: a
stall is seen as its users would see it. With --connections a fixed number of
connections wait for each answer, which hides stalls; it is for finding a
capacity.

Metrics of thresholds: p50 p90 p95 p99 p99.9 max error_rate requests_per_s
requests errors dropped.
Exit codes: 0 fine, 1 a threshold was missed, 2 could not run. Ctrl-C ends the
load and reports what was measured.";

/// Send a measured load, and fail when a threshold is missed.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["target", "url"])))]
pub(crate) struct Args {
    /// The server, with a prefix for all paths if it has one. The paths come from --scenario
    #[arg(long, value_name = "URL", requires = "scenario")]
    target: Option<String>,
    /// The scenario file: weighted routes in TOML
    #[arg(long, value_name = "FILE", requires = "target")]
    scenario: Option<PathBuf>,
    /// Without a scenario: the one URL to GET. It may hold generators such as {1..1000}
    #[arg(long, value_name = "URL", conflicts_with_all = ["target", "scenario"])]
    url: Option<String>,
    /// Requests per second, started by schedule (open loop) [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "connections")]
    rate: Option<f64>,
    /// Start them at equal distances instead of independently of each other
    #[arg(long, conflicts_with = "connections")]
    constant: bool,
    /// A fixed number of connections instead of a rate (closed loop)
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::parse_duration)]
    duration: Duration,
    /// How long to send load first without measuring
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::parse_duration)]
    warmup: Duration,
    /// How long a request may take from its intended start
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::parse_duration)]
    timeout: Duration,
    /// Connections that an open loop opens at most; arrivals that find as many waiting are dropped, and counted
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_in_flight: usize,
    /// Threads that generate the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Decides routes, values and times: equal seeds make equal loads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A limit that must be kept, of the whole or of one route; may be given several times
    #[arg(long, value_name = "LIMIT", value_parser = Threshold::parse)]
    threshold: Vec<Threshold>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = args.plan()?;
    for threshold in &args.threshold {
        threshold.check(&plan.scenario)?;
    }
    let cancel = Cancel::new();
    let on_interrupt = cancel.clone();
    interrupt::once(move || on_interrupt.cancel())?;
    let report = paceline_loadgen::run(&plan, &cancel)?;
    let thresholds: Vec<_> = args
        .threshold
        .iter()
        .map(|limit| limit.judge(&report))
        .collect();
    let missed = thresholds.iter().any(|verdict| !verdict.passed);
    print(&report, &thresholds, args.json)?;
    if report.total.requests == 0 && !report.cancelled {
        bail!("No request was due within the measured time; measure longer or at a higher rate.");
    }
    let Row {
        requests,
        dropped,
        errors,
        ..
    } = &report.total;
    if *requests > 0 && errors.connect + dropped == *requests && errors.connect > 0 {
        bail!(
            "Nothing answers at {}: no connection could be made.",
            plan.target
        );
    }
    // A load that was cut short proves nothing.
    let failed = missed || (report.cancelled && !thresholds.is_empty());
    Ok(if failed {
        ExitCode::from(GATE_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

impl Args {
    fn plan(&self) -> anyhow::Result<Plan> {
        let (target, scenario) = match (&self.url, &self.target, &self.scenario) {
            (Some(url), ..) => single_url(url)?,
            (None, Some(target), Some(file)) => (Target::parse(target)?, read_scenario(file)?),
            _ => bail!("Give --target and --scenario, or --url alone."),
        };
        Ok(Plan {
            load: match self.connections {
                Some(connections) => Load::Closed { connections },
                None => Load::Open {
                    rate: self.rate.unwrap_or(50.0),
                    arrivals: self.arrivals(),
                },
            },
            warmup: self.warmup,
            duration: self.duration,
            max_in_flight: self.max_in_flight,
            timeout: self.timeout,
            seed: self.seed,
            threads: self.threads,
            ..Plan::new(target, scenario)
        })
    }

    fn arrivals(&self) -> Arrivals {
        if self.constant {
            Arrivals::Constant
        } else {
            Arrivals::Poisson
        }
    }
}

fn read_scenario(file: &PathBuf) -> anyhow::Result<Scenario> {
    let name = file.display();
    let text =
        std::fs::read_to_string(file).with_context(|| format!("{name} could not be read"))?;
    Scenario::from_toml(&text).map_err(|error| match error {
        // Every problem on a line of its own, as an editor likes it.
        paceline_loadgen::Error::Scenario(problems) => {
            let lines: Vec<_> = problems
                .iter()
                .map(|problem| format!("{name}:{problem}"))
                .collect();
            anyhow::anyhow!(lines.join("\n"))
        }
        other => other.into(),
    })
}

/// The server and a scenario of one route from one URL.
fn single_url(url: &str) -> anyhow::Result<(Target, Scenario)> {
    let host_start = url.find("://").map_or(0, |at| at + 3);
    let path_start = url[host_start..]
        .find(['/', '?'])
        .map_or(url.len(), |at| host_start + at);
    let (server, path) = url.split_at(path_start);
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    let target = Target::parse(server)?;
    let mut route = toml::Table::new();
    route.insert("path".to_owned(), toml::Value::String(path));
    let mut scenario = toml::Table::new();
    scenario.insert(
        "route".to_owned(),
        toml::Value::Array(vec![toml::Value::Table(route)]),
    );
    match Scenario::from_toml(&scenario.to_string()) {
        Ok(scenario) => Ok((target, scenario)),
        Err(paceline_loadgen::Error::Scenario(problems)) => {
            let reasons: Vec<_> = problems
                .into_iter()
                .map(|problem| problem.message)
                .collect();
            bail!("The path of {url} cannot be used: {}", reasons.join("; "))
        }
        Err(other) => Err(other.into()),
    }
}

fn print(report: &Report, thresholds: &[Verdict], json: bool) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        report: &'a Report,
        thresholds: &'a [Verdict],
    }
    if json {
        let text = serde_json::to_string_pretty(&Whole { report, thresholds })?;
        return Ok(terminal::say(&format!("{text}\n"))?);
    }
    let mut text = report.to_string();
    if !thresholds.is_empty() {
        text.push_str("\nthresholds\n");
    }
    for verdict in thresholds {
        let mark = if verdict.passed {
            terminal::good("kept  ")
        } else {
            terminal::bad("missed")
        };
        let (threshold, measured) = (&verdict.threshold, verdict.measured());
        text.push_str(&format!("  {mark}  {threshold}  ({measured})\n"));
    }
    Ok(terminal::say(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_url_is_a_server_and_a_route() {
        let rows = [
            (
                "http://127.0.0.1:8080/jobs?page={1..3}",
                "http://127.0.0.1:8080",
                "GET /jobs?page={1..3}",
            ),
            ("http://localhost", "http://localhost", "GET /"),
            ("http://localhost:1?a=b", "http://localhost:1", "GET /?a=b"),
            ("http://[::1]:81/a\"b", "http://[::1]:81", ""),
        ];
        for (url, server, route) in rows {
            match single_url(url) {
                Ok((target, scenario)) => {
                    assert_eq!(target.to_string(), server);
                    assert_eq!(scenario.routes()[0].name(), route);
                }
                Err(error) => assert!(route.is_empty(), "{url}: {error}"),
            }
        }
        assert!(single_url("localhost/jobs").is_err());
        assert!(single_url("http://localhost/{oops").is_err());
    }
}
