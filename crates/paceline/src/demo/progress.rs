//! What is going on, told on stderr, one line each.

use std::io::{self, Write as _};
use std::time::Instant;

use crate::terminal;

const STEPS: usize = 7;

pub(super) struct Progress {
    begun: Instant,
    step: usize,
    bold: bool,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            begun: Instant::now(),
            step: 0,
            bold: terminal::stderr_has_colours(),
        }
    }

    /// The next of the steps begins.
    pub(super) fn step(&mut self, what: &str) {
        self.step += 1;
        let heading = format!("[{}/{STEPS}] {what}", self.step);
        if self.bold {
            self.line(&format!("\x1b[1m{heading}\x1b[0m"));
        } else {
            self.line(&heading);
        }
    }

    /// Something within the step has been done or found.
    pub(super) fn note(&self, what: &str) {
        self.line(&format!("      {what}"));
    }

    /// Nobody may be reading; the demo goes on all the same.
    fn line(&self, text: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let _ = writeln!(io::stderr().lock(), "{seconds:6.1} s  {text}");
    }
}
