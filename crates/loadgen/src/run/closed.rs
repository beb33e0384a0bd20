//! The closed loop: each connection asks, waits for its answer, and asks again.

use super::Share;
use super::bench::{Bench, Job};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A server that refuses connections would otherwise be asked as fast as the kernel can say no.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(10);

pub(super) async fn run(share: &Share<'_>, bench: &Rc<Bench>, connections: usize) {
    tokio::time::sleep_until(share.begin.into()).await;
    bench.record(|r| r.in_flight_max = connections as u64);
    let of = match share.plan.load {
        crate::Load::Closed { connections } => connections,
        crate::Load::Open { .. } | crate::Load::Stages { .. } => connections,
    };
    let mut tasks = JoinSet::new();
    for lane in 0..connections {
        let bench = Rc::clone(bench);
        let scenario = share.plan.scenario.clone();
        let (seed, end) = (share.plan.seed, share.timeline.end);
        // Counted over all threads, so that no two lanes draw the same requests.
        let lane = lane * share.plan.threads + share.index;
        tasks.spawn_local(async move {
            let mut sampler = scenario.sampler_share(seed, lane, of);
            let mut connection = None;
            loop {
                let intended = Instant::now();
                if intended >= end {
                    break;
                }
                let job = Job {
                    intended,
                    sample: sampler.sample(),
                };
                let performed = bench.perform(connection, job).await;
                connection = performed.connection;
                if performed.refused {
                    tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                }
            }
        });
    }
    while tasks.join_next().await.is_some() {}
}
