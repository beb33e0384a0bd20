//! `--watch-pid` against real processes.

use std::time::Duration;

use paceline_watch::{Memory, Watched};

use crate::tests::{Answer, OK, Server};
use crate::{Cancel, Load, Stage, run};
use std::process::{Child, Command, Stdio};

/// A process that does something for as long as it is watched, and ends with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shell(script: &str) -> Guard {
    let child = Command::new("bash")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn();
    Guard(child.unwrap())
}

/// Adds 100 KB every 20 ms, which it keeps.
const LEAKING: &str =
    "block=$(printf '%100000s' x); while true; do kept=$kept$block; read -t 0.02; done";
/// Uses and frees the same memory again and again, so that it goes up and down.
const BUSY: &str = "while true; do block=$(printf '%200000s' x); block=; read -t 0.02; done";

fn watched(script: &str, change: impl FnOnce(&mut crate::Plan)) -> Watched {
    let process = shell(script);
    let server = Server::start(|_| Answer::Bytes(OK));
    let mut plan = server.plan(20.0);
    plan.duration = Duration::from_secs(7);
    plan.watch_pid = Some(process.0.id());
    change(&mut plan);
    let report = run(&plan, &Cancel::new()).unwrap();
    assert!(
        report
            .to_string()
            .contains(&format!("process {}", process.0.id())),
        "{report}"
    );
    report.process.unwrap()
}

#[test]
fn a_leak_is_told_from_stable_memory() {
    let leaking = std::thread::spawn(|| watched(LEAKING, |_| {}));
    let stable = watched(BUSY, |_| {});
    let leaking = leaking.join().unwrap();
    assert_eq!(leaking.memory, Memory::Leak, "{leaking}");
    let growth = leaking.growth_mib_per_h.unwrap();
    assert!(growth.low > 0.0 && growth.low <= growth.value && growth.value <= growth.high);
    assert!(
        leaking.memory_mib_last > leaking.memory_mib_first + 1.0,
        "{leaking}"
    );
    assert_eq!(stable.memory, Memory::Stable, "{stable}");
    assert!(stable.samples >= 20 && !stable.ended, "{stable}");
}

#[test]
fn what_is_not_steady_or_not_long_says_nothing() {
    let short = watched(LEAKING, |plan| plan.duration = Duration::from_secs(1));
    assert_eq!(
        (short.memory, short.growth_mib_per_h),
        (Memory::NotEnoughData, None),
        "{short}"
    );
    let ramp = watched(LEAKING, |plan| {
        plan.load = Load::Stages {
            from: 1.0,
            stages: vec![Stage {
                duration: Duration::from_secs(6),
                rate: 40.0,
            }],
            arrivals: crate::Arrivals::Constant,
        };
    });
    assert_eq!(ramp.memory, Memory::NotEnoughData, "{ramp}");
    let ended = watched("sleep 3", |_| {});
    assert!(
        ended.ended && ended.memory == Memory::NotEnoughData,
        "{ended}"
    );
}

#[test]
fn cpu_time_of_children_counts() {
    // The work is done by a grandchild.
    let busy = watched(
        "bash -c 'while [ $SECONDS -lt 5 ]; do :; done' & wait",
        |plan| {
            plan.duration = Duration::from_secs(2);
        },
    );
    assert!(busy.cpu_s > 0.1, "{busy}");
    let per_request = busy.cpu_ms_per_request.unwrap();
    assert!(
        (per_request - busy.cpu_s * 1000.0 / 40.0).abs() < 1e-6,
        "{busy}"
    );
    let idle = watched("read", |plan| plan.duration = Duration::from_secs(1));
    assert!(idle.cpu_s < 0.1, "{idle}");
}

#[test]
fn a_process_that_is_not_there_is_refused() {
    let server = Server::refusing();
    let mut plan = server.plan(1.0);
    // Linux numbers no process that high.
    plan.watch_pid = Some(u32::MAX);
    let error = run(&plan, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("no process 4294967295"), "{error}");
}
