//! Bodies stream both ways, with backpressure, whole or visibly not.

use std::io::Read;
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};
use std::thread;

use paceline_journal::LoadError;
use paceline_testkit::origin::{Next, Origin};
use paceline_testkit::{http, wait_until};

use crate::support::{LONG, Running, closed, raw_origin, read_head, read_head_text, write};

#[test]
fn a_chunk_arrives_before_the_next_is_sent() {
    let (go_on, gone_on) = mpsc::channel::<()>();
    let gone_on = Mutex::new(gone_on);
    let origin = Origin::start(move |_, peer| {
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        gone_on.lock().unwrap().recv_timeout(LONG).unwrap();
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n");
        Next::Keep
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    while !client.line().unwrap().is_empty() {}
    assert_eq!(client.bytes(10), b"5\r\nfirst\r\n");
    go_on.send(()).unwrap();
    assert_eq!(client.bytes(16), b"6\r\nsecond\r\n0\r\n\r\n");
}

#[test]
fn an_upload_arrives_before_its_rest_is_sent() {
    let (heard, hearing) = mpsc::channel();
    let heard = Mutex::new(heard);
    let origin = Origin::start_unread(move |_, peer| {
        for length in [5, 6] {
            let mut piece = vec![0; length];
            let mut filled = 0;
            while filled < length {
                filled += peer.read(&mut piece[filled..]);
            }
            heard
                .lock()
                .unwrap()
                .send(String::from_utf8(piece).unwrap())
                .unwrap();
        }
        peer.respond(200, &[], b"")
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nfirst");
    assert_eq!(hearing.recv_timeout(LONG).unwrap(), "first");
    client.send("second");
    assert_eq!(hearing.recv_timeout(LONG).unwrap(), "second");
    assert_eq!(client.response().status, 200);
}

#[test]
fn lengths_and_codings_are_kept_or_made_anew() {
    let origin = Origin::start(|request, peer| match request.path.as_str() {
        "/length" => peer.respond(200, &[], b"hello"),
        "/chunked" => {
            peer.send(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            );
            Next::Keep
        }
        "/chunked-with-length" => {
            peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                  5\r\nhello\r\n0\r\n\r\n",
            );
            Next::Keep
        }
        "/until-close" => {
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello");
            Next::Close
        }
        "/http-1.0" => {
            peer.send(b"HTTP/1.0 200 OK\r\n\r\nhello");
            Next::Close
        }
        _ => {
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            Next::Keep
        }
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    for (path, length, coding, body) in [
        ("/length", Some("5"), None, "hello"),
        ("/chunked", None, Some("chunked"), "hello"),
        ("/chunked-with-length", None, Some("chunked"), "hello"),
        ("/until-close", None, Some("chunked"), "hello"),
        ("/http-1.0", None, Some("chunked"), "hello"),
        ("/empty", Some("0"), None, ""),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let response = client.response();
        assert_eq!(response.header("content-length"), length, "{path}");
        assert_eq!(response.header("transfer-encoding"), coding, "{path}");
        assert_eq!(response.text(), body, "{path}");
    }
    // A client of HTTP/1.0 knows no chunks: for it, the end of the connection is the end.
    let mut old = running.connect();
    old.send("GET /chunked HTTP/1.0\r\n\r\n");
    let text = String::from_utf8(old.rest()).unwrap();
    assert!(
        text.starts_with("HTTP/1.0 200") && text.ends_with("\r\n\r\nhello"),
        "{text}"
    );
    assert!(!text.contains("chunked"), "{text}");
}

#[test]
fn answers_without_a_body_keep_their_headers_and_the_connection() {
    let origin = Origin::start(|request, peer| {
        let head: &[u8] = match request.path.as_str() {
            "/head" => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"x\"\r\n\r\n",
            "/204" => b"HTTP/1.1 204 No Content\r\netag: \"x\"\r\n\r\n",
            "/304" => b"HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
            _ => {
                b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
                   HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: \"x\"\r\n\r\n"
            }
        };
        peer.send(head);
        Next::Keep
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    for (method, path, status, length) in [
        ("HEAD", "/head", 200, Some("1234")),
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, None),
        ("GET", "/103", 200, Some("0")),
    ] {
        client.send(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let response = client.try_response(method).unwrap();
        assert_eq!(
            (response.status, response.header("etag")),
            (status, Some("\"x\"")),
            "{path}"
        );
        assert_eq!(response.header("content-length"), length, "{path}");
        assert_eq!(response.header("transfer-encoding"), None, "{path}");
    }
    assert_eq!(
        origin.connections(),
        1,
        "each answer left the connection usable"
    );
}

#[test]
fn request_bodies_arrive_as_they_were_framed() {
    let origin = Origin::start(|request, peer| {
        let framing = [
            request.header("content-length"),
            request.header("transfer-encoding"),
        ];
        let text = format!("{framing:?} {}", String::from_utf8_lossy(&request.body));
        peer.respond(200, &[], text.as_bytes())
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    for (head, body, seen) in [
        (
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n",
            "hello",
            "[Some(\"5\"), None] hello",
        ),
        (
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n",
            "",
            "[Some(\"0\"), None] ",
        ),
        ("POST / HTTP/1.1\r\n", "", "[None, None] "),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "[None, Some(\"chunked\")] hello",
        ),
        // A body where hyper, left alone, expects none.
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "[None, Some(\"chunked\")] hello",
        ),
        (
            "DELETE / HTTP/1.1\r\ncontent-length: 5\r\n",
            "hello",
            "[Some(\"5\"), None] hello",
        ),
        ("GET / HTTP/1.1\r\n", "", "[None, None] "),
    ] {
        client.send(format!("{head}host: a\r\n\r\n{body}"));
        assert_eq!(client.response().text(), seen, "{head}");
    }
}

#[test]
fn trailers_pass_when_they_are_announced_and_wanted() {
    let origin = Origin::start(|_, peer| {
        peer.send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
              5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n",
        );
        Next::Keep
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.contains("trailer: x-sum\r\n"), "{text}");
    assert!(
        text.ends_with("5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n"),
        "{text}"
    );
    assert_eq!(origin.requests()[0].header("te"), Some("trailers"));
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    let origin = Origin::start(|request, peer| {
        peer.send(match request.path.as_str() {
            "/length" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".as_slice(),
            _ => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        });
        Next::Close
    });
    for path in ["/length", "/chunked"] {
        let running = Running::before(&origin.url(""));
        let error = http::try_get(&running.url(path)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{path}");
        let request = running.only_request();
        assert_eq!(request.error, Some(LoadError::UpstreamBroken), "{path}");
        assert_eq!(
            (request.status, request.response_bytes),
            (Some(200), 4),
            "{path}"
        );
    }
    // Where the end of the connection would be the end of the body, only a reset tells.
    let running = Running::before(&origin.url(""));
    let mut old = TcpStream::connect(running.address).unwrap();
    write(&mut old, b"GET /chunked HTTP/1.0\r\n\r\n");
    let error = old.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn what_follows_an_answer_reaches_nobody() {
    let url = raw_origin(|_, mut stream| {
        while read_head(&mut stream) {
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
            );
        }
    });
    let running = Running::before(&url);
    let mut client = running.connect();
    for _ in 0..3 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
    }
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let (closed_in_time, observed) = mpsc::channel();
    let closed_in_time = Mutex::new(closed_in_time);
    let origin = Origin::start(move |request, peer| {
        if request.path == "/streaming" {
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        }
        closed_in_time
            .lock()
            .unwrap()
            .send(peer.wait_closed(LONG))
            .unwrap();
        Next::Close
    });
    for (path, status, bytes) in [("/streaming", Some(200), 5), ("/waiting", None, 0)] {
        let running = Running::before(&origin.url(""));
        let mut client = running.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        if status.is_some() {
            while !client.line().unwrap().is_empty() {}
            client.bytes(10);
        } else {
            wait_until(LONG, || {
                origin.requests().iter().any(|request| request.path == path)
            });
        }
        drop(client);
        assert!(
            observed.recv_timeout(LONG).unwrap(),
            "{path}: the origin was told"
        );
        let request = running.only_request();
        assert_eq!(request.error, Some(LoadError::ClientGone), "{path}");
        assert_eq!(
            (request.status, request.response_bytes),
            (status, bytes),
            "{path}"
        );
        assert_eq!(running.journal.totals().loads_open, 0);
        wait_until(LONG, || running.gateway.stats().requests_in_flight == 0);
    }
}

#[test]
fn a_client_that_leaves_in_mid_upload_ends_its_request() {
    let (closed_in_time, observed) = mpsc::channel();
    let closed_in_time = Mutex::new(closed_in_time);
    let origin = Origin::start_unread(move |_, peer| {
        closed_in_time
            .lock()
            .unwrap()
            .send(peer.wait_closed(LONG))
            .unwrap();
        Next::Close
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf");
    wait_until(LONG, || !origin.requests().is_empty());
    drop(client);
    assert!(
        observed.recv_timeout(LONG).unwrap(),
        "half a body must not look whole"
    );
    assert!(running.only_request().error.unwrap().is_clients_fault());
}

#[test]
fn the_application_decides_whether_a_body_is_sent() {
    let url = raw_origin(|_, mut stream| {
        loop {
            let head = read_head_text(&mut stream);
            if head.starts_with("PUT /wanted") {
                assert!(head.contains("expect: 100-continue"), "{head}");
                write(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n");
            } else if head.starts_with("PUT /silent") {
                // Knows nothing of expectations, and waits for the body.
            } else if head.starts_with("PUT /declined") {
                write(
                    &mut stream,
                    b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno",
                );
                assert!(closed(&mut stream), "nothing more can be sent on it");
                return;
            } else {
                return;
            }
            let mut body = [0; 5];
            stream.read_exact(&mut body).unwrap();
            assert_eq!(&body, b"hello");
            write(
                &mut stream,
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            );
        }
    });
    let running = Running::before(&url);
    for path in ["/wanted", "/silent"] {
        let mut client = running.connect();
        client.send(format!(
            "PUT {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
        ));
        assert_eq!(client.line().unwrap(), "HTTP/1.1 100 Continue", "{path}");
        assert_eq!(client.line().unwrap(), "", "{path}");
        client.send("hello");
        assert_eq!(client.response().text(), "ok", "{path}");
    }
    let mut client = running.connect();
    client.send(
        "PUT /declined HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    );
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.starts_with("HTTP/1.1 401"), "no 100 before it: {text}");
    assert!(
        text.contains("connection: close\r\n") && text.ends_with("no"),
        "{text}"
    );
    wait_until(LONG, || {
        running.gateway.stats().upstream.connections_open <= 1
    });
}

#[test]
fn an_upload_goes_on_after_its_answer() {
    let (whole, arrived) = mpsc::channel();
    let whole = Mutex::new(whole);
    let origin = Origin::start_unread(move |request, peer| {
        if request.method == "PUT" {
            peer.respond(200, &[], b"early");
            let mut body = Vec::new();
            while body.len() < 10 {
                let mut piece = [0; 10];
                let read = peer.read(&mut piece);
                body.extend_from_slice(&piece[..read]);
            }
            whole.lock().unwrap().send(body).unwrap();
            return Next::Keep;
        }
        peer.respond(200, &[], b"next")
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    assert_eq!(client.response().text(), "early");
    client.send("0123456789GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(arrived.recv_timeout(LONG).unwrap(), b"0123456789");
    assert_eq!(client.response().text(), "next");
}

#[test]
fn many_clients_share_few_connections_without_mixing_answers() {
    let origin = Origin::start(|request, peer| {
        let echo = format!(
            "{} {}",
            request.path,
            request.header("x-client").unwrap_or("none")
        );
        peer.respond(200, &[], echo.as_bytes())
    });
    let running = Running::before(&origin.url(""));
    thread::scope(|scope| {
        for number in 0..16 {
            let running = &running;
            scope.spawn(move || {
                let mut client = running.connect();
                for turn in 0..200 {
                    client.send(format!(
                        "GET /{number}/{turn} HTTP/1.1\r\nhost: a\r\nx-client: {number}\r\n\r\n"
                    ));
                    assert_eq!(
                        client.response().text(),
                        format!("/{number}/{turn} {number}")
                    );
                }
            });
        }
    });
    assert!(
        origin.connections() <= 16,
        "{} connections",
        origin.connections()
    );
    assert_eq!(running.gateway.stats().requests_total, 3200);
}
