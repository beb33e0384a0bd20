//! Clients move money while server sessions are terminated, the server is restarted, sockets are cut in the middle of a message on
//! either side, clients vanish and cancels fly. Afterwards the balances add up, every commit that was acknowledged is there, none is
//! there that a client was told has failed, and no client ever saw another's rows or settings, or was hit by another's cancel.
//!
//! `PACELINE_CHAOS_SEED` and `PACELINE_CHAOS_SECONDS` choose another storm (`make chaos`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "chaos/relay.rs"]
mod relay;
mod support;
#[path = "chaos/teller.rs"]
mod teller;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use paceline_testkit::{PrivatePostgres, RawPg, Signal, frame, options, wait_until};
use relay::Relay;
use support::{Over, PATIENCE};
use teller::{ACCOUNTS, Outcome, Teller};

const TELLERS: usize = 30;
const POOL_SIZE: usize = 6;
const BALANCE: u32 = 1000;

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

#[test]
fn money_is_neither_made_nor_lost_in_a_storm() {
    let seed = number_of("PACELINE_CHAOS_SEED", 1);
    let duration = Duration::from_secs(number_of("PACELINE_CHAOS_SECONDS", 12));
    // A commit is written down before it is acknowledged, so that it outlives the server's processes.
    let mut options = options();
    for name in ["synchronous_commit", "full_page_writes"] {
        options.settings.push((name.to_owned(), "on".to_owned()));
    }
    let mut server = PrivatePostgres::start(options).unwrap();
    set_up(&server);
    let behind = Relay::to(server.port());
    let mut config = support::config(&format!(
        "postgres://postgres@127.0.0.1:{}/postgres",
        behind.port
    ));
    config.pool_size = POOL_SIZE;
    let serving = support::serve(config);
    let before = Relay::to(serving.port);

    let is_over = AtomicBool::new(false);
    let work = |number| {
        let mut teller = Teller::new(number, before.port, seed);
        while !is_over.load(Ordering::Relaxed) {
            teller.take_turn();
        }
        teller.leave();
        teller
    };
    let tellers: Vec<Teller> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..TELLERS)
            .map(|number| {
                scope.spawn({
                    let work = &work;
                    move || work(number)
                })
            })
            .collect();
        let storm = Over(&is_over);
        rage(&mut server, [&behind, &before], seed, duration);
        drop(storm);
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    check_rest(&serving, &server);
    check_ledgers(&server, &tellers);
    check_balances(&server);
    // The storm was one, and business went on in it.
    let told: usize = tellers.iter().map(|teller| teller.told).sum();
    let cancelled: usize = tellers.iter().map(|teller| teller.cancelled).sum();
    assert!(
        told > 20 && cancelled > 0,
        "{told} errors, {cancelled} cancels"
    );
}

fn set_up(server: &PrivatePostgres) {
    support::direct(server).rows(&format!(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
         CREATE TABLE transfers (tag text PRIMARY KEY, source int, target int, amount int, teller int);
         INSERT INTO accounts SELECT g, {BALANCE} FROM generate_series(0, {ACCOUNTS} - 1) g"
    ));
}

/// The storm.
fn rage(server: &mut PrivatePostgres, relays: [&Relay; 2], seed: u64, duration: Duration) {
    let mut random = Rng::with_seed(seed);
    let end = Instant::now() + duration;
    while Instant::now() < end {
        // How often things happen is what this test is about, so there is nothing to wait for.
        std::thread::sleep(Duration::from_millis(random.u64(10..120)));
        match random.u8(0..40) {
            0 => server.restart().unwrap(),
            1 => {
                server.kill();
                server.restart().unwrap();
            }
            2 => {
                server.signal(Signal::Stop);
                std::thread::sleep(Duration::from_millis(200));
                server.signal(Signal::Continue);
            }
            3..15 => relays[0].cut_one(&mut random),
            15..25 => relays[1].cut_one(&mut random),
            _ => terminate_one(server),
        }
    }
}

fn terminate_one(server: &PrivatePostgres) {
    support::direct(server).rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' \
         AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
    );
}

/// The pool is as it was: nobody holds or awaits a place, and a client is served at once.
fn check_rest(serving: &support::Serving, server: &PrivatePostgres) {
    let is_at_rest = || {
        serving
            .proxy
            .pools()
            .iter()
            .all(|pool| pool.used + pool.opening + pool.waiting == 0)
    };
    wait_until(PATIENCE, is_at_rest);
    // As many transactions at once as there are places.
    let mut clients: Vec<RawPg> = (0..POOL_SIZE)
        .map(|_| RawPg::login(serving.port, "postgres", None, "postgres"))
        .collect();
    for client in &mut clients {
        let frames = client.query("BEGIN; SELECT 1");
        assert_eq!(support::sqlstates(&frames), [""; 0]);
    }
    for client in &mut clients {
        client.query("COMMIT");
        client.send(&frame::terminate());
    }
    wait_until(PATIENCE, is_at_rest);
    let open: usize = serving.proxy.pools().iter().map(|pool| pool.open).sum();
    assert!(open <= POOL_SIZE, "{open} server connections");
    let sql = format!("SELECT count(*) FROM {}", support::POOLED);
    let mut direct = support::direct(server);
    wait_until(PATIENCE, || {
        direct.value(&sql).parse::<usize>().unwrap() <= open
    });
}

fn check_ledgers(server: &PrivatePostgres, tellers: &[Teller]) {
    let rows = support::direct(server).rows("SELECT tag FROM transfers");
    let there: HashSet<String> = rows.into_iter().flatten().flatten().collect();
    let (mut committed, mut unknown) = (0, 0);
    for transfer in tellers.iter().flat_map(|teller| &teller.ledger) {
        let is_there = there.contains(&transfer.tag);
        match transfer.outcome {
            Outcome::Committed => {
                committed += 1;
                assert!(is_there, "{} was acknowledged and is lost", transfer.tag);
            }
            Outcome::Failed => assert!(!is_there, "{} failed and is there", transfer.tag),
            Outcome::Unknown => unknown += 1,
        }
    }
    assert!(
        committed > 100 && unknown < committed,
        "{committed} committed, {unknown} unknown"
    );
}

fn check_balances(server: &PrivatePostgres) {
    let mut direct = support::direct(server);
    let total = direct.value("SELECT sum(balance) FROM accounts");
    assert_eq!(total, (ACCOUNTS * BALANCE).to_string());
    let sql = format!(
        "SELECT count(*) FROM accounts a WHERE balance <> {BALANCE}
         - coalesce((SELECT sum(amount) FROM transfers WHERE source = a.id), 0)
         + coalesce((SELECT sum(amount) FROM transfers WHERE target = a.id), 0)"
    );
    assert_eq!(
        direct.value(&sql),
        "0",
        "accounts that the transfers do not explain"
    );
}
