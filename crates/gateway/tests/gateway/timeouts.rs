//! Every wait ends.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use paceline_gateway::Config;
use paceline_journal::LoadError;
use paceline_testkit::origin::{Next, Origin};
use paceline_testkit::{http, keepalive_timers, wait_until};

use crate::support::{LONG, Running, problem};

const SHORT: Duration = Duration::from_millis(150);
/// For peers that keep moving: many steps fit in, and a busy machine does not make one step as long.
const STEADY: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(150);

/// Answers at once, later, in part, or never.
fn origin() -> Origin {
    Origin::start(|request, peer| {
        match request.path.as_str() {
            "/never" => {}
            "/half" => peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
            "/slow-but-steady" => {
                peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
                for _ in 0..10 {
                    std::thread::sleep(STEP);
                    peer.send(b"x");
                }
                return Next::Keep;
            }
            _ => return peer.respond(200, &[], b"ok"),
        }
        peer.wait_closed(LONG);
        Next::Close
    })
}

/// It must take about `SHORT` at least; the gateway's clock may have begun a little earlier than ours.
fn timed<T>(what: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let value = what();
    assert!(
        begun.elapsed() >= SHORT / 2,
        "too early: {:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < LONG / 2,
        "too late: {:?}",
        begun.elapsed()
    );
    value
}

#[test]
fn an_application_that_does_not_answer_is_504() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| config.response_timeout = SHORT);
    let mut client = running.connect();
    for turn in 1..=2 {
        client.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n");
        let response = timed(|| client.response());
        assert_eq!(
            (response.status, problem(&response).as_str()),
            (504, "upstream-timeout")
        );
        assert_eq!(running.gateway.stats().requests_refused_total, turn);
    }
    assert_eq!(
        running.only_request().error,
        Some(LoadError::ResponseTimeout)
    );
    // The connection serves on.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn an_answer_that_stands_still_is_cut_off() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| config.body_idle_timeout = SHORT);
    let error = timed(|| http::try_get(&running.url("/half"))).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let request = running.only_request();
    assert_eq!(request.error, Some(LoadError::BodyTimeout));
    assert_eq!((request.status, request.response_bytes), (Some(200), 4));
}

#[test]
fn an_answer_that_moves_may_take_longer() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| {
        config.body_idle_timeout = STEADY;
        config.response_timeout = STEADY;
    });
    let begun = Instant::now();
    assert_eq!(
        http::get(&running.url("/slow-but-steady")).text(),
        "xxxxxxxxxx"
    );
    assert!(begun.elapsed() > STEADY);
}

#[test]
fn an_upload_that_moves_may_take_longer() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| {
        config.body_idle_timeout = STEADY;
        config.response_timeout = STEADY;
    });
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    let begun = Instant::now();
    for _ in 0..10 {
        std::thread::sleep(STEP);
        client.send("x");
    }
    assert!(begun.elapsed() > STEADY);
    assert_eq!(client.response().text(), "ok");
}

#[test]
fn an_upload_that_stands_still_is_408() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| config.body_idle_timeout = SHORT);
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
    let response = timed(|| client.response());
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (408, "request-too-slow")
    );
    assert!(client.rest().is_empty(), "the connection ends");
    assert_eq!(running.only_request().error, Some(LoadError::RequestBroken));
}

#[test]
fn an_application_that_reads_nothing_is_504() {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let origin = Origin::start_unread(move |_, _| {
        let _ = ended.lock().unwrap().recv_timeout(LONG);
        Next::Close
    });
    let running = Running::with(&origin.url(""), |config| config.response_timeout = SHORT);
    let mut client = running.connect();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
    // Fills every buffer on the way, until the gateway answers and closes.
    while client.try_send(&[b'x'; 1 << 16]).is_ok() {}
    assert_eq!(
        running.only_request().error,
        Some(LoadError::ResponseTimeout)
    );
    end.send(()).unwrap();
}

#[test]
fn a_head_that_stands_still_is_408() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| config.header_timeout = SHORT);
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-half: ");
    let response = timed(|| client.response());
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (408, "request-too-slow")
    );
    assert!(client.rest().is_empty());
    assert!(
        running.journal.recent().is_empty(),
        "nothing was asked of the application"
    );
}

#[test]
fn a_head_may_not_drip() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| config.header_timeout = SHORT);
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\n");
    timed(|| {
        while client.try_send(b"x: y\r\n").is_ok() {
            std::thread::sleep(SHORT / 10);
        }
    });
}

#[test]
fn who_says_nothing_is_let_go() {
    let origin = origin();
    let running = Running::with(&origin.url(""), |config| {
        config.header_timeout = SHORT;
        config.keep_alive_timeout = SHORT;
    });
    let mut silent = running.connect();
    assert!(
        timed(|| silent.rest()).is_empty(),
        "never asked anything: no answer"
    );
    let mut idle = running.connect();
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(idle.response().text(), "ok");
    assert!(timed(|| idle.rest()).is_empty());
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let origin = Origin::start(|_, peer| {
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        let piece = vec![b'x'; 1 << 16];
        while !peer.wait_closed(Duration::from_millis(1)) {
            peer.send(&piece);
        }
        Next::Close
    });
    let running = Running::with(&origin.url(""), |config| config.body_idle_timeout = SHORT);
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let request = timed(|| running.only_request());
    assert_eq!(request.error, Some(LoadError::ClientGone));
    assert!(request.response_bytes < Config::default().clients_max as u64 * (1 << 16));
}

#[test]
fn both_sides_are_asked_whether_they_are_still_there() {
    let origin = origin();
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response().status, 200);
    for (own_port, peer_port) in [
        (Some(running.address.port()), None),
        (None, Some(origin.address().port())),
    ] {
        // While bytes are not acknowledged yet, another timer runs.
        wait_until(LONG, || {
            let timers = keepalive_timers(own_port, peer_port);
            let minute = Duration::from_secs(60);
            timers.len() == 1 && timers[0].is_some_and(|timer| timer <= minute)
        });
    }
}
