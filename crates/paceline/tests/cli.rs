//! The command line: what it says, where it says it, and how it exits.

use std::process::{Command, Output, Stdio};

use paceline_testkit::Paceline;
use paceline_testkit::origin::{Next, Origin, Peer, Request};
use serde_json::{Value, json};

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(args: &[&str]) -> Ran {
    ran(Paceline::command().args(args))
}

fn ran(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("UTF-8 on stdout"),
        stderr: String::from_utf8(stderr).expect("UTF-8 on stderr"),
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("its text");
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().expect("a path of characters")
}

#[test]
fn help_teaches_on_stdout() {
    let ran = run(&["--help"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for word in [
        "run",
        "check",
        "diagnose",
        "load",
        "demo",
        "Start here",
        "Exit codes",
    ] {
        assert!(
            ran.stdout.contains(word),
            "{word} is not in\n{}",
            ran.stdout
        );
    }
    let rows: &[(&str, &[&str])] = &[
        (
            "run",
            &[
                "Examples:",
                "Exit codes:",
                "PACELINE_CONFIG",
                "127.0.0.1:8080",
                "6432",
                "9090",
                "drain_timeout",
            ],
        ),
        (
            "check",
            &[
                "Examples:",
                "Exit codes:",
                "PACELINE__GATEWAY__LISTEN",
                "--reference",
            ],
        ),
        (
            "diagnose",
            &[
                "Examples:",
                "Exit codes:",
                "PACELINE_ADMIN_URL",
                "http://127.0.0.1:9090",
            ],
        ),
        (
            "load",
            &[
                "Examples:",
                "Exit codes:",
                "p95<200ms",
                "[default: 10s]",
                "[default: 50]",
                "[[route]]",
            ],
        ),
    ];
    for (command, words) in rows {
        let ran = run(&[command, "--help"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{command}");
        for word in *words {
            assert!(
                ran.stdout.contains(word),
                "{command}: {word} is not in\n{}",
                ran.stdout
            );
        }
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let ran = run(&["--version"]);
    assert_eq!(
        (ran.code, ran.stdout),
        (Some(0), format!("paceline {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn what_is_not_understood_exits_with_2_on_stderr() {
    let rows: &[(&[&str], &str)] = &[
        (&[], "Usage: paceline"),
        (&["rnu"], "unrecognized subcommand"),
        (&["run", "--upstraem", "x"], "--upstream"),
        (&["load"], "--target"),
        (&["load", "--target", "http://a"], "--scenario"),
        (
            &[
                "load",
                "--url",
                "http://a",
                "--rate",
                "1",
                "--connections",
                "1",
            ],
            "--connections",
        ),
        (
            &["load", "--url", "http://a", "--duration", "10"],
            "which has no unit",
        ),
        (
            &["load", "--url", "http://a", "--stage", "30s"],
            "TIME@RATE",
        ),
        (
            &["load", "--url", "http://a", "--stage", "1s@0"],
            "no stage sends any request",
        ),
        (
            &["load", "--url", "http://a", "--threshold", "p95"],
            "p95<200ms",
        ),
        (&["load", "--url", "a"], "http://"),
        (
            &["load", "--url", "http://127.0.0.1:1/{x"],
            "cannot be used",
        ),
        (
            &[
                "load",
                "--target",
                "http://127.0.0.1:1",
                "--scenario",
                "/no/file",
            ],
            "/no/file could not be read",
        ),
        (
            &[
                "load",
                "--url",
                "http://127.0.0.1:1",
                "--threshold",
                "/x:p95<1ms",
            ],
            "there is no route",
        ),
        (&["diagnose", "--fail-on", "hihg"], "high"),
        (&["diagnose", "--url", "ftp://x"], "http://"),
        (&["check", "--set", "x"], "KEY=VALUE"),
        (&["run"], "neither gateway.upstream nor postgres.url is set"),
        (
            &["run", "--upstream", "http://127.0.0.1:1", "--mode", "fats"],
            "expected one of \"observe\", \"fix\"",
        ),
        (
            &["run", "--config", "/no/file"],
            "/no/file:1:1: error: the file could not be read",
        ),
    ];
    for (args, expected) in rows {
        let ran = run(args);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(2), ""),
            "{args:?}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains(expected),
            "{args:?}: {expected} is not in\n{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {}", ran.stderr);
    }
}

const MISTAKES: &str = "\
mode = \"fast\"
[gateway]
lisen = \"127.0.0.1:8080\"
  upstream = \"ftp://a\"
connect_timeout = 10
[postgress]
url = \"x\"
[postgres]
pool_size = \"many\"
url = \"postgres://u:hush@h:hop/d\"
[journal]
routes = [\"/a\", \"é\", 7]
";

/// Line, column and key of every mistake above.
const PLACES: &[(u64, u64, Option<&str>)] = &[
    (1, 1, Some("mode")),
    (3, 1, None),
    (4, 3, Some("gateway.upstream")),
    (5, 1, Some("gateway.connect_timeout")),
    (6, 2, None),
    (9, 1, Some("postgres.pool_size")),
    (10, 1, Some("postgres.url")),
    (12, 17, Some("journal.routes")),
    (12, 22, Some("journal.routes")),
];

#[test]
fn check_tells_every_mistake_with_its_place() {
    let file = file(MISTAKES);
    let ran = run(&["check", path(&file)]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), ""));
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), PLACES.len() + 1, "{}", ran.stdout);
    for (line, (row, column, _)) in lines.iter().zip(PLACES) {
        assert!(
            line.starts_with(&format!("{}:{row}:{column}: error: ", path(&file))),
            "{line}"
        );
    }
    assert_eq!(lines.last(), Some(&"9 errors"));
    assert!(!ran.stdout.contains("hush"), "{}", ran.stdout);

    let json: Value =
        serde_json::from_str(&run(&["check", path(&file), "--json"]).stdout).expect("JSON");
    assert_eq!(json["ok"], false);
    let problems = json["problems"].as_array().expect("problems");
    let places: Vec<_> = problems
        .iter()
        .map(|problem| {
            let number = |name: &str| problem[name].as_u64().expect("a number");
            (number("line"), number("column"), problem["key"].as_str())
        })
        .collect();
    assert_eq!(places, PLACES);
}

#[test]
fn run_tells_the_same_mistakes_and_starts_nothing() {
    let file = file(MISTAKES);
    let ran = run(&["run", "--config", path(&file)]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), PLACES.len(), "{}", ran.stderr);
    for (line, (row, column, _)) in lines.iter().zip(PLACES) {
        assert!(
            line.starts_with(&format!(
                "paceline: {}:{row}:{column}: error: ",
                path(&file)
            )),
            "{line}"
        );
    }
}

#[test]
fn check_shows_what_is_in_effect_and_where_it_comes_from() {
    let file = file(
        "[gateway]\nupstream = \"http://127.0.0.1:3000\"\n[admin]\nlisten = \"0.0.0.0:9090\"\n",
    );
    let ran = ran(Paceline::command()
        .args(["check", path(&file), "--show", "--workers", "3"])
        .env("PACELINE__POSTGRES__URL", "postgres://u:hush@127.0.0.1/d"));
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
    let has = |line: &str| {
        let spaced = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            ran.stdout.lines().any(|shown| spaced(shown) == line),
            "{line} is not in\n{}",
            ran.stdout
        );
    };
    has(&format!(
        "{0}:4:1: warning: admin.listen: the admin port has no authentication and is reachable from other machines. Set admin.allow_remote = true if that is meant.",
        path(&file)
    ));
    has("ok");
    has("mode = \"fix\" # default");
    has("workers = 3 # --workers");
    has(&format!(
        "upstream = \"http://127.0.0.1:3000\" # {}:2:1",
        path(&file)
    ));
    has("url = \"postgres://u:***@127.0.0.1:5432/d\" # PACELINE__POSTGRES__URL");
    has("# password_file # not set");
    assert!(
        !ran.stdout.contains("hush") && !ran.stdout.contains('\x1b'),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_check_shows_is_a_file_with_the_same_effect() {
    let args = [
        "--upstream",
        "http://127.0.0.1:3000/api",
        "--set",
        "journal.routes=/a/{id},GET /b",
        "--set",
        "drain_timeout=90s",
    ];
    let shown = |file: Option<&str>, args: &[&str]| {
        let ran = run(&[&["check", "--json"], file.as_slice(), args].concat());
        let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        assert_eq!(json["ok"], true, "{}", ran.stdout);
        let settings = json["settings"].as_array().expect("settings").clone();
        settings
            .into_iter()
            .map(|setting| (setting["key"].clone(), setting["value"].clone()))
            .collect::<Vec<_>>()
    };
    let ran = run(&[&["check", "--show"], &args[..]].concat());
    let text = ran.stdout.strip_prefix("ok\n").expect("ok first");
    assert_eq!(shown(Some(path(&file(text))), &[]), shown(None, &args));
}

#[test]
fn a_reader_that_went_away_is_no_panic() {
    for args in [
        &["check", "--reference"][..],
        &["--help"],
        &["check", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = Paceline::command()
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        let output = child
            .expect("the binary starts")
            .wait_with_output()
            .expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    }
}

#[test]
fn load_gates_by_thresholds() {
    let origin = Origin::start(
        |request: &Request, peer: &mut Peer| match request.path.as_str() {
            "/broken" => peer.respond(500, &[], b"no"),
            _ => peer.respond(200, &[], b"yes"),
        },
    );
    let short = ["--rate", "50", "--duration", "400ms", "--warmup", "100ms"];
    let load =
        |url: &str, more: &[&str]| run(&[&["load", "--url", url], &short[..], more].concat());
    let kept = load(
        &origin.url("/"),
        &["--threshold", "p95<10s", "--threshold", "error_rate==0"],
    );
    assert_eq!(
        (kept.code, kept.stderr.as_str()),
        (Some(0), ""),
        "{}",
        kept.stdout
    );
    assert!(kept.stdout.contains("kept    p95<10s"), "{}", kept.stdout);
    assert!(
        kept.stdout
            .contains("grade: none; the hit rate was not measured"),
        "{}",
        kept.stdout
    );
    assert!(
        kept.stdout.contains("only 50 requests/s were sent"),
        "{}",
        kept.stdout
    );
    let missed = load(
        &origin.url("/broken"),
        &[
            "--threshold",
            "error_rate<1%",
            "--threshold",
            "http_req_failed: rate<0.01",
            "--json",
        ],
    );
    assert_eq!(missed.code, Some(1), "{}{}", missed.stdout, missed.stderr);
    let json: Value = serde_json::from_str(&missed.stdout).expect("JSON");
    assert_eq!(json["mode"], "open-loop");
    assert_eq!(json["total"]["error_rate"], 1.0);
    assert_eq!(json["routes"][0]["route"], "GET /broken");
    assert_eq!(
        json["thresholds"][0],
        json!({"threshold": "error_rate<1%", "actual": 1.0, "unit": "fraction", "passed": false})
    );

    assert_eq!(json["thresholds"][1]["passed"], false);
    assert_eq!(json["grade"]["level"], Value::Null);
    assert_eq!(json["intervals"]["error_rate"]["value"], 1.0);
    assert_eq!(json["total"]["distribution"], json!([]));

    let scenario = file("[[route]]\npath = \"/a\"\n[[route]]\npath = \"/b\"\nweight = 2\n");
    let url = origin.url("");
    let closed = run(&[
        "load",
        "--target",
        &url,
        "--scenario",
        path(&scenario),
        "--connections",
        "2",
        "--duration",
        "300ms",
        "--warmup",
        "0ms",
        "--json",
        "--threshold",
        "GET /b:requests>0",
    ]);
    assert_eq!(closed.code, Some(0), "{}", closed.stderr);
    let json: Value = serde_json::from_str(&closed.stdout).expect("JSON");
    assert_eq!(
        (&json["mode"], &json["connections"]),
        (&json!("closed-loop"), &json!(2))
    );
    assert!(origin.requests().iter().any(|request| request.path == "/b"));
}

#[test]
fn load_that_could_not_run_says_why() {
    let port = paceline_testkit::free_port().expect("a free port");
    let ran = run(&[
        "load",
        "--url",
        &format!("http://127.0.0.1:{port}/"),
        "--duration",
        "200ms",
        "--warmup",
        "0ms",
    ]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .contains(&format!("Nothing answers at http://127.0.0.1:{port}")),
        "{}",
        ran.stderr
    );

    let scenario = file("[[route]]\npaht = \"/a\"\nweight = -1\n");
    let ran = run(&[
        "load",
        "--target",
        "http://127.0.0.1:1",
        "--scenario",
        path(&scenario),
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(
        ran.stderr.contains(&format!("{}:2:1: ", path(&scenario))),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains(&format!("{}:3:", path(&scenario))),
        "{}",
        ran.stderr
    );
}

#[test]
fn load_compares_two_servers() {
    let quick = Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"yes"));
    let slow = Origin::start(|_: &Request, peer: &mut Peer| {
        std::thread::sleep(std::time::Duration::from_millis(120));
        peer.respond(200, &[], b"yes")
    });
    let (url, other) = (quick.url("/x"), slow.url(""));
    let args = |more: &[&'static str]| {
        let fixed = [
            "load",
            "--url",
            &url,
            "--versus",
            &other,
            "--warmup",
            "0ms",
            "--duration",
            "2s",
        ];
        run(&[&fixed[..], more].concat())
    };
    let ran = args(&["--json"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (Some(0), ""),
        "{}",
        ran.stdout
    );
    let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let ratio = &json["total"]["ratio"]["p50_ms"];
    assert!(ratio["low"].as_f64() > Some(1.0), "{ratio}");
    assert_eq!((&json["b"], &json["pairs"]), (&json!(other), &json!(8)));
    let verdict = json["verdict"].as_str().expect("a verdict");
    assert!(verdict.contains("p50 is higher"), "{verdict}");

    let gone = format!(
        "http://127.0.0.1:{}",
        paceline_testkit::free_port().expect("a port")
    );
    let ran = run(&[
        "load",
        "--url",
        &url,
        "--versus",
        &gone,
        "--warmup",
        "0ms",
        "--duration",
        "800ms",
    ]);
    assert_eq!(ran.code, Some(2), "{}", ran.stdout);
    assert!(ran.stderr.contains("nothing to compare"), "{}", ran.stderr);
}

#[test]
fn load_finds_a_capacity() {
    let origin = Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"yes"));
    let url = origin.url("/");
    let common = [
        "load",
        "--url",
        &url,
        "--warmup",
        "100ms",
        "--duration",
        "500ms",
        "--find-capacity",
    ];
    // Nothing answers within a microsecond.
    let none = run(&[
        &common[..],
        &["--slo", "p50<1us", "--rate", "3200", "--json"],
    ]
    .concat());
    let json: Value = serde_json::from_str(&none.stdout).expect("JSON");
    assert_eq!(
        (none.code, &json["rate"]),
        (Some(1), &Value::Null),
        "{}",
        none.stderr
    );
    assert_eq!(json["steps"][0]["rate"], 3200.0);
    assert_eq!(json["objectives"], json!(["p50<1us"]));
    let refused = run(&[&common[..], &["--slo", "max<1ms"]].concat());
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("a percentile"),
        "{}",
        refused.stderr
    );
}

#[test]
fn load_watches_a_process() {
    let origin = Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"yes"));
    let (url, pid) = (origin.url("/"), std::process::id().to_string());
    let fixed = [
        "load",
        "--url",
        &url,
        "--warmup",
        "0ms",
        "--duration",
        "600ms",
        "--watch-pid",
    ];
    let ran = run(&[&fixed[..], &[&pid, "--json"]].concat());
    let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(json["process"]["pid"].to_string(), pid);
    assert_eq!(json["process"]["memory"], "not-enough-data");
    assert!(
        json["process"]["memory_mib_max"].as_f64() > Some(1.0),
        "{json}"
    );
    let ran = run(&[&fixed[..], &["4294967295"]].concat());
    assert!(
        ran.code == Some(2) && ran.stderr.contains("no process"),
        "{}",
        ran.stderr
    );
}

#[test]
fn load_shows_how_it_goes_on_a_terminal_only() {
    let origin = Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"yes"));
    let binary = Paceline::command()
        .get_program()
        .to_string_lossy()
        .into_owned();
    // `script` gives the command a terminal; its output is what that shows.
    let shown = |environment: &str, more: &str| {
        let url = origin.url("/");
        let command = format!(
            "env {environment} {binary} load --url {url} --warmup 0ms --duration 1500ms {more}"
        );
        let ran = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .stdin(Stdio::null())
            .output()
            .expect("script, which every Debian has");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let live = shown("TERM=xterm", "");
    assert!(
        live.contains(" sent, ") && live.contains("\x1b[3A\x1b[J"),
        "{live:?}"
    );
    assert!(live.contains("requests/s intended"), "{live:?}");
    for quiet in [shown("TERM=xterm", "--quiet"), shown("TERM=dumb", "")] {
        assert!(
            !quiet.contains(" sent, ") && quiet.contains("requests/s intended"),
            "{quiet:?}"
        );
    }
    let missed = "--threshold requests==0";
    assert!(shown("TERM=xterm NO_COLOR=", missed).contains("\x1b[31m"));
    assert!(!shown("TERM=xterm NO_COLOR=1", missed).contains("\x1b[31m"));
}

fn finding(severity: &str, time_lost_ms: f64) -> Value {
    json!({
        "id": format!("x-{severity}"), "rule": "n-plus-one", "subject": {"kind": "route", "name": "GET /jobs"},
        "severity": severity, "verdict": "act",
        "title": "GET /jobs asks twenty times.", "remedy": {"text": "Ask once.", "statement": null},
        "effort": "small", "gain": {"text": "", "time_ms": null, "bytes": null},
        "details": [{"label": "Statement", "text": "SELECT * FROM companies WHERE id = $1"}],
        "time_lost_ms": time_lost_ms,
        "evidence": {
            "shape": "SELECT companies", "statement": "SELECT * FROM companies WHERE id = $1", "requests": 5,
            "route_requests": 5, "executions_per_request": 20.0, "executions_max": 20,
            "distinct_parameters_max": 20, "time_per_request_ms": 4.0, "time_lost_per_request_ms": 3.8,
            "time_share": 0.5, "before": null, "batched_statement": null, "example_request": null,
            "exact_share": 1.0
        }
    })
}

#[test]
fn diagnose_reports_and_gates() {
    let origin = Origin::start(|request: &Request, peer: &mut Peer| {
        let findings = match request.path.as_str() {
            "/api/v1/findings" => json!([finding("medium", 19.0), finding("low", 1.0)]),
            "/none/api/v1/findings" => json!([]),
            "/old/api/v1/findings" => json!({"not": "a list"}),
            _ => return peer.respond(404, &[], b"nothing"),
        };
        let body = json!({ "findings": findings }).to_string();
        let _: Next = peer.respond(
            200,
            &[("content-type", "application/json")],
            body.as_bytes(),
        );
        Next::Keep
    });
    let url = |path: &str| origin.url(path);
    let rows: &[(&str, &[&str], i32, &str)] = &[
        ("", &[], 0, "GET /jobs asks twenty times."),
        ("/", &["--fail-on", "high"], 0, "Ask once."),
        (
            "",
            &["--fail-on", "medium"],
            1,
            "SELECT * FROM companies WHERE id = $1",
        ),
        ("", &["--fail-on", "low"], 1, "Ask once."),
        ("/none", &["--fail-on", "low"], 0, "No findings."),
    ];
    for (path, args, code, expected) in rows {
        let ran = run(&[&["diagnose", "--url", &url(path)], *args].concat());
        assert_eq!(
            (ran.code, ran.stderr.as_str()),
            (Some(*code), ""),
            "{path} {args:?}"
        );
        assert!(
            ran.stdout.contains(expected),
            "{expected} is not in\n{}",
            ran.stdout
        );
    }
    let ran = run(&["diagnose", "--url", &url(""), "--json"]);
    let json: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(
        json["findings"],
        json!([finding("medium", 19.0), finding("low", 1.0)])
    );
    for (format, expected) in [
        ("json", "\"title\": \"GET /jobs asks twenty times.\""),
        ("markdown", "## 1. GET /jobs asks twenty times."),
        ("html", "<!doctype html>"),
    ] {
        let ran = run(&["diagnose", "--url", &url(""), "--format", format]);
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
    for (path, expected) in [
        ("/wrong", "answered with 404"),
        ("/old", "did not answer as the admin port"),
    ] {
        let ran = run(&["diagnose", "--url", &url(path)]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{path}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn what_is_suppressed_is_listed_and_fails_no_gate() {
    let origin = Origin::start(|_: &Request, peer: &mut Peer| {
        let body = json!({ "findings": [finding("high", 19.0), finding("low", 1.0)] }).to_string();
        let _: Next = peer.respond(
            200,
            &[("content-type", "application/json")],
            body.as_bytes(),
        );
        Next::Keep
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("paceline.toml");
    let diagnose = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let file = file.to_str().expect("UTF-8");
        let url = origin.url("");
        run(&[
            "diagnose",
            "--url",
            &url,
            "--config",
            file,
            "--fail-on",
            "medium",
        ])
    };
    let ran = diagnose("[[diagnose.suppress]]\nid = \"x-high\"\nreason = \"known since May\"\n");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(
        ran.stdout.contains("x-high: known since May"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("1 finding: 1 low."), "{}", ran.stdout);
    let ran = diagnose(
        "[[diagnose.suppress]]\nrule = \"n-plus-one\"\nsubject = \"GET /companies*\"\nreason = \"-\"\n",
    );
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    let ran = diagnose("[[diagnose.suppress]]\nid = \"x-high\"\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(
        ran.stderr.contains("diagnose.suppress[0].reason"),
        "{}",
        ran.stderr
    );
}

#[test]
fn diagnose_says_in_one_sentence_that_nobody_is_there() {
    let port = paceline_testkit::free_port().expect("a free port");
    let ran = run(&["diagnose", "--url", &format!("http://127.0.0.1:{port}")]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains(&format!("Could not ask http://127.0.0.1:{port}")),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
}
