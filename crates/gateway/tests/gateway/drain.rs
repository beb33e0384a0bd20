//! Leaving without dropping a request, and keeping strangers out.

use std::sync::{Mutex, mpsc};

use paceline_testkit::http::{self, Connection};
use paceline_testkit::origin::Origin;
use paceline_testkit::wait_until;

use crate::support::{LONG, Running, problem};

#[test]
fn requests_in_flight_are_finished_and_idle_connections_closed() {
    let (go_on, gone_on) = mpsc::channel::<()>();
    let gone_on = Mutex::new(gone_on);
    let origin = Origin::start(move |request, peer| {
        if request.path == "/slow" {
            gone_on.lock().unwrap().recv_timeout(LONG).unwrap();
        }
        peer.respond(200, &[], b"whole")
    });
    let running = Running::before(&origin.url(""));
    let mut idle = running.connect();
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(idle.response().status, 200);
    let mut busy = running.connect();
    busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n");
    wait_until(LONG, || running.journal.totals().loads_open == 1);

    running.start_draining();
    assert!(idle.rest().is_empty(), "closed without a word");
    wait_until(LONG, || {
        std::net::TcpStream::connect(running.address).is_err()
    });
    assert!(!running.has_ended(), "the request in flight is waited for");

    go_on.send(()).unwrap();
    let response = busy.response();
    assert_eq!((response.status, response.text().as_str()), (200, "whole"));
    assert_eq!(response.header("connection"), Some("close"));
    assert!(busy.rest().is_empty());
    drop(busy);
    wait_until(LONG, || running.has_ended());
    assert_eq!(running.gateway.stats().clients_open, 0);
    wait_until(LONG, || running.gateway.stats().requests_in_flight == 0);
}

#[test]
fn who_is_one_too_many_is_asked_to_come_back() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::with(&origin.url(""), |config| config.clients_max = 2);
    let mut seated: Vec<Connection> = (0..2).map(|_| running.connect()).collect();
    wait_until(LONG, || running.gateway.stats().clients_open == 2);
    let response = http::get(&running.url("/"));
    assert_eq!(
        (response.status, problem(&response).as_str()),
        (503, "overloaded")
    );
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(running.gateway.stats().clients_refused_total, 1);
    for client in &mut seated {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.response().status, 200, "the others notice nothing");
    }
    seated.clear();
    wait_until(LONG, || running.gateway.stats().clients_open == 0);
    assert_eq!(http::get(&running.url("/")).status, 200);
}
