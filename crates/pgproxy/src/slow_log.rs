//! Statements that took long: a line in the log for each, and the last of them to be looked at.
//!
//! A statement that was fast costs one comparison. The lines are limited, so that a database in trouble does not fill a disk too.

mod parameters;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::databases::Target;
use crate::session::Ran;

pub use parameters::ShownParameters;

/// Statements that are kept to be looked at.
const KEPT_MAX: usize = 100;
/// Lines in each second at most; the next line says how many were left out.
const LINES_MAX: u64 = 10;
/// So much of a statement's text is told.
const TEXT_BYTES_MAX: usize = 2048;

/// See the module.
#[derive(Debug)]
pub(crate) struct SlowLog {
    /// In microseconds; `u64::MAX` is off.
    threshold: AtomicU64,
    /// Whether parameters are to be shown, and kept for that.
    shows_parameters: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<SlowStatement>,
    second: Option<Instant>,
    lines: u64,
    left_out: u64,
}

/// A statement that took long.
#[derive(Debug, Clone)]
pub struct SlowStatement {
    /// When it ended.
    pub at: SystemTime,
    /// Its text, with `$1` and so on in place of literals.
    pub text: String,
    /// What it does, in few words.
    pub summary: String,
    /// From its sending to the end of its answer.
    pub duration: Duration,
    /// How long it had waited for a server connection before.
    pub queued: Duration,
    /// Rows returned or affected.
    pub rows: u64,
    /// The database as its client calls it.
    pub database: String,
    /// The role on the server.
    pub user: String,
    /// The client's address.
    pub client: Option<SocketAddr>,
    /// The error that it ended with.
    pub sqlstate: Option<String>,
    /// The request that caused it and the route of that, when it is certain which one it was.
    pub request: Option<(String, String)>,
    /// The trace that its comment named.
    pub trace_id: Option<String>,
    /// What its parameters were, if that is shown.
    pub parameters: Option<ShownParameters>,
}

impl SlowLog {
    /// `None` is off.
    pub(crate) fn new(threshold: Option<Duration>, shows_parameters: bool) -> Self {
        let log = Self {
            threshold: AtomicU64::new(u64::MAX),
            shows_parameters: AtomicBool::new(false),
            inner: Mutex::default(),
        };
        log.set(threshold, shows_parameters);
        log
    }

    /// From now on this is slow.
    pub(crate) fn set(&self, threshold: Option<Duration>, shows_parameters: bool) {
        let micros = threshold.map_or(u64::MAX, micros);
        self.threshold.store(micros, Relaxed);
        let shows = shows_parameters && threshold.is_some();
        self.shows_parameters.store(shows, Relaxed);
    }

    /// The parameters of a Bind, from what stands behind its names, if they are to be shown.
    pub(crate) fn parameters(&self, rest: &[u8]) -> Option<Box<ShownParameters>> {
        let shows = self.shows_parameters.load(Relaxed);
        shows.then(|| Box::new(ShownParameters::of(rest)))
    }

    /// Whether so long is slow.
    pub(crate) fn is_slow(&self, took: Duration) -> bool {
        micros(took) >= self.threshold.load(Relaxed)
    }

    /// Notes a statement that is slow.
    #[cold]
    pub(crate) fn note(&self, ran: Ran, target: &Target, client: Option<SocketAddr>) {
        let shape = &ran.due.statement.shape;
        let slow = SlowStatement {
            at: SystemTime::now(),
            text: shortened(&shape.text),
            summary: shape.summary.to_string(),
            duration: ran.took,
            queued: ran.due.queued,
            rows: ran.rows,
            database: target.database.clone(),
            user: target.user.clone(),
            client,
            sqlstate: ran.sqlstate.map(|sqlstate| sqlstate.to_string()),
            request: ran
                .payer
                .map(|payer| (payer.request().to_string(), payer.route().to_owned())),
            parameters: ran.due.shown.map(|shown| *shown),
            trace_id: ran.due.trace.map(|trace| trace.trace_id.to_string()),
        };
        if let Some(left_out) = self.keep(slow.clone(), Instant::now()) {
            slow.log(left_out);
        }
    }

    /// The last ones, the newest first.
    pub(crate) fn last(&self) -> Vec<SlowStatement> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.kept.iter().rev().cloned().collect()
    }

    /// How many lines were left out before this one; none when it is left out too.
    fn keep(&self, slow: SlowStatement, now: Instant) -> Option<u64> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.kept.len() >= KEPT_MAX {
            inner.kept.pop_front();
        }
        inner.kept.push_back(slow);
        let is_over = inner
            .second
            .is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1));
        if is_over {
            (inner.second, inner.lines) = (Some(now), 0);
        }
        if inner.lines >= LINES_MAX {
            inner.left_out += 1;
            return None;
        }
        inner.lines += 1;
        Some(std::mem::take(&mut inner.left_out))
    }
}

impl SlowStatement {
    fn log(&self, left_out: u64) {
        tracing::warn!(
            duration_ms = self.duration.as_secs_f64() * 1000.0,
            queued_ms = self.queued.as_secs_f64() * 1000.0,
            rows = self.rows,
            database = self.database,
            user = self.user,
            client = self.client.map(tracing::field::display),
            sqlstate = self.sqlstate,
            request = self.request.as_ref().map(|(request, _)| request),
            route = self.request.as_ref().map(|(_, route)| route),
            trace_id = self.trace_id,
            left_out = (left_out > 0).then_some(left_out),
            summary = self.summary,
            text = self.text,
            parameters = self.parameters.as_ref().map(tracing::field::display),
            "A slow statement."
        );
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = TEXT_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(number: u64) -> SlowStatement {
        SlowStatement {
            at: SystemTime::UNIX_EPOCH,
            text: "SELECT $1".to_owned(),
            summary: "SELECT".to_owned(),
            duration: Duration::from_secs(1),
            queued: Duration::ZERO,
            rows: number,
            database: "d".to_owned(),
            user: "u".to_owned(),
            client: None,
            sqlstate: None,
            request: None,
            trace_id: None,
            parameters: None,
        }
    }

    #[test]
    fn the_threshold_can_be_changed_and_switched_off() {
        let log = SlowLog::new(Some(Duration::from_millis(100)), true);
        assert!(!log.is_slow(Duration::from_micros(99_999)));
        assert!(log.is_slow(Duration::from_millis(100)));
        assert!(log.parameters(&[0; 6]).is_some());
        log.set(None, true);
        assert!(!log.is_slow(Duration::from_secs(1 << 30)));
        assert_eq!(log.parameters(&[0; 6]), None, "nobody would see them");
    }

    #[test]
    fn lines_are_limited_and_those_left_out_are_told_and_the_last_ones_kept() {
        let log = SlowLog::new(Some(Duration::ZERO), false);
        let start = Instant::now();
        let outcomes: Vec<_> = (0..200).map(|n| log.keep(slow(n), start)).collect();
        assert_eq!(outcomes.iter().flatten().count() as u64, LINES_MAX);
        assert_eq!(
            log.keep(slow(200), start + Duration::from_secs(1)),
            Some(190)
        );
        let kept: Vec<_> = log.last().iter().map(|slow| slow.rows).collect();
        assert_eq!(kept, (101..=200).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        let cut = shortened(&text);
        assert!(cut.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && cut.ends_with("é…"));
    }
}
