//! Ctrl-C and SIGTERM, noticed between and within the steps, so that everything is taken down in
//! order.

use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use paceline_loadgen::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody wants the demo to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    cancel: Cancel,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    signal: Mutex<Option<u8>>,
    came: Condvar,
}

/// The error of a step that was cut short.
#[derive(Debug)]
pub(super) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

impl Interrupt {
    /// Begins to listen. The first signal is noted; a second ends the process at once, and leaves
    /// the rest to those who watch over the children.
    pub(super) fn listen() -> anyhow::Result<Interrupt> {
        let interrupt = Interrupt {
            cancel: Cancel::new(),
            shared: Arc::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        // Registered here, so that no signal is missed once this function has returned.
        let mut signals = {
            let _inside = runtime.enter();
            [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
            ]
            .map(|kind| signal(kind).map(|stream| (stream, kind)))
        }
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .context("could not listen for signals")?;
        let told = interrupt.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let number = next(&mut signals).await;
                        if told.signal().is_some() {
                            std::process::exit(128 + i32::from(number));
                        }
                        told.come(number);
                    }
                });
            })?;
        Ok(interrupt)
    }

    /// Ends running loads when a signal comes.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// The signal that came.
    pub(super) fn signal(&self) -> Option<u8> {
        *self.lock()
    }

    /// An error once a signal has come.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        self.signal().map_or(Ok(()), |_| Err(Interrupted))
    }

    /// Sleeps, unless a signal comes.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Interrupted> {
        let unheard = |signal: &mut Option<u8>| signal.is_none();
        let waited = self
            .shared
            .came
            .wait_timeout_while(self.lock(), time, unheard);
        let (signal, _) = waited.unwrap_or_else(PoisonError::into_inner);
        signal.map_or(Ok(()), |_| Err(Interrupted))
    }

    /// Waits for a signal.
    pub(super) fn wait(&self) {
        let unheard = |signal: &mut Option<u8>| signal.is_none();
        drop(self.shared.came.wait_while(self.lock(), unheard));
    }

    /// What the shell expects of a process that a signal ended.
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(128 + self.signal().unwrap_or(0))
    }

    fn come(&self, number: u8) {
        *self.lock() = Some(number);
        self.shared.came.notify_all();
        self.cancel.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, Option<u8>> {
        self.shared
            .signal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

type Stream = (tokio::signal::unix::Signal, SignalKind);

async fn next(signals: &mut [Stream]) -> u8 {
    let kind = std::future::poll_fn(|context| {
        for (stream, kind) in signals.iter_mut() {
            if stream.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(*kind);
            }
        }
        std::task::Poll::Pending
    })
    .await;
    u8::try_from(kind.as_raw_value()).unwrap_or(0)
}
