//! The steps, in order.

use std::process::ExitCode;
use std::time::Duration;

use paceline_diagnose::Finding;
use paceline_loadgen::{Errors, Target};

use super::Args;
use super::answers::{self, Comparison};
use super::findings;
use super::house::{Api, House, Mode, POOL_SIZE, Paceline};
use super::interrupt::Interrupt;
use super::jobboard::{self, Style};
use super::measure::{Capacity, Loads, Measured};
use super::page;
use super::progress::Progress;
use super::summary::{Answers, Side, Summary, routes};
use super::text;
use super::verdict::verdict;
use crate::commands::GATE_FAILED;
use crate::page::{check_writable, save};
use crate::terminal;

/// Tells the whole story. When this returns, whatever it started has been ended.
pub(super) fn tell(args: &Args, interrupt: &Interrupt) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.html {
        check_writable(file)?;
    }
    let mut progress = Progress::new();
    progress.step(&format!(
        "start a private Postgres, and fill it with {} jobs",
        args.jobs
    ));
    let loads = Loads {
        scenario: jobboard::scenario(args.jobs)?,
        measured: Duration::from_secs(args.seconds),
    };
    let house = House::open(interrupt, args.postgres_bin.as_deref())?;
    progress.note(&format!("Postgres at {}", house.database_url()));
    house.seed(args.jobs)?;

    let scene = Scene {
        house: &house,
        loads: &loads,
        interrupt,
    };
    let before = scene.before(&mut progress)?;
    let (observed, findings) = scene.observe(before.rate, &mut progress)?;
    let after = scene.fix(before.rate, &mut progress)?;
    let remedied = scene.remedy(before.rate, &mut progress)?;
    let stage = scene.prove(&mut progress)?;

    let steps = Steps {
        before,
        observed,
        findings,
        after,
        remedied,
        capacity_after: stage.capacity,
    };
    let (summary, report) = summarise(steps, &loads);
    if args.json {
        terminal::say(&format!("{}\n", serde_json::to_string_pretty(&summary)?))?;
    } else {
        terminal::say(&text::whole(&summary, terminal::stdout_has_colours()))?;
    }
    if let Some(file) = &args.html {
        save(&report, file)?;
        terminal::complain(&format!("the report is in {}", file.display()));
    }
    if !summary.has_known_finding() {
        let route = jobboard::ROUTE_N_PLUS_ONE;
        terminal::complain(&format!(
            "the N+1 on {route}, which is there, was not found."
        ));
    }
    if args.keep {
        keep(&house, &stage, interrupt);
    }
    Ok(if summary.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(GATE_FAILED)
    })
}

/// What every step needs.
#[derive(Clone, Copy)]
struct Scene<'a> {
    house: &'a House<'a>,
    loads: &'a Loads,
    interrupt: &'a Interrupt,
}

struct Before {
    rate: f64,
    capacity: Capacity,
    measured: Measured,
    statements: Vec<f64>,
}

struct Observed {
    measured: Measured,
    cpu: Duration,
}

struct After {
    measured: Measured,
    cpu: Duration,
    statements: Vec<f64>,
    comparison: Comparison,
}

/// What was measured of the API written well.
struct Remedied {
    measured: Measured,
    cpu: Duration,
    statements: Vec<f64>,
}

/// What all steps have brought.
struct Steps {
    before: Before,
    observed: Observed,
    findings: Vec<Finding>,
    after: After,
    remedied: Remedied,
    capacity_after: Capacity,
}

/// What runs at the end, and may be kept. Paceline ends after the API that uses it.
struct Stage {
    api: Api,
    paceline: Paceline,
    capacity: Capacity,
}

impl Scene<'_> {
    /// The API by itself.
    fn before(&self, progress: &mut Progress) -> anyhow::Result<Before> {
        progress.step("start the sample API, an ordinary naive backend");
        let url = self.house.database_url();
        self.house.statistics.renew()?;
        let capacity = {
            let api = self.house.start_api(&url)?;
            progress.note(&format!("the API at {}", api.target));
            self.loads.capacity(&api.target, self.interrupt)?
        };
        let rate = Loads::rate(capacity.rps);
        progress.note(&format!("it can answer {:.0} requests/s", capacity.rps));

        progress.step(&format!(
            "measure: {rate:.0} requests/s, 60 % of that, straight to the API"
        ));
        self.house.statistics.renew()?;
        let api = self.house.start_api(&url)?;
        let measured = self.load(&api.target, rate)?;
        progress.note(&told(&measured));
        let statements = self.loads.probe(&api.target, self.house, self.interrupt)?;
        Ok(Before {
            rate,
            capacity,
            measured,
            statements,
        })
    }

    /// The same through Paceline, which only looks.
    fn observe(
        &self,
        rate: f64,
        progress: &mut Progress,
    ) -> anyhow::Result<(Observed, Vec<Finding>)> {
        progress.step("diagnose: the same load through Paceline in observe mode");
        self.house.statistics.renew()?;
        let (api, paceline) = self.house.start_through(Mode::Observe, Style::Naive)?;
        let measured = self.load(&paceline.http, rate)?;
        let cpu = paceline.cpu_time()?;
        progress.note(&told(&measured));
        let findings = findings::fetch(&paceline)?;
        progress.note(&format!("{} findings", findings.len()));
        drop(api);
        Ok((Observed { measured, cpu }, findings))
    }

    /// The same with what Paceline can fix switched on.
    fn fix(&self, rate: f64, progress: &mut Progress) -> anyhow::Result<After> {
        progress.step(&format!(
            "fix: pooling ({POOL_SIZE} connections) and prepared statements switched on"
        ));
        self.house.statistics.renew()?;
        let (api, paceline) = self.house.start_through(Mode::Fix, Style::Naive)?;
        let measured = self.load(&paceline.http, rate)?;
        let cpu = paceline.cpu_time()?;
        progress.note(&told(&measured));
        let statements = self
            .loads
            .probe(&paceline.http, self.house, self.interrupt)?;

        let direct = self.house.start_api(&self.house.database_url())?;
        let comparison = answers::compare(
            &self.loads.scenario,
            &direct.target,
            &paceline.http,
            self.interrupt,
        )?;
        progress.note(&format!(
            "{} answers compared with direct ones, {} differ",
            comparison.compared,
            comparison.differences.len()
        ));
        drop(api);
        Ok(After {
            measured,
            cpu,
            statements,
            comparison,
        })
    }

    /// The same with what the findings ask for: indexes, and the same API written well.
    fn remedy(&self, rate: f64, progress: &mut Progress) -> anyhow::Result<Remedied> {
        progress.step("remedy: the same API written well, as the findings ask for");
        self.house.tune()?;
        let (_api, paceline) = self.house.start_through(Mode::Fix, Style::Tuned)?;
        let measured = self.load(&paceline.http, rate)?;
        let cpu = paceline.cpu_time()?;
        progress.note(&told(&measured));
        let statements = self
            .loads
            .probe(&paceline.http, self.house, self.interrupt)?;
        Ok(Remedied {
            measured,
            cpu,
            statements,
        })
    }

    /// The capacity that is now reached, from the same start as before.
    fn prove(&self, progress: &mut Progress) -> anyhow::Result<Stage> {
        progress.step("prove: the capacity through Paceline");
        self.house.statistics.renew()?;
        let (api, paceline) = self.house.start_through(Mode::Fix, Style::Naive)?;
        let capacity = self.loads.capacity(&paceline.http, self.interrupt)?;
        progress.note(&format!("{:.0} requests/s", capacity.rps));
        Ok(Stage {
            api,
            paceline,
            capacity,
        })
    }

    /// The open loop. Connections count from here on: the login with which `paceline run` checks
    /// the database before it starts is over, and neither Paceline nor the API opens any before
    /// somebody asks.
    fn load(&self, target: &Target, rate: f64) -> anyhow::Result<Measured> {
        let from = self.house.statistics.counters(self.interrupt)?;
        self.loads
            .measure(target, rate, self.house, from, self.interrupt)
    }
}

fn told(measured: &Measured) -> String {
    let total = &measured.report.total;
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
    format!(
        "p50 {}, p95 {}, p99 {}, {} of {} failed{}, {} connections opened",
        ms(total.latency.p50_ms),
        ms(total.latency.p95_ms),
        ms(total.latency.p99_ms),
        total.errors.count() + total.dropped,
        total.requests,
        kinds(&total.errors, total.dropped),
        measured.database.sessions
    )
}

/// What failed, in brackets; nothing when nothing did.
fn kinds(errors: &Errors, dropped: u64) -> String {
    let mut kinds = vec![
        ("not connected".to_owned(), errors.connect),
        ("timed out".to_owned(), errors.timeout),
        ("broken off".to_owned(), errors.protocol),
        ("dropped".to_owned(), dropped),
    ];
    kinds.extend(
        errors
            .status
            .iter()
            .map(|(status, count)| (format!("status {status}"), *count)),
    );
    let told: Vec<String> = kinds
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if told.is_empty() {
        String::new()
    } else {
        format!(" ({})", told.join(", "))
    }
}

fn summarise(steps: Steps, loads: &Loads) -> (Summary, paceline_report::Report) {
    let Steps {
        before,
        observed,
        findings,
        after,
        remedied,
        capacity_after,
    } = steps;
    let mut summary = Summary {
        rate: before.rate,
        routes: routes([
            (&before.measured, &before.statements),
            (&after.measured, &after.statements),
            (&remedied.measured, &remedied.statements),
        ]),
        before: Side::new(&before.measured, None),
        observe: Side::new(&observed.measured, Some(observed.cpu)),
        after: Side::new(&after.measured, Some(after.cpu)),
        remedied: Side::new(&remedied.measured, Some(remedied.cpu)),
        findings,
        answers: Answers::from(after.comparison),
        verdict: String::new(),
    };
    summary.before.capacity_rps = Some(before.capacity.rps);
    summary.after.capacity_rps = Some(capacity_after.rps);
    summary.verdict = verdict(&summary);
    let loads = page::Loads {
        before: &before.measured,
        observe: &observed.measured,
        after: &after.measured,
        remedied: &remedied.measured,
        capacities: [before.capacity.interval, capacity_after.interval],
        measured: loads.measured,
    };
    let report = page::report(&summary, &loads);
    (summary, report)
}

fn keep(house: &House<'_>, stage: &Stage, interrupt: &Interrupt) {
    let lines = [
        "everything is left running until Ctrl-C:".to_owned(),
        format!("  HTTP through Paceline   {}", stage.paceline.http),
        format!("  HTTP directly           {}", stage.api.target),
        format!(
            "  SQL through Paceline    {}",
            house.database_url_through(&stage.paceline)
        ),
        format!("  SQL directly            {}", house.database_url()),
        format!("  admin                   {}", stage.paceline.admin),
        format!("  try: curl '{}/jobs'", stage.paceline.http),
        format!("       curl '{}/api/v1/findings'", stage.paceline.admin),
        format!(
            "       psql '{}'",
            house.database_url_through(&stage.paceline)
        ),
    ];
    lines.iter().for_each(|line| terminal::complain(line));
    interrupt.wait();
}
