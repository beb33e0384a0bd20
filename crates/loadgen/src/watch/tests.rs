use super::*;
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

#[test]
fn the_slope_is_robust_and_honest() {
    // A line of slope 3 with a tenth of the points far off.
    let mut rng = fastrand::Rng::with_seed(5);
    let mut line = |slope: f64, outliers: bool| -> Vec<(f64, f64)> {
        let noise: Vec<f64> = (0..100).map(|_| rng.f64() - 0.5).collect();
        let off = |n: usize| if outliers && n % 10 == 3 { 500.0 } else { 0.0 };
        (0..100)
            .map(|n| (n as f64, slope * n as f64 + noise[n] + off(n)))
            .collect()
    };
    let found = slope::theil_sen(&line(3.0, true)).unwrap();
    assert!(
        (found.value - 3.0).abs() < 0.05 && found.low < 3.0 && found.high > 3.0,
        "{found:?}"
    );
    let mut held = 0;
    for _ in 0..100 {
        let found = slope::theil_sen(&line(0.0, false)).unwrap();
        held += u32::from(found.low <= 0.0 && 0.0 <= found.high);
    }
    assert!((88..=100).contains(&held), "{held}");
    assert_eq!(slope::theil_sen(&[(0.0, 1.0), (1.0, 2.0)]), None);
    assert_eq!(slope::theil_sen(&[(1.0, 1.0); 5]), None);
}

#[test]
fn a_random_walk_is_no_leak() {
    // Memory that wanders: each sample follows the one before. Without regard to that, most of
    // these would be called leaks.
    let mut rng = fastrand::Rng::with_seed(11);
    let mut leaks = 0;
    for _ in 0..100 {
        let mut at = 0.0;
        let points: Vec<(f64, f64)> = (0..100)
            .map(|n| {
                at = 0.8 * at + rng.f64() - 0.5;
                (f64::from(n), 100.0 + at)
            })
            .collect();
        leaks += u32::from(slope::theil_sen(&points).unwrap().low > 0.0);
    }
    assert!(leaks <= 8, "{leaks} of 100");
}
