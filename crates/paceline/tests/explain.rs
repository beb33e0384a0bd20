//! `paceline explain` of a running instance.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use paceline_testkit::http;
use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, RawPg, postgres, wait_until};

const SOON: Duration = Duration::from_secs(20);

/// Exit code, stdout, stderr.
fn explain(paceline: &Paceline, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .args(["explain", "--url", &paceline.admin_url()])
        .args(args)
        .output()
        .expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_time_of_a_request_is_explained() {
    let server = postgres();
    static PORT: OnceLock<u16> = OnceLock::new();
    let origin = Origin::start(|request: &Request, peer: &mut Peer| {
        let trace = request.header("traceparent").expect("a trace").to_owned();
        let port = *PORT.get().expect("Paceline runs");
        let mut session = RawPg::login(port, "postgres", None, "postgres");
        let mut run = |sql: &str| session.value(&format!("{sql} /*traceparent='{trace}'*/"));
        if request.path == "/slow" {
            run("SELECT pg_sleep(0.2)::text");
        }
        for id in 1..=6 {
            run(&format!("SELECT count(*) FROM pg_class WHERE oid = {id}"));
        }
        peer.respond(200, &[], b"done")
    });
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(&server.url("postgres"))
        .start();
    PORT.set(paceline.pg_port()).expect("set once");
    let (code, _, complaint) = explain(&paceline, &["--latest"]);
    assert_eq!(code, Some(2));
    assert!(
        complaint.contains("There is no recent request"),
        "{complaint}"
    );

    http::get(&format!("{}/slow", paceline.http_url()));
    let answer = http::get(&format!("{}/quick", paceline.http_url()));
    let id = answer
        .header("paceline-request-id")
        .expect("an id")
        .to_owned();
    wait_until(SOON, || {
        let recent = paceline.admin_json("/api/v1/requests");
        recent["requests"].as_array().map(Vec::len) == Some(2)
    });
    let (code, quick, _) = explain(&paceline, &[&id]);
    assert_eq!(code, Some(0));
    assert!(quick.starts_with("GET /quick  200  "), "{quick}");
    assert!(
        quick.contains("SELECT pg_class × 6 ") && quick.contains("6 statements"),
        "{quick}"
    );

    let (_, slowest, _) = explain(&paceline, &["--slowest"]);
    assert!(slowest.starts_with("GET /slow  200  "), "{slowest}");
    assert!(slowest.contains("7 statements"), "{slowest}");
    let (_, latest, _) = explain(&paceline, &["--latest", "--route", "GET /slow", "--all"]);
    assert!(latest.contains("\n    SELECT pg_sleep("), "{latest}");
    let (_, json, _) = explain(&paceline, &[&id, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["statement_list"].as_array().map(Vec::len), Some(6));

    for (args, expected) in [
        (
            &["0af7651916cd43dd8448eb211c80319c"][..],
            "answered with 404",
        ),
        (&["../nonsense"][..], "answered with 400"),
        (
            &["--latest", "--route", "GET /none"][..],
            "There is no recent request of GET /none.",
        ),
        (&[][..], "required"),
    ] {
        let (code, out, complaint) = explain(&paceline, args);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(complaint.contains(expected), "{args:?}: {complaint}");
    }
}
