//! The open loop: requests start when the schedule says so, answered or not.

use super::Share;
use super::bench::{Bench, Job};
use super::schedule::Schedule;
use super::timer::Timer;
use crate::Error;
use crate::client::Connection;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;
use tokio::task::JoinSet;

/// Connections and those who wait for one.
struct Lanes {
    /// The one that was used last is on top, so that a low rate keeps to few connections.
    idle: Vec<Connection>,
    /// Connections busy with a request. Together with `idle` at most `max`.
    busy: usize,
    waiting: VecDeque<Job>,
    max: usize,
}

pub(super) async fn run(
    share: &Share<'_>,
    bench: &Rc<Bench>,
    schedule: Schedule,
) -> Result<(), Error> {
    let mut timer = Timer::new()?;
    let max = share.part_of(share.plan.max_in_flight);
    let lanes = Rc::new(RefCell::new(Lanes::new(max)));
    let mut sampler =
        share
            .plan
            .scenario
            .sampler_share(share.plan.seed, share.index, share.plan.threads);
    let mut tasks = JoinSet::new();
    for intended in schedule {
        let mut now = Instant::now();
        while now < intended {
            timer.sleep_until(intended).await?;
            now = Instant::now();
        }
        let job = Job {
            intended,
            sample: sampler.sample(),
        };
        let lag = now - intended;
        bench.record(|r| r.dispatched(intended, lag));
        if let Some((connection, job)) = lanes.borrow_mut().admit(bench, job) {
            tasks.spawn_local(serve(Rc::clone(bench), Rc::clone(&lanes), connection, job));
        }
        while tasks.try_join_next().is_some() {}
        // A burst of arrivals that are all due must not starve the answers that have come
        // meanwhile.
        tokio::task::coop::consume_budget().await;
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// Carries out a request, then those that wait, as long as there are any.
async fn serve(
    bench: Rc<Bench>,
    lanes: Rc<RefCell<Lanes>>,
    mut connection: Option<Connection>,
    mut job: Job,
) {
    loop {
        connection = bench.perform(connection, job).await.connection;
        match lanes.borrow_mut().next(&bench) {
            Some(waiting) => job = waiting,
            None => break,
        }
    }
    lanes.borrow_mut().release(connection);
}

impl Lanes {
    fn new(max: usize) -> Self {
        Self {
            idle: Vec::new(),
            busy: 0,
            waiting: VecDeque::new(),
            max,
        }
    }

    /// A job that can start now, with the connection to use or none to open one. Otherwise it waits
    /// or is dropped.
    fn admit(&mut self, bench: &Bench, job: Job) -> Option<(Option<Connection>, Job)> {
        if self.busy == self.max {
            if self.waiting.len() < self.max {
                self.waiting.push_back(job);
                self.note(bench);
            } else {
                bench.record(|r| r.dropped(job.sample.route, job.intended));
            }
            return None;
        }
        let mut connection = self.idle.pop();
        while connection.as_ref().is_some_and(|c| !c.is_usable()) {
            connection = self.idle.pop();
        }
        self.busy += 1;
        self.note(bench);
        Some((connection, job))
    }

    /// The next of those that wait, unless it has waited too long.
    fn next(&mut self, bench: &Bench) -> Option<Job> {
        let now = Instant::now();
        while let Some(job) = self.waiting.pop_front() {
            if now < job.intended + bench.timeout {
                return Some(job);
            }
            bench.record(|r| r.dropped(job.sample.route, job.intended));
        }
        None
    }

    fn release(&mut self, connection: Option<Connection>) {
        self.busy -= 1;
        self.idle.extend(connection);
    }

    fn note(&self, bench: &Bench) {
        let in_flight = (self.busy + self.waiting.len()) as u64;
        bench.record(|r| r.in_flight_max = r.in_flight_max.max(in_flight));
    }
}
