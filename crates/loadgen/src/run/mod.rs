//! Running a plan: threads, each with a runtime and its share of the load.

mod bench;
mod closed;
mod open;
mod schedule;
#[cfg(test)]
mod tests;
mod timer;
#[cfg(test)]
#[path = "watch/tests.rs"]
mod watch_tests;

use crate::client::Client;
use crate::stats::{Recorder, Timeline};
use crate::{Cancel, Error, Load, Plan, Report, live};
use paceline_watch::{INTERVAL, Usage, Watch};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// Runs the load to its end, or until `cancel`, on threads of its own.
///
/// # Errors
/// When the plan contradicts itself, the target's name has no address, or the system
/// refuses a thread. A server that cannot be reached is no error: every request then counts as one
/// that failed.
pub fn run(plan: &Plan, cancel: &Cancel) -> Result<Report, Error> {
    plan.check()?;
    let client = Client::new(&plan.target)?;
    if let Some(pid) = plan.watch_pid.filter(|pid| Usage::of(*pid).is_none()) {
        let reason = format!("there is no process {pid} on this machine");
        return Err(Error::Plan(reason));
    }
    let begin = Instant::now() + START_DELAY;
    let timeline = Timeline::new(plan, begin);
    let mut recorder = Recorder::new(timeline.clone(), plan);
    let mut ended: Option<Instant> = None;
    let done = AtomicBool::new(false);
    let watched = std::thread::scope(|scope| -> Result<Option<Watch>, Error> {
        let mut threads = Vec::new();
        for index in 0..plan.threads {
            let share = Share {
                plan,
                client: &client,
                cancel,
                begin,
                timeline: &timeline,
                index,
            };
            let thread = std::thread::Builder::new().name(format!("load-{index}"));
            threads.push(thread.spawn_scoped(scope, move || share.run())?);
        }
        let watcher = plan.watch_pid.map(|pid| {
            let (timeline, done) = (&timeline, &done);
            scope.spawn(move || watch(pid, timeline, done))
        });
        let join = |thread: ScopedJoinHandle<'_, _>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let outcomes: Vec<Result<ShareOutcome, Error>> = threads.into_iter().map(join).collect();
        done.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            let outcome = outcome?;
            recorder.merge(&outcome.recorder);
            ended = ended.max(outcome.cancelled_at);
        }
        Ok(watcher.and_then(|watcher| watcher.join().ok()))
    })?;
    let mut report = recorder.report(plan, ended);
    let is_steady = !matches!(plan.load, Load::Stages { .. });
    report.process = watched.and_then(|watch| watch.finish(report.total.requests, is_steady));
    Ok(report)
}

/// Looks at a process during the measured time.
fn watch(pid: u32, timeline: &Timeline, done: &AtomicBool) -> Watch {
    let mut watch = Watch::new(pid);
    let mut next = timeline.start;
    loop {
        while Instant::now() < next {
            let left = next.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(PAUSE_MAX));
            if done.load(Ordering::Relaxed) {
                return watch;
            }
        }
        watch.look();
        if next >= timeline.end {
            return watch;
        }
        // The last look is at the end of the measured time, whatever is still under way then.
        next = (next + INTERVAL).min(timeline.end);
    }
}

/// How soon a watcher notices that the load is over.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Gives all threads the time to be ready for the first arrival.
const START_DELAY: Duration = Duration::from_millis(5);

/// One thread's part of a plan.
#[derive(Clone, Copy)]
struct Share<'p> {
    plan: &'p Plan,
    client: &'p Client,
    cancel: &'p Cancel,
    /// When the warm-up begins.
    begin: Instant,
    timeline: &'p Timeline,
    index: usize,
}

struct ShareOutcome {
    recorder: Recorder,
    cancelled_at: Option<Instant>,
}

impl Share<'_> {
    fn run(self) -> Result<ShareOutcome, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let bench = Rc::new(bench::Bench::new(self.plan, self.client, self.timeline));
        let local = LocalSet::new();
        let (began, cpu_before) = (Instant::now(), cpu_of_thread());
        let cancelled_at = local.block_on(&runtime, async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Ok::<_, Error>(Some(Instant::now())),
                () = self.tell(&bench) => Ok(None),
                outcome = self.load(&bench) => outcome.map(|()| None),
            }
        })?;
        self.tell_news(&bench);
        let cpu = cpu_of_thread().saturating_sub(cpu_before);
        // Ends the tasks that hold the bench.
        drop(local);
        let mut recorder = bench.take_recorder(self.plan);
        recorder.cpu = cpu;
        recorder.busiest_thread = cpu.as_secs_f64() / began.elapsed().as_secs_f64();
        Ok(ShareOutcome {
            recorder,
            cancelled_at,
        })
    }

    async fn load(&self, bench: &Rc<bench::Bench>) -> Result<(), Error> {
        match self.plan.load {
            Load::Open { arrivals, .. } | Load::Stages { arrivals, .. } => {
                let schedule = schedule::Schedule::new(self, arrivals);
                open::run(self, bench, schedule).await
            }
            Load::Closed { connections } => {
                closed::run(self, bench, self.part_of(connections)).await;
                Ok(())
            }
        }
    }

    /// Tells how it goes, without end.
    async fn tell(&self, bench: &bench::Bench) {
        if self.plan.live.is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(live::INTERVAL).await;
            self.tell_news(bench);
        }
    }

    fn tell_news(&self, bench: &bench::Bench) {
        let news = bench.record(Recorder::news);
        if let Some((live, news)) = self.plan.live.as_ref().zip(news) {
            live.add(news);
        }
    }

    /// This thread's part of a number that the threads share.
    fn part_of(&self, total: usize) -> usize {
        let threads = self.plan.threads;
        total / threads + usize::from(self.index < total % threads)
    }
}

/// The CPU time that this thread has used.
fn cpu_of_thread() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
