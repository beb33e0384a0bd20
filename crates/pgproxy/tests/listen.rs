//! LISTEN and NOTIFY in transaction pooling: through one listening connection, as Postgres itself would have it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use paceline_testkit::{Frame, RawPg, wait_until};
use support::{PATIENCE, Rig, sqlstates};

const LISTENING: &str = "pg_stat_activity WHERE backend_type = 'client backend' \
    AND application_name <> 'direct' AND query ~ '^(UN)?LISTEN \"'";

/// Channel and payload of a notification.
fn notification(frame: &Frame) -> (String, String) {
    assert_eq!(frame.tag, b'A', "{frame:?}");
    let mut texts = frame.body[4..].split(|byte| *byte == 0);
    let mut text = || String::from_utf8(texts.next().unwrap().to_vec()).unwrap();
    (text(), text())
}

#[track_caller]
fn expect(client: &mut RawPg, channel: &str, payload: &str) {
    let frame = client.read();
    assert_eq!(notification(&frame), (channel.into(), payload.into()));
}

fn rig() -> Rig {
    Rig::with(|config| config.pool_size = 2)
}

#[track_caller]
fn listen(rig: &Rig, client: &mut RawPg, channel: &str) {
    assert_eq!(
        sqlstates(&client.query(&format!("LISTEN {channel}"))),
        [""; 0]
    );
    // The client's connection is let go once the listening one has taken over.
    rig.wait_for_pool(|pool| (pool.used, pool.pinned) == (0, 0));
}

#[test]
fn two_hundred_listeners_share_two_connections() {
    let rig = rig();
    let mut clients: Vec<RawPg> = (0..200).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let channel = format!("c{}", number % 5);
        assert_eq!(
            sqlstates(&client.query(&format!("LISTEN {channel}; LISTEN everybody"))),
            [""; 0]
        );
    }
    rig.wait_for_pool(|pool| (pool.used, pool.pinned) == (0, 0));
    let mut direct = rig.direct();
    assert_eq!(
        direct.value(&format!("SELECT count(*) FROM {LISTENING}")),
        "1"
    );
    direct.query("NOTIFY everybody, 'hello'");
    direct.query("NOTIFY c3, 'three'");
    for (number, client) in clients.iter_mut().enumerate() {
        expect(client, "everybody", "hello");
        if number % 5 == 3 {
            expect(client, "c3", "three");
        }
        assert_eq!(client.value("SELECT 1"), "1", "nothing else has come");
    }
    drop(clients);
    let gone = format!("SELECT count(*) FROM {LISTENING}");
    wait_until(PATIENCE, || direct.value(&gone) == "0");
    rig.assert_nothing_leaked();
}

#[test]
fn nothing_is_missed_and_nothing_comes_twice() {
    let rig = rig();
    let mut other = rig.client();
    listen(&rig, &mut other, "news");
    let mut direct = rig.direct();
    for turn in 0..30 {
        let mut client = rig.client();
        std::thread::scope(|scope| {
            let notifying = scope.spawn(|| {
                for number in 0..20 {
                    direct.query(&format!("NOTIFY news, '{turn}.{number}'"));
                }
                direct.query(&format!("NOTIFY news, 'end of {turn}'"));
            });
            client.query("LISTEN news");
            notifying.join().unwrap();
        });
        let read = |client: &mut RawPg| {
            let mut heard = Vec::new();
            while heard.last() != Some(&format!("end of {turn}")) {
                heard.push(notification(&client.read()).1);
            }
            heard
        };
        let all = read(&mut other);
        assert_eq!(all.len(), 21, "{all:?}");
        // The LISTEN came somewhere in between: from there on all of them, each once.
        client.query(&format!("NOTIFY news, 'end of {turn}'"));
        let heard = read(&mut client);
        assert!(
            all.ends_with(&heard) || heard == [format!("end of {turn}")],
            "{heard:?}"
        );
        expect(&mut other, "news", &format!("end of {turn}"));
    }
}

#[test]
fn what_a_transaction_does_holds_when_it_is_committed() {
    let rig = rig();
    let (mut client, mut direct) = (rig.client(), rig.direct());
    client.query("BEGIN; LISTEN kept; ROLLBACK");
    direct.query("NOTIFY kept, 'too early'");
    client.query("BEGIN; LISTEN kept; COMMIT");
    rig.wait_for_pool(|pool| (pool.used, pool.pinned) == (0, 0));
    direct.query("NOTIFY kept, 'one'");
    expect(&mut client, "kept", "one");

    // In a transaction of the client nothing is delivered.
    client.query("BEGIN");
    direct.query("NOTIFY kept, 'two'");
    assert_eq!(client.value("SELECT 1"), "1");
    assert!(client.is_silent_for(Duration::from_millis(100)));
    client.query("COMMIT");
    expect(&mut client, "kept", "two");

    client.query("BEGIN; UNLISTEN kept; ROLLBACK");
    direct.query("NOTIFY kept, 'three'");
    expect(&mut client, "kept", "three");

    // Its own notifications come back to it.
    client.query("NOTIFY kept, 'mine'");
    expect(&mut client, "kept", "mine");

    let frames = client.query("UNLISTEN kept");
    assert!(
        frames
            .iter()
            .any(|frame| frame.body.starts_with(b"UNLISTEN"))
    );
    direct.query("NOTIFY kept, 'four'");
    assert!(client.is_silent_for(Duration::from_millis(100)));
}

#[test]
fn every_way_to_stop_listening_stops_it() {
    let rig = rig();
    let mut direct = rig.direct();
    for stop in [
        "UNLISTEN \"Quoted \"\"channel\"",
        "UNLISTEN *",
        "DISCARD ALL",
    ] {
        let mut client = rig.client();
        listen(&rig, &mut client, "\"Quoted \"\"channel\"");
        let payload = "p".repeat(7999);
        direct.query(&format!("NOTIFY \"Quoted \"\"channel\", '{payload}'"));
        expect(&mut client, "Quoted \"channel", &payload);
        assert_eq!(sqlstates(&client.query(stop)), [""; 0], "{stop}");
        direct.query("NOTIFY \"Quoted \"\"channel\", 'late'");
        assert!(client.is_silent_for(Duration::from_millis(100)), "{stop}");
    }
}

#[test]
fn listeners_are_told_when_notifications_may_have_been_lost() {
    let mut rig = rig();
    let mut client = rig.client();
    listen(&rig, &mut client, "news");
    rig.server.restart().unwrap();
    let notice = client.read();
    assert_eq!(
        (notice.tag, notice.field(b'C').as_deref()),
        (b'N', Some("01000"))
    );
    let mut direct = rig.direct();
    let again = format!("SELECT count(*) FROM {LISTENING}");
    wait_until(PATIENCE, || direct.value(&again) == "1");
    direct.query("NOTIFY news, 'again'");
    expect(&mut client, "news", "again");
}

#[test]
fn the_console_replaces_the_connection_that_listens_too() {
    let rig = rig();
    let mut client = rig.client();
    listen(&rig, &mut client, "news");
    let mut direct = rig.direct();
    let before = direct.value(&format!("SELECT pid FROM {LISTENING}"));
    let user = rig.server.user();
    let mut console = RawPg::login(rig.port, user, rig.server.password(), "paceline");
    assert_eq!(sqlstates(&console.query("RECONNECT")), [""; 0]);
    assert_eq!(sqlstates(&console.query("WAIT_CLOSE")), [""; 0]);
    assert_eq!(client.read().field(b'C').as_deref(), Some("01000"));
    let another = format!("SELECT count(*) FROM {LISTENING} AND pid <> {before}");
    wait_until(PATIENCE, || direct.value(&another) == "1");
    direct.query("NOTIFY news, 'again'");
    expect(&mut client, "news", "again");
}

#[test]
fn a_listener_that_does_not_read_is_sent_away_and_harms_nobody() {
    let rig = rig();
    let (mut deaf, mut other) = (rig.client(), rig.client());
    listen(&rig, &mut deaf, "news");
    listen(&rig, &mut other, "news");
    // In a transaction, so that nothing is delivered.
    deaf.query("BEGIN");
    let mut direct = rig.direct();
    let payload = "p".repeat(7000);
    for number in 0..200 {
        direct.query(&format!("NOTIFY news, '{number} {payload}'"));
        expect(&mut other, "news", &format!("{number} {payload}"));
    }
    deaf.send(&paceline_testkit::frame::query("COMMIT"));
    assert_eq!(sqlstates(&deaf.rest()), ["53400"]);
    assert_eq!(other.value("SELECT 1"), "1");
}
