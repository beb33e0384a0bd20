//! What passes from hop to hop, and what does not.

use paceline_testkit::http;
use paceline_testkit::origin::{Next, Origin};

use crate::support::Running;

fn echo() -> Origin {
    Origin::start(|_, peer| peer.respond(200, &[], b"ok"))
}

/// The headers that the origin saw, but for those that every request has.
fn seen(running: &Running, origin: &Origin, lines: &str) -> Vec<String> {
    let mut client = running.connect();
    client.send(format!(
        "GET /path?q=1 HTTP/1.1\r\nhost: example.org\r\n{lines}\r\n"
    ));
    assert_eq!(client.response().status, 200);
    let request = origin.requests().pop().unwrap();
    assert_eq!(request.path, "/path?q=1");
    assert_eq!(
        request.header("host"),
        Some("example.org"),
        "the client's host is kept"
    );
    let kept = |name: &str| !["host", "traceparent"].contains(&name) && !name.contains("forwarded");
    let lines = request.headers.iter().filter(|(name, _)| kept(name));
    let mut lines: Vec<_> = lines
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn hop_by_hop_fields_of_requests_end_here() {
    let origin = echo();
    let running = Running::before(&origin.url(""));
    for (lines, expected) in [
        ("accept: a\r\n", &["accept: a"][..]),
        ("connection: keep-alive\r\nkeep-alive: timeout=5\r\n", &[]),
        (
            "connection: x-secret, Keep-Alive\r\nx-secret: 1\r\nx-other: 2\r\n",
            &["x-other: 2"],
        ),
        ("proxy-connection: keep-alive\r\n", &[]),
        (
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n",
            &["sec-websocket-key: k"],
        ),
        ("te: gzip\r\nconnection: te\r\n", &[]),
        (
            "te: trailers, gzip\r\nconnection: te\r\n",
            &["connection: te", "te: trailers"],
        ),
        (
            "connection: host, traceparent, forwarded\r\nx: 1\r\n",
            &["x: 1"],
        ),
        (
            "cookie: a=1\r\ncookie: b=2\r\nbaggage: user=1\r\n",
            &["baggage: user=1", "cookie: a=1", "cookie: b=2"],
        ),
        (
            "via: 1.1 other\r\nexpect: 100-continue\r\n",
            &["expect: 100-continue", "via: 1.1 other"],
        ),
    ] {
        assert_eq!(seen(&running, &origin, lines), expected, "{lines}");
        let request = origin.requests().pop().unwrap();
        assert!(
            request.header("traceparent").is_some(),
            "no client can list it away: {lines}"
        );
        assert!(
            request.header("forwarded").is_some(),
            "no client can list it away: {lines}"
        );
    }
}

#[test]
fn hop_by_hop_fields_of_answers_end_here() {
    let origin = Origin::start(|_, peer| {
        peer.send(
            b"HTTP/1.1 203 Changed Somewhere\r\nconnection: x-internal, close\r\nx-internal: 1\r\n\
              keep-alive: timeout=5\r\nproxy-connection: x\r\nupgrade: h2c\r\n\
              set-cookie: a=1\r\nset-cookie: b=2\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
              content-length: 2\r\n\r\nok",
        );
        Next::Close
    });
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.line().unwrap(), "HTTP/1.1 203 Changed Somewhere");
    let mut lines: Vec<_> =
        std::iter::from_fn(|| client.line().ok().filter(|l| !l.is_empty())).collect();
    assert_eq!(client.bytes(2), b"ok");
    lines.retain(|line| !line.starts_with("paceline-request-id: "));
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "content-length: 2",
            "date: Thu, 01 Jan 1970 00:00:00 GMT",
            "set-cookie: a=1",
            "set-cookie: b=2",
        ]
    );
    // The application's "close" was for the gateway; the client's connection goes on.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response().status, 203);
}

#[test]
fn the_application_learns_who_asked() {
    let claims = "forwarded: for=1.1.1.1\r\nx-forwarded-for: 1.1.1.1\r\n\
                  x-forwarded-proto: https\r\nx-forwarded-host: public.example\r\n";
    type Change = fn(&mut paceline_gateway::Config);
    let rows: [(Change, [&str; 4]); 3] = [
        (
            |_| (),
            [
                "for=127.0.0.1;host=example.org;proto=http",
                "127.0.0.1",
                "http",
                "example.org",
            ],
        ),
        (
            |config| config.trust_forwarded = true,
            [
                "for=1.1.1.1, for=127.0.0.1;host=example.org;proto=http",
                "1.1.1.1, 127.0.0.1",
                "https",
                "public.example",
            ],
        ),
        (
            |config| config.observe = true,
            ["for=1.1.1.1", "1.1.1.1", "https", "public.example"],
        ),
    ];
    for (change, expected) in rows {
        let origin = echo();
        let running = Running::with(&origin.url(""), change);
        seen(&running, &origin, claims);
        let request = origin.requests().pop().unwrap();
        let names = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
        ];
        assert_eq!(names.map(|name| request.header(name).unwrap()), expected);
    }
}

#[test]
fn observing_changes_nothing_but_the_trace() {
    let origin = Origin::start(|_, peer| {
        peer.send(b"HTTP/1.1 200 OK\r\ndate: today\r\nserver: app\r\ncontent-length: 2\r\n\r\nok");
        Next::Keep
    });
    let running = Running::with(&origin.url(""), |config| config.observe = true);
    assert_eq!(seen(&running, &origin, "accept: a\r\n"), ["accept: a"]);
    let names: Vec<_> = origin.requests()[0]
        .headers
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(names, ["host", "accept", "traceparent"]);
    let response = http::get(&running.url("/"));
    let names: Vec<_> = response
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["date", "server", "content-length", "connection"],
        "the last is for our hop"
    );
}

#[test]
fn a_prefix_comes_before_every_path_but_not_into_the_route() {
    let origin = echo();
    let running = Running::before(&origin.url("/api/"));
    for (target, path) in [("/jobs/7?a=b", "/api/jobs/7?a=b"), ("/", "/api/")] {
        assert_eq!(http::get(&running.url(target)).status, 200);
        assert_eq!(origin.requests().pop().unwrap().path, path);
    }
    let routes: Vec<_> = running
        .journal
        .routes()
        .iter()
        .map(|r| r.route.to_string())
        .collect();
    assert!(routes.contains(&"GET /jobs/{id}".to_owned()), "{routes:?}");
}

#[test]
fn an_absolute_target_is_brought_into_origin_form() {
    let origin = echo();
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET http://real.example/a?b HTTP/1.1\r\nhost: other\r\n\r\n");
    assert_eq!(client.response().status, 200);
    client.send("OPTIONS * HTTP/1.1\r\nhost: other\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let requests = origin.requests();
    assert_eq!(requests[0].path, "/a?b");
    assert_eq!(requests[0].header("host"), Some("real.example"));
    assert_eq!(requests[1].path, "*");
}
