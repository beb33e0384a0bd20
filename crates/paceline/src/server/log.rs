//! The log on stderr, and panics in it.

use std::io;
use std::panic;

use tracing::error;
use tracing::level_filters::LevelFilter;

use crate::config::{LogConfig, LogFormat};
use crate::terminal;

/// Starts the log of this process. A second start changes nothing.
pub(super) fn start(config: LogConfig) {
    let level = LevelFilter::from_level(config.level);
    let log = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level)
        .with_target(false)
        // It would complain on stderr too, and panic when nobody reads that any more.
        .log_internal_errors(false);
    let _ = match config.format {
        LogFormat::Text => log.with_ansi(terminal::stderr_has_colours()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    // A panic is a bug of ours; where it happened is worth more than a pretty line.
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
