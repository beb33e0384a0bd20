//! `paceline diagnose --watch-pid`: real processes, under the traffic that an instance sees.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, http, run_to_end};
use serde_json::Value;

/// Adds 100 KB every 20 ms, which it keeps.
const LEAKING: &str =
    "block=$(printf '%100000s' x); kept=(); while true; do kept+=(\"$block\"); read -t 0.02; done";
/// Uses and frees the same memory again and again.
const BUSY: &str = "while true; do block=$(printf '%200000s' x); block=; read -t 0.02; done";

/// A process that ends with the test.
struct Guard(Child);

impl Guard {
    fn shell(script: &str) -> Guard {
        let mut command = Command::new("bash");
        let child = command.args(["-c", script]).stdin(Stdio::piped()).spawn();
        Guard(child.expect("a shell"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One request after the other, until it is stopped.
fn visit(url: String, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            http::get(&url);
            thread::sleep(Duration::from_millis(20));
        }
    })
}

fn report(paceline: &Paceline, process: &Guard) -> Value {
    let pid = process.0.id().to_string();
    let mut command = Paceline::command();
    command
        .args(["diagnose", "--json", "--url", &paceline.admin_url()])
        .args(["--watch-pid", &pid, "--watch-for", "12s"]);
    let ended = run_to_end(&mut command, Duration::from_secs(60));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

fn leaks(report: &Value) -> Vec<&Value> {
    let findings = report["findings"].as_array().expect("findings").iter();
    findings
        .filter(|one| one["rule"] == "memory-grows")
        .collect()
}

#[test]
fn a_leak_is_found_and_a_busy_process_is_not_one() {
    let origin = Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"ok"));
    let paceline = Paceline::launch().upstream(&origin.url("")).start();
    let (leaking, busy) = (Guard::shell(LEAKING), Guard::shell(BUSY));
    // Nobody comes: whatever it does, it is not known why.
    let idle = report(&paceline, &leaking);
    assert!(leaks(&idle).is_empty(), "{idle}");
    assert!(
        idle["not_read"]
            .to_string()
            .contains("its load was not steady"),
        "{idle}"
    );

    let leaking = Guard::shell(LEAKING);
    let stop = Arc::new(AtomicBool::new(false));
    let visitor = visit(paceline.http_url(), &stop);
    let (found, nothing) = thread::scope(|scope| {
        let found = scope.spawn(|| report(&paceline, &leaking));
        let nothing = report(&paceline, &busy);
        (found.join().expect("a report"), nothing)
    });
    stop.store(true, Ordering::Relaxed);
    visitor.join().expect("the visitor");
    let leak = leaks(&found);
    assert_eq!(leak.len(), 1, "{found}");
    assert_eq!(leak[0]["subject"]["name"], "bash");
    assert_eq!(leak[0]["severity"], "high", "{}", leak[0]);
    assert!(leaks(&nothing).is_empty(), "{nothing}");
    assert_eq!(nothing["not_read"].to_string(), "[]");
}
