//! The pool under many clients: nobody loses more than its own transaction, nobody overtakes, nobody inherits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use paceline_testkit::{RawPg, frame, wait_until};
use support::{Bystander, Over, PATIENCE, POOLED, Rig, read_answer, sqlstates, tags};

#[test]
fn terminating_server_connections_under_load_costs_at_most_their_own_transactions() {
    const CLIENTS: usize = 32;
    const KILLS: usize = 5;
    let rig = Rig::with(|config| config.pool_size = 10);
    rig.direct()
        .query("CREATE TABLE done (client int, turn int)");
    let (failures, successes, is_over) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (rig, failures, successes, is_over) = (&rig, &failures, &successes, &is_over);
            scope.spawn(move || {
                let mut client = rig.client();
                let mut turn = 0;
                while !is_over.load(Ordering::Relaxed) {
                    turn += 1;
                    let sql = format!(
                        "INSERT INTO done VALUES ({number}, {turn}); SELECT {number} * 1000000 + {turn}"
                    );
                    let frames = read_answer(&mut client, &sql);
                    let expected = (number * 1_000_000 + turn).to_string();
                    match frames.iter().find(|frame| frame.tag == b'D') {
                        Some(row) if sqlstates(&frames).is_empty() => {
                            assert_eq!(row.values(), [Some(expected)], "an answer of somebody else");
                            successes.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => {
                            let codes = sqlstates(&frames);
                            let is_told = |code: &str| code == "57P01" || code == "08006";
                            assert!(matches!(codes.as_slice(), [code] if is_told(code)), "{codes:?}");
                            failures.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    if frames.last().is_none_or(|frame| frame.tag != b'Z') {
                        client = rig.client();
                    }
                }
            });
        }
        let _over = Over(&is_over);
        let mut direct = rig.direct();
        let progress = |more: usize| {
            let goal = successes.load(Ordering::Relaxed) + more;
            wait_until(PATIENCE, || successes.load(Ordering::Relaxed) >= goal);
        };
        for _ in 0..KILLS {
            progress(200);
            let killed = direct.rows(&format!(
                "SELECT pg_terminate_backend(pid, 10000) FROM {POOLED} LIMIT 1"
            ));
            assert_eq!(killed, [[Some("t".to_owned())]]);
            assert!(failures.load(Ordering::Relaxed) <= KILLS);
        }
        progress(500);
    });
    let (failures, successes) = (failures.into_inner(), successes.into_inner());
    assert!(
        failures <= KILLS,
        "{failures} transactions failed for {KILLS} server connections"
    );
    let done: usize = rig
        .direct()
        .value("SELECT count(*) FROM done")
        .parse()
        .unwrap();
    // A transaction whose server connection died may or may not have been committed just before.
    assert!(
        (successes..=successes + failures).contains(&done),
        "{successes} + {failures} against {done}"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn the_pool_is_never_exceeded() {
    let rig = Rig::with(|config| config.pool_size = 3);
    let (is_over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut direct = rig.direct();
            let sql = format!("SELECT count(*) FROM {POOLED}");
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(direct.value(&sql).parse().unwrap());
                looks.fetch_add(1, Ordering::Relaxed);
            }
            most
        });
        let work = || {
            let mut count = 0;
            while count < 30 || looks.load(Ordering::Relaxed) < 20 {
                count += 1;
                // A session for each transaction, so that connections come and go on both sides.
                assert_eq!(rig.client().value("SELECT 1 FROM pg_sleep(0.001)"), "1");
            }
        };
        let clients: Vec<_> = (0..12).map(|_| scope.spawn(work)).collect();
        let ended: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a client failed");
        let most: usize = watcher.join().unwrap();
        assert!(
            (1..=3).contains(&most),
            "{most} server connections in a pool of 3"
        );
    });
    rig.assert_nothing_leaked();
}

#[test]
fn clients_are_served_in_the_order_of_their_arrival_over_all_workers() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.workers = 3;
        config.wait_timeout = PATIENCE;
    });
    rig.direct()
        .query("CREATE TABLE served (place serial, client int)");
    let holder = Bystander::enter(&rig);
    let mut clients: Vec<RawPg> = (0..12).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&frame::query(&format!(
            "INSERT INTO served (client) VALUES ({number})"
        )));
        rig.wait_for_queue(number + 1);
    }
    holder.leave();
    for client in &mut clients {
        assert_eq!(tags(&client.read_until_ready()), "CZ");
    }
    let order = rig
        .direct()
        .value("SELECT string_agg(client::text, ' ' ORDER BY place) FROM served");
    assert_eq!(order, "0 1 2 3 4 5 6 7 8 9 10 11");
    rig.assert_nothing_leaked();
}

#[test]
fn a_wait_that_is_too_long_ends_with_53300_and_the_session_goes_on() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(200);
    });
    let holder = Bystander::enter(&rig);
    let mut client = rig.client();
    let told = client.query("SELECT 1");
    assert_eq!(sqlstates(&told), ["53300"]);
    let message = String::from_utf8_lossy(&told[0].body).into_owned();
    assert!(
        message.contains("all are in use (pool_size is 1), and no other client waits"),
        "{message}"
    );
    assert!(rig.pool().waits.quantile(1.0) >= Some(Duration::from_millis(200)));
    // The extended protocol: one error for the whole batch, then in step at Sync.
    let batch = [
        frame::parse("", "SELECT 1", &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        b"S\0\0\0\x04".to_vec(),
    ];
    client.send(&batch.concat());
    let frames = client.read_until_ready();
    assert_eq!(
        (sqlstates(&frames), tags(&frames).matches('Z').count()),
        (vec!["53300".to_owned()], 1)
    );
    assert!(!tags(&frames).contains('D'), "{}", tags(&frames));
    holder.leave();
    assert_eq!(client.value("SELECT 2"), "2");
    client.send(&batch.concat());
    assert_eq!(tags(&client.read_until_ready()), "12DCZ");
    assert_eq!(
        rig.proxy
            .pools()
            .iter()
            .map(|pool| pool.wait_timeouts_total)
            .sum::<u64>(),
        2
    );
    rig.assert_nothing_leaked();
}

#[test]
fn what_a_vanished_client_left_behind_is_stopped_before_its_place_is_given_on() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = PATIENCE;
    });
    let asleep = format!("SELECT count(*) FROM {POOLED} AND query LIKE '%pg_sleep(600)%'");
    let mut direct = rig.direct();
    // The second one begins when the first is stopped.
    let batch = [
        frame::query("SELECT pg_sleep(600)"),
        frame::query("SELECT 1, pg_sleep(600)"),
    ];
    let mut client = rig.client();
    client.send(&batch.concat());
    wait_until(PATIENCE, || direct.value(&asleep) == "1");
    drop(client);
    let others = format!("{asleep} AND pid <> pg_backend_pid()");
    assert_eq!(rig.client().value(&others), "0");
    rig.assert_nothing_leaked();
}

#[test]
fn nothing_of_a_session_is_left_to_the_next_client() {
    let rig = Rig::with(|config| config.pool_size = 1);
    rig.direct().query(
        "CREATE ROLE other; CREATE FUNCTION hidden_set() RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM set_config('work_mem', '123kB', false); END $$",
    );
    let rows: &[(&str, &str)] = &[
        ("SET search_path = nowhere", "SHOW search_path"),
        ("SET work_mem = '123kB'", "SHOW work_mem"),
        (
            "SELECT set_config('work_mem', '123kB', false)",
            "SHOW work_mem",
        ),
        (
            "DO $$ BEGIN PERFORM set_config('work_mem', '123kB', false); END $$",
            "SHOW work_mem",
        ),
        ("BEGIN; SET work_mem = '123kB'; COMMIT", "SHOW work_mem"),
        ("SET ROLE other", "SELECT current_user"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SHOW default_transaction_read_only",
        ),
        ("SET application_name = 'mine'", "SHOW application_name"),
        (
            "CREATE TEMPORARY TABLE mine (n int)",
            "SELECT to_regclass('mine') IS NULL",
        ),
        (
            "CREATE TEMP VIEW mine AS SELECT 1",
            "SELECT to_regclass('mine') IS NULL",
        ),
        (
            "SELECT 1 AS n INTO TEMP mine",
            "SELECT to_regclass('mine') IS NULL",
        ),
        (
            "PREPARE mine AS SELECT 1",
            "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
        ),
        (
            "LISTEN mine",
            "SELECT count(*) FROM pg_listening_channels()",
        ),
        (
            "SELECT pg_advisory_lock(42)",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ),
        (
            "BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; COMMIT",
            "SELECT count(*) FROM pg_cursors",
        ),
        (
            "BEGIN; INSERT INTO missing VALUES (1)",
            "SELECT now() = statement_timestamp()",
        ),
        ("BEGIN", "SELECT now() = statement_timestamp()"),
    ];
    for (act, look) in rows {
        let before = rig.client().value(look);
        let mut client = rig.client();
        client.query(act);
        client.send(b"X\0\0\0\x04");
        drop(client);
        assert_eq!(rig.client().value(look), before, "after {act}");
    }
    // What nobody has seen is not left behind while the client stays, either.
    let mut client = rig.client();
    let before = client.value("SHOW work_mem");
    client.query("SELECT hidden_set()");
    assert_eq!(rig.client().value("SHOW work_mem"), before);
    rig.assert_nothing_leaked();
}

#[test]
fn session_state_stays_with_its_client_while_others_work() {
    let rig = Rig::with(|config| {
        config.pool_size = 2;
        config.wait_timeout = Duration::from_millis(200);
    });
    let (mut keeper, mut other, mut third) = (rig.client(), rig.client(), rig.client());
    keeper.query("SET work_mem = '123kB'");
    keeper.query("CREATE TEMPORARY TABLE mine (n int); INSERT INTO mine VALUES (5)");
    for _ in 0..20 {
        assert_ne!(other.value("SHOW work_mem"), "123kB");
        assert_eq!(keeper.value("SHOW work_mem"), "123kB");
        assert_eq!(keeper.value("SELECT n FROM mine"), "5");
    }
    // Its connection is its own, also while somebody else has none.
    other.query("BEGIN");
    assert_eq!(sqlstates(&third.query("SELECT 1")), ["53300"]);
    assert_eq!(keeper.value("SELECT n FROM mine"), "5");
    drop((keeper, other, third));
    rig.assert_nothing_leaked();
}

#[test]
fn startup_parameters_follow_their_client() {
    let rig = Rig::with(|config| config.pool_size = 1);
    let with = |parameters: &[(&str, &str)]| {
        let ours = [("user", "postgres"), ("database", "postgres")];
        RawPg::try_login(rig.port, &[&ours[..], parameters].concat(), None).unwrap()
    };
    let mut paris = with(&[("TimeZone", "Europe/Paris"), ("application_name", "a")]);
    let mut tokyo = with(&[("TimeZone", "Asia/Tokyo"), ("DateStyle", "SQL, DMY")]);
    let mut plain = rig.client();
    for _ in 0..3 {
        assert_eq!(paris.value("SHOW TimeZone"), "Europe/Paris");
        assert_eq!(tokyo.value("SHOW TimeZone"), "Asia/Tokyo");
        assert_eq!(tokyo.value("SELECT date '2024-12-31'"), "31/12/2024");
        assert_eq!(plain.value("SHOW TimeZone"), "UTC");
        assert_eq!(plain.value("SELECT date '2024-12-31'"), "2024-12-31");
        assert_eq!(paris.value("SHOW application_name"), "a");
    }
    rig.assert_nothing_leaked();
}

#[test]
fn named_statements_follow_their_client_over_server_connections() {
    let rig = Rig::with(|config| {
        config.pool_size = 2;
        config.prepared_statements_max = 3; // Fewer than there are texts, so that some must be prepared again.
    });
    let mut clients: Vec<RawPg> = (0..6).map(|_| rig.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let text = format!("SELECT {number} * 100 + $1::int");
        client.send(&[frame::parse("mine", &text, &[]), b"S\0\0\0\x04".to_vec()].concat());
        assert_eq!(tags(&client.read_until_ready()), "1Z");
    }
    let run = |client: &mut RawPg, turn: usize| {
        let batch = [
            frame::bind("", "mine", &[Some(&turn.to_string())]),
            frame::describe(b'P', ""),
            frame::execute("", 0),
            b"S\0\0\0\x04".to_vec(),
        ];
        client.send(&batch.concat());
        client.read_until_ready()
    };
    // One client sits in a transaction, so that the others take turns on the one server connection that is left.
    for turn in 0..10 {
        let (sitting, free) = clients.split_at_mut(1);
        sitting[0].query("BEGIN");
        assert_eq!(
            run(&mut sitting[0], turn)[2].values(),
            [Some(turn.to_string())]
        );
        for (number, client) in free.iter_mut().enumerate() {
            let frames = run(client, turn);
            assert_eq!(tags(&frames), "2TDCZ", "client {number}, turn {turn}");
            assert_eq!(
                frames[2].values(),
                [Some(((number + 1) * 100 + turn).to_string())]
            );
        }
        sitting[0].query("COMMIT");
    }
    // Closed is closed, and only for the one who closed it.
    clients[0].send(&[frame::message(b'C', b"Smine\0"), b"S\0\0\0\x04".to_vec()].concat());
    assert_eq!(tags(&clients[0].read_until_ready()), "3Z");
    assert_eq!(sqlstates(&run(&mut clients[0], 1)), ["26000"]);
    assert_eq!(
        run(&mut clients[1], 1)[2].values(),
        [Some("101".to_owned())]
    );
    // The same name twice is refused, as the server would.
    clients[1].send(
        &[
            frame::parse("mine", "SELECT 1", &[]),
            b"S\0\0\0\x04".to_vec(),
        ]
        .concat(),
    );
    assert_eq!(sqlstates(&clients[1].read_until_ready()), ["42P05"]);
    rig.assert_nothing_leaked();
}

#[test]
fn a_statement_that_failed_to_prepare_does_not_exist() {
    let rig = Rig::start();
    let mut client = rig.client();
    let sync = b"S\0\0\0\x04".to_vec();
    client.send(&[frame::parse("bad", "SELEKT 1", &[]), sync.clone()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["42601"]);
    client.send(
        &[
            frame::bind("", "bad", &[]),
            frame::execute("", 0),
            sync.clone(),
        ]
        .concat(),
    );
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    // The name is free, and in a batch after an error a Parse is skipped.
    let skipped = [
        frame::bind("", "bad", &[]),
        frame::parse("later", "SELECT 1", &[]),
        sync.clone(),
        frame::bind("", "later", &[]),
        sync.clone(),
        frame::parse("bad", "SELECT 'good'", &[]),
        frame::bind("", "bad", &[]),
        frame::execute("", 0),
        sync,
    ];
    client.send(&skipped.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    assert_eq!(tags(&client.read_until_ready()), "12DCZ");
    rig.assert_nothing_leaked();
}
