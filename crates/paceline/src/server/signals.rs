//! What the main thread does while the others serve: it waits for signals, and for a worker that fails.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use super::workers::{Ending, Workers, runtime};

/// Why the process leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Signal,
    WorkerFailed,
}

/// How the leaving went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Completely,
    TimeOver,
    Hurried,
}

/// The signals that end the process. From its making on they no longer do so by themselves.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    streams: Streams,
}

#[derive(Debug)]
struct Streams {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = runtime(1)?;
        let inside = runtime.enter();
        let streams = Streams {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        drop(inside);
        Ok(Self { runtime, streams })
    }

    /// Waits for the first signal, or for a worker that ends although nobody asked it to.
    pub(super) fn wait(&mut self, workers: &mut Workers) -> End {
        let streams = &mut self.streams;
        self.runtime.block_on(async {
            tokio::select! {
                name = streams.next() => {
                    info!(signal = name, "Leaving: open requests and transactions come to their end.");
                    End::Signal
                }
                _ = workers.endings.recv() => {
                    workers.running -= 1;
                    error!("A worker ended by a fault; the others come to their end, then the process exits.");
                    End::WorkerFailed
                }
            }
        })
    }

    /// Waits so long, or until a second signal. Answers whether one came.
    pub(super) fn pause(&mut self, delay: Duration) -> bool {
        self.unless_hurried(sleep_for(delay)).is_none()
    }

    /// Waits until all workers have ended, the limit is over, or a second signal came.
    pub(super) fn drain(&mut self, mut workers: Workers, limit: Duration) -> Drained {
        let ended = async {
            while workers.running > 0 {
                match workers.endings.recv().await {
                    Some(Ending::Drained) => {}
                    Some(Ending::Failed) => error!("A worker failed while it came to its end."),
                    // All senders are gone, so all threads are.
                    None => break,
                }
                workers.running -= 1;
            }
        };
        match self.unless_hurried(async { timeout(limit, ended).await }) {
            Some(Ok(())) => Drained::Completely,
            Some(Err(_)) => Drained::TimeOver,
            None => Drained::Hurried,
        }
    }

    /// The outcome of `work`, or none when a signal came first.
    fn unless_hurried<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let streams = &mut self.streams;
        self.runtime.block_on(async {
            tokio::select! {
                outcome = work => Some(outcome),
                _ = streams.next() => None,
            }
        })
    }
}

impl Streams {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// A sleep is tied to a runtime when it is made, so it is made inside.
async fn sleep_for(delay: Duration) {
    sleep(delay).await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;

    fn workers(running: usize) -> (UnboundedSender<Ending>, Workers) {
        let (sender, endings) = unbounded_channel();
        (sender, Workers { running, endings })
    }

    #[test]
    fn a_worker_that_ends_by_itself_ends_the_process() {
        let mut signals = Signals::new().expect("signals");
        for ending in [Ending::Failed, Ending::Drained] {
            let (sender, mut workers) = workers(2);
            sender.send(ending).expect("a receiver");
            assert_eq!(signals.wait(&mut workers), End::WorkerFailed);
            assert_eq!(workers.running, 1);
        }
    }

    #[test]
    fn draining_waits_for_all_workers_up_to_its_limit() {
        let mut signals = Signals::new().expect("signals");
        let (sender, two) = workers(2);
        sender.send(Ending::Drained).expect("a receiver");
        assert_eq!(
            signals.drain(two, Duration::from_millis(10)),
            Drained::TimeOver
        );
        let (sender, two) = workers(2);
        sender.send(Ending::Drained).expect("a receiver");
        sender.send(Ending::Failed).expect("a receiver");
        assert_eq!(
            signals.drain(two, Duration::from_secs(60)),
            Drained::Completely
        );
        assert!(!signals.pause(Duration::ZERO));
    }
}
