//! Running a plan: threads, each with a runtime and its share of the load.

mod bench;
mod closed;
mod open;
mod schedule;
#[cfg(test)]
mod tests;
mod timer;

use crate::client::Client;
use crate::stats::{Recorder, Timeline};
use crate::{Cancel, Error, Load, Plan, Report};
use std::rc::Rc;
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
    let begin = Instant::now() + START_DELAY;
    let timeline = Timeline::new(plan, begin);
    let mut recorder = Recorder::new(timeline.clone(), plan);
    let mut ended: Option<Instant> = None;
    std::thread::scope(|scope| -> Result<(), Error> {
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
        for thread in threads {
            let outcome = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            recorder.merge(&outcome.recorder);
            ended = ended.max(outcome.cancelled_at);
        }
        Ok(())
    })?;
    Ok(recorder.report(plan, ended))
}

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
        let cancelled_at = local.block_on(&runtime, async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Ok::<_, Error>(Some(Instant::now())),
                outcome = self.load(&bench) => outcome.map(|()| None),
            }
        })?;
        // Ends the tasks that hold the bench.
        drop(local);
        Ok(ShareOutcome {
            recorder: bench.take_recorder(self.plan),
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

    /// This thread's part of a number that the threads share.
    fn part_of(&self, total: usize) -> usize {
        let threads = self.plan.threads;
        total / threads + usize::from(self.index < total % threads)
    }
}
