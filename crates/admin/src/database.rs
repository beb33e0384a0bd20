//! The database behind the process, as it describes itself: read when findings are asked for, by one reader at a time, and
//! kept for a while, so that nobody who asks often costs the database more than that.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use paceline_catalogue::Snapshot;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How the time of it all is bounded.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// For how long a reading is kept.
    kept: Duration,
    /// For how long a failure is: whoever has mended the database wants to see it, and a login that fails costs little.
    failure_kept: Duration,
    /// How long somebody who asks for findings waits. A reading goes on meanwhile, and is there for the next one.
    wait_max: Duration,
}

const TIMES: Times = Times {
    kept: Duration::from_secs(60),
    failure_kept: Duration::from_secs(10),
    wait_max: Duration::from_secs(10),
};

/// A database that can be read.
pub struct Database {
    read: Read,
    times: Times,
    latest: Arc<Mutex<Option<Reading>>>,
    turn: Arc<Semaphore>,
}

/// Reads it. May block.
type Read = Arc<dyn Fn() -> Result<Snapshot, String> + Send + Sync>;

/// What came of it: a snapshot, or the end of a sentence that says why there is none.
type Outcome = Result<Arc<Snapshot>, String>;

struct Reading {
    at: Instant,
    outcome: Outcome,
}

impl Database {
    /// What `read` reads. It runs on a thread that may block, and must bound its own time.
    pub fn new(read: impl Fn() -> Result<Snapshot, String> + Send + Sync + 'static) -> Self {
        Self::timed(read, TIMES)
    }

    fn timed(
        read: impl Fn() -> Result<Snapshot, String> + Send + Sync + 'static,
        times: Times,
    ) -> Self {
        Self {
            read: Arc::new(read),
            times,
            latest: Arc::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// What is known, read anew when that is too old.
    pub(crate) async fn look(&self) -> Outcome {
        let waited = timeout(self.times.wait_max, self.fresh()).await;
        waited.unwrap_or_else(|_| {
            Err(format!(
                "it was not read within {} s, and is still being read",
                self.times.wait_max.as_secs()
            ))
        })
    }

    async fn fresh(&self) -> Outcome {
        if let Some(known) = self.known() {
            return known;
        }
        // Never closed, so that a turn always comes.
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        if let Some(known) = self.known() {
            return known;
        }
        let (read, latest) = (Arc::clone(&self.read), Arc::clone(&self.latest));
        // It ends, and is kept, whether or not somebody still waits for it.
        let reading = spawn_blocking(move || {
            let _turn = turn;
            let outcome = read().map(Arc::new);
            let at = Instant::now();
            let reading = Reading {
                at,
                outcome: outcome.clone(),
            };
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
            outcome
        });
        reading
            .await
            .unwrap_or_else(|error| Err(format!("reading it has failed: {error}")))
    }

    fn known(&self) -> Option<Outcome> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = latest.as_ref()?;
        let kept = match reading.outcome {
            Ok(_) => self.times.kept,
            Err(_) => self.times.failure_kept,
        };
        (reading.at.elapsed() < kept).then(|| reading.outcome.clone())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const LAZY: Times = Times {
        kept: LONG,
        failure_kept: LONG,
        wait_max: LONG,
    };

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(work)
    }

    /// Counts how often it is read.
    fn counted(outcome: Result<(), String>, times: Times) -> (Database, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&count);
        let read = move || {
            counter.fetch_add(1, Ordering::SeqCst);
            outcome.clone().map(|()| Snapshot::default())
        };
        (Database::timed(read, times), count)
    }

    #[test]
    fn many_who_ask_are_answered_by_one_reading() {
        let (database, count) = counted(Ok(()), LAZY);
        run(async {
            let (one, two) = tokio::join!(database.look(), database.look());
            assert!(one.is_ok() && two.is_ok() && database.look().await.is_ok());
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_too_old_is_read_again() {
        let brief = |kept, failure_kept| Times {
            kept,
            failure_kept,
            ..LAZY
        };
        let failed = || Err("no".to_owned());
        let rows = [
            (Ok(()), brief(Duration::ZERO, LONG), 2),
            (Ok(()), brief(LONG, Duration::ZERO), 1),
            (failed(), brief(LONG, Duration::ZERO), 2),
            (failed(), brief(Duration::ZERO, LONG), 1),
        ];
        for (outcome, times, expected) in rows {
            let (database, count) = counted(outcome.clone(), times);
            let looked = run(async {
                let _ = database.look().await;
                database.look().await
            });
            assert_eq!(looked.map(|_| ()), outcome);
            assert_eq!(
                count.load(Ordering::SeqCst),
                expected,
                "{outcome:?} {times:?}"
            );
        }
    }

    #[test]
    fn a_slow_reading_keeps_nobody_waiting_and_is_there_later() {
        let (go, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let read = move || {
            let _ = wait.lock().expect("one reader").recv();
            Ok(Snapshot::default())
        };
        let times = Times {
            wait_max: Duration::from_millis(20),
            ..LAZY
        };
        let database = Database::timed(read, times);
        run(async {
            let early = database.look().await.map(|_| ());
            assert!(early.is_err_and(|reason| reason.ends_with("is still being read")));
            go.send(()).expect("the reader waits");
            while database.look().await.is_err() {}
        });
    }
}
