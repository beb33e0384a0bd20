//! What one client does, however odd, is not felt by the next one on the same server connection, nor by itself later.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

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
    let config = proxy.proxy.config();
    let database = config.main_url();
    let mut all = vec![
        ("user", database.user.as_str()),
        ("database", &database.database),
    ];
    all.extend(parameters);
    RawPg::try_login(proxy.port, &all, database.password.as_deref()).unwrap()
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
fn literals_mean_what_they_mean_under_the_clients_own_settings() {
    let proxy = start();
    let sql = "SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::int8";
    let mut utc = client_with(&proxy, &[("TimeZone", "UTC")]);
    let mut tokyo = client_with(&proxy, &[("TimeZone", "Asia/Tokyo")]);
    assert_eq!(value(&run(&mut utc, "s", sql)), "1577836800");
    assert_eq!(value(&run(&mut tokyo, "s", sql)), "1577804400");
    assert_eq!(value(&run(&mut utc, "t", sql)), "1577836800");
}

#[test]
fn literals_read_under_local_settings_are_nobody_elses() {
    let proxy = start();
    let sql = "SELECT extract(epoch FROM timestamptz '2020-01-01 00:00')::int8";
    let (mut one, mut other) = (proxy.client(), proxy.client());
    one.query("BEGIN");
    one.query("SET LOCAL TimeZone = 'Asia/Tokyo'");
    assert_eq!(value(&run(&mut one, "s", sql)), "1577804400");
    one.query("COMMIT");
    other.query("BEGIN");
    other.query("SET LOCAL TimeZone = 'UTC'");
    assert_eq!(value(&run(&mut other, "s", sql)), "1577836800");
    other.query("COMMIT");
    one.query("BEGIN");
    one.query("SET LOCAL TimeZone = 'Asia/Tokyo'");
    assert_eq!(value(&run(&mut one, "t", sql)), "1577804400");
    one.query("COMMIT");
}

#[test]
fn names_given_behind_deallocate_all_are_good() {
    let proxy = start();
    let mut client = proxy.client();
    run(&mut client, "s", "SELECT 1");
    for deallocate in ["DEALLOCATE ALL", "DISCARD ALL"] {
        let pipeline = [
            frame::query(deallocate),
            frame::parse("s", "SELECT 1", &[]),
            frame::bind("", "s", &[]),
            frame::execute("", 0),
            frame::sync(),
        ];
        send(&mut client, &pipeline);
        assert_eq!(tags(&client.read_until_ready()).replace('S', ""), "CZ");
        assert_eq!(tags(&client.read_until_ready()), "12DCZ", "{deallocate}");
    }
    let pipeline = [
        frame::parse("", "DEALLOCATE ALL", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::parse("s", "SELECT 1", &[]),
        frame::bind("", "s", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut client, &pipeline);
    assert_eq!(tags(&client.read_until_ready()), "12C12DCZ");
    send(
        &mut client,
        &[
            frame::bind("", "s", &[]),
            frame::execute("", 0),
            frame::sync(),
        ],
    );
    assert_eq!(tags(&client.read_until_ready()), "2DCZ");
}

#[test]
fn a_function_that_deallocates_is_got_over() {
    let proxy = start();
    let (mut one, mut other) = (proxy.client(), proxy.client());
    one.query("CREATE FUNCTION forget() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END $$");
    assert_eq!(value(&run(&mut other, "s", "SELECT 2")), "2");
    one.query("SELECT forget()");
    let again = [
        frame::bind("", "s", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut other, &again);
    other.read_until_ready();
    send(&mut other, &again);
    assert_eq!(value(&other.read_until_ready()), "2");
}

#[test]
fn startup_parameters_outlive_discard_all() {
    let proxy = start();
    let mut client = client_with(&proxy, &[("TimeZone", "Asia/Tokyo")]);
    let told = |frames: &[Frame]| {
        let all = frames.iter().filter(|frame| frame.tag == b'S');
        let mut told = all.map(|frame| String::from_utf8_lossy(&frame.body).replace('\0', " "));
        told.rfind(|told| told.starts_with("TimeZone"))
    };
    let mut frames = client.query("DISCARD ALL");
    frames.extend(client.query("SHOW TimeZone"));
    assert_eq!(value(&frames), "Asia/Tokyo");
    assert_eq!(
        told(&frames).as_deref().unwrap_or("TimeZone Asia/Tokyo "),
        "TimeZone Asia/Tokyo "
    );
    client.query("SET work_mem = '5MB'");
    let mut frames = client.query("DISCARD ALL");
    frames.extend(client.query("SHOW TimeZone"));
    assert_eq!(value(&frames), "Asia/Tokyo", "with session state");
    assert_eq!(
        told(&frames).as_deref().unwrap_or("TimeZone Asia/Tokyo "),
        "TimeZone Asia/Tokyo "
    );
}

#[test]
fn a_client_that_does_not_read_is_not_answered_without_end() {
    let proxy = start();
    let mut client = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    let config = proxy.proxy.config();
    let database = config.main_url();
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
fn what_a_forgotten_portal_runs_is_not_taken_for_harmless() {
    let proxy = start();
    let (mut one, mut other) = (proxy.client(), proxy.client());
    one.query("BEGIN");
    let bind = [
        frame::parse("s", "SET work_mem = '77MB'", &[]),
        frame::bind("p", "s", &[]),
        frame::sync(),
    ];
    send(&mut one, &bind);
    assert_eq!(tags(&one.read_until_ready()), "12Z");
    one.query("SELECT 1");
    send(&mut one, &[frame::execute("p", 0), frame::sync()]);
    assert_eq!(tags(&one.read_until_ready()), "CZ");
    one.query("COMMIT");
    drop(one);
    assert_ne!(other.value("SHOW work_mem"), "77MB");
}

#[test]
fn settings_with_odd_names_do_no_harm_to_the_next_client() {
    let proxy = start();
    let mut odd = client_with(&proxy, &[("options", "-c a.select=1")]);
    assert_eq!(odd.value("SHOW a.\"select\""), "1");
    assert_eq!(proxy.client().value("SELECT 1"), "1");
}

#[test]
fn a_deallocate_that_another_client_said_is_no_obstacle() {
    let proxy = start();
    let (mut one, mut other) = (proxy.client(), proxy.client());
    let missing = run(&mut one, "", "DEALLOCATE s1");
    assert_eq!(tags(&missing), "12EZ");
    run(&mut other, "s1", "SELECT 1");
    assert_eq!(tags(&run(&mut other, "", "DEALLOCATE s1")), "12CZ");
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

#[test]
fn a_sync_behind_a_copy_in_a_pipeline_is_not_counted() {
    let proxy = start();
    let mut direct = proxy.direct();
    direct.query("CREATE TABLE copied (id int)");
    direct.query("BEGIN");
    direct.query("LOCK TABLE copied");
    let mut client = proxy.client();
    let pipeline = [
        frame::parse("", "SELECT 1", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::flush(),
        frame::parse("", "COPY copied FROM STDIN", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ];
    send(&mut client, &pipeline);
    let first: Vec<Frame> = (0..4).map(|_| client.read()).collect();
    assert_eq!(tags(&first), "12DC");
    direct.query("COMMIT");
    let ready: Vec<Frame> = (0..3).map(|_| client.read()).collect();
    assert_eq!(tags(&ready), "12G");
    let copy = [
        frame::message(b'd', b"7\n"),
        frame::message(b'c', b""),
        frame::sync(),
    ];
    send(&mut client, &copy);
    assert_eq!(tags(&client.read_until_ready()), "CZ");
    assert_eq!(proxy.client().value("SELECT id FROM copied"), "7");
}
