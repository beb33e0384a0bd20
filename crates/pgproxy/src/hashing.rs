//! Threads for what takes a processor for a while: deriving keys from passwords (about 2 ms), the asymmetric cryptography of TLS
//! handshakes (up to 1 ms). A worker that did it itself would let all its other clients wait.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Logins in a crowd share the machine with the workers, and must not take all of it.
const THREADS: usize = 2;
/// Jobs that are queued or at work; whoever comes later waits for a place here, in order.
const JOBS_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// The threads. They end when this is dropped.
pub(crate) struct Hashing {
    queue: Arc<Queue>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    is_closed: bool,
}

impl Hashing {
    /// Starts the threads.
    pub(crate) fn start() -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let hashing = Self {
            queue: Arc::clone(&queue),
            places: Arc::new(Semaphore::new(JOBS_MAX)),
        };
        for _ in 0..THREADS {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new()
                .name("paceline-hash".to_owned())
                .spawn(move || queue.work())?;
        }
        Ok(hashing)
    }

    /// Runs work there and waits for what comes of it. Work that nobody waits for any more is not begun.
    ///
    /// # Errors
    ///
    /// It panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let gone = || io::Error::other("a computation failed");
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        self.queue.push(job(work, answer, place));
        answered.await.map_err(|_| gone())
    }
}

fn job<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    answer: oneshot::Sender<T>,
    place: OwnedSemaphorePermit,
) -> Job {
    Box::new(move || {
        let _place = place;
        if !answer.is_closed() {
            let _ = answer.send(work());
        }
    })
}

impl Queue {
    fn push(&self, job: Job) {
        self.lock().jobs.push_back(job);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The one who waits is told by the dropped sender.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if inner.is_closed {
                return None;
            }
            if let Some(job) = inner.jobs.pop_front() {
                return Some(job);
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        inner.is_closed = true;
        inner.jobs.clear();
        drop(inner);
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn work_runs_on_other_threads_and_a_panic_harms_nobody_else() {
        let hashing = Hashing::start().unwrap();
        block_on(async {
            for _ in 0..2 * THREADS {
                assert!(hashing.run(|| panic!("meant")).await.is_err());
            }
            let here = std::thread::current().id();
            let there = hashing.run(|| std::thread::current().id()).await.unwrap();
            assert_ne!(here, there);
        });
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_begun() {
        let hashing = Hashing::start().unwrap();
        let done = Arc::new(AtomicUsize::new(0));
        block_on(async {
            let (release, blocked) = std::sync::mpsc::channel::<()>();
            let blocked = Arc::new(Mutex::new(blocked));
            let busy = (0..THREADS).map(|_| {
                let blocked = Arc::clone(&blocked);
                Box::pin(hashing.run(move || {
                    let _ = blocked.lock().unwrap().recv();
                }))
            });
            let mut busy: Vec<_> = busy.collect();
            let forgotten = Arc::clone(&done);
            let mut forgotten =
                Box::pin(hashing.run(move || forgotten.fetch_add(1, Ordering::SeqCst)));
            std::future::poll_fn(|context| {
                for work in &mut busy {
                    assert!(work.as_mut().poll(context).is_pending());
                }
                assert!(forgotten.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
            drop(forgotten);
            drop(release);
            for work in busy {
                work.await.unwrap();
            }
            hashing.run(|| ()).await.unwrap();
        });
        assert_eq!(done.load(Ordering::SeqCst), 0);
    }
}
