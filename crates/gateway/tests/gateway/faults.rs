//! Applications that fail, each in its own way.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline_journal::LoadError;
use paceline_testkit::origin::{Next, Origin};
use paceline_testkit::{http, wait_until};

use crate::support::{LONG, Running, problem, raw_origin, read_head, write};

#[test]
fn each_fault_has_its_status_and_its_record() {
    for (case, status, kind, error) in [
        (
            "closes at once",
            502,
            "upstream-closed",
            LoadError::UpstreamBroken,
        ),
        (
            "closes after the request",
            502,
            "upstream-closed",
            LoadError::UpstreamBroken,
        ),
        (
            "half a head",
            502,
            "upstream-closed",
            LoadError::UpstreamBroken,
        ),
        (
            "garbage",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
        (
            "http/0.9",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
        (
            "two lengths",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
        (
            "endless head",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
        (
            "switches protocols",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
        (
            "unknown coding",
            502,
            "upstream-invalid",
            LoadError::UpstreamBroken,
        ),
    ] {
        let url = raw_origin(move |_, mut stream| {
            if case == "closes at once" || !read_head(&mut stream) {
                return;
            }
            match case {
                "half a head" => write(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-le"),
                "garbage" => write(&mut stream, b"\x00\xff this is not HTTP\r\n\r\n"),
                "http/0.9" => write(&mut stream, b"<html>hello</html>\r\n\r\n"),
                "two lengths" => write(
                    &mut stream,
                    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
                ),
                "endless head" => {
                    write(&mut stream, b"HTTP/1.1 200 OK\r\n");
                    let line = format!("x: {}\r\n", "y".repeat(8000)).repeat(100);
                    write(&mut stream, line.as_bytes());
                }
                "switches protocols" => write(
                    &mut stream,
                    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                ),
                "unknown coding" => write(
                    &mut stream,
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                ),
                _ => {}
            }
        });
        let running = Running::before(&url);
        let response = http::get(&running.url("/path"));
        assert_eq!(
            (response.status, problem(&response).as_str()),
            (status, kind),
            "{case}"
        );
        let request = running.only_request();
        assert_eq!(
            (request.status, request.error),
            (Some(status), Some(error)),
            "{case}"
        );
        assert_eq!(
            response.json()["request_id"],
            request.id.to_string(),
            "{case}"
        );
        assert_eq!(running.gateway.stats().requests_refused_total, 1, "{case}");
    }
}

#[test]
fn an_application_that_is_not_there_is_502_until_it_is() {
    // Bound but not listening: refuses, and nobody else can take the port meanwhile.
    let port = paceline_testkit::free_port().unwrap();
    let running = Running::before(&format!("http://127.0.0.1:{port}"));
    assert_eq!(running.gateway.stats().upstream.reachable, None);
    let response = http::get(&running.url("/"));
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (502, "upstream-unreachable")
    );
    assert_eq!(running.only_request().error, Some(LoadError::Unreachable));
    let upstream = running.gateway.stats().upstream;
    assert_eq!(upstream.reachable, Some(false));
    assert!(upstream.last_error.unwrap().contains("refused"));
    assert!(
        !response.text().contains(&port.to_string()),
        "addresses are not for clients"
    );

    let origin = Origin::start_at(port, |_, peer| peer.respond(200, &[], b"back"));
    assert_eq!(http::get(&running.url("/")).text(), "back");
    assert_eq!(running.gateway.stats().upstream.reachable, Some(true));
    drop(origin);
}

#[test]
fn a_name_that_does_not_resolve_is_502() {
    let running = Running::before("http://does-not-exist.invalid");
    let response = http::get(&running.url("/"));
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (502, "upstream-unreachable")
    );
}

#[test]
fn connecting_takes_only_so_long() {
    // A listener whose queue is full answers no more SYN.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))
    {
        queued.push(stream);
    }
    let running = Running::with(&format!("http://{address}"), |config| {
        config.connect_timeout = Duration::from_millis(100);
    });
    let response = http::get(&running.url("/"));
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (504, "upstream-connect-timeout")
    );
    assert_eq!(
        running.only_request().error,
        Some(LoadError::ConnectTimeout)
    );
}

/// Answers the first request of each connection, and hangs up on the second without a word: what a client sees when
/// an application closes an idle connection just as it is used again.
fn forgetful(seen: Arc<AtomicUsize>) -> String {
    raw_origin(move |_, mut stream| {
        if read_head(&mut stream) {
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            );
            if read_head(&mut stream) {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
}

#[test]
fn a_stale_connection_costs_a_harmless_request_nothing() {
    let hung_up = Arc::new(AtomicUsize::new(0));
    let running = Running::before(&forgetful(Arc::clone(&hung_up)));
    for (turn, method) in ["GET", "GET", "PUT", "DELETE", "OPTIONS"]
        .iter()
        .enumerate()
    {
        let response = http::request(method, &running.url("/"), &[], b"");
        assert_eq!(response.status, 200, "{method}");
        assert_eq!(
            running.gateway.stats().upstream.retries_total,
            turn as u64,
            "{method}"
        );
    }
    assert_eq!(
        hung_up.load(Ordering::SeqCst),
        4,
        "the connection was used, not known to be closed"
    );
    // One request of the client is one load, however often it was sent.
    wait_until(LONG, || running.journal.totals().loads_finished == 5);
}

#[test]
fn what_may_do_harm_is_not_sent_twice() {
    for (method, body) in [("POST", ""), ("PATCH", ""), ("PUT", "with a body")] {
        let running = Running::before(&forgetful(Arc::default()));
        assert_eq!(http::get(&running.url("/")).status, 200);
        let response = http::request(method, &running.url("/"), &[], body.as_bytes());
        assert_eq!(response.status, 502, "{method}");
        assert_eq!(problem(&response), "upstream-closed", "{method}");
        assert_eq!(
            running.gateway.stats().upstream.retries_total,
            0,
            "{method}"
        );
    }
}

#[test]
fn half_an_answer_on_a_used_connection_is_not_tried_again() {
    let url = raw_origin(|_, mut stream| {
        if read_head(&mut stream) {
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            );
            if read_head(&mut stream) {
                write(&mut stream, b"HTTP/1.1 200");
            }
        }
    });
    let running = Running::before(&url);
    assert_eq!(http::get(&running.url("/")).status, 200);
    assert_eq!(http::get(&running.url("/")).status, 502);
    assert_eq!(running.gateway.stats().upstream.retries_total, 0);
}

#[test]
fn an_application_that_restarts_is_found_again_at_once() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"old"));
    let port = origin.address().port();
    let running = Running::before(&origin.url(""));
    assert_eq!(http::get(&running.url("/")).text(), "old");
    drop(origin);
    let _origin = Origin::start_at(port, |_, peer| peer.respond(200, &[], b"new"));
    assert_eq!(http::get(&running.url("/")).text(), "new");
}

#[test]
fn connections_are_kept_as_long_as_they_are_worth_it() {
    let origin = Origin::start(|request, peer| {
        peer.respond(200, &[], b"ok");
        if request.path == "/last" {
            Next::Close
        } else {
            Next::Keep
        }
    });
    let running = Running::with(&origin.url(""), |config| {
        config.upstream_idle_timeout = Duration::from_millis(50);
    });
    for _ in 0..10 {
        assert_eq!(http::get(&running.url("/")).status, 200);
    }
    assert!(origin.connections() < 10, "connections are used again");
    wait_until(LONG, || {
        running.gateway.stats().upstream.connections_open == 0
    });

    let keep = Running::before(&origin.url(""));
    let before = origin.connections();
    for path in ["/", "/", "/last", "/"] {
        assert_eq!(http::get(&keep.url(path)).status, 200, "{path}");
    }
    assert!(origin.connections() - before <= 2);
}

#[test]
fn an_early_answer_to_a_long_upload_arrives() {
    let origin = Origin::start_unread(|_, peer| {
        peer.respond(413, &[("connection", "close")], b"too much");
        // Reads on until the gateway has given up, so that the answer is not lost to a reset.
        peer.wait_closed(LONG);
        Next::Close
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nsome");
    let response = client.response();
    assert_eq!(
        (response.status, response.text().as_str()),
        (413, "too much")
    );
    assert_eq!(running.only_request().status, Some(413));
}
