//! One child process, watched by the thread that spawned it.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};

/// The signals that end a process, from polite to final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP: to daemons, read your configuration again.
    HangUp,
    /// SIGINT: Ctrl-C. To Postgres: a fast shutdown.
    Interrupt,
    /// SIGTERM: please end.
    Terminate,
    /// SIGQUIT: to Postgres, end at once.
    Quit,
    /// SIGKILL: cannot be refused.
    Kill,
    /// SIGSTOP: freeze, to play a server that hangs.
    Stop,
    /// SIGCONT: go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    pub(crate) fn to_system(self) -> rustix::process::Signal {
        match self {
            Signal::HangUp => rustix::process::Signal::HUP,
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Quit => rustix::process::Signal::QUIT,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Stop => rustix::process::Signal::STOP,
            Signal::Continue => rustix::process::Signal::CONT,
        }
    }
}

/// A running or ended child. Dropping it does nothing: its owners decide how to end it.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    exit: Arc<Exit>,
}

#[derive(Debug, Default)]
struct Exit {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Process {
    /// Spawns `command` in a process group of its own, so that Ctrl-C in the terminal reaches only
    /// its owner, who then ends things in order.
    pub(crate) fn spawn(mut command: Command) -> io::Result<Process> {
        command.process_group(0);
        let exit = Arc::new(Exit::default());
        let (report, reported) = mpsc::sync_channel(1);
        let watched = Arc::clone(&exit);
        thread::Builder::new()
            .name("child-watch".into())
            .spawn(move || match command.spawn() {
                Ok(child) => watch(child, &watched, &report),
                Err(error) => drop(report.send(Err(error))),
            })?;
        let pid = reported.recv().map_err(io::Error::other)??;
        Ok(Process { pid, exit })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The exit status, once the process has ended.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.lock()
    }

    /// Sends a signal unless the process has ended. The child is reaped under the same lock, so
    /// that the signal cannot hit a stranger who was given its number.
    pub(crate) fn signal(&self, signal: Signal) {
        let status = self.exit.lock();
        if status.is_none() {
            // It may have ended this instant and wait to be reaped: then there is nothing to
            // signal, which is fine.
            let _ = kill_process(self.pid, signal.to_system());
        }
    }

    /// Waits for the end, at most so long.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + timeout;
        let mut status = self.exit.lock();
        while status.is_none() {
            let left = deadline.checked_duration_since(Instant::now())?;
            let (guard, _) = self
                .exit
                .ended
                .wait_timeout(status, left)
                .unwrap_or_else(PoisonError::into_inner);
            status = guard;
        }
        *status
    }

    /// Sends each signal in turn and gives the process the time beside it, until it has ended.
    pub(crate) fn end(&self, steps: &[(Signal, Duration)]) -> Option<ExitStatus> {
        for &(signal, patience) in steps {
            self.signal(signal);
            if let Some(status) = self.wait(patience) {
                return Some(status);
            }
        }
        None
    }
}

impl Exit {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits without reaping, then reaps under the lock that [`Process::signal`] takes.
fn watch(mut child: Child, exit: &Exit, report: &mpsc::SyncSender<io::Result<Pid>>) {
    let pid = Pid::from_child(&child);
    if report.send(Ok(pid)).is_err() {
        return;
    }
    while let Err(rustix::io::Errno::INTR) = waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    ) {}
    let mut status = exit.lock();
    *status = Some(child.wait().unwrap_or_default());
    exit.ended.notify_all();
}
