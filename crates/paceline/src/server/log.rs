//! The log on stderr, and panics in it.
//!
//! Lines are written by a thread of their own: whoever reads them may be slow or hang (a full pipe, a terminal that was stopped), and
//! no worker may wait for that.

mod lines;

use std::panic;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};
use crate::terminal;

pub(super) use lines::Lines;

/// Changes what is logged.
pub(super) struct LevelSwitch(Box<dyn Fn(EnvFilter)>);

impl LevelSwitch {
    /// From now on nothing less important than this is logged.
    pub(super) fn set(&self, level: tracing::Level) {
        (self.0)(filter(level));
    }
}

/// Starts the log of this process. A second start changes nothing. Dropping the lines waits until they are written.
pub(super) fn start(config: LogConfig) -> (LevelSwitch, Lines) {
    let lines = Lines::start();
    let log = tracing_subscriber::fmt()
        .with_writer(lines.writer())
        .with_env_filter(filter(config.level))
        .with_target(false)
        // It would complain on stderr too, and panic when nobody reads that any more.
        .log_internal_errors(false);
    // The two differ in their types, and so do their handles.
    let switch: Box<dyn Fn(EnvFilter)> = match config.format {
        LogFormat::Text => {
            let log = log
                .with_ansi(terminal::stderr_has_colours())
                .with_filter_reloading();
            let handle = log.reload_handle();
            let _ = log.try_init();
            Box::new(move |filter| {
                let _ = handle.reload(filter);
            })
        }
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_filter_reloading();
            let handle = log.reload_handle();
            let _ = log.try_init();
            Box::new(move |filter| {
                let _ = handle.reload(filter);
            })
        }
    };
    log_panics();
    (LevelSwitch(switch), lines)
}

/// Nothing less important than this. (Of the filters, only this kind can be exchanged; it knows nothing of the environment.)
fn filter(level: tracing::Level) -> EnvFilter {
    EnvFilter::default().add_directive(LevelFilter::from_level(level).into())
}

/// A panic is a bug of ours; where it happened is worth more than a pretty line.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed").to_owned();
        error!(
            message,
            place, thread, "A panic, which is a bug in Paceline."
        );
    }));
}
