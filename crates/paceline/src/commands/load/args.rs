//! The options, and the plan that they make.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use paceline_loadgen::{Arrivals, Load, Plan, Scenario, Stage, Target, Threshold};

use crate::config::units;

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

Stages: --stage TIME@RATE goes to RATE in a straight line; from --rate, or from
nothing. The same rate again holds it, 0s@RATE jumps. Ramp up, soak, ramp down:
  --stage 1min@200 --stage 1h@200 --stage 1min@0

Which of two is faster, and how certainly; what one can carry:
  paceline load --url http://127.0.0.1:8080/jobs \\
      --versus http://127.0.0.1:3000 --threshold 'p95<1.1x'
  paceline load --url http://127.0.0.1:8080/jobs --find-capacity \\
      --slo 'p95<200ms'

Metrics of thresholds: p95 (any percentile) avg min max error_rate
requests_per_s requests errors dropped; or as k6 spells it:
'http_req_duration: p(95)<200', 'http_req_failed: rate<0.01'. With --versus
they limit ratios of B to A: p50, p95, p99, error_rate, requests_per_s.
Exit codes: 0 fine, 1 a threshold was missed, 2 could not run. Ctrl-C ends the
load and reports what was measured.";

/// Send a measured load, and fail when a threshold is missed.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["target", "url"])))]
pub(crate) struct Args {
    /// The server, with a prefix for all paths if it has one. The paths come from --scenario
    #[arg(long, value_name = "URL", requires = "scenario")]
    pub(super) target: Option<String>,
    /// The scenario file: weighted routes in TOML
    #[arg(long, value_name = "FILE", requires = "target")]
    pub(super) scenario: Option<PathBuf>,
    /// Without a scenario: the one URL to GET. It may hold generators such as {1..1000}
    #[arg(long, value_name = "URL", conflicts_with_all = ["target", "scenario"])]
    pub(super) url: Option<String>,
    /// Requests per second, started by schedule (open loop) [default: 50]
    #[arg(long, value_name = "N", conflicts_with = "connections")]
    pub(super) rate: Option<f64>,
    /// Start them at equal distances instead of independently of each other
    #[arg(long, conflicts_with = "connections")]
    pub(super) constant: bool,
    /// TIME@RATE: go to that rate in a straight line within that time; several follow each other
    #[arg(long, value_name = "STAGE", value_parser = parse_stage, conflicts_with_all = ["connections", "duration"])]
    pub(super) stage: Vec<Stage>,
    /// A fixed number of connections instead of a rate (closed loop)
    #[arg(long, value_name = "N")]
    pub(super) connections: Option<usize>,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::parse_duration)]
    pub(super) duration: Duration,
    /// How long to send load first without measuring
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = units::parse_duration)]
    pub(super) warmup: Duration,
    /// How long a request may take from its intended start
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::parse_duration)]
    pub(super) timeout: Duration,
    /// Connections that an open loop opens at most; arrivals that find as many waiting are dropped, and counted
    #[arg(long, value_name = "N", default_value_t = 512)]
    pub(super) max_in_flight: usize,
    /// Threads that generate the load
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) threads: usize,
    /// Decides routes, values and times: equal seeds make equal loads
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// A limit that must be kept, of the whole or of one route; may be given several times
    #[arg(long, value_name = "LIMIT", value_parser = Threshold::parse)]
    pub(super) threshold: Vec<Threshold>,
    /// A second server for the same load, in turns with the first: ratios with intervals, and a verdict
    #[arg(long, value_name = "URL", conflicts_with_all = ["stage", "find_capacity", "watch_pid", "instances"])]
    pub(super) versus: Option<String>,
    /// Search the highest rate, from --rate on, at which every --slo is kept
    #[arg(long, requires = "slo", conflicts_with_all = ["connections", "stage", "threshold", "instances"])]
    pub(super) find_capacity: bool,
    /// An objective of the search, such as p95<200ms; may be given several times
    #[arg(long, value_name = "LIMIT", requires = "find_capacity", value_parser = Threshold::parse)]
    pub(super) slo: Vec<Threshold>,
    /// Watch a process of this machine, and its children: CPU per request, memory, whether it leaks
    #[arg(long, value_name = "PID", conflicts_with = "find_capacity")]
    pub(super) watch_pid: Option<u32>,
    /// Instances of the service behind the target, for the grade: throughput counts by instance
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) instances: u32,
    /// Print the report as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Write the report as one HTML page, which needs no network
    #[arg(long, value_name = "FILE", conflicts_with = "find_capacity")]
    pub(super) html: Option<PathBuf>,
    /// Do not show on the terminal how it goes
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl Args {
    /// The rate that was asked for, where nothing else says it.
    pub(super) fn rate_or_default(&self) -> f64 {
        self.rate.unwrap_or(50.0)
    }

    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let (target, scenario) = match (&self.url, &self.target, &self.scenario) {
            (Some(url), ..) => single_url(url)?,
            (None, Some(target), Some(file)) => (Target::parse(target)?, read_scenario(file)?),
            _ => bail!("Give --target and --scenario, or --url alone."),
        };
        Ok(Plan {
            load: self.load(),
            warmup: self.warmup,
            duration: self.duration,
            max_in_flight: self.max_in_flight,
            timeout: self.timeout,
            seed: self.seed,
            threads: self.threads,
            watch_pid: self.watch_pid,
            ..Plan::new(target, scenario)
        })
    }

    fn load(&self) -> Load {
        let arrivals = self.arrivals();
        match self.connections {
            Some(connections) => Load::Closed { connections },
            None if self.stage.is_empty() => Load::Open {
                rate: self.rate_or_default(),
                arrivals,
            },
            None => Load::Stages {
                from: self.rate.unwrap_or(0.0),
                stages: self.stage.clone(),
                arrivals,
            },
        }
    }

    fn arrivals(&self) -> Arrivals {
        if self.constant {
            Arrivals::Constant
        } else {
            Arrivals::Poisson
        }
    }
}

/// Reads `30s@200`.
fn parse_stage(text: &str) -> Result<Stage, String> {
    let (time, rate) = text
        .split_once('@')
        .ok_or("expected TIME@RATE, such as 30s@200")?;
    let duration = units::parse_duration(time)?;
    match rate.trim().parse() {
        Ok(rate) if (0.0..=1e7).contains(&rate) => Ok(Stage { duration, rate }),
        _ => Err(format!(
            "\"{rate}\" is no rate; write for example 30s@200 for 200 requests per second"
        )),
    }
}

/// Reads a scenario file, or says all that is wrong with it.
pub(crate) fn read_scenario(file: &PathBuf) -> anyhow::Result<Scenario> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_read() {
        let stage = |ms, rate| {
            Ok(Stage {
                duration: Duration::from_millis(ms),
                rate,
            })
        };
        assert_eq!(parse_stage("30s@200"), stage(30_000, 200.0));
        assert_eq!(parse_stage("0s@0.5"), stage(0, 0.5));
        for (text, part) in [
            ("30s", "TIME@RATE"),
            ("30@200", "no unit"),
            ("30s@fast", "\"fast\" is no rate"),
            ("30s@-1", "is no rate"),
            ("30s@NaN", "is no rate"),
        ] {
            let error = parse_stage(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

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
