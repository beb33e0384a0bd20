//! `--probe`: requests of our own through a running instance, one at a time, and the findings of just these.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paceline_diagnose::Report;
use paceline_loadgen::{Fetcher, Sampler, Scenario, Target};
use serde::Deserialize;

use crate::commands::load::read_scenario;
use crate::instance::Instance;
use crate::terminal::complain;

/// Equal probes draw equal requests.
const SEED: u64 = 1;
/// One request; work that takes longer is no request but a job.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// How long, after an answer, the instance may still be busy with its request: with others' it may be for ever.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_millis(2);

/// What is probed with.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Send the requests of this scenario through the instance, one at a time, and report what is found in just these. No
    /// trace comments are needed for that
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
    /// How often each route of the scenario is asked; rules want to see a thing in three requests or more
    #[arg(long, value_name = "COUNT", default_value = "5", requires = "probe",
          value_parser = clap::value_parser!(u64).range(3..=1000))]
    repeat: u64,
    /// Also send what changes something (POST, PATCH …)
    #[arg(long, requires = "probe")]
    allow_writes: bool,
    /// Where the instance serves HTTP [default: what it says itself]
    #[arg(long, value_name = "URL", requires = "probe")]
    target: Option<String>,
}

impl Args {
    pub(super) fn is_wanted(&self) -> bool {
        self.probe.is_some()
    }
}

#[derive(Deserialize)]
struct Status {
    gateway: Option<Gateway>,
}

#[derive(Deserialize)]
struct Gateway {
    listen: String,
}

#[derive(Deserialize)]
struct Begun {
    trace_id: String,
}

#[derive(Deserialize)]
struct Progress {
    requests: u64,
    others: u64,
    open: u64,
    shared: u64,
}

#[derive(Deserialize)]
struct Ended {
    #[serde(flatten)]
    progress: Progress,
    report: Report,
}

/// Sends the requests, and gives what the instance with this admin port has found in them.
pub(super) fn look(url: &str, args: &Args) -> anyhow::Result<Report> {
    let file = args.probe.as_ref().context("--probe needs a file")?;
    let scenario = allowed(&read_scenario(file)?, args.allow_writes)?;
    let mut instance = Instance::at(url)?;
    let target = match &args.target {
        Some(target) => Target::parse(target)?,
        None => gateway_of(&mut instance, url)?,
    };
    let mut sender = Sender {
        fetcher: Fetcher::new(&target, ANSWER_TIME_MAX)?,
        scenario: &scenario,
        sampler: scenario.sampler(SEED),
        refused: vec![None; scenario.routes().len()],
        sent: 0,
    };
    // Pools are filled, code is compiled, caches are loaded: what only the first request of a process does is not its route's.
    sender.warm_up()?;
    let Begun { trace_id } = instance.ask("POST", "/api/v1/probe")?;
    let path = format!("/api/v1/probe/{trace_id}");
    for route in 0..scenario.routes().len() {
        for _ in 0..args.repeat {
            sender.send(route, Some(&trace_id));
            wait_until_settled(&mut instance, &path, sender.sent)?;
        }
    }
    let ended: Ended = instance.ask("DELETE", &path)?;
    sender.complain();
    told(ended, sender.sent)
}

/// Only the routes that may be asked.
fn allowed(scenario: &Scenario, allow_writes: bool) -> anyhow::Result<Scenario> {
    if allow_writes {
        return Ok(scenario.clone());
    }
    let (safe, other): (Vec<_>, Vec<_>) = scenario
        .routes()
        .iter()
        .partition(|route| route.method().is_safe());
    if !other.is_empty() {
        let names: Vec<_> = other.iter().map(|route| route.name()).collect();
        complain(&format!(
            "Not sent, because they may change something: {} (--allow-writes sends them)",
            names.join(", ")
        ));
    }
    match scenario.filter(|route| route.method().is_safe()) {
        Some(scenario) if !safe.is_empty() => Ok(scenario),
        _ => bail!(
            "The scenario has no request that changes nothing; --allow-writes sends the others too."
        ),
    }
}

/// Where the instance serves HTTP, seen from where its admin port was reached.
fn gateway_of(instance: &mut Instance, url: &str) -> anyhow::Result<Target> {
    let status: Status = instance.get("/api/v1/status")?;
    let Some(Gateway { listen }) = status.gateway else {
        bail!(
            "The HTTP half of this instance does not run (gateway.upstream), so that there is nothing to probe."
        );
    };
    let any = ["0.0.0.0:", "[::]:"];
    match any.iter().find_map(|any| listen.strip_prefix(any)) {
        Some(port) => {
            let admin = Target::parse(url)?;
            let authority = admin.authority();
            let host = authority
                .rsplit_once(':')
                .map_or(authority, |(host, _)| host);
            Ok(Target::parse(&format!("http://{host}:{port}"))?)
        }
        None => Ok(Target::parse(&format!("http://{listen}"))?),
    }
}

/// Until the instance has accounted for all that was sent, and nothing is open any more: statements of the next request are
/// then certainly its own.
fn wait_until_settled(instance: &mut Instance, path: &str, sent: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLE_TIME_MAX;
    loop {
        let progress: Progress = instance.get(path)?;
        if (progress.open == 0 && progress.requests >= sent) || Instant::now() >= deadline {
            return Ok(());
        }
        sleep(SETTLE_PAUSE);
    }
}

/// The report, with what may make it less than certain.
fn told(ended: Ended, sent: u64) -> anyhow::Result<Report> {
    let Ended {
        progress,
        mut report,
    } = ended;
    if progress.requests == 0 {
        bail!(
            "None of the {sent} requests came through the gateway of this instance; does --target name another one?"
        );
    }
    if progress.requests < sent {
        report.not_read.push(format!(
            "the probe: only {} of its {sent} requests came through the gateway",
            progress.requests
        ));
    }
    if progress.others > 0 {
        report.not_read.push(format!(
            "the probe: {} requests of others came meanwhile, and {} statements may be either's and are left out; probe when nobody else does",
            progress.others, progress.shared
        ));
    }
    Ok(report)
}

struct Sender<'s> {
    fetcher: Fetcher,
    scenario: &'s Scenario,
    sampler: Sampler<'s>,
    /// The last answer of each route that was none that it should give.
    refused: Vec<Option<String>>,
    sent: u64,
}

impl Sender<'_> {
    /// Asks once for each route that changes nothing.
    fn warm_up(&mut self) -> anyhow::Result<()> {
        for (route, known) in self.scenario.routes().iter().enumerate() {
            if known.method().is_safe() {
                // A route that fails will fail again; one that cannot be reached ends it here.
                let sample = self.sampler.sample_of(route);
                self.fetcher.fetch(&sample)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, route: usize, trace_id: Option<&str>) {
        let mut sample = self.sampler.sample_of(route);
        self.sent += 1;
        let span = self.sent;
        let header = trace_id.map(|trace| format!("00-{trace}-{span:016x}-01"));
        if let Some(Ok(value)) = header.map(|header| header.parse()) {
            sample.headers.insert("traceparent", value);
        }
        let known = &self.scenario.routes()[route];
        let wrong = match self.fetcher.fetch(&sample) {
            Ok(answer) if known.accepts(answer.status) => return,
            Ok(answer) => format!("{} was answered with {}", sample.path, answer.status),
            Err(error) => error.to_string(),
        };
        self.refused[route] = Some(wrong);
    }

    fn complain(&self) {
        for (route, refused) in self.scenario.routes().iter().zip(&self.refused) {
            if let Some(refused) = refused {
                complain(&format!("{}: {refused}", route.name()));
            }
        }
    }
}
