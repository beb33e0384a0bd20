//! Memory for statement texts: so much for all clients, and a clear answer to those who come too late.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use paceline_pgproxy::{Config, Mode};
use paceline_testkit::{RawPg, frame};
use support::child::{ProxyProcess, be_the_proxy_if_told};
use support::{Rig, sqlstates};

const MIB: usize = 1 << 20;

/// A rig whose proxy has room for one text of 2 MiB on its way, and not for another one of 1.5.
fn rig() -> Rig {
    Rig::with(limit)
}

fn limit(config: &mut Config) {
    config.statement_bytes_max = 2 * MIB;
    config.statement_memory_max = 6 * MIB;
}

/// `SELECT` of a string of so many bytes.
fn text(bytes: usize) -> String {
    format!("SELECT length('{}')", "x".repeat(bytes))
}

/// A client that has sent all of a text of 2 MB but its end, and all but that end of the message.
fn holder(rig: &Rig) -> (RawPg, Vec<u8>) {
    let mut client = rig.client();
    let mut message = frame::query(&text(2_000_000));
    let end = message.split_off(message.len() - 10);
    client.send(&message);
    paceline_testkit::wait_until(support::PATIENCE, || {
        rig.proxy.stats().statement_bytes >= 3 * MIB
    });
    (client, end)
}

#[test]
fn a_text_that_finds_no_memory_is_refused_and_the_session_goes_on() {
    let rig = rig();
    let (mut first, end) = holder(&rig);
    let long = text(1_500_000);
    for before in ["SELECT 1", "BEGIN"] {
        let mut client = rig.client();
        client.query(before);
        let frames = client.query(&long);
        assert_eq!(sqlstates(&frames), ["53200"], "after {before}");
        client.query("ROLLBACK");
        let batch = [
            frame::parse("", &long, &[]),
            frame::bind("", "", &[]),
            frame::sync(),
        ];
        client.send(&batch.concat());
        let frames = client.read_until_ready();
        assert_eq!(sqlstates(&frames), ["53200"], "after {before}");
        assert_eq!(
            client.value(&text(50_000)),
            "50000",
            "a small text needs no such room"
        );
        // Parameters stream.
        let value = "x".repeat(1_500_000);
        let batch = [
            frame::parse("", "SELECT length($1)", &[]),
            frame::bind("", "", &[Some(&value)]),
            frame::execute("", 0),
            frame::sync(),
        ];
        client.send(&batch.concat());
        assert_eq!(sqlstates(&client.read_until_ready()), [""; 0]);
    }
    first.send(&end);
    let frames = first.read_until_ready();
    assert_eq!(frames[1].values(), [Some("2000000".to_owned())]);
    assert_eq!(rig.client().value(&long), "1500000");
    let held = rig.proxy.stats().statement_bytes;
    assert!(
        held < 100,
        "{held} bytes are held, more than a short prepared text"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_text_gives_its_memory_back() {
    let rig = rig();
    let (first, _) = holder(&rig);
    first.vanish();
    paceline_testkit::wait_until(support::PATIENCE, || rig.proxy.stats().statement_bytes == 0);
    assert_eq!(rig.client().value(&text(1_000_000)), "1000000");
}

#[test]
fn an_observed_text_that_finds_no_memory_passes_unread() {
    let rig = Rig::with(|config| {
        limit(config);
        config.mode = Mode::Observe;
    });
    let (mut first, end) = holder(&rig);
    let mut other = rig.client();
    let statements = || {
        rig.journal
            .shapes()
            .iter()
            .map(|shape| shape.executions)
            .sum::<u64>()
    };
    let before = statements();
    assert_eq!(other.value(&text(1_500_000)), "1500000");
    assert_eq!(statements(), before, "it was not read");
    assert_eq!(other.value("SELECT 1"), "1");
    assert_eq!(statements(), before + 1, "the next one is");
    first.send(&end);
    let frames = first.read_until_ready();
    assert_eq!(frames[1].values(), [Some("2000000".to_owned())]);
    paceline_testkit::wait_until(support::PATIENCE, || rig.proxy.stats().statement_bytes == 0);
}

#[test]
fn in_a_long_transaction_a_large_text_is_not_kept() {
    let rig = rig();
    let mut first = rig.client();
    first.query("BEGIN");
    assert_eq!(first.value(&text(2_000_000)), "2000000");
    assert_eq!(first.value("SELECT 1"), "1");
    assert_eq!(rig.proxy.stats().statement_bytes, 0);
    assert_eq!(rig.client().value(&text(2_000_000)), "2000000");
}

#[test]
fn what_was_found_out_about_a_text_that_was_dropped_is_not_taken_for_the_next_one() {
    let rig = rig();
    let mut client = rig.client();
    let fails = [
        frame::parse("named", "SELECT 1", &[]),
        frame::sync(),
        frame::parse("", "SELECT 1/0", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
    ];
    client.send(&fails.concat());
    // It is read elsewhere, waits until that name is sure, and by then what is before it has failed.
    let dropped = format!("SELECT 'dropped'{}", " + 1".repeat(10_000));
    client.send(&[frame::parse("late", &dropped, &[]), frame::sync()].concat());
    client.read_until_ready();
    assert_eq!(sqlstates(&client.read_until_ready()), ["22012"]);
    assert_eq!(client.value("SELECT 'the next one'"), "the next one");
    let shapes = rig.journal.shapes();
    let executions = |text: &str| {
        let found = shapes.iter().filter(|shape| *shape.shape.text == *text);
        found.map(|shape| shape.executions).sum::<u64>()
    };
    assert_eq!(executions("SELECT $1"), 1, "{shapes:?}");
}

#[test]
fn prepared_texts_are_bounded_over_all_clients() {
    let rig = rig();
    let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
    let named = |number: usize| format!("SELECT {number}, length('{}')", "x".repeat(100_000));
    let mut prepared = 0;
    let refused = 'full: loop {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(
                &[
                    frame::parse(&format!("s{prepared}"), &named(prepared), &[]),
                    frame::sync(),
                ]
                .concat(),
            );
            let frames = client.read_until_ready();
            if !sqlstates(&frames).is_empty() {
                break 'full (index, sqlstates(&frames));
            }
            prepared += 1;
        }
    };
    assert_eq!(refused.1, ["53200"]);
    assert!(
        (59..=63).contains(&prepared),
        "{prepared} of 100 kB in 6 MiB"
    );
    // What is known already needs none, and what is not kept needs none.
    let client = &mut clients[refused.0];
    let again = named(0);
    client.send(&[frame::parse("again", &again, &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), [""; 0]);
    assert_eq!(client.value("SELECT 1"), "1");
    clients[(refused.0 + 1) % 8].query("DEALLOCATE ALL");
    let client = &mut clients[refused.0];
    client.send(&[frame::parse("late", &named(prepared), &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), [""; 0]);
}

#[test]
fn many_large_texts_at_once_do_not_take_all_memory() {
    be_the_proxy_if_told(|_| {});
    let server = paceline_testkit::postgres();
    let name = "many_large_texts_at_once_do_not_take_all_memory";
    let proxy = ProxyProcess::start(name, &server.url("postgres"), None);
    let mut message = frame::query(&text(16 * MIB - 100));
    let end = message.split_off(message.len() - 10);
    let mut clients: Vec<_> = (0..32).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.send(&message);
    }
    let (mut answered, mut refused) = (0, 0);
    for client in &mut clients {
        client.send(&end);
        let states = sqlstates(&client.read_until_ready());
        if states.is_empty() {
            answered += 1;
        } else {
            assert_eq!(states, ["53200"]);
            refused += 1;
        }
        assert_eq!(client.value("SELECT 1"), "1");
    }
    // 256 MiB hold eight of them, twice each.
    assert_eq!((answered, refused), (8, 24));
    let (_, peak) = proxy.resident_bytes();
    assert!(peak < 400 * MIB, "{} MiB at most", peak / MIB);
}
