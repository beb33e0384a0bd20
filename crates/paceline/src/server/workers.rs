//! The worker threads: each a single-threaded runtime that serves its own sockets.
//!
//! A panic within one client's task ends that client only; the runtime catches it. One that reaches a worker itself ends
//! the process in order: the other workers drain, and the exit code says that something failed. To go on with fewer
//! workers than configured, or with a half-broken one, would only be noticed later.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use paceline_listen::DrainSignal;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime, Runtime};
use tokio::sync::mpsc;
use tracing::error;

use super::Halves;
use super::sockets::WorkerSockets;

/// Threads per worker for what blocks: looking up names, parsing a huge statement.
const BLOCKING_THREADS_MAX: usize = 4;

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All its connections came to their end.
    Drained,
    Failed,
}

/// The running workers.
#[derive(Debug)]
pub(super) struct Workers {
    pub(super) running: usize,
    pub(super) endings: mpsc::UnboundedReceiver<Ending>,
}

impl Workers {
    /// Starts a thread for each set of sockets.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(
        sockets: Vec<WorkerSockets>,
        halves: &Halves,
        drain: &DrainSignal,
    ) -> io::Result<Self> {
        // Bounded by the number of workers: each sends one message.
        let (sender, endings) = mpsc::unbounded_channel();
        let running = sockets.len();
        for (worker, sockets) in sockets.into_iter().enumerate() {
            let (halves, drain, sender) = (halves.clone(), drain.clone(), sender.clone());
            thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || {
                    let ending = match local_runtime() {
                        Ok(runtime) => run(runtime, worker, sockets, halves, drain),
                        Err(error) => {
                            error!(%error, worker, "No runtime could be started.");
                            Ending::Failed
                        }
                    };
                    let _ = sender.send(ending);
                })?;
        }
        Ok(Self { running, endings })
    }
}

/// A single-threaded runtime with I/O and time.
pub(super) fn runtime(blocking_threads_max: usize) -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking_threads_max)
        .build()
}

/// The same for tasks that stay on its thread. It cannot leave the one where it is made.
fn local_runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build_local(LocalOptions::default())
}

fn run(
    runtime: LocalRuntime,
    worker: usize,
    sockets: WorkerSockets,
    halves: Halves,
    drain: DrainSignal,
) -> Ending {
    let serve = || serve(&runtime, worker, sockets, halves, drain);
    let ending = match catch_unwind(AssertUnwindSafe(serve)) {
        Ok(ending) => ending,
        Err(_) => Ending::Failed,
    };
    // Connections that outlive the drain are cut here, not waited for.
    runtime.shutdown_background();
    ending
}

fn serve(
    runtime: &LocalRuntime,
    worker: usize,
    sockets: WorkerSockets,
    halves: Halves,
    drain: DrainSignal,
) -> Ending {
    runtime.block_on(async move {
        let http = async {
            let (Some(gateway), Some(listener)) = (halves.gateway, sockets.http) else {
                return Ending::Drained;
            };
            match gateway.serve(listener, drain.clone()).await {
                Ok(()) => Ending::Drained,
                Err(error) => {
                    error!(%error, worker, "The HTTP half could not be served.");
                    Ending::Failed
                }
            }
        };
        let postgres = async {
            if let (Some(proxy), Some(listener)) = (halves.proxy, sockets.postgres) {
                proxy.serve(worker, listener, drain.clone()).await;
            }
        };
        tokio::join!(http, postgres).0
    })
}
