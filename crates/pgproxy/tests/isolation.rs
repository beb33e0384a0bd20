//! What one client does, however odd, is not felt by the next one on the same server connection, nor by itself later.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use paceline_testkit::{Frame, RawPg, frame, wait_until};
use support::{PATIENCE, Rig, tags};

/// One server connection, so that the next client gets what the last one left.
fn start() -> Rig {
    Rig::with(|config| (config.pool_size, config.workers) = (1, 1))
}

fn send(client: &mut RawPg, messages: &[Vec<u8>]) {
    client.send(&messages.concat());
}

/// Parses (under this name), binds and executes, in one batch.
fn run(client: &mut RawPg, name: &str, sql: &str) -> Vec<Frame> {
    let batch = [
        frame::parse(name, sql, &[]),
        frame::bind("", name, &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(client, &batch);
    client.read_until_ready()
}

fn value(frames: &[Frame]) -> String {
    let row = frames.iter().find(|frame| frame.tag == b'D');
    row.map_or_else(|| tags(frames), |row| row.values().remove(0).unwrap())
}

/// A client whose startup packet holds these parameters, too.
fn client_with(proxy: &Rig, parameters: &[(&str, &str)]) -> RawPg {
    let database = &proxy.proxy.config().database;
    let mut all = vec![
        ("user", database.user.as_str()),
        ("database", &database.database),
    ];
    all.extend(parameters);
    let mut client = RawPg::connect(proxy.port);
    client.send(&frame::startup(&all));
    client.authenticate(database.password.as_deref()).unwrap();
    client
}

#[test]
fn a_message_that_nobody_asked_for_is_not_left_half_sent() {
    let proxy = start();
    let mut client = proxy.client();
    client.send(&frame::query("SELECT pg_sleep(0.3)"));
    let mut stray = frame::message(b'd', &[0; 300_000]);
    stray.truncate(200_000);
    client.send(&stray);
    client.read_until_ready();
    drop(client);
    assert_eq!(proxy.client().value("SELECT 1"), "1");
}

#[test]
fn a_client_that_does_not_read_is_not_answered_without_end() {
    let proxy = start();
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let database = &proxy.proxy.config().database;
    let startup = frame::startup(&[("user", &database.user), ("database", &database.database)]);
    client.write_all(&startup).unwrap();
    client
        .set_write_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let syncs = frame::sync().repeat(20_000);
    let mut sent = 0_usize;
    while client.write_all(&syncs).is_ok() {
        sent += syncs.len();
        assert!(sent < 64 << 20, "it takes Syncs for ever");
    }
}

#[test]
fn a_statement_of_a_client_that_vanished_is_cancelled() {
    let proxy = start();
    let mut client = proxy.client();
    client.send(&frame::query("SELECT pg_sleep(60)"));
    let mut direct = proxy.direct();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    wait_until(PATIENCE, || direct.value(running) == "1");
    client.vanish();
    wait_until(PATIENCE, || direct.value(running) == "0");
    assert_eq!(proxy.client().value("SELECT 1"), "1");
}
