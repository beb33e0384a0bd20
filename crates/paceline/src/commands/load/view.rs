//! How a load goes while it goes: a few lines on the terminal, drawn over each other.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline_loadgen::{Live, Moment};

use crate::terminal;

/// The lines on stderr. Dropping it takes them away.
pub(super) struct View {
    live: Live,
    /// Dropped to end the thread.
    running: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

const REDRAW: Duration = Duration::from_millis(500);
/// Longer lines would wrap, and the cursor would not find back.
const WIDTH_MAX: usize = 78;

impl View {
    /// Nothing unless stderr is a terminal on which lines can be drawn over.
    pub(super) fn open(quiet: bool) -> Option<View> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        if quiet || is_dumb || !io::stderr().is_terminal() {
            return None;
        }
        let live = Live::new();
        let (running, ended) = mpsc::channel();
        let told = live.clone();
        let colours = terminal::stderr_has_colours();
        let thread = std::thread::Builder::new()
            .name("view".to_owned())
            .spawn(move || draw(&told, &ended, colours))
            .ok()?;
        Some(View {
            live,
            running: Some(running),
            thread: Some(thread),
        })
    }

    /// Where the load tells how it goes.
    pub(super) fn live(&self) -> Live {
        self.live.clone()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn draw(live: &Live, ended: &mpsc::Receiver<()>, colours: bool) {
    let began = Instant::now();
    let mut before = (began, Moment::default());
    let mut drawn = 0;
    loop {
        let is_over = !matches!(ended.recv_timeout(REDRAW), Err(RecvTimeoutError::Timeout));
        let (now, moment) = (Instant::now(), live.look());
        let lines = if is_over {
            Vec::new()
        } else {
            let interval = now - before.0;
            lines(now - began, interval, &before.1, &moment, colours)
        };
        // A terminal that went away is no reason to end the load.
        let mut out = io::stderr().lock();
        drop(out.write_all(frame(drawn, &lines).as_bytes()));
        drop(out.flush());
        if is_over {
            return;
        }
        drawn = lines.len();
        before = (now, moment);
    }
}

/// What to write to replace so many lines by others.
fn frame(drawn: usize, lines: &[String]) -> String {
    let mut text = String::new();
    if drawn > 0 {
        // Up to the first of them, and clear from there on.
        text.push_str(&format!("\x1b[{drawn}A\x1b[J"));
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn lines(
    elapsed: Duration,
    interval: Duration,
    before: &Moment,
    now: &Moment,
    colours: bool,
) -> Vec<String> {
    let seconds = interval.as_secs_f64().max(0.001);
    let per_s = (now.succeeded - before.succeeded) as f64 / seconds;
    let head = if now.phase.is_empty() {
        format!("{} s", elapsed.as_secs())
    } else {
        format!("{} s, {}", elapsed.as_secs(), now.phase)
    };
    let counts = format!(
        "{} sent, {} answered, {per_s:.0}/s",
        now.sent, now.succeeded
    );
    let failed = format!("{} failed", now.failed);
    let ms = |share| {
        let value = now.recent.quantile_ms(share);
        value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"))
    };
    let latency = format!("p50 {}, p95 {}, p99 {}", ms(0.5), ms(0.95), ms(0.99));
    let failed = if colours && now.failed > 0 {
        format!("\x1b[31m{failed}\x1b[0m")
    } else {
        failed
    };
    vec![cut(&head), format!("{counts}, {failed}"), cut(&latency)]
}

fn cut(line: &str) -> String {
    line.chars().take(WIDTH_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(succeeded: u64, failed: u64) -> Moment {
        Moment {
            phase: "pair 2 of 10".to_owned(),
            sent: succeeded + failed + 1,
            succeeded,
            failed,
            ..Moment::default()
        }
    }

    #[test]
    fn the_lines_say_how_it_goes() {
        let (elapsed, interval) = (Duration::from_secs(7), Duration::from_millis(500));
        let shown = |colours| lines(elapsed, interval, &moment(100, 0), &moment(150, 2), colours);
        let plain = shown(false);
        assert_eq!(plain[0], "7 s, pair 2 of 10");
        assert_eq!(plain[1], "153 sent, 150 answered, 100/s, 2 failed");
        assert_eq!(plain[2], "p50 -, p95 -, p99 -");
        assert!(shown(true)[1].ends_with("\x1b[31m2 failed\x1b[0m"));
        let long = Moment {
            phase: "x".repeat(200),
            ..Moment::default()
        };
        let cut = lines(elapsed, interval, &long, &long, false);
        assert_eq!(cut[0].chars().count(), WIDTH_MAX);
    }

    #[test]
    fn lines_replace_each_other() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(frame(0, &lines), "a\nb\n");
        assert_eq!(frame(2, &lines), "\x1b[2A\x1b[Ja\nb\n");
        assert_eq!(frame(2, &[]), "\x1b[2A\x1b[J");
    }
}
