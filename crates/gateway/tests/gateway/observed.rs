//! What the journal learns, and what the application gets to see of the trace.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use paceline_journal::{RequestId, TraceParent};
use paceline_testkit::origin::{Next, Origin};
use paceline_testkit::{http, wait_for, wait_until};

use crate::support::{LONG, Running};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn every_request_has_a_trace_of_its_own() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::before(&origin.url(""));
    for _ in 0..20 {
        http::request("GET", &running.url("/"), &[("traceparent", CALLER)], b"");
    }
    let parents: HashSet<_> = origin
        .requests()
        .iter()
        .map(|request| TraceParent::parse(request.header("traceparent").unwrap()).unwrap())
        .collect();
    assert_eq!(parents.len(), 20);
    let caller = TraceParent::parse(CALLER).unwrap();
    assert!(parents.iter().all(|parent| parent.flags.sampled()));
    assert!(
        parents
            .iter()
            .all(|parent| parent.trace_id != caller.trace_id)
    );
}

#[test]
fn the_caller_is_linked_and_other_tracers_fall_silent() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::before(&origin.url(""));
    let fields = [
        ("traceparent", CALLER),
        ("tracestate", "vendor=1"),
        ("b3", "0"),
        ("X-B3-TraceId", "1"),
        ("uber-trace-id", "1"),
        ("x-datadog-trace-id", "1"),
        ("x-amzn-trace-id", "1"),
        ("x-request-id", "mine"),
    ];
    let response = http::request("GET", &running.url("/"), &fields, b"");
    let request = origin.requests().pop().unwrap();
    for (name, _) in &fields[1..7] {
        assert_eq!(request.header(&name.to_lowercase()), None, "{name}");
    }
    assert_eq!(request.header("x-request-id"), Some("mine"));
    let traces = request
        .headers
        .iter()
        .filter(|(name, _)| name == "traceparent");
    let parent = TraceParent::parse(&traces.map(|(_, value)| value.as_str()).collect::<String>());
    let id = RequestId::from(parent.unwrap().trace_id);
    assert_eq!(
        response.header("paceline-request-id"),
        Some(id.to_string().as_str())
    );
    let record = running.only_request();
    assert_eq!((record.id, record.caller), (id, TraceParent::parse(CALLER)));
    assert!(running.journal.request(&id).is_some());
}

#[test]
fn a_request_is_recorded_with_route_status_size_and_times() {
    let origin = Origin::start(|_, peer| peer.respond(418, &[], b"teapot"));
    let running = Running::before(&origin.url(""));
    http::get(&running.url("/pots/42?colour=blue"));
    let record = running.only_request();
    assert_eq!(&*record.route, "GET /pots/{id}");
    assert_eq!(
        (record.status, record.response_bytes, record.error),
        (Some(418), 6, None)
    );
    let (connected, first, whole) = (
        record.connected.unwrap(),
        record.first_byte.unwrap(),
        record.duration.unwrap(),
    );
    assert!(connected <= first && first <= whole, "{record:?}");
    assert_eq!(running.journal.totals().loads_finished, 1);
}

#[test]
fn the_time_a_client_takes_for_its_head_is_not_the_routes() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    // The first goes out on a new connection to the application, the second on the same again.
    for path in ["/new", "/reused"] {
        for piece in ["GET ", path, " HTTP/1.1\r\n", "host: a\r\n"] {
            client.send(piece);
            std::thread::sleep(Duration::from_millis(100));
        }
        let head_ends = Instant::now();
        client.send("\r\n");
        assert_eq!(client.response().status, 200);
        let answered = head_ends.elapsed();
        let route = format!("GET {path}");
        let record = wait_for(LONG, || {
            let mut recent = running.journal.recent().into_iter();
            recent.find(|record| *record.route == *route)
        });
        let ended = head_ends.elapsed();
        let (connected, first_byte) = (record.connected.unwrap(), record.first_byte.unwrap());
        assert!(first_byte <= answered, "{record:?}");
        assert!(record.duration.unwrap() <= ended, "{record:?}");
        assert_eq!(connected.is_zero(), path == "/reused", "{record:?}");
        let routes = running.journal.routes();
        let latency = &routes.iter().find(|r| *r.route == *route).unwrap().latency;
        // Two significant digits: a histogram rounds up by a hundredth at most.
        assert!(latency.max().unwrap() <= ended.mul_f64(1.01), "{latency:?}");
    }
    assert_eq!(running.gateway.stats().upstream.connections_total, 1);
}

#[test]
fn only_what_is_sent_upstream_is_a_load() {
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"ok"));
    let running = Running::before(&origin.url(""));
    let mut client = running.connect();
    client.send("GET / HTTP/1.1\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 400);
    assert_eq!(response.header("paceline-request-id"), None);
    assert_eq!(running.journal.totals().loads_opened, 0);
    assert!(origin.requests().is_empty());
    wait_until(LONG, || running.gateway.stats().requests_in_flight == 0);
}

#[test]
fn what_answers_say_of_themselves_is_told_and_bodies_pass_as_they_are() {
    const BODY: &[u8] = br#"{"jobs": [{"id": 1, "boss": null}, {"id": 2, "boss": null}]}"#;
    let origin = Origin::start(|request, peer| match &*request.path {
        "/plain?page=2" => peer.respond(200, &[("content-type", "application/json")], BODY),
        "/packed" => {
            let fields = [
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
                ("etag", "\"1\""),
                ("cache-control", "max-age=5"),
                ("x-cache", "HIT"),
            ];
            peer.respond(200, &fields, BODY)
        }
        _ => {
            // It breaks off: nothing is said of it.
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{}");
            Next::Close
        }
    });
    let running = Running::before(&origin.url(""));
    for path in ["/plain?page=2", "/plain?page=2", "/plain?page=2", "/packed"] {
        let fields = [
            ("accept-encoding", "gzip"),
            ("authorization", "Bearer secret"),
        ];
        let response = http::request("GET", &running.url(path), &fields, b"");
        assert_eq!(response.body, BODY, "{path}");
    }
    let _ = http::try_get(&running.url("/broken"));
    let routes = wait_for(LONG, || {
        let routes = running.journal.routes();
        let requests: u64 = routes.iter().map(|route| route.requests).sum();
        (requests == 5).then_some(routes)
    });
    let answers = |name: &str| {
        let route = routes.iter().find(|route| *route.route == *name).unwrap();
        (route.answers, route.reuse.clone())
    };
    let (plain, reuse) = answers("GET /plain");
    assert_eq!(
        (plain.counted, plain.validated, plain.credentialed),
        (3, 0, 3)
    );
    let bodies = plain.bodies;
    assert_eq!((bodies.looked_at, bodies.limited), (3, 3));
    assert_eq!(
        (
            bodies.members,
            bodies.nulls,
            bodies.list_max,
            bodies.depth_max
        ),
        (15, 6, 2, 3)
    );
    assert_eq!(bodies.bytes, 3 * BODY.len() as u64);
    let same = reuse.unwrap().same;
    assert_eq!((same.compared, same.identical), (2, 2));
    let (packed, _) = answers("GET /packed");
    assert_eq!(
        (
            packed.validated,
            packed.fresh,
            packed.encoded,
            packed.cached
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(packed.bodies.looked_at, 0);
    let (broken, reuse) = answers("GET /broken");
    assert_eq!((broken.counted, broken.bodies.looked_at), (0, 0));
    assert!(reuse.is_none());
}
