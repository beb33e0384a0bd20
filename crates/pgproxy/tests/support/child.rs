//! A proxy in a process of its own, for tests that bound or measure a whole process: the test's own executable, run again for that
//! one test, which finds the role in its environment. `examples/soak.rs` does the same.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use paceline_pgproxy::Config;
use paceline_testkit::{ChildProcess, RawPg, wait_for};

const ROLE: &str = "PACELINE_TEST_PROXY_FOR";
const ANNOUNCEMENT: &str = "proxy listens on ";

/// The process.
pub(crate) struct ProxyProcess {
    pub(crate) port: u16,
    process: ChildProcess,
    _folder: tempfile::TempDir,
}

impl ProxyProcess {
    /// Starts it for the test of this name, which must call [`be_the_proxy_if_told`] first. With `descriptors_max`, the
    /// process may have no more descriptors open than that.
    #[track_caller]
    pub(crate) fn start(test: &str, url: &str, descriptors_max: Option<u32>) -> ProxyProcess {
        let own = std::env::current_exe().unwrap();
        let mut command = match descriptors_max {
            Some(max) => {
                let mut command = Command::new("prlimit");
                command.arg(format!("--nofile={max}:{max}")).arg(own);
                command
            }
            None => Command::new(own),
        };
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        ProxyProcess::spawn(command, url)
    }

    /// Starts it for a program whose `main` calls [`be_the_proxy_if_told`] first.
    #[track_caller]
    pub(crate) fn of_this_program(url: &str) -> ProxyProcess {
        ProxyProcess::spawn(Command::new(std::env::current_exe().unwrap()), url)
    }

    #[track_caller]
    fn spawn(mut command: Command, url: &str) -> ProxyProcess {
        command.env(ROLE, url);
        let folder = tempfile::tempdir().unwrap();
        let process = ChildProcess::spawn(&command, &folder.path().join("log"))
            .unwrap_or_else(|error| panic!("{error}"));
        let port = wait_for(Duration::from_secs(20), || {
            let log = std::fs::read_to_string(process.log_path()).unwrap_or_default();
            assert_eq!(
                process.exit_status(),
                None,
                "the proxy's process ended: {log}"
            );
            let (_, after) = log.split_once(ANNOUNCEMENT)?;
            after
                .lines()
                .next()?
                .parse()
                .ok()
                .filter(|_| after.contains('\n'))
        });
        ProxyProcess {
            port,
            process,
            _folder: folder,
        }
    }

    /// A client of it.
    #[track_caller]
    pub(crate) fn client(&self) -> RawPg {
        RawPg::login(self.port, "postgres", None, "postgres")
    }

    /// Memory that it has in use, and the most that it had.
    pub(crate) fn resident_bytes(&self) -> (usize, usize) {
        let path = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(path).unwrap();
        let field = |name: &str| -> usize {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<usize>()
                .unwrap()
                * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.pid());
        let stat = std::fs::read_to_string(path).unwrap();
        // The name in parentheses may hold anything; user and system time are fields 14 and 15, in hundredths of a second.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// All that it has printed.
    pub(crate) fn log(&self) -> String {
        self.process.log_tail(50)
    }
}

/// In the process that [`ProxyProcess::start`] starts: serves until it is ended. Elsewhere: returns.
pub(crate) fn be_the_proxy_if_told(change: impl FnOnce(&mut Config)) {
    let Ok(url) = std::env::var(ROLE) else { return };
    let mut config = super::config(&url);
    change(&mut config);
    let serving = super::serve(config);
    let mut out = std::io::stdout();
    writeln!(out, "\n{ANNOUNCEMENT}{}", serving.port)
        .and_then(|()| out.flush())
        .unwrap();
    loop {
        std::thread::park();
    }
}
