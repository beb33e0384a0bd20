//! Lines on their way to stderr.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::warn;

/// Lines that wait to be written. What comes while there are so many is left out.
const LINES_MAX: usize = 1024;
/// How long the end of the process waits for the last ones.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// See the module. Dropping it waits until everything is written, unless that takes too long.
pub(crate) struct Lines(Writer);

/// Takes lines, and never waits.
#[derive(Clone)]
struct Writer {
    queue: SyncSender<Entry>,
    left_out: Arc<AtomicU64>,
}

enum Entry {
    Line(Vec<u8>),
    /// Somebody wants to know when all before this has been written.
    Mark(SyncSender<()>),
}

impl Lines {
    /// Starts the thread.
    pub(super) fn start() -> Lines {
        let (queue, entries) = sync_channel(LINES_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&left_out);
        let thread = thread::Builder::new().name("paceline-log".to_owned());
        // Without the thread there is no log; everything else can do without.
        let _ = thread.spawn(move || {
            write_all(&entries, &counted, |line| {
                // That one cannot be written (a full disk, nobody there any more) is no reason not to try the next.
                let _ = io::stderr().write_all(line);
            });
        });
        Lines(Writer { queue, left_out })
    }

    /// Each line is written by one that this makes.
    pub(super) fn writer(&self) -> impl Fn() -> WriterOf + Send + Sync + 'static {
        let writer = self.0.clone();
        move || WriterOf(writer.clone())
    }
}

/// One line's way into the queue.
pub(crate) struct WriterOf(Writer);

impl Write for WriterOf {
    /// A line comes whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Writer { queue, left_out } = &self.0;
        if queue.try_send(Entry::Line(line.to_vec())).is_err() {
            left_out.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let (done, is_done) = sync_channel(1);
        if self.0.queue.try_send(Entry::Mark(done)).is_ok() {
            let _ = is_done.recv_timeout(LAST_LINES_TIMEOUT);
        }
    }
}

/// Writes what comes, and how much could not be taken in.
fn write_all(entries: &Receiver<Entry>, left_out: &AtomicU64, mut write: impl FnMut(&[u8])) {
    loop {
        let entry = match entries.try_recv() {
            Err(TryRecvError::Empty) => {
                let left_out = left_out.swap(0, Relaxed);
                if left_out > 0 {
                    warn!(
                        left_out,
                        "Lines of this log were left out, because it was not written fast enough."
                    );
                }
                entries.recv().ok()
            }
            entry => entry.ok(),
        };
        match entry {
            Some(Entry::Line(line)) => write(&line),
            Some(Entry::Mark(done)) => drop(done.send(())),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_in_time_is_left_out_and_nobody_waits() {
        let (queue, entries) = sync_channel(LINES_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let mut writer = WriterOf(Writer {
            queue,
            left_out: Arc::clone(&left_out),
        });
        for number in 0..LINES_MAX + 5 {
            let line = number.to_string();
            assert_eq!(writer.write(line.as_bytes()).ok(), Some(line.len()));
        }
        assert_eq!(left_out.load(Relaxed), 5);
        drop(writer);
        let mut written = Vec::new();
        write_all(&entries, &left_out, |line| written.push(line.to_vec()));
        let expected: Vec<_> = (0..LINES_MAX).map(|n| n.to_string().into_bytes()).collect();
        assert_eq!(written, expected);
    }

    #[test]
    fn the_end_waits_for_the_last_lines_but_not_for_ever() {
        let (queue, entries) = sync_channel(LINES_MAX);
        let left_out = Arc::new(AtomicU64::new(0));
        let lines = Lines(Writer { queue, left_out });
        let (writer, held) = (lines.0.clone(), sync_channel::<()>(0));
        let thread = thread::spawn(move || {
            write_all(&entries, &AtomicU64::new(0), |_| {
                let _ = held.1.recv();
            });
        });
        drop(WriterOf(writer).write(b"last"));
        let start = std::time::Instant::now();
        drop(lines);
        assert!(start.elapsed() >= LAST_LINES_TIMEOUT);
        drop(held.0);
        assert!(thread.join().is_ok());
    }
}
