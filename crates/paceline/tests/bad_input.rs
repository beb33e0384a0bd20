//! What is wrong at the start ends it with exit code 2 and one clear sentence.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::TcpListener;
use std::time::Duration;

use paceline_testkit::origin::Origin;
use paceline_testkit::{Ended, Paceline, free_port, http, postgres, run_to_end, scram_postgres};

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `paceline run` with these arguments, on free ports, to its end, of which one line tells.
fn run(arguments: &[&str]) -> Ended {
    let mut command = Paceline::command();
    command.arg("run").args(arguments);
    let halves = [
        ("--upstream", "GATEWAY"),
        ("--database", "POSTGRES"),
        ("run", "ADMIN"),
    ];
    for (_, half) in halves
        .iter()
        .filter(|(flag, _)| *flag == "run" || arguments.contains(flag))
    {
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        command.env(format!("PACELINE__{half}__LISTEN"), address);
    }
    let ended = run_to_end(&mut command, PATIENCE);
    assert_eq!(
        ended.stderr.trim_end().lines().count(),
        1,
        "one line: {}",
        ended.stderr
    );
    ended
}

/// Asserts that it could not run, and that its last line says why with all of these.
#[track_caller]
fn assert_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "", "{ended:?}");
    let last = ended.stderr.trim_end().lines().last().unwrap_or_default();
    for part in parts {
        assert!(last.contains(part), "{part:?} is missing: {}", ended.stderr);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let server = postgres();
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b""));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--postgres-listen", "--admin-listen"] {
        let ended = run(&[
            "--upstream",
            &origin.url(""),
            "--database",
            &server.url("postgres"),
            flag,
            &address,
        ]);
        assert_refused(&ended, &[&address, "another program"]);
    }
}

#[test]
fn two_pacelines_do_not_share_a_port_in_silence() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"first"));
    let first = Paceline::launch().upstream(&origin.url("")).start();
    let address = first.http_addr().to_string();
    assert_refused(
        &run(&["--upstream", &origin.url(""), "--listen", &address]),
        &[&address, "another program"],
    );
    assert_eq!(http::get(&first.http_url()).text(), "first");
}

#[test]
fn a_database_that_cannot_be_used_is_one_sentence() {
    let server = scram_postgres("right");
    let port = server.port();
    let nobody = free_port().unwrap();
    let rows: [(String, &[&str]); 4] = [
        (
            format!("postgres://app@127.0.0.1:{nobody}/app"),
            &["127.0.0.1", "refused"],
        ),
        (
            format!("postgres://postgres:wrong@127.0.0.1:{port}/postgres"),
            &["password", "postgres"],
        ),
        (
            format!("postgres://postgres:right@127.0.0.1:{port}/nowhere"),
            &["nowhere"],
        ),
        (
            format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            &["password"],
        ),
    ];
    for (url, parts) in rows {
        let ended = run(&["--database", &url]);
        assert_refused(&ended, parts);
        assert!(!ended.stderr.contains("wrong@") && !ended.stderr.contains(":right"));
    }
}

#[test]
fn without_postgres_programs_the_demo_says_how_to_install_them() {
    let empty = tempfile::tempdir().unwrap();
    let mut command = Paceline::command();
    command.arg("demo").arg("--postgres-bin").arg(empty.path());
    let ended = run_to_end(command.env("PATH", ""), PATIENCE);
    assert_refused(&ended, &["initdb", "apt install postgresql"]);
}
