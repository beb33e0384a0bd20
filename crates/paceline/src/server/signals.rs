//! What the main thread does while the others serve: it waits for signals, for what the console and the admin port ask for, for
//! a successor, and for a worker that fails.

use std::future::Future;
use std::io;
use std::time::Duration;

use paceline_listen::{Leave, Reloaded, Wish};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::{error, info};

use super::workers::{Ending, Workers, runtime};

/// What the process is to do next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Read the configuration again, and tell whoever asked.
    Reload(Option<oneshot::Sender<Reloaded>>),
    End(End),
}

/// Why the process leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Signal,
    /// Asked for by the console.
    Asked(Leave),
    /// Another process has taken over.
    Succeeded,
    WorkerFailed,
}

/// How the leaving went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Completely,
    TimeOver,
    Hurried,
}

/// The signals, and whatever else tells the main thread what to do. From its making on signals no longer end the process by
/// themselves.
#[derive(Debug)]
pub(super) struct Signals {
    runtime: Runtime,
    streams: Streams,
    pub(super) succeeded: UnboundedSender<()>,
}

#[derive(Debug)]
struct Streams {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    wishes: mpsc::Receiver<Wish>,
    successor: UnboundedReceiver<()>,
}

impl Signals {
    pub(super) fn new(wishes: mpsc::Receiver<Wish>) -> io::Result<Self> {
        let runtime = runtime(1)?;
        let inside = runtime.enter();
        // Bounded by the number of successors, of which there is one.
        let (succeeded, successor) = mpsc::unbounded_channel();
        let streams = Streams {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            wishes,
            successor,
        };
        drop(inside);
        Ok(Self {
            runtime,
            streams,
            succeeded,
        })
    }

    /// Waits for a signal, a wish, a successor, or a worker that ends although nobody asked it to.
    pub(super) fn wait(&mut self, workers: &mut Workers) -> Turn {
        let streams = &mut self.streams;
        self.runtime.block_on(async {
            tokio::select! {
                name = next(&mut streams.terminate, &mut streams.interrupt) => {
                    info!(signal = name, "Leaving: open requests and transactions come to their end.");
                    Turn::End(End::Signal)
                }
                _ = streams.hang_up.recv() => Turn::Reload(None),
                Some(wish) = streams.wishes.recv() => match wish {
                    Wish::Reload(answer) => Turn::Reload(Some(answer)),
                    Wish::Leave(how) => {
                        info!(?how, "Leaving, as the console was told.");
                        Turn::End(End::Asked(how))
                    }
                },
                Some(()) = streams.successor.recv() => {
                    info!("Leaving when the last client has left: another process has taken over.");
                    Turn::End(End::Succeeded)
                }
                _ = workers.endings.recv() => {
                    workers.running -= 1;
                    error!("A worker ended by a fault; the others come to their end, then the process exits.");
                    Turn::End(End::WorkerFailed)
                }
            }
        })
    }

    /// Waits so long, or until a second signal. Answers whether one came.
    pub(super) fn pause(&mut self, delay: Duration) -> bool {
        self.unless_hurried(sleep_for(delay)).is_none()
    }

    /// Waits until all workers have ended, the limit is over, or a signal came.
    pub(super) fn drain(&mut self, workers: &mut Workers, limit: Option<Duration>) -> Drained {
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
        let within = async {
            match limit {
                Some(limit) => timeout(limit, ended).await.is_ok(),
                None => {
                    ended.await;
                    true
                }
            }
        };
        match self.unless_hurried(within) {
            Some(true) => Drained::Completely,
            Some(false) => Drained::TimeOver,
            None => Drained::Hurried,
        }
    }

    /// The outcome of `work`, or none when a signal, or the console, said before to leave at once.
    fn unless_hurried<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let streams = &mut self.streams;
        self.runtime.block_on(async {
            tokio::select! {
                outcome = work => Some(outcome),
                () = streams.hurry() => None,
            }
        })
    }
}

impl Streams {
    /// Completes when somebody says once more that the process is to leave.
    async fn hurry(&mut self) {
        loop {
            tokio::select! {
                _ = next(&mut self.terminate, &mut self.interrupt) => return,
                Some(wish) = self.wishes.recv() => match wish {
                    Wish::Leave(_) => return,
                    Wish::Reload(answer) => {
                        let _ = answer.send(Err(vec!["the process is leaving".to_owned()]));
                    }
                },
            }
        }
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// A sleep is tied to a runtime when it is made, so it is made inside.
async fn sleep_for(delay: Duration) {
    sleep(delay).await;
}

#[cfg(test)]
mod tests {
    use paceline_listen::{Control, control};
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn workers(running: usize) -> (UnboundedSender<Ending>, Workers) {
        let (sender, endings) = unbounded_channel();
        (sender, Workers { running, endings })
    }

    fn signals() -> (Control, Signals) {
        let (control, wishes) = control();
        (control, Signals::new(wishes).expect("signals"))
    }

    #[test]
    fn a_worker_that_ends_by_itself_ends_the_process() {
        let (_control, mut signals) = signals();
        for ending in [Ending::Failed, Ending::Drained] {
            let (sender, mut workers) = workers(2);
            sender.send(ending).expect("a receiver");
            let turn = signals.wait(&mut workers);
            assert!(matches!(turn, Turn::End(End::WorkerFailed)), "{turn:?}");
            assert_eq!(workers.running, 1);
        }
    }

    #[test]
    fn draining_waits_for_all_workers_up_to_its_limit() {
        let (_control, mut signals) = signals();
        let (sender, mut two) = workers(2);
        sender.send(Ending::Drained).expect("a receiver");
        let short = Some(Duration::from_millis(10));
        assert_eq!(signals.drain(&mut two, short), Drained::TimeOver);
        assert_eq!(two.running, 1, "what has ended stays ended");
        sender.send(Ending::Failed).expect("a receiver");
        assert_eq!(signals.drain(&mut two, None), Drained::Completely);
        assert!(!signals.pause(Duration::ZERO));
    }

    #[test]
    fn what_is_asked_for_is_done_in_its_turn_and_hurries_a_leaving_process() {
        let (control, mut signals) = signals();
        let (_sender, mut one) = workers(1);
        control.leave(Leave::AfterClients).expect("room");
        let turn = signals.wait(&mut one);
        assert!(
            matches!(turn, Turn::End(End::Asked(Leave::AfterClients))),
            "{turn:?}"
        );
        control.leave(Leave::Now).expect("room");
        assert_eq!(signals.drain(&mut one, None), Drained::Hurried);
        signals.succeeded.send(()).expect("a receiver");
        let turn = signals.wait(&mut one);
        assert!(matches!(turn, Turn::End(End::Succeeded)), "{turn:?}");
    }
}
