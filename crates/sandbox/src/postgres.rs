//! A private Postgres server.

mod standby;

use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

use crate::account::{self, Account};
use crate::binaries::Binaries;
use crate::child::tail;
use crate::cluster::Cluster;
use crate::error::{Doing, Error};
use crate::janitor::Janitor;
use crate::port::free_port;
use crate::process::{Process, Signal};

/// How many ports are tried before giving up.
const PORTS_TRIED_MAX: usize = 20;
const LOG_LINES: usize = 12;
const POLL: Duration = Duration::from_millis(3);

/// What kind of server to start. The default is a fast one for throw-away data: no fsync, trust on
/// loopback.
#[derive(Debug, Clone)]
pub struct Options {
    /// The superuser's name.
    pub user: String,
    /// How TCP clients prove who they are.
    pub auth: Auth,
    /// Whether commits survive a crash of the machine. Without, everything is much faster.
    pub durable: bool,
    /// Lines for `postgresql.conf`, as name and value; they win over ours.
    pub settings: Vec<(String, String)>,
    /// Lines for `pg_hba.conf`, before the ordinary ones.
    pub hba_lines: Vec<String>,
    /// Where Postgres's programs are; `None` looks for them ([`Binaries::find`]).
    pub binaries: Option<Binaries>,
    /// A folder in which to keep fresh clusters by version, so that later starts can copy instead
    /// of running `initdb`. It must be nobody else's to write to.
    pub template_cache: Option<PathBuf>,
    /// How long the server may take to be ready.
    pub start_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            user: "postgres".into(),
            auth: Auth::Trust,
            durable: false,
            settings: Vec::new(),
            hba_lines: Vec::new(),
            binaries: None,
            template_cache: None,
            start_timeout: Duration::from_secs(60),
        }
    }
}

/// How TCP clients prove who they are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Whoever connects on loopback is believed.
    Trust,
    /// SCRAM-SHA-256, with the superuser's password.
    Scram {
        /// The superuser's password.
        password: String,
    },
}

impl Auth {
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Auth::Trust => "trust",
            Auth::Scram { .. } => "scram-sha-256",
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}

/// A Postgres server of our own: a temporary folder, a free port on 127.0.0.1, `pg_stat_statements`
/// preloaded when it is installed. Dropping it ends it and removes the folder.
#[derive(Debug)]
pub struct PrivatePostgres {
    // `None` while stopped.
    process: Option<Process>,
    binaries: Binaries,
    account: Option<Account>,
    options: Options,
    port: u16,
    // Declared in this order: the folder goes first, then the janitor finds nothing left to do.
    folder: TempDir,
    _janitor: Janitor,
}

impl PrivatePostgres {
    /// Makes a cluster, starts its server, and waits until it accepts connections.
    pub fn start(options: Options) -> Result<PrivatePostgres, Error> {
        let mut server = PrivatePostgres::unmade(options)?;
        Cluster {
            binaries: &server.binaries,
            account: server.account,
            user: &server.options.user,
            auth: &server.options.auth,
        }
        .create(
            &server.data_folder(),
            server.options.template_cache.as_deref(),
        )?;
        server.configure()?;
        server.start_on_a_free_port()?;
        Ok(server)
    }

    /// A server without data, which has not been started.
    fn unmade(options: Options) -> Result<PrivatePostgres, Error> {
        let binaries = options.binaries.clone().map_or_else(Binaries::find, Ok)?;
        let account = Account::for_postgres()?;
        let doing = || "make a temporary folder".to_owned();
        let folder = tempfile::Builder::new()
            .prefix("paceline-pg-")
            .tempdir()
            .doing(doing)?;
        let janitor = Janitor::watch_over(folder.path()).doing(|| "start /bin/sh".into())?;
        if let Some(account) = account {
            account.give(folder.path()).doing(doing)?;
        }
        Ok(PrivatePostgres {
            process: None,
            binaries,
            account,
            options,
            port: 0,
            folder,
            _janitor: janitor,
        })
    }

    /// The URL of one of its databases, with the superuser's name and password.
    pub fn url(&self, database: &str) -> String {
        let mut url = format!("postgres://{}", percent_encoded(&self.options.user));
        if let Auth::Scram { password } = &self.options.auth {
            url.push(':');
            url.push_str(&percent_encoded(password));
        }
        let _ = write!(
            url,
            "@127.0.0.1:{}/{}",
            self.port,
            percent_encoded(database)
        );
        url
    }

    /// Its port on 127.0.0.1. It keeps it over a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's name.
    pub fn user(&self) -> &str {
        &self.options.user
    }

    /// The superuser's password, if the server asks for one.
    pub fn password(&self) -> Option<&str> {
        match &self.options.auth {
            Auth::Trust => None,
            Auth::Scram { password } => Some(password),
        }
    }

    /// The postmaster's process id, or `None` while stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// The programs that belong to this server: `server.binaries().tool("psql")`.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Its data folder.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log_path(), lines)
    }

    /// Its log.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Sends a signal to the postmaster alone, for instance to freeze it.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Shuts down: fast (clients are disconnected, what is committed is kept), and by force if that
    /// takes too long.
    pub fn stop(&mut self) {
        self.end(&[
            (Signal::Interrupt, Duration::from_secs(10)),
            (Signal::Quit, Duration::from_secs(5)),
            (Signal::Kill, Duration::from_secs(5)),
        ]);
    }

    /// Ends the server and all its backends by SIGKILL, as if the machine had lost power: clients
    /// see their connections break without a word.
    pub fn kill(&mut self) {
        if let Some(process) = &self.process {
            // Frozen first, so that it starts no new backend meanwhile.
            process.signal(Signal::Stop);
            for child in children_of(process.pid()) {
                let _ = kill_process(child, rustix::process::Signal::KILL);
            }
        }
        self.end(&[(Signal::Kill, Duration::from_secs(5))]);
    }

    /// Stops the server if it runs, and starts it again on the same port with the same data.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        let deadline = Instant::now() + self.options.start_timeout;
        loop {
            match self.launch() {
                Err(Error::Failed { log })
                    if Instant::now() < deadline
                        && (is_port_taken(&log) || is_still_ending(&log)) =>
                {
                    std::thread::sleep(POLL * 10);
                }
                other => return other,
            }
        }
    }

    fn end(&mut self, steps: &[(Signal, Duration)]) {
        if let Some(process) = self.process.take() {
            process.end(steps);
        }
    }

    /// Writes what does not change from start to start.
    fn configure(&self) -> Result<(), Error> {
        let mut lines = String::from(
            "\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nlogging_collector = off\n\
             log_destination = 'stderr'\nlc_messages = 'C'\ntimezone = 'UTC'\n",
        );
        if !self.options.durable {
            lines.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n");
        }
        if self.binaries.has_stat_statements() {
            lines.push_str("shared_preload_libraries = 'pg_stat_statements'\n");
        }
        for (name, value) in &self.options.settings {
            let _ = writeln!(lines, "{name} = '{}'", value.replace('\'', "''"));
        }
        let data = self.data_folder();
        append(&data.join("postgresql.conf"), &lines)?;
        let hba = data.join("pg_hba.conf");
        let ordinary = fs::read_to_string(&hba).doing(|| format!("read {}", hba.display()))?;
        let first = self.options.hba_lines.join("\n");
        fs::write(&hba, format!("{first}\n{ordinary}")).doing(|| format!("write {}", hba.display()))
    }

    /// Between our finding a port free and the server's binding it, somebody else may take it: then
    /// another is tried.
    fn start_on_a_free_port(&mut self) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            self.port = free_port().doing(|| "find a free port".into())?;
            match self.launch() {
                Err(Error::Failed { log }) if is_port_taken(&log) && tries < PORTS_TRIED_MAX => {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    fn launch(&mut self) -> Result<(), Error> {
        let log = self.log_path();
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log)
                .doing(|| format!("open {}", log.display()))
        };
        let log_bytes_before = fs::metadata(&log).map_or(0, |m| m.len());
        let mut command = account::command(
            &self.binaries.folder().join("postgres"),
            self.account,
            "QUIT",
        );
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command
            .arg("-D")
            .arg(self.data_folder())
            .args(["-p", &self.port.to_string()])
            .current_dir(self.folder.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?);
        let process = Process::spawn(command).doing(|| "start postgres".into())?;
        let outcome = self.wait_until_ready(&process, log_bytes_before);
        if outcome.is_ok() {
            self.process = Some(process);
        } else {
            process.end(&[(Signal::Kill, Duration::from_secs(5))]);
        }
        outcome
    }

    /// The postmaster writes `ready` into its pid file once it accepts connections (`standby` when it
    /// follows another), which is also what `pg_ctl` looks at.
    fn wait_until_ready(&self, process: &Process, log_bytes_before: u64) -> Result<(), Error> {
        let pid_file = self.data_folder().join("postmaster.pid");
        let own_pid = process.pid().to_string();
        let deadline = Instant::now() + self.options.start_timeout;
        loop {
            let content = fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = content.lines();
            let is_its_own = lines.next() == Some(&own_pid);
            let state = lines.nth(6).map(str::trim_end);
            if is_its_own && matches!(state, Some("ready" | "standby")) {
                return Ok(());
            }
            if process.wait(POLL).is_some() {
                return Err(Error::Failed {
                    log: self.log_since(log_bytes_before),
                });
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady {
                    seconds: self.options.start_timeout.as_secs(),
                    log: self.log_since(log_bytes_before),
                });
            }
        }
    }

    fn log_since(&self, offset: u64) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let new = usize::try_from(offset)
            .ok()
            .and_then(|offset| log.get(offset..))
            .unwrap_or(&log);
        let text = String::from_utf8_lossy(new);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.signal(Signal::Continue);
        // The data is about to go: no need for a tidy shutdown.
        self.end(&[
            (Signal::Quit, Duration::from_secs(5)),
            (Signal::Kill, Duration::from_secs(5)),
        ]);
    }
}

fn append(file: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    OpenOptions::new()
        .append(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .doing(|| format!("write {}", file.display()))
}

fn is_port_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// What a new server says while backends of a killed predecessor still hold its memory or lock
/// file.
fn is_still_ending(log: &str) -> bool {
    log.contains("pre-existing shared memory block")
        || log.contains("postmaster.pid\" already exists")
}

/// The children of a process, from /proc; none where there is no /proc.
fn children_of(pid: u32) -> Vec<Pid> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| Pid::from_raw(child.parse().ok()?))
        .collect()
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
