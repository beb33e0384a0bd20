//! Any other program that must not outlive us.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::account;
use crate::binaries::on_path;
use crate::error::{Doing, Error};
use crate::process::{Process, Signal};

/// How long a child may take to end by itself after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the kernel may take to end one after SIGKILL.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A child process whose output goes to a log file. It is ended on drop (SIGTERM, then SIGKILL),
/// and dies with us where `setpriv` is available.
#[derive(Debug)]
pub struct ChildProcess {
    process: Process,
    log: PathBuf,
}

impl ChildProcess {
    /// Starts a program. Of `command` the program, arguments, environment changes and working
    /// directory count; its standard input is empty, and both outputs are appended to the file
    /// `log`.
    pub fn spawn(command: &Command, log: &Path) -> Result<ChildProcess, Error> {
        let program = resolve(Path::new(command.get_program()))?;
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let doing_log = || format!("open the log file {}", log.display());
        let mut wrapped = account::command(&program, None, "TERM");
        wrapped.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
            .stdin(Stdio::null())
            .stdout(open().doing(doing_log)?)
            .stderr(open().doing(doing_log)?);
        let process = Process::spawn(wrapped).doing(|| format!("start {}", program.display()))?;
        Ok(ChildProcess {
            process,
            log: log.to_path_buf(),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.process.exit_status()
    }

    /// Waits for its end, at most so long.
    pub fn wait(&self, timeout: Duration) -> Option<ExitStatus> {
        self.process.wait(timeout)
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Asks it to end (SIGTERM), insists after ten seconds (SIGKILL), and says how it ended.
    pub fn stop(&self) -> Option<ExitStatus> {
        self.process
            .end(&[(Signal::Terminate, PATIENCE), (Signal::Kill, LAST_PATIENCE)])
    }

    /// Ends it without asking.
    pub fn kill(&self) -> Option<ExitStatus> {
        self.process.end(&[(Signal::Kill, LAST_PATIENCE)])
    }

    /// Where its output goes.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // A frozen process would not see SIGTERM.
        self.process.signal(Signal::Continue);
        self.stop();
    }
}

/// The last lines of a file; empty when there is none.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The program's file, so that a missing one is our clear error and not one of `setpriv`.
fn resolve(program: &Path) -> Result<PathBuf, Error> {
    let found = if program.components().count() > 1 {
        program.is_file().then(|| program.to_path_buf())
    } else {
        on_path(program.as_os_str(), std::env::var_os("PATH").as_deref())
    };
    let found = found.ok_or_else(|| Error::NoProgram(program.to_path_buf()))?;
    // Absolute, since the child may start in another folder.
    std::path::absolute(&found).map_err(|source: io::Error| Error::Io {
        action: format!("find {}", found.display()),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn shell(script: &str, log: &Path) -> ChildProcess {
        ChildProcess::spawn(Command::new("sh").args(["-c", script]), log).unwrap()
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "the condition did not come true");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn output_and_status_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo \"$WORD\"; echo two >&2; pwd; exit 3"])
            .env("WORD", "one");
        let child = ChildProcess::spawn(command.current_dir("/usr"), &log).unwrap();
        assert_eq!(child.wait(Duration::from_secs(10)).unwrap().code(), Some(3));
        assert_eq!(child.log_tail(10), "one\ntwo\n/usr");
        assert_eq!(child.log_tail(1), "/usr");
    }

    #[test]
    fn a_missing_program_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let command = Command::new("paceline-no-such-program");
        let error = ChildProcess::spawn(&command, &dir.path().join("log")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the program `paceline-no-such-program` was not found"
        );
    }

    #[test]
    fn stop_asks_and_kill_insists() {
        let dir = tempfile::tempdir().unwrap();
        let polite = shell(
            "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done",
            &dir.path().join("a"),
        );
        wait_until(|| polite.log_tail(1) == "ready");
        assert_eq!(polite.stop().unwrap().code(), Some(5));
        let deaf = shell(
            "trap '' TERM; echo ready; while :; do sleep 0.01; done",
            &dir.path().join("b"),
        );
        wait_until(|| deaf.log_tail(1) == "ready");
        deaf.signal(Signal::Terminate);
        assert_eq!(deaf.wait(Duration::from_millis(50)), None);
        assert_eq!(deaf.kill().unwrap().code(), None);
        // Signals to one that has ended go nowhere.
        deaf.signal(Signal::Kill);
    }

    #[test]
    fn outlives_the_thread_that_made_it_but_not_its_handle() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let child = std::thread::spawn(move || shell("exec sleep 1000", &log))
            .join()
            .unwrap();
        assert_eq!(
            child.wait(Duration::from_millis(100)),
            None,
            "the death signal came too early"
        );
        let proc = PathBuf::from(format!("/proc/{}", child.pid()));
        drop(child);
        assert!(!proc.exists());
    }
}
