//! LISTEN and NOTIFY in transaction pooling: through one listening connection, as Postgres itself would have it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use paceline_testkit::{Frame, RawPg, frame, wait_until};
use support::{Over, PATIENCE, Rig, sqlstates, tags};

const LISTENING: &str = "pg_stat_activity WHERE backend_type = 'client backend' \
    AND application_name <> 'direct' AND query ~ '^(UN)?LISTEN \"'";
/// Whose LISTEN has come to its end.
const READY: &str = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
    AND application_name <> 'direct' AND query ~ '^(UN)?LISTEN \"' AND state = 'idle'";

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

/// While channels move, several notify; whoever listens at the server itself says what there was, in which order.
#[test]
fn nothing_is_missed_and_nothing_comes_twice() {
    const NOTIFIERS: usize = 3;
    let rig = rig();
    let (mut witness, mut known) = (rig.direct(), rig.client());
    let mut notifiers: Vec<RawPg> = (0..NOTIFIERS).map(|_| rig.direct()).collect();
    listen(&rig, &mut known, "known");
    witness.query("LISTEN known");
    for turn in 0..40 {
        // To one of two the connection that listens for all has listened before.
        let channel = match turn % 2 {
            0 => "known".to_owned(),
            _ => format!("new{turn}"),
        };
        witness.query(&format!("LISTEN {channel}"));
        let mut client = rig.client();
        let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let notify = |direct: &mut RawPg| {
            while !is_over.load(Relaxed) {
                let number = sent.fetch_add(1, Relaxed);
                direct.query(&format!("NOTIFY {channel}, '{turn}.{number}'"));
            }
        };
        let mut heard = Vec::new();
        std::thread::scope(|scope| {
            let (_over, notify) = (Over(&is_over), &notify);
            for notifier in &mut notifiers {
                scope.spawn(move || notify(notifier));
            }
            let frames = client.query(&format!("LISTEN {channel}"));
            let told = frames.iter().filter(|frame| frame.tag == b'A');
            heard.extend(told.map(|frame| notification(frame).1));
            // The channel moves, and some more come after that.
            let before = sent.load(Relaxed);
            wait_until(PATIENCE, || sent.load(Relaxed) > before + 50);
        });
        let end = format!("end of {turn}");
        notifiers[0].query(&format!("NOTIFY {channel}, '{end}'"));
        let read = |client: &mut RawPg, heard: &mut Vec<String>| {
            while heard.last() != Some(&end) {
                heard.push(notification(&client.read()).1);
            }
        };
        let mut all = Vec::new();
        read(&mut witness, &mut all);
        assert_eq!(all.len(), sent.into_inner() + 1);
        // The LISTEN came somewhere in between: from there on all of them, each once.
        read(&mut client, &mut heard);
        let is_whole = heard.len() > 50 && all.ends_with(&heard);
        assert!(is_whole, "{heard:?} of {all:?}");
        let frames = client.query("SELECT 1");
        assert_eq!(tags(&frames), "TDCZ", "nothing comes late");
        if channel == "known" {
            read(&mut known, &mut Vec::new());
        }
    }
}

/// A client that was told of something while its channel moved did not hear of the next one with the same words.
#[test]
fn the_same_words_are_told_as_often_as_they_are_said() {
    let rig = rig();
    let mut direct = rig.direct();
    for _ in 0..10 {
        let mut client = rig.client();
        client.send(&frame::query("LISTEN jobs"));
        let mut heard = client
            .read_until_ready()
            .iter()
            .filter(|frame| frame.tag == b'A')
            .count();
        for said in 1..=20 {
            direct.query("NOTIFY jobs");
            while heard < said {
                let frame = client.read();
                assert_eq!(notification(&frame), ("jobs".to_owned(), String::new()));
                heard += 1;
            }
        }
        assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
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
    wait_until(PATIENCE, || direct.value(READY) == "1");
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
    let another = format!("{READY} AND pid <> {before}");
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
    deaf.send(&frame::query("COMMIT"));
    assert_eq!(sqlstates(&deaf.rest()), ["53400"]);
    assert_eq!(other.value("SELECT 1"), "1");
}
