//! COPY both ways, in text and binary, by both protocols, to its end or given up by either side at any point.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use paceline_testkit::{Frame, RawPg, frame};
use support::{Bystander, Rig, sqlstates};

const ROWS: usize = 20_000;

fn data(bytes: &[u8]) -> Vec<u8> {
    frame::message(b'd', bytes)
}

fn done() -> Vec<u8> {
    frame::message(b'c', &[])
}

/// What starts a COPY, by the simple or the extended protocol, and what ends its batch.
fn begin(sql: &str, is_extended: bool) -> (Vec<u8>, Vec<u8>) {
    if !is_extended {
        return (frame::query(sql), Vec::new());
    }
    let messages = [
        frame::parse("", sql, &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::flush(),
    ];
    (messages.concat(), frame::sync())
}

/// Sends what begins it, and reads until the server is ready for data, or sends some.
fn start(client: &mut RawPg, sql: &str, is_extended: bool) -> Vec<u8> {
    let (first, last) = begin(sql, is_extended);
    client.send(&first);
    loop {
        match client.read().tag {
            b'G' | b'H' => return last,
            b'1' | b'2' => {}
            tag => panic!("{} is not expected", char::from(tag)),
        }
    }
}

fn copied_out(client: &mut RawPg, sql: &str, is_extended: bool) -> Vec<u8> {
    let last = start(client, sql, is_extended);
    client.send(&last);
    let frames = client.read_until_ready();
    assert_eq!(sqlstates(&frames), [""; 0]);
    let parts = frames.into_iter().filter(|frame| frame.tag == b'd');
    parts.flat_map(|frame| frame.body).collect()
}

fn copied_in(client: &mut RawPg, sql: &str, is_extended: bool, bytes: &[u8]) -> Vec<Frame> {
    let last = start(client, sql, is_extended);
    for part in bytes.chunks(5_000) {
        client.send(&data(part));
    }
    client.send(&[done(), last].concat());
    client.read_until_ready()
}

fn count(client: &mut RawPg) -> String {
    client.value("SELECT count(*) FROM copied")
}

fn rig() -> Rig {
    let rig = Rig::with(|config| config.pool_size = 3);
    rig.direct().rows(&format!(
        "CREATE TABLE copied (n int, note text);
         CREATE TABLE source AS SELECT g AS n, repeat('x', g % 100) AS note FROM generate_series(1, {ROWS}) g"
    ));
    rig
}

#[test]
fn copy_passes_both_ways_in_text_and_binary() {
    let rig = rig();
    let mut client = rig.client();
    for format in ["text", "binary", "csv"] {
        for is_extended in [false, true] {
            client.query("TRUNCATE copied");
            let out = format!("COPY source TO STDOUT (FORMAT {format})");
            let bytes = copied_out(&mut client, &out, is_extended);
            let sql = format!("COPY copied FROM STDIN (FORMAT {format})");
            let frames = copied_in(&mut client, &sql, is_extended, &bytes);
            assert_eq!(sqlstates(&frames), [""; 0], "{format}");
            let differing = "SELECT count(*) FROM (TABLE source EXCEPT ALL TABLE copied) d";
            assert_eq!(
                (count(&mut client), client.value(differing)),
                (ROWS.to_string(), "0".into())
            );
        }
    }
    rig.assert_nothing_leaked();
}

/// How a COPY from the client comes to its end before it is done.
#[derive(Debug, Clone, Copy)]
enum Abort {
    /// The client gives up.
    Fail,
    /// The server finds a fault in a row; more rows are on their way.
    BadRow,
    /// The same, and the client has seen it: libpq says no more than Sync then.
    BadRowSeen,
    /// The server session is terminated.
    Terminated,
    /// The client goes, with a reset or without.
    Vanished(bool),
    /// The client cancels.
    Cancelled,
}

const ABORTS: [Abort; 7] = [
    Abort::Fail,
    Abort::BadRow,
    Abort::BadRowSeen,
    Abort::Terminated,
    Abort::Vanished(true),
    Abort::Vanished(false),
    Abort::Cancelled,
];

#[test]
fn a_copy_from_the_client_can_be_given_up_by_either_side_at_any_point() {
    let rig = rig();
    let mut bystander = Bystander::enter(&rig);
    for abort in ABORTS {
        for is_extended in [false, true] {
            for parts in [0, 1, 40] {
                let mut client = rig.client();
                let pid = client.value("SELECT pg_backend_pid()");
                let last = start(&mut client, "COPY copied (n) FROM STDIN", is_extended);
                for _ in 0..parts {
                    client.send(&data(&b"1\n".repeat(1000)));
                }
                give_up(&rig, client, abort, &pid, &last);
                bystander.assert_untouched();
            }
        }
    }
    assert_eq!(
        count(&mut rig.client()),
        "0",
        "nothing of all that was kept"
    );
    bystander.leave();
    rig.assert_nothing_leaked();
}

fn give_up(rig: &Rig, mut client: RawPg, abort: Abort, pid: &str, last: &[u8]) {
    let expected: &[&str] = match abort {
        Abort::Fail => {
            let fail = frame::message(b'f', b"changed my mind\0");
            client.send(&[&fail[..], last].concat());
            &["57014"]
        }
        Abort::BadRow => {
            let row = data(b"no number\n");
            let more = data(&b"2\n".repeat(1000));
            client.send(&[&row[..], &more, &done(), last].concat());
            &["22P02"]
        }
        Abort::BadRowSeen => {
            client.send(&data(b"no number\n"));
            assert_eq!(client.read().sqlstate().as_deref(), Some("22P02"));
            client.send(last);
            assert_eq!(client.read().tag, b'Z');
            assert_eq!(client.value("SELECT 7"), "7", "the session goes on");
            return;
        }
        Abort::Terminated => {
            // It is seen as soon as the server reads on.
            rig.direct()
                .rows(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
            &["57P01", "08006"]
        }
        Abort::Vanished(true) => return client.vanish(),
        Abort::Vanished(false) => return drop(client),
        Abort::Cancelled => {
            client.cancel();
            // The server looks when it gets the next data, or at once.
            client.send(&[&data(b"3\n")[..], &done(), last].concat());
            &["57014"]
        }
    };
    let mut frames = Vec::new();
    while let Ok(frame) = client.try_read() {
        let is_ready = frame.tag == b'Z';
        frames.push(frame);
        if is_ready {
            assert_eq!(client.value("SELECT 7"), "7", "the session goes on");
            break;
        }
    }
    let codes = sqlstates(&frames);
    assert!(
        codes.iter().any(|code| expected.contains(&&**code)),
        "{abort:?}: {codes:?}"
    );
}

#[test]
fn a_copy_to_the_client_can_be_given_up_by_either_side_at_any_point() {
    let rig = rig();
    let mut bystander = Bystander::enter(&rig);
    let sql = "COPY (SELECT repeat('x', 100) FROM generate_series(1, 3000000)) TO STDOUT";
    for abort in [
        Abort::Terminated,
        Abort::Vanished(true),
        Abort::Vanished(false),
        Abort::Cancelled,
    ] {
        for is_extended in [false, true] {
            for parts in [0, 1, 2000] {
                let mut client = rig.client();
                let pid = client.value("SELECT pg_backend_pid()");
                let last = start(&mut client, sql, is_extended);
                client.send(&last);
                for _ in 0..parts {
                    assert_eq!(client.read().tag, b'd');
                }
                stop_reading(&rig, client, abort, &pid);
                bystander.assert_untouched();
            }
        }
    }
    bystander.leave();
    rig.assert_nothing_leaked();
}

fn stop_reading(rig: &Rig, mut client: RawPg, abort: Abort, pid: &str) {
    match abort {
        // The server waits for somebody to read, and ends when it can say so.
        Abort::Terminated => drop(
            rig.direct()
                .rows(&format!("SELECT pg_terminate_backend({pid}, 0)")),
        ),
        Abort::Vanished(true) => return client.vanish(),
        Abort::Vanished(false) => return drop(client),
        _ => client.cancel(),
    }
    let mut last = None;
    while let Ok(frame) = client.try_read() {
        let is_ready = frame.tag == b'Z';
        if frame.tag == b'd' {
            let is_row = frame.body.iter().all(|byte| b"x\n".contains(byte));
            assert!(is_row, "something was written into the middle of a row");
        } else {
            last = frame.sqlstate().or(last);
        }
        if is_ready {
            assert_eq!(client.value("SELECT 7"), "7", "the session goes on");
            break;
        }
    }
    // Cut in the middle of a message, a client can only be left.
    let is_told = last
        .as_deref()
        .is_none_or(|code| ["57014", "57P01", "08006"].contains(&code));
    assert!(is_told, "{abort:?}: {last:?}");
    if matches!(abort, Abort::Cancelled) {
        assert_eq!(last.as_deref(), Some("57014"));
    }
}
