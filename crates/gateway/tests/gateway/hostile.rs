//! Requests that no client should send. Each ends in one refusal, or reaches the application with one meaning.

use paceline_testkit::http;
use paceline_testkit::origin::Origin;

use crate::support::{Running, problem};

/// What becomes of it.
enum Fate {
    /// This status, and the end of the connection; nothing reaches the application.
    Refused(u16),
    /// The application sees this many requests, and answers them.
    Passed(usize),
    /// The connection ends without an answer.
    Silence,
}
use Fate::{Passed, Refused, Silence};

const HOST: &str = "host: a\r\n";

#[test]
fn every_malformed_request_has_its_one_fate() {
    let long = "a".repeat(20_000);
    let huge = "a".repeat(300_000);
    let many = "x: y\r\n".repeat(150);
    let rows: Vec<(&str, String, Fate)> = vec![
        (
            "a plain one, to compare with",
            format!("GET / HTTP/1.1\r\n{HOST}\r\n"),
            Passed(1),
        ),
        (
            "empty lines before it",
            format!("\r\n\r\nGET / HTTP/1.1\r\n{HOST}\r\n"),
            Passed(1),
        ),
        (
            "not HTTP",
            "\u{0}\u{1}\u{2}\u{3}\r\n\r\n".into(),
            Refused(400),
        ),
        (
            "TLS",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n".into(),
            Refused(400),
        ),
        ("no version", "GET /\r\n\r\n".into(), Refused(400)),
        (
            "HTTP/2 preface",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            Silence,
        ),
        (
            "HTTP/3.0",
            format!("GET / HTTP/3.0\r\n{HOST}\r\n"),
            Refused(400),
        ),
        (
            "a space in the target",
            format!("GET /a b HTTP/1.1\r\n{HOST}\r\n"),
            Refused(400),
        ),
        (
            "a method that is no token",
            format!("G@T / HTTP/1.1\r\n{HOST}\r\n"),
            Refused(400),
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".into(), Refused(400)),
        (
            "two hosts",
            format!("GET / HTTP/1.1\r\n{HOST}{HOST}\r\n"),
            Refused(400),
        ),
        (
            "a host that is none",
            "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n".into(),
            Refused(400),
        ),
        (
            "authority form",
            format!("GET a:80 HTTP/1.1\r\n{HOST}\r\n"),
            Refused(400),
        ),
        (
            "CONNECT",
            format!("CONNECT a:80 HTTP/1.1\r\n{HOST}\r\n"),
            Refused(501),
        ),
        (
            "a long target",
            format!("GET /{long} HTTP/1.1\r\n{HOST}\r\n"),
            Refused(414),
        ),
        (
            "a huge target",
            format!("GET /{huge} HTTP/1.1\r\n{HOST}\r\n"),
            Refused(431),
        ),
        (
            "long headers",
            format!("GET / HTTP/1.1\r\n{HOST}x: {long}\r\ny: {long}\r\n\r\n"),
            Refused(431),
        ),
        (
            "huge headers",
            format!("GET / HTTP/1.1\r\n{HOST}x: {huge}\r\n\r\n"),
            Refused(431),
        ),
        (
            "many headers",
            format!("GET / HTTP/1.1\r\n{HOST}{many}\r\n"),
            Refused(431),
        ),
        (
            "a line without a colon",
            format!("GET / HTTP/1.1\r\n{HOST}nonsense\r\n\r\n"),
            Refused(400),
        ),
        (
            "a space before the colon",
            format!("GET / HTTP/1.1\r\n{HOST}x : y\r\n\r\n"),
            Refused(400),
        ),
        (
            "a folded line",
            format!("GET / HTTP/1.1\r\n{HOST}x: y\r\n z\r\n\r\n"),
            Refused(400),
        ),
        (
            "a folded first line",
            format!("GET / HTTP/1.1\r\n x: y\r\n{HOST}\r\n"),
            Refused(400),
        ),
        (
            "an empty name",
            format!("GET / HTTP/1.1\r\n{HOST}: y\r\n\r\n"),
            Refused(400),
        ),
        (
            "a zero byte in a value",
            format!("GET / HTTP/1.1\r\n{HOST}x: a\u{0}b\r\n\r\n"),
            Refused(400),
        ),
        (
            "a bare CR in a value",
            format!("GET / HTTP/1.1\r\n{HOST}x: a\rb: c\r\n\r\n"),
            Refused(400),
        ),
        // RFC 9112, section 2.2, lets a recipient take a bare LF for the end of a line; it is sent on as CR LF.
        ("bare LF", "GET / HTTP/1.1\nhost: a\n\n".into(), Passed(1)),
        (
            "two lengths",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: 1\r\ncontent-length: 2\r\n\r\nab"),
            Refused(400),
        ),
        (
            "two equal lengths",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: 1\r\ncontent-length: 1\r\n\r\na"),
            Passed(1),
        ),
        (
            "a list of lengths",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: 1, 2\r\n\r\na"),
            Refused(400),
        ),
        (
            "a signed length",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: +1\r\n\r\na"),
            Refused(400),
        ),
        (
            "a negative length",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: -1\r\n\r\na"),
            Refused(400),
        ),
        (
            "a hexadecimal length",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: 0x1\r\n\r\na"),
            Refused(400),
        ),
        (
            "a length beyond counting",
            format!("POST / HTTP/1.1\r\n{HOST}content-length: 99999999999999999999\r\n\r\na"),
            Refused(400),
        ),
        (
            "an unknown coding",
            format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: x\r\n\r\n"),
            Refused(400),
        ),
        (
            "chunked not last",
            format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked, x\r\n\r\n"),
            Refused(400),
        ),
        (
            "two codings",
            format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            Refused(501),
        ),
        (
            "chunked twice",
            format!(
                "POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            Refused(501),
        ),
        (
            "an obscured coding",
            format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
            Refused(400),
        ),
        (
            "a coding in HTTP/1.0",
            "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".into(),
            Refused(400),
        ),
        (
            "an unknown expectation",
            format!("POST / HTTP/1.1\r\n{HOST}expect: money\r\ncontent-length: 1\r\n\r\na"),
            Refused(417),
        ),
    ];
    for (case, bytes, fate) in rows {
        let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
        let running = Running::before(&origin.url(""));
        let mut client = running.connect();
        // The answer may come, and the connection end, before all of it is sent.
        let _ = client.try_send(bytes.as_bytes());
        match fate {
            Refused(status) => {
                let response = client
                    .try_response("GET")
                    .unwrap_or_else(|e| panic!("{case}: {e}"));
                assert_eq!(response.status, status, "{case}");
                if response.body.is_empty() {
                    assert!([400, 431].contains(&status), "{case}: hyper's own answer");
                } else {
                    problem(&response);
                }
                assert_eq!(response.header("connection"), Some("close"), "{case}");
                assert!(client.rest().is_empty(), "{case}");
                assert!(origin.requests().is_empty(), "{case}");
            }
            Passed(count) => {
                for _ in 0..count {
                    assert_eq!(client.response().status, 200, "{case}");
                }
                assert_eq!(origin.requests().len(), count, "{case}");
            }
            Silence => assert!(client.rest().is_empty(), "{case}"),
        }
    }
}

#[test]
fn two_framings_are_one_behind_the_gateway() {
    // RFC 9112, section 6.3: chunked wins, the length is removed, and the connection is not used again.
    for lines in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "content-length: 4\r\ntransfer-encoding: chunked\r\ncontent-length: 99\r\n",
    ] {
        let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
        let running = Running::before(&origin.url(""));
        let mut client = running.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\n{HOST}{lines}\r\n5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n{HOST}\r\n"
        ));
        let text = String::from_utf8(client.rest()).unwrap();
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{lines} {text}");
        let requests = origin.requests();
        assert_eq!(requests.len(), 1, "{lines}");
        assert_eq!(requests[0].body, b"hello", "{lines}");
        assert_eq!(requests[0].header("content-length"), None, "{lines}");
        assert_eq!(
            requests[0].header("transfer-encoding"),
            Some("chunked"),
            "{lines}"
        );
    }
}

#[test]
fn broken_chunks_never_look_whole() {
    for body in [
        "x\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n",
    ] {
        let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
        let running = Running::before(&origin.url(""));
        let mut client = running.connect();
        client.send(format!(
            "POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n{body}"
        ));
        let text = String::from_utf8(client.rest()).unwrap();
        assert!(text.starts_with("HTTP/1.1 400 "), "{body:?}: {text}");
        assert!(text.contains("body-unreadable"), "{body:?}: {text}");
        assert!(
            origin.requests().is_empty(),
            "{body:?} reached the application as a whole body"
        );
    }
}

#[test]
fn a_body_above_the_limit_is_413_however_it_is_framed() {
    for (framing, body) in [
        ("content-length: 11", "hello world"),
        (
            "transfer-encoding: chunked",
            "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
        ),
    ] {
        let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
        let running = Running::with(&origin.url(""), |config| config.body_bytes_max = Some(10));
        let mut client = running.connect();
        client.send(format!("POST / HTTP/1.1\r\n{HOST}{framing}\r\n\r\n{body}"));
        let response = client.response();
        assert_eq!(
            (response.status, problem(&response).as_str()),
            (413, "body-too-large")
        );
        assert!(origin.requests().is_empty());
        let within = http::request("POST", &running.url("/"), &[], b"0123456789");
        assert_eq!(within.status, 200);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(|request, peer| peer.respond(200, &[], request.path.as_bytes()));
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    let requests: String = (0..50)
        .map(|n| format!("GET /{n} HTTP/1.1\r\n{HOST}\r\n"))
        .collect();
    client.send(requests);
    for number in 0..50 {
        assert_eq!(client.response().text(), format!("/{number}"));
    }
    // A malformed one in the middle ends the connection after the answers that are due.
    client.send(format!(
        "GET /last HTTP/1.1\r\n{HOST}\r\nnonsense\r\n\r\nGET /never HTTP/1.1\r\n{HOST}\r\n"
    ));
    assert_eq!(client.response().text(), "/last");
    assert_eq!(client.response().status, 400);
    assert!(client.rest().is_empty());
    assert!(
        !origin
            .requests()
            .iter()
            .any(|request| request.path == "/never")
    );
}

#[test]
fn one_broken_client_harms_no_other() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::before(&origin.url(""));
    let mut good = running.connect();
    for garbage in [
        "\u{0}",
        "GET",
        "GET / HTTP/1.1\r\nx",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx",
    ] {
        let mut bad = running.connect();
        bad.send(garbage);
        drop(bad);
        good.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n"));
        assert_eq!(good.response().text(), "ok");
    }
}
