//! Several pools over one server: their sizes, what they share, and what clients may not do for ever.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use paceline_pgproxy::{Config, Database, DatabaseUrl, Mode, PoolSnapshot};
use paceline_testkit::{Frame, RawPg, options, wait_until};
use support::{PATIENCE, Rig, sqlstates, with_roles};

/// A rig with a second database, which clients call `other`.
fn two_databases(change: impl FnOnce(&mut Config)) -> Rig {
    Rig::with(|config| {
        let other = Database {
            name: "other".into(),
            ..config.databases[0].clone()
        };
        config.databases.push(other);
        change(config);
    })
}

fn client_of(rig: &Rig, database: &str) -> RawPg {
    RawPg::login(rig.port, rig.server.user(), rig.server.password(), database)
}

/// Why a client of this database is not let in.
#[track_caller]
fn refusal(rig: &Rig, database: &str) -> Frame {
    try_client_of(rig, database).expect_err("a refusal")
}

fn try_client_of(rig: &Rig, database: &str) -> Result<RawPg, Frame> {
    let parameters = [("user", rig.server.user()), ("database", database)];
    RawPg::try_login(rig.port, &parameters, rig.server.password())
}

fn pool(rig: &Rig, database: &str) -> PoolSnapshot {
    let pools = rig.proxy.pools();
    let found = pools.iter().find(|pool| pool.database == database);
    found
        .unwrap_or_else(|| panic!("no pool of {database}: {pools:#?}"))
        .clone()
}

#[track_caller]
fn wait_for(rig: &Rig, database: &str, condition: impl Fn(&PoolSnapshot) -> bool) {
    wait_until(PATIENCE, || condition(&pool(rig, database)));
}

fn ends_with_fatal(client: &mut RawPg, sqlstate: &str) {
    let frames = client.rest();
    assert_eq!(sqlstates(&frames), [sqlstate]);
}

#[test]
fn each_database_has_a_pool_and_unknown_ones_are_refused() {
    let rig = two_databases(|config| config.databases[1].pool_size = Some(1));
    let mut one = client_of(&rig, "postgres");
    let mut other = client_of(&rig, "other");
    one.query("BEGIN");
    other.query("BEGIN");
    assert_ne!(
        one.value("SELECT pg_backend_pid()"),
        other.value("SELECT pg_backend_pid()")
    );
    assert_eq!(
        (pool(&rig, "postgres").used, pool(&rig, "other").used),
        (1, 1)
    );
    assert_eq!(
        (pool(&rig, "postgres").max, pool(&rig, "other").max),
        (Some(4), Some(1))
    );
    let refusal = refusal(&rig, "nowhere");
    assert_eq!(refusal.sqlstate().as_deref(), Some("3D000"));
}

#[test]
fn the_minimum_is_kept_open() {
    let rig = Rig::with(|config| config.pool_size_min = 2);
    rig.wait_for_pool(|pool| (pool.open, pool.idle) == (2, 2));
    let mut client = rig.client();
    client.query("SELECT 1");
    // One of the two is noticed to be dead when it is wanted; then it is replaced.
    rig.direct().query(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
         WHERE backend_type = 'client backend' AND application_name <> 'direct'",
    );
    assert_eq!(client.value("SELECT 7"), "7");
    let mut second = rig.client();
    client.query("BEGIN");
    assert_eq!(second.value("SELECT 8"), "8");
    client.query("COMMIT");
    rig.wait_for_pool(|pool| (pool.open, pool.idle) == (2, 2));
}

#[test]
fn the_reserve_is_for_those_who_have_waited() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.reserve_size = 1;
        config.reserve_after = Duration::from_millis(150);
    });
    let (mut holder, mut waiter) = (rig.client(), rig.client());
    holder.query("BEGIN");
    let since = Instant::now();
    waiter.query("BEGIN");
    assert!(
        since.elapsed() >= Duration::from_millis(150),
        "{:?}",
        since.elapsed()
    );
    let snapshot = rig.pool();
    assert_eq!(
        (snapshot.open, snapshot.max, snapshot.reserve),
        (2, Some(1), 1)
    );
    holder.query("COMMIT");
    waiter.query("COMMIT");
    rig.wait_for_pool(|pool| (pool.open, pool.idle) == (1, 1));
}

#[test]
fn under_a_common_limit_an_idle_connection_makes_room_for_another_pool() {
    let rig = two_databases(|config| config.server_connections_max = 1);
    let (mut one, mut other) = (client_of(&rig, "postgres"), client_of(&rig, "other"));
    let mut times = Vec::new();
    for _ in 0..4 {
        assert_eq!(one.value("SELECT 1"), "1");
        assert_eq!(
            (pool(&rig, "postgres").open, pool(&rig, "other").open),
            (1, 0)
        );
        let since = Instant::now();
        assert_eq!(other.value("SELECT 2"), "2");
        times.push(since.elapsed());
        assert_eq!(
            (pool(&rig, "postgres").open, pool(&rig, "other").open),
            (0, 1)
        );
    }
    // At once, not when the pools are looked through, once a second.
    let shortest = times[1..].iter().min().unwrap();
    assert!(*shortest < Duration::from_millis(500), "{times:?}");
}

#[test]
fn under_a_common_limit_nobody_starves_and_the_error_says_so() {
    let rig = two_databases(|config| {
        config.server_connections_max = 1;
        config.wait_timeout = Duration::from_millis(300);
    });
    let (mut one, mut other) = (client_of(&rig, "postgres"), client_of(&rig, "other"));
    one.query("BEGIN");
    let frames = other.query("SELECT 1");
    assert_eq!(sqlstates(&frames), ["53300"]);
    let message = frames[0].field(b'M').unwrap();
    assert!(
        message.contains("the limit over several pools is 1"),
        "{message}"
    );
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| other.value("SELECT 2"));
        wait_for(&rig, "other", |pool| pool.waiting == 1);
        one.query("COMMIT");
        assert_eq!(waiting.join().unwrap(), "2");
    });
}

/// The server lets in one session of this role, whatever the pool may open.
fn before_a_server_with_room_for_one() -> Rig {
    let roles = ["CREATE ROLE app LOGIN CONNECTION LIMIT 1"];
    Rig::before(with_roles(options(), &roles), |config| {
        let url = format!(
            "postgres://app@127.0.0.1:{}/postgres",
            config.databases[0].url.port
        );
        config.databases[0].url = DatabaseUrl::parse(&url).unwrap();
        config.wait_timeout = Duration::from_secs(15);
    })
}

#[test]
fn who_cannot_open_a_connection_gets_one_that_comes_back() {
    let rig = before_a_server_with_room_for_one();
    let login = || RawPg::login(rig.port, "app", None, "postgres");
    let (mut holder, mut waiter) = (login(), login());
    holder.query("BEGIN");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waiter.value("SELECT 5"));
        rig.wait_for_pool(|pool| pool.connect_errors_total >= 2);
        holder.query("COMMIT");
        assert_eq!(waiting.join().unwrap(), "5");
    });
    rig.wait_for_pool(|pool| (pool.open, pool.opening, pool.waiting) == (1, 0, 0));
}

#[test]
fn clients_share_what_the_server_lets_the_pool_open() {
    let rig = before_a_server_with_room_for_one();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = RawPg::login(rig.port, "app", None, "postgres");
                for _ in 0..40 {
                    assert_eq!(client.value("SELECT 1 FROM pg_sleep(0.001)"), "1");
                }
            });
        }
    });
    rig.wait_for_pool(|pool| (pool.open, pool.opening, pool.waiting) == (1, 0, 0));
}

#[test]
fn saturation_says_what_holds_the_connections() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(200);
    });
    let (mut holder, mut waiter) = (rig.client(), rig.client());
    holder.query("BEGIN");
    rig.wait_for_pool(|pool| pool.idle_in_transaction == 1);
    let frames = waiter.query("SELECT 1");
    assert_eq!(sqlstates(&frames), ["53300"]);
    assert_eq!(
        frames[0].field(b'D').unwrap(),
        "1 server connections are in use, of which 1 are idle in a transaction."
    );
    holder.query("COMMIT");
    rig.wait_for_pool(|pool| pool.idle_in_transaction == 0);
    assert_eq!(waiter.value("SELECT 1"), "1");
}

#[test]
fn a_connection_that_does_not_answer_is_replaced_without_its_client_noticing() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.check_after = Duration::ZERO;
    });
    let mut client = rig.client();
    let process: i32 = client.value("SELECT pg_backend_pid()").parse().unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    let other = client.value("SELECT pg_backend_pid()");
    rustix::process::kill_process(process, rustix::process::Signal::CONT).unwrap();
    assert_ne!(other, process.as_raw_nonzero().to_string());
    assert_eq!(
        client.value("SELECT pg_backend_pid()"),
        other,
        "this one is well"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn a_statement_that_takes_too_long_is_cancelled() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.timeouts.statement = Duration::from_millis(500);
    });
    let (mut client, mut other) = (rig.client(), rig.client());
    assert_eq!(sqlstates(&client.query("SELECT pg_sleep(30)")), ["57014"]);
    assert_eq!(client.value("SELECT 1"), "1");
    for _ in 0..2 {
        // Several in one transaction, each within its time.
        other.query("BEGIN");
        for _ in 0..4 {
            assert_eq!(sqlstates(&other.query("SELECT pg_sleep(0.15)")), [""; 0]);
        }
        other.query("COMMIT");
    }
    rig.assert_nothing_leaked();
}

#[test]
fn a_transaction_that_idles_is_rolled_back_and_its_connection_saved() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.timeouts.idle_in_transaction = Duration::from_millis(150);
    });
    rig.direct().query("CREATE TABLE t (x int)");
    let (mut client, mut other) = (rig.client(), rig.client());
    let process = other.value("SELECT pg_backend_pid()");
    client.query("BEGIN; INSERT INTO t VALUES (1)");
    ends_with_fatal(&mut client, "25P03");
    assert_eq!(other.value("SELECT count(*) FROM t"), "0");
    assert_eq!(other.value("SELECT pg_backend_pid()"), process);
    // Outside of a transaction a client may idle.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(other.value("SELECT 1"), "1");
    rig.assert_nothing_leaked();
}

#[test]
fn a_client_that_idles_is_sent_away() {
    let rig = Rig::with(|config| config.timeouts.client_idle = Duration::from_millis(200));
    let (mut idle, mut busy) = (rig.client(), rig.client());
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(500) {
        assert_eq!(busy.value("SELECT 1"), "1");
        std::thread::sleep(Duration::from_millis(20));
    }
    ends_with_fatal(&mut idle, "57P05");
    assert_eq!(busy.value("SELECT 1"), "1");
}

#[test]
fn a_database_has_no_more_clients_than_it_may() {
    let rig = two_databases(|config| config.databases[1].clients_max = Some(1));
    let first = client_of(&rig, "other");
    let refusal = refusal(&rig, "other");
    assert_eq!(refusal.sqlstate().as_deref(), Some("53300"));
    assert!(refusal.field(b'M').unwrap().contains("database \"other\""));
    let _elsewhere = client_of(&rig, "postgres");
    drop(first);
    wait_until(PATIENCE, || try_client_of(&rig, "other").is_ok());
}

#[test]
fn a_reload_changes_limits_at_once_and_loses_nobody() {
    let rig = two_databases(|config| config.pool_size = 1);
    let (mut holder, mut waiter) = (client_of(&rig, "other"), client_of(&rig, "other"));
    holder.query("BEGIN");
    let mut config = (*rig.proxy.config()).clone();
    config.databases[1].pool_size = Some(2);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| waiter.value("SELECT 5"));
        wait_for(&rig, "other", |pool| pool.waiting == 1);
        let changed = rig.proxy.reload(config.clone()).unwrap();
        assert_eq!(changed, [format!("other/{}", rig.server.user())]);
        assert_eq!(
            waiting.join().unwrap(),
            "5",
            "the raised limit holds at once"
        );
    });

    // The database goes, its clients stay.
    config.databases.truncate(1);
    assert_eq!(
        rig.proxy.reload(config.clone()).unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(holder.value("SELECT 6"), "6");
    holder.query("COMMIT");
    assert_eq!(holder.value("SELECT 7"), "7");
    let refusal = refusal(&rig, "other");
    assert_eq!(refusal.sqlstate().as_deref(), Some("3D000"));

    // Nothing changes when something is wrong.
    config.databases.clear();
    assert!(rig.proxy.reload(config).is_err());
    assert_eq!(rig.proxy.config().databases.len(), 1);
}

#[test]
fn a_reload_leads_clients_to_another_server() {
    let rig = Rig::start();
    let elsewhere = paceline_testkit::postgres();
    let port = |client: &mut RawPg| client.value("SHOW port");
    let (mut client, mut busy) = (rig.client(), rig.client());
    busy.query("BEGIN");
    assert_eq!(port(&mut client), rig.server.port().to_string());
    let mut config = (*rig.proxy.config()).clone();
    config.databases[0].url = DatabaseUrl::parse(&elsewhere.url("postgres")).unwrap();
    rig.proxy.reload(config).unwrap();
    assert_eq!(port(&mut client), elsewhere.port().to_string());
    assert_eq!(
        port(&mut busy),
        rig.server.port().to_string(),
        "the transaction goes on"
    );
    busy.query("COMMIT");
    assert_eq!(port(&mut busy), elsewhere.port().to_string());
}

#[test]
fn what_needs_a_new_start_stays_as_it_is_for_new_clients_too() {
    let rig = Rig::with(|config| config.pool_size = 1);
    let mut config = (*rig.proxy.config()).clone();
    config.mode = Mode::Observe;
    config.workers = 7;
    config.statement_bytes_max = 1024;
    rig.proxy.reload(config).unwrap();
    let backends = [rig.client(), rig.client()].map(|mut client| {
        client.query("SELECT 1");
        client.value("SELECT pg_backend_pid()")
    });
    assert_eq!(backends[0], backends[1], "they share a connection still");
    let in_force = rig.proxy.config();
    assert_eq!((in_force.mode, in_force.workers), (Mode::Transaction, 2));
    let long = format!("SELECT length('{}')", "x".repeat(2048));
    assert_eq!(rig.client().value(&long), "2048");
}

#[test]
fn the_number_of_clients_and_their_time_to_log_in_follow_a_reload() {
    let rig = Rig::with(|config| {
        config.clients_max = 1;
        config.login_timeout = Duration::from_secs(3600);
    });
    let is_refused = || {
        let mut client = RawPg::connect(rig.port);
        client.send(&paceline_testkit::frame::startup(&[
            ("user", rig.server.user()),
            ("database", "postgres"),
        ]));
        client.authenticate(rig.server.password()).is_err()
    };
    // As many as are not even heard, where one may be there.
    let clients = || rig.proxy.stats().clients_per_worker.iter().sum::<usize>();
    let silent = [RawPg::connect(rig.port), RawPg::connect(rig.port)];
    wait_until(PATIENCE, || clients() == 2);
    let mut config = (*rig.proxy.config()).clone();
    config.clients_max = 3;
    config.login_timeout = Duration::from_millis(300);
    rig.proxy.reload(config.clone()).unwrap();
    assert_eq!(rig.client().value("SELECT 1"), "1");
    let mut late = RawPg::connect(rig.port);
    assert!(late.read().sqlstate().is_some(), "it had 300 ms");
    drop((silent, late));
    wait_until(PATIENCE, || clients() == 0);
    let _first = rig.client();
    config.clients_max = 1;
    rig.proxy.reload(config).unwrap();
    assert!(is_refused());
}

#[test]
fn a_limit_that_a_reload_sets_holds_for_those_who_wait_already() {
    let rig = Rig::start();
    let (mut idle, mut busy) = (rig.client(), rig.client());
    busy.query("BEGIN");
    idle.query("SELECT 1");
    let mut config = (*rig.proxy.config()).clone();
    config.timeouts.client_idle = Duration::from_millis(100);
    config.timeouts.idle_in_transaction = Duration::from_secs(3600);
    rig.proxy.reload(config.clone()).unwrap();
    ends_with_fatal(&mut idle, "57P05");
    // And another one counts from where the waiting began.
    config.timeouts.idle_in_transaction = Duration::from_millis(1);
    rig.proxy.reload(config).unwrap();
    ends_with_fatal(&mut busy, "25P03");
}

#[test]
fn connections_beyond_a_lowered_bound_are_closed() {
    let rig = Rig::start();
    let mut clients = [rig.client(), rig.client(), rig.client()];
    for client in &mut clients {
        client.query("BEGIN");
    }
    for client in &mut clients[1..] {
        client.query("COMMIT");
    }
    rig.wait_for_pool(|pool| (pool.used, pool.idle) == (1, 2));
    let mut config = (*rig.proxy.config()).clone();
    config.server_connections_max = 2;
    rig.proxy.reload(config.clone()).unwrap();
    assert_eq!((rig.pool().used, rig.pool().idle), (1, 1));
    config.server_connections_max = 0;
    config.lifetime_max = Duration::from_millis(1);
    rig.proxy.reload(config).unwrap();
    rig.wait_for_pool(|pool| (pool.used, pool.idle) == (1, 0));
}
