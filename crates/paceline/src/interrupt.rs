//! Ctrl-C and SIGTERM for commands that run for a while and end by themselves.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// The exit code by convention for a program that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// Calls `end` at the first SIGINT or SIGTERM. A second one ends the process at once.
///
/// # Errors
/// When the system refuses the thread or the signal's handler.
pub(crate) fn once(end: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let inside = runtime.enter();
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    drop(inside);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let mut next = async || {
                    tokio::select! {
                        _ = interrupts.recv() => {}
                        _ = terminations.recv() => {}
                    }
                };
                next().await;
                end();
                next().await;
            });
            std::process::exit(INTERRUPTED);
        })?;
    Ok(())
}
