//! The processes of the demo: Postgres, the sample API, and Paceline itself, each the real program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use paceline_loadgen::{Answer, Fetcher, Sample, Target};
use paceline_sandbox::{Auth, Binaries, ChildProcess, Options, PrivatePostgres, free_port};
use serde_json::Value;

use super::interrupt::Interrupt;
use super::jobboard::{self, Style};
use super::statistics::{DATABASE, Statistics};

/// Server connections that Paceline may open in fix mode.
pub(super) const POOL_SIZE: usize = 10;
/// More than the load ever has in flight, so that an API that connects per request is not refused.
const MAX_CONNECTIONS: &str = "300";
const START_TIME_MAX: Duration = Duration::from_secs(30);
const SEED_TIME_MAX: Duration = Duration::from_secs(300);
const FETCH_TIME_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
const START_TRIES_MAX: usize = 5;

/// What stays up from the first step to the last.
pub(super) struct House<'a> {
    pub(super) statistics: Statistics,
    interrupt: &'a Interrupt,
    paceline: PathBuf,
    jobboard: PathBuf,
    // Last, so that its folder, which holds the others' files too, goes last.
    postgres: PrivatePostgres,
}

/// The sample API, serving.
pub(super) struct Api {
    pub(super) target: Target,
    _process: ChildProcess,
}

/// Paceline, serving.
pub(super) struct Paceline {
    pub(super) http: Target,
    pub(super) postgres_port: u16,
    pub(super) admin: Target,
    process: ChildProcess,
}

/// What Paceline is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Observe,
    Fix,
}

impl<'a> House<'a> {
    /// Finds the programs and starts Postgres, from this folder if one is given.
    pub(super) fn open(
        interrupt: &'a Interrupt,
        postgres_bin: Option<&Path>,
    ) -> anyhow::Result<House<'a>> {
        let paceline = std::env::current_exe().context("could not find our own executable")?;
        let jobboard = jobboard::executable(&paceline)?;
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let postgres = PrivatePostgres::start(Options {
            // What Debian's Postgres asks of clients that come over TCP.
            auth: Auth::Scram {
                password: "demo".to_owned(),
            },
            settings: vec![
                setting("max_connections", MAX_CONNECTIONS),
                // Nothing in the background falls into one measurement and not into another.
                setting("autovacuum", "off"),
                setting("checkpoint_timeout", "1h"),
                setting("max_wal_size", "8GB"),
            ],
            binaries: postgres_bin.map(Binaries::in_folder).transpose()?,
            ..Options::default()
        })?;
        interrupt.check()?;
        let statistics = Statistics::connect(&postgres.url("postgres"))?;
        Ok(House {
            statistics,
            interrupt,
            paceline,
            jobboard,
            postgres,
        })
    }

    /// Where the sample API finds its data without Paceline.
    pub(super) fn database_url(&self) -> String {
        self.postgres.url(DATABASE)
    }

    /// The same through Paceline.
    pub(super) fn database_url_through(&self, paceline: &Paceline) -> String {
        let own = format!("@127.0.0.1:{}/", self.postgres.port());
        self.database_url()
            .replace(&own, &format!("@127.0.0.1:{}/", paceline.postgres_port))
    }

    /// Creates the job board.
    pub(super) fn seed(&self, jobs: u32) -> anyhow::Result<()> {
        let url = self.postgres.url(self.statistics.create_seed()?);
        let process = self.spawn(&jobboard::seed(&self.jobboard, &url, jobs), "seed")?;
        let deadline = Instant::now() + SEED_TIME_MAX;
        let status = loop {
            if let Some(status) = process.wait(POLL) {
                break status;
            }
            self.interrupt.check()?;
            if Instant::now() > deadline {
                bail!("filling the job board did not end within {SEED_TIME_MAX:?}");
            }
        };
        if !status.success() {
            bail!(
                "filling the job board failed ({status}):\n{}",
                process.log_tail(10)
            );
        }
        self.statistics.settle_seed(&url)
    }

    /// Makes the database that the same API written well wants.
    pub(super) fn tune(&self) -> anyhow::Result<()> {
        let url = |name: &str| self.postgres.url(name);
        self.statistics.tune_seed(url, jobboard::TUNED_SQL)?;
        self.interrupt.check()?;
        self.statistics.renew_tuned()
    }

    /// Starts the sample API on this database.
    pub(super) fn start_api(&self, database_url: &str) -> anyhow::Result<Api> {
        retry_ports("the sample API", || {
            self.start_api_on(free_port()?, database_url, Style::Naive)
        })
    }

    /// Starts Paceline, and the sample API between its two halves.
    pub(super) fn start_through(
        &self,
        mode: Mode,
        style: Style,
    ) -> anyhow::Result<(Api, Paceline)> {
        retry_ports("Paceline with the sample API", || {
            let port = free_port()?;
            let paceline = self.start_paceline(mode, port)?;
            let url = self.database_url_through(&paceline);
            let api = self.start_api_on(port, &url, style)?;
            Ok((api, paceline))
        })
    }

    fn start_api_on(&self, port: u16, database_url: &str, style: Style) -> anyhow::Result<Api> {
        let command = jobboard::serve(&self.jobboard, database_url, port, style);
        let process = self.spawn(&command, &format!("api-{port}"))?;
        let target = loopback(port)?;
        self.await_answer(&process, &target, jobboard::PATH_ALIVE)?;
        Ok(Api {
            target,
            _process: process,
        })
    }

    /// Runs our own executable as `paceline run`, so that what is measured is the real thing.
    fn start_paceline(&self, mode: Mode, api_port: u16) -> anyhow::Result<Paceline> {
        let [http, postgres, admin] = [free_port()?, free_port()?, free_port()?];
        let file = self.folder()?.join(format!("paceline-{admin}.toml"));
        let config = self.config(mode, api_port, [http, postgres, admin]);
        std::fs::write(&file, config)
            .with_context(|| format!("could not write {}", file.display()))?;
        let mut command = Command::new(&self.paceline);
        command
            .args(["run", "--config"])
            .arg(&file)
            .env("NO_COLOR", "1");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PACELINE_") {
                command.env_remove(name);
            }
        }
        let process = self.spawn(&command, &format!("paceline-{admin}"))?;
        let admin = loopback(admin)?;
        self.await_answer(&process, &admin, "/livez")?;
        Ok(Paceline {
            http: loopback(http)?,
            postgres_port: postgres,
            admin,
            process,
        })
    }

    fn config(&self, mode: Mode, api_port: u16, ports: [u16; 3]) -> String {
        let [http, postgres, admin] = ports;
        let (mode, pool) = match mode {
            Mode::Observe => ("observe", String::new()),
            Mode::Fix => ("fix", format!("pool_size = {POOL_SIZE}\n")),
        };
        format!(
            "mode = \"{mode}\"\n\n\
             [gateway]\nlisten = \"127.0.0.1:{http}\"\nupstream = \"http://127.0.0.1:{api_port}\"\n\n\
             [postgres]\nlisten = \"127.0.0.1:{postgres}\"\nurl = \"{}\"\n{pool}\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n",
            self.database_url()
        )
    }

    /// Postgres's own folder. Whoever cleans up after us removes it whole.
    fn folder(&self) -> anyhow::Result<PathBuf> {
        let data = self.postgres.data_folder();
        Ok(data
            .parent()
            .context("Postgres's data has no folder")?
            .to_path_buf())
    }

    fn spawn(&self, command: &Command, name: &str) -> anyhow::Result<ChildProcess> {
        self.interrupt.check()?;
        Ok(ChildProcess::spawn(
            command,
            &self.folder()?.join(format!("{name}.log")),
        )?)
    }

    /// Waits until a process answers on this path, however long its backends take.
    fn await_answer(
        &self,
        process: &ChildProcess,
        target: &Target,
        path: &str,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIME_MAX;
        let mut fetcher = Fetcher::new(target, FETCH_TIME_MAX)?;
        loop {
            self.interrupt.check()?;
            // An answer from somebody else who took the port would end in the process's end.
            if fetcher
                .fetch(&Sample::get(path))
                .is_ok_and(|answer| answer.status < 400)
                && process.exit_status().is_none()
            {
                return Ok(());
            }
            if let Some(status) = process.wait(POLL) {
                bail!("it ended at once ({status}):\n{}", process.log_tail(10));
            }
            if Instant::now() > deadline {
                bail!(
                    "it was not ready within {START_TIME_MAX:?}:\n{}",
                    process.log_tail(10)
                );
            }
        }
    }
}

impl Paceline {
    /// What its admin API says.
    pub(super) fn admin_json(&self, path: &str) -> anyhow::Result<Value> {
        let mut fetcher = Fetcher::new(&self.admin, FETCH_TIME_MAX)?;
        let Answer { status, body, .. } = fetcher.fetch(&Sample::get(path))?;
        if status != 200 {
            bail!("{}{path} answered {status}", self.admin);
        }
        serde_json::from_slice(&body).with_context(|| format!("{}{path} is not JSON", self.admin))
    }

    /// The CPU time that it has used, in its own code and in the kernel on its behalf.
    pub(super) fn cpu_time(&self) -> anyhow::Result<Duration> {
        let file = format!("/proc/{}/stat", self.process.pid());
        let stat =
            std::fs::read_to_string(&file).with_context(|| format!("could not read {file}"))?;
        cpu_time(&stat).with_context(|| format!("{file} has an unknown form"))
    }
}

/// Fields 14 and 15 of `proc(5)`'s stat, in hundredths of a second. The second field, the name,
/// may itself contain spaces and brackets.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// Between finding a port free and binding it, somebody else may take it.
fn retry_ports<T>(what: &str, mut start: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut tries = 1;
    loop {
        match start() {
            Err(error) if tries < START_TRIES_MAX && is_port_taken(&error) => tries += 1,
            outcome => {
                return outcome.with_context(|| format!("{what} could not be started"));
            }
        }
    }
}

fn is_port_taken(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}").to_lowercase();
    text.contains("in use")
}

fn loopback(port: u16) -> anyhow::Result<Target> {
    Ok(Target::parse(&format!("http://127.0.0.1:{port}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_past_an_odd_name() {
        let stat = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 5 6";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_time("12 (a) R 1"), None);
    }
}
