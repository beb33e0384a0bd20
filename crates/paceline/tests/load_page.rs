//! `paceline load --html`: the real program against a server, its page in a real browser.
#![expect(clippy::unwrap_used, reason = "a test may panic anywhere")]

use std::path::Path;
use std::time::Duration;

use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Browser, Paceline, View, run_to_end};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);
const SCENARIO: &str = "
[[route]]
name = \"GET /quick\"
path = \"/quick?n={1..9}\"
weight = 3
[[route]]
name = \"GET /<b>slow</b>\"
path = \"/slow\"
";

/// Answers after so many milliseconds.
fn server(quick_ms: u64, slow_ms: u64) -> Origin {
    Origin::start(move |request: &Request, peer: &mut Peer| {
        let is_slow = request.path.starts_with("/slow");
        let wait_ms = if is_slow { slow_ms } else { quick_ms };
        std::thread::sleep(Duration::from_millis(wait_ms));
        peer.respond(200, &[], b"yes")
    })
}

/// Loads a server; what it printed, and its exit code.
fn load(folder: &Path, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let scenario = folder.join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let mut command = Paceline::command();
    command.args(["load", "--target", url, "--json", "--warmup", "200ms"]);
    command.arg("--scenario").arg(&scenario).args(more);
    let ended = run_to_end(&mut command, PATIENCE);
    assert_eq!(ended.stderr, "", "{}", ended.stdout);
    (ended.code, ended.stdout)
}

/// The page as text, after it was looked at everywhere.
fn seen(browser: &mut Browser, file: &Path) -> String {
    browser.look_everywhere(file, true);
    browser.view(View {
        width: 1280,
        dark: false,
        scripts: true,
    });
    browser.open(file);
    browser.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)");
    let text = browser.evaluate("document.body.innerText");
    text.as_str().unwrap().to_owned()
}

#[test]
fn one_load_is_a_page_that_says_what_the_json_says() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let origin = server(2, 20);
    let file = folder.path().join("load.html");
    let options = ["--rate", "100", "--duration", "3s", "--html"];
    let options = [&options[..], &[file.to_str().unwrap()]].concat();
    let limits = ["--threshold", "p95<10s", "--threshold", "p50<1us"];
    let (code, told) = load(
        folder.path(),
        &origin.url(""),
        &[&options[..], &limits].concat(),
    );
    assert_eq!(code, Some(1));
    let told: Value = serde_json::from_str(&told).unwrap();
    let mut browser = Browser::start();
    let text = seen(&mut browser, &file);
    for part in [
        "GET /<b>slow</b>",
        "1 of 2 thresholds were missed",
        "Missed: p50<1us",
        "What is missing for Bronze",
        "open loop, 100.0 requests/s intended",
        "paceline load --target http://127.0.0.1:",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // The number of the JSON, as the page rounds it.
    let requests = told["total"]["requests"].as_u64().unwrap();
    assert!(text.contains(&format!("{requests} requests")), "{text}");
    let plots = browser.evaluate("document.querySelectorAll('svg').length");
    assert!(plots.as_u64() >= Some(4), "{plots}");
}

#[test]
fn two_servers_are_a_page_with_both_distributions_and_a_gate() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (server(2, 40), server(30, 40));
    let file = folder.path().join("versus.html");
    let other = b.url("");
    let limits = [
        "--threshold",
        "p50<1.2x",
        "--threshold",
        "GET /<b>slow</b>:p50<5x",
        "--threshold",
        "http_req_failed: rate<2x",
    ];
    let options = ["--versus", &other, "--rate", "60", "--duration", "4s"];
    let page = ["--html", file.to_str().unwrap()];
    let all = [&options[..], &limits, &page].concat();
    let (code, told) = load(folder.path(), &a.url(""), &all);
    assert_eq!(code, Some(1), "{told}");
    let told: Value = serde_json::from_str(&told).unwrap();
    let passed: Vec<_> = told["thresholds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["passed"].clone())
        .collect();
    assert_eq!(passed, [json!(false), json!(true), json!(true)], "{told:#}");
    assert!(
        told["thresholds"][0]["interval"]["low"].as_f64() > Some(1.2),
        "{told:#}"
    );
    let mut browser = Browser::start();
    let text = seen(&mut browser, &file);
    for part in [
        "THRESHOLDS MISSED",
        "Missed: p50<1.2x",
        "Kept: GET /<b>slow</b>:p50<5x",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    // Each plot of latencies draws both servers, and names them to those who do not see it.
    let plots = "[...document.querySelectorAll('#measured-1 svg desc')].filter(one => \
                 /^A: half within .*; B: half within /.test(one.textContent)).length";
    let plots = browser.evaluate(plots);
    assert!(plots.as_u64() >= Some(2), "{plots} plots of both");
    // With limits that are kept the gate is open.
    let kept = [&options[..], &["--threshold", "p50<1000x"]].concat();
    assert_eq!(load(folder.path(), &a.url(""), &kept).0, Some(0));
}

#[test]
fn limits_of_ratios_are_for_two_servers() {
    let rows: [(&[&str], &str); 3] = [
        (&["--threshold", "p95<1.1x"], "there is only one server"),
        (
            &["--versus", "http://127.0.0.1:1", "--threshold", "p95<200ms"],
            "write for example p95<1.1x",
        ),
        (
            &["--find-capacity", "--slo", "p95<1.1x"],
            "an objective is no ratio",
        ),
    ];
    for (options, expected) in rows {
        let mut command = Paceline::command();
        command
            .args(["load", "--url", "http://127.0.0.1:1/"])
            .args(options);
        let ended = run_to_end(&mut command, PATIENCE);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{options:?}"
        );
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
