//! The kit itself: what tests rely on must be relied on.

use std::time::Duration;

use paceline_testkit::origin::{Next, Origin};
use paceline_testkit::{RawPg, frame, http, postgres, psql, scram_postgres};

#[test]
fn raw_pg_speaks_with_a_real_server() {
    let server = postgres();
    assert_eq!(
        psql(&server, &server.url("postgres"), "SELECT 40 + 2"),
        "42"
    );
    let mut client = RawPg::login(server.port(), "postgres", None, "postgres");
    assert_eq!(client.value("SELECT 'a' || 'b'"), "ab");
    assert_eq!(client.rows("VALUES (1, NULL), (2, '')").len(), 2);
    let batch = [
        frame::parse("", "SELECT $1::int + 1", &[]),
        frame::bind("", "", &[Some("41")]),
        frame::execute("", 0),
        frame::sync(),
    ];
    client.send(&batch.concat());
    let tags: Vec<u8> = client
        .read_until_ready()
        .iter()
        .map(|frame| frame.tag)
        .collect();
    assert_eq!(tags, b"12DCZ");
    let error = client
        .query("SELEC")
        .into_iter()
        .find_map(|frame| frame.sqlstate());
    assert_eq!(error.as_deref(), Some("42601"));
    client.send(&frame::query("SELECT pg_sleep(1000)"));
    assert!(client.is_silent_for(Duration::from_millis(50)));
    client.cancel();
    let cancelled = client.read_until_ready();
    assert!(
        cancelled
            .iter()
            .any(|frame| frame.sqlstate().as_deref() == Some("57014"))
    );
    client.send(&frame::terminate());
    assert!(client.rest().is_empty());
}

#[test]
fn raw_pg_proves_its_password() {
    let server = scram_postgres("secret");
    let mut client = RawPg::login(server.port(), "postgres", Some("secret"), "postgres");
    assert_eq!(client.value("SELECT 1"), "1");
    let refusal =
        RawPg::try_login(server.port(), &[("user", "postgres")], Some("wrong")).unwrap_err();
    assert_eq!(refusal.sqlstate().as_deref(), Some("28P01"));
}

#[test]
fn http_client_and_origin_understand_each_other() {
    let origin = Origin::start(|request, peer| match request.path.as_str() {
        "/chunked" => {
            peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            peer.send(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
            Next::Keep
        }
        "/until-end" => {
            peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it");
            Next::Close
        }
        "/reset" => Next::Reset,
        _ => peer.respond(201, &[("x-method", &request.method)], &request.body),
    });
    assert_eq!(http::get(&origin.url("/chunked")).text(), "abcde");
    assert_eq!(http::get(&origin.url("/until-end")).text(), "all of it");
    let error = http::try_get(&origin.url("/reset")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let echo = http::request("PUT", &origin.url("/echo"), &[("x-a", "b")], b"body");
    assert_eq!((echo.status, echo.text().as_str()), (201, "body"));
    assert_eq!(echo.header("x-method"), Some("PUT"));
    assert_eq!(
        origin
            .requests()
            .last()
            .and_then(|r| r.header("x-a").map(str::to_owned))
            .as_deref(),
        Some("b")
    );

    let mut connection = http::Connection::to(origin.address());
    let before = origin.connections();
    for _ in 0..3 {
        connection.send("GET /again HTTP/1.1\r\nhost: x\r\n\r\n");
        assert_eq!(connection.response().status, 201);
    }
    assert!(
        origin.connections() <= before + 1,
        "the connection was kept"
    );
    origin.drop_connections();
    assert!(connection.rest().is_empty());
}
