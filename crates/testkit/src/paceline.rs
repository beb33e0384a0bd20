//! The real binary, running.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use paceline_sandbox::{ChildProcess, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::ended::{Ended, run_to_end};
use crate::http;
use crate::postgres::target_folder;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const PORTS_TRIED_MAX: u32 = 5;
const CONFIG: &str = "paceline.toml";

/// What to start; made by [`Paceline::launch`].
#[derive(Debug, Clone, Default)]
pub struct Launch {
    config: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    gateway: bool,
    postgres: bool,
    path_ready: &'static str,
    descriptors_max: Option<u32>,
    redirection: Option<&'static str>,
    ports: Option<[u16; 3]>,
}

/// A running `paceline run` on ports of its own; stopped on drop.
#[derive(Debug)]
pub struct Paceline {
    child: ChildProcess,
    http_port: u16,
    pg_port: u16,
    admin_port: u16,
    folder: TempDir,
}

impl Paceline {
    /// Prepares a start; [`Launch::start`] does it.
    pub fn launch() -> Launch {
        Launch {
            path_ready: "/readyz",
            ..Launch::default()
        }
    }

    /// Starts with this configuration file. What it says of `listen` is overridden with free ports.
    pub fn start(config_toml: &str) -> Paceline {
        Paceline::launch().config(config_toml).start()
    }

    /// The binary with nothing added, for what ends by itself: wrong input, `check`, `diagnose`.
    pub fn command() -> Command {
        clean(Command::new(built_binary("paceline")))
    }

    /// The gateway's address.
    pub fn http_addr(&self) -> SocketAddr {
        loopback(self.http_port)
    }

    /// The gateway's URL, without a slash at the end.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The Postgres half's port.
    pub fn pg_port(&self) -> u16 {
        self.pg_port
    }

    /// A URL of the Postgres half: `user` may be `name` or `name:password`.
    pub fn pg_url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.pg_port)
    }

    /// The admin server's URL, without a slash at the end.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin_port)
    }

    /// What the admin server says at this path; panics unless the answer is 200 and JSON.
    #[track_caller]
    pub fn admin_json(&self, path: &str) -> Value {
        let response = http::get(&format!("{}{path}", self.admin_url()));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    }

    /// Replaces the configuration file that it was started with.
    pub fn write_config(&self, toml: &str) {
        std::fs::write(self.folder.path().join(CONFIG), toml).unwrap();
    }

    /// The process, to signal, stop or await.
    pub fn process(&self) -> &ChildProcess {
        &self.child
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.child.log_tail(usize::MAX)
    }
}

impl Launch {
    /// With this configuration file. A half is on if its section is there.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Launch {
        self.gateway |= toml.contains("[gateway]");
        self.postgres |= toml.contains("[postgres]");
        self.config = Some(toml.to_owned());
        self
    }

    /// With `--upstream URL`.
    #[must_use]
    pub fn upstream(mut self, url: &str) -> Launch {
        self.gateway = true;
        self.args(["--upstream", url])
    }

    /// With `--database URL`.
    #[must_use]
    pub fn database(mut self, url: &str) -> Launch {
        self.postgres = true;
        self.args(["--database", url])
    }

    /// With these arguments too.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Launch {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// With this environment variable too.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With so many file descriptors at most.
    #[must_use]
    pub fn descriptors_max(mut self, count: u32) -> Launch {
        self.descriptors_max = Some(count);
        self
    }

    /// With its outputs elsewhere, in the shell's words: `2>/dev/full`. [`Paceline::log`] has nothing of them then.
    #[must_use]
    pub fn redirected(mut self, redirection: &'static str) -> Launch {
        self.redirection = Some(redirection);
        self
    }

    /// On the ports of this one, to take over from it.
    #[must_use]
    pub fn takes_over_from(mut self, old: &Paceline) -> Launch {
        self.ports = Some([old.http_port, old.pg_port, old.admin_port]);
        self.args(["--takeover"])
    }

    /// Starts it and waits until it has ended by itself.
    #[track_caller]
    pub fn run_to_end(self, timeout: Duration) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        run_to_end(&mut self.command(folder.path(), self.ports()), timeout)
    }

    /// Does not wait until the upstream and the database are reachable, only until it lives.
    #[must_use]
    pub fn without_backends(mut self) -> Launch {
        self.path_ready = "/livez";
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Paceline {
        for _ in 0..PORTS_TRIED_MAX {
            match self.try_start() {
                Ok(paceline) => return paceline,
                // Between finding the port free and binding it, somebody else took it.
                Err(log) if log.contains("Cannot listen on") => {}
                Err(log) => panic!("Paceline did not start; its output:\n{log}"),
            }
        }
        panic!("found no free ports in {PORTS_TRIED_MAX} tries");
    }

    fn ports(&self) -> [u16; 3] {
        self.ports
            .unwrap_or_else(|| [(); 3].map(|()| free_port().unwrap()))
    }

    fn try_start(&self) -> Result<Paceline, String> {
        let folder = tempfile::tempdir().unwrap();
        let ports = self.ports();
        let command = self.command(folder.path(), ports);
        let child = ChildProcess::spawn(&command, &folder.path().join("log")).unwrap();
        let [http_port, pg_port, admin_port] = ports;
        let paceline = Paceline {
            child,
            http_port,
            pg_port,
            admin_port,
            folder,
        };
        paceline.wait_until_answering(self.path_ready, self.ports.is_some())?;
        Ok(paceline)
    }

    fn command(&self, folder: &Path, [http_port, pg_port, admin_port]: [u16; 3]) -> Command {
        let mut command = match (self.descriptors_max, self.redirection) {
            (None, None) => Paceline::command(),
            (count, redirection) => {
                let limit = count.map_or_else(String::new, |count| format!("ulimit -n {count}; "));
                let redirection = redirection.unwrap_or_default();
                let script = format!("{limit}exec \"$0\" \"$@\" {redirection}");
                let mut shell = clean(Command::new("sh"));
                shell.arg("-c").arg(script).arg(built_binary("paceline"));
                shell
            }
        };
        command.arg("run");
        if let Some(config) = &self.config {
            let file = folder.join(CONFIG);
            std::fs::write(&file, config).unwrap();
            command.arg("--config").arg(file);
        }
        command.args(&self.args).current_dir(folder);
        let listen = |port: u16| format!("127.0.0.1:{port}");
        command.env("PACELINE__ADMIN__LISTEN", listen(admin_port));
        if self.gateway {
            command.env("PACELINE__GATEWAY__LISTEN", listen(http_port));
        }
        if self.postgres {
            command.env("PACELINE__POSTGRES__LISTEN", listen(pg_port));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Paceline {
    /// While another process has the same ports, its answers are not this one's: then the log tells.
    fn wait_until_answering(&self, path: &str, is_shared: bool) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        let url = format!("{}{path}", self.admin_url());
        loop {
            let may_ask = !is_shared || self.log().contains("Paceline is running.");
            if may_ask && http::try_get(&url).is_ok_and(|response| response.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.wait(Duration::from_millis(5)) {
                return Err(format!("{}\n({status})", self.log()));
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "{}\n({path} did not answer 200 in time)",
                    self.log()
                ));
            }
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Without what the environment of the tests says to Paceline.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PACELINE_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}

/// A binary of the workspace: the one that Cargo built for this test, or the one that stands above
/// the test's own executable.
pub fn built_binary(name: &str) -> PathBuf {
    let path = std::env::var_os(format!("CARGO_BIN_EXE_{name}"))
        .map_or_else(|| target_folder().join(name), PathBuf::from);
    let release = target_folder().file_name() == Some(OsStr::new("release"));
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build -p {name}{}`",
        path.display(),
        if release { " --release" } else { "" }
    );
    path
}
