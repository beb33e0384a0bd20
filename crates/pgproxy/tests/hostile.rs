//! Peers that break, lie, stall and vanish. Each test asserts three things: the connection concerned ends with a proper error, a
//! bystander in the middle of a transaction notices nothing, and no server connection leaks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use paceline_testkit::{PrivatePostgres, RawPg, Signal, frame, wait_until};
use support::child::{ProxyProcess, be_the_proxy_if_told};
use support::{Bystander, PATIENCE, POOLED, Rig, sqlstates, tags};

/// Rows that the server could send for minutes.
const ENDLESS: &str = "SELECT repeat('x', 1000), generate_series(1, 100000000)";

#[test]
fn garbage_instead_of_a_startup_packet() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let version_2 = [&[0, 0, 0, 9][..], &[0, 2, 0, 0], b"\0"].concat();
    let no_user = frame::startup(&[("database", "postgres")]);
    let no_end = [&[0, 0, 0, 12][..], &[0, 3, 0, 0], b"user"].concat();
    let bad_cancel = [&[0, 0, 0, 10][..], &80_877_102_u32.to_be_bytes(), b"ab"].concat();
    // What each is answered with before the end: nothing, or one error with one of these codes.
    let rows: &[(&[u8], &[&str])] = &[
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["08P01"]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &["08P01"]),
        (&[0; 64], &["08P01"]),
        (&[0xff; 64], &["08P01"]),
        (&[0, 0, 0, 7, 0, 0, 0], &["08P01"]),
        (&[0, 0, 0x27, 0x15, 0, 3, 0, 0], &["08P01"]),
        (&version_2, &["0A000"]),
        (&no_user, &["28000", "08P01"]),
        (&no_end, &["08P01"]),
        (&bad_cancel, &["08P01"]),
    ];
    for (bytes, codes) in rows {
        let mut client = RawPg::connect(rig.port);
        client.send(bytes);
        let frames = client.rest();
        for sqlstate in sqlstates(&frames) {
            assert!(codes.contains(&sqlstate.as_str()), "{bytes:?}: {sqlstate}");
        }
        assert!(frames.len() <= 1, "{bytes:?}: {frames:?}");
    }
    // Encryption is asked for twice, then garbage.
    let mut client = RawPg::connect(rig.port);
    client.send(&frame::ssl_request());
    assert_eq!(client.read_byte(), b'N');
    client.send(&[0xff; 16]);
    client.rest();
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn a_client_that_never_finishes_its_login_is_turned_away() {
    let rig = Rig::with(|config| config.login_timeout = Duration::from_millis(300));
    let mut bystander = Bystander::enter(&rig);
    let startup = frame::startup(&[("user", "postgres"), ("database", "postgres")]);
    for sent in [&b""[..], &startup[..3], &startup[..startup.len() - 1]] {
        let mut client = RawPg::connect(rig.port);
        client.send(sent);
        client.rest();
    }
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn garbage_and_lying_lengths_within_a_session() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let rows: &[(&str, &[u8])] = &[
        ("a byte that is no message type", b"!"),
        ("a type that only servers send", b"Z\0\0\0\x05I"),
        (
            "random bytes",
            b"\x93\x17\xfe\x00\x42\x80\xff\x01\x7f\x33\x00\x00",
        ),
        ("a length of 0", b"Q\0\0\0\0"),
        ("a length of 3", b"Q\0\0\0\x03"),
        ("a negative length", b"Q\xff\xff\xff\xffSELECT 1\0"),
        ("a length of 2 GiB", b"P\x7f\xff\xff\xff"),
        ("a Sync of a megabyte", b"S\0\x10\0\0"),
    ];
    for (name, bytes) in rows {
        for before in ["", "BEGIN", "BEGIN; SELECT 1"] {
            let mut client = rig.client();
            if !before.is_empty() {
                client.query(before);
            }
            client.send(bytes);
            let frames = client.rest();
            assert_eq!(sqlstates(&frames), ["08P01"], "{name} after '{before}'");
            assert_eq!(
                frames.last().unwrap().field(b'V').as_deref(),
                Some("FATAL"),
                "{name}"
            );
        }
    }
    bystander.assert_untouched();
    rig.assert_held(1);
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn a_statement_above_the_limit_is_refused_and_the_session_goes_on() {
    let rig = Rig::with(|config| config.statement_bytes_max = 100_000);
    let long = format!("SELECT 1 /* {} */", "x".repeat(300_000));
    let sync = b"S\0\0\0\x04".to_vec();
    for before in ["SELECT 1", "BEGIN"] {
        let mut client = rig.client();
        client.query(before);
        assert_eq!(sqlstates(&client.query(&long)), ["54000"], "after {before}");
        client.query("ROLLBACK");
        let batch = [
            frame::parse("", &long, &[]),
            frame::bind("", "", &[]),
            sync.clone(),
        ];
        client.send(&batch.concat());
        assert_eq!(
            sqlstates(&client.read_until_ready()),
            ["54000"],
            "after {before}"
        );
        assert_eq!(client.value("SELECT 2"), "2");
    }
    rig.assert_nothing_leaked();
}

#[test]
fn malformed_bodies_within_a_session() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let rows: &[(&str, u8, &[u8])] = &[
        ("a Query without its end", b'Q', b"SELECT 1"),
        ("a Query with two ends", b'Q', b"SELECT 1\0\0"),
        ("a Parse without types", b'P', b"s\0SELECT 1\0"),
        (
            "a Parse that lies about its types",
            b'P',
            b"s\0SELECT 1\0\x7f\xff",
        ),
        ("a Bind without names", b'B', b"no end"),
        ("a Bind without parameters", b'B', b"\0\0"),
        (
            "a Bind that lies about its parameters",
            b'B',
            b"\0\0\0\0\x7f\xff\0\0",
        ),
        ("a Describe of neither", b'D', b"X\0"),
        ("a Close without a name", b'C', b"S"),
        ("an Execute without a limit", b'E', b"\0"),
    ];
    for (name, tag, body) in rows {
        let mut client = rig.client();
        client.send(&frame::message(*tag, body));
        // Either the session has ended, or the error is answered like any other and Sync brings both in step again.
        client.try_send(b"S\0\0\0\x04").ok();
        let mut frames = Vec::new();
        while !frames
            .iter()
            .any(|frame: &paceline_testkit::Frame| frame.tag == b'Z')
        {
            match client.try_read() {
                Ok(frame) => frames.push(frame),
                Err(_) => break,
            }
        }
        let found = sqlstates(&frames);
        let is_told =
            matches!(found.as_slice(), [code] if ["08P01", "26000"].contains(&code.as_str()));
        assert!(is_told, "{name}: {found:?} in {}", tags(&frames));
        if frames.last().is_some_and(|frame| frame.tag == b'Z') {
            if *tag == b'Q' {
                client.read_until_ready(); // of the Sync
            }
            assert_eq!(client.value("SELECT 7"), "7", "{name}");
        }
    }
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

/// Brings a client into some state and gives it back to be dropped there.
type Approach = (&'static str, fn(&Rig) -> RawPg);

const APPROACHES: &[Approach] = &[
    ("idle", |rig| rig.client()),
    ("in a transaction", |rig| {
        let mut client = rig.client();
        client.query("BEGIN; CREATE TABLE IF NOT EXISTS never (n int)");
        client
    }),
    ("after half a message", |rig| {
        let mut client = rig.client();
        client.send(&frame::query("SELECT 12345")[..9]);
        client
    }),
    ("after half a message in a transaction", |rig| {
        let mut client = rig.client();
        client.query("BEGIN");
        client.send(&frame::query("SELECT 12345")[..9]);
        client
    }),
    ("in mid-row", |rig| {
        let mut client = rig.client();
        client.send(&frame::query(ENDLESS));
        for _ in 0..100 {
            client.read();
        }
        client
    }),
    ("before the first row", |rig| {
        let mut client = rig.client();
        client.send(&frame::query("SELECT pg_sleep(0.2)"));
        client
    }),
    ("in a batch without Sync", |rig| {
        let mut client = rig.client();
        client.send(&frame::parse("", "SELECT 1", &[]));
        client.send(&frame::bind("", "", &[]));
        client
    }),
    ("in COPY to the server", |rig| {
        let mut client = rig.client();
        client.query("CREATE TABLE IF NOT EXISTS received (line text)");
        client.send(&frame::query("COPY received FROM STDIN"));
        while client.read().tag != b'G' {}
        client.send(&frame::message(b'd', b"one line\n"));
        client
    }),
    ("in the middle of a CopyData", |rig| {
        let mut client = rig.client();
        client.query("CREATE TABLE IF NOT EXISTS received (line text)");
        client.send(&frame::query("COPY received FROM STDIN"));
        while client.read().tag != b'G' {}
        client.send(b"d\x10\0\0\0one line\n");
        client
    }),
    ("in the middle of a large Bind", |rig| {
        let mut client = rig.client();
        client.send(&frame::parse("", "SELECT length($1::text)", &[]));
        let bind = frame::bind("", "", &[Some(&"x".repeat(1_000_000))]);
        client.send(&bind[..600_000]);
        client
    }),
    ("in COPY from the server", |rig| {
        let mut client = rig.client();
        client.send(&frame::query(&format!("COPY ({ENDLESS}) TO STDOUT")));
        for _ in 0..100 {
            client.read();
        }
        client
    }),
];

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    for (state, approach) in APPROACHES {
        // A reset, and an orderly end without a Terminate.
        approach(&rig).vanish();
        drop(approach(&rig));
        // Only its sending half ends: the answers that are under way may come, then the connection ends too.
        let mut half = approach(&rig);
        half.end_sending();
        if !state.contains("row") && !state.contains("from the server") {
            half.rest();
        }
        drop(half);
        bystander.assert_untouched();
        rig.assert_held(1);
    }
    bystander.leave();
    rig.assert_nothing_leaked();
    let mut direct = rig.direct();
    assert_eq!(
        direct.value("SELECT to_regclass('never') IS NULL"),
        "t",
        "a lost transaction was committed"
    );
    assert_eq!(
        direct.value("SELECT count(*) FROM received"),
        "0",
        "a lost COPY was committed"
    );
}

#[test]
fn a_client_that_vanishes_from_the_queue_gives_its_place_up() {
    let rig = Rig::with(|config| config.pool_size = 1);
    let mut bystander = Bystander::enter(&rig);
    let waiting: Vec<RawPg> = (1..=3)
        .map(|count| {
            let mut client = rig.client();
            client.send(&frame::query("SELECT 1"));
            rig.wait_for_queue(count);
            client
        })
        .collect();
    let mut waiting = waiting.into_iter();
    waiting.next().unwrap().vanish();
    rig.wait_for_queue(2);
    drop(waiting.next().unwrap());
    rig.wait_for_queue(1);
    bystander.assert_untouched();
    bystander.leave();
    assert_eq!(tags(&waiting.next().unwrap().read_until_ready()), "TDCZ");
    rig.assert_nothing_leaked();
}

#[test]
fn a_server_connection_that_is_terminated_costs_its_own_transaction() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let mut direct = rig.direct();
    let (mut idle, mut victim) = (rig.client(), rig.client());
    victim.query("CREATE TABLE kept (n int)");
    victim.query("BEGIN");
    victim.query("INSERT INTO kept VALUES (1)");
    let pid = victim.value("SELECT pg_backend_pid()");
    assert_eq!(
        direct.value(&format!("SELECT pg_terminate_backend({pid}, 10000)")),
        "t"
    );
    victim.try_send(&frame::query("SELECT 1")).ok();
    let frames = read_to_ready_or_end(&mut victim);
    let codes = sqlstates(&frames);
    assert!(
        matches!(codes.as_slice(), [code] if code == "57P01" || code == "08006"),
        "{codes:?}"
    );

    let mut after = rig.client();
    assert_eq!(
        after.value("SELECT count(*) FROM kept"),
        "0",
        "half a transaction was committed"
    );
    assert_eq!(idle.value("SELECT 1"), "1");
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn a_server_connection_that_is_terminated_in_mid_row() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let mut victim = rig.client();
    victim.send(&frame::query(ENDLESS));
    for _ in 0..100 {
        victim.read();
    }
    let killed = rig.direct().value(
        &format!("SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM {POOLED} AND query LIKE '%100000000%'"),
    );
    // The backend may be stuck in sending until we read on, so that the wait of ten seconds can be in vain.
    assert!(killed == "t" || killed == "f");
    assert_cut_off(&mut victim);
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn a_server_connection_that_is_terminated_while_idle_harms_nobody() {
    let rig = Rig::start();
    let mut clients: Vec<RawPg> = (0..3).map(|_| rig.client()).collect();
    let mut direct = rig.direct();
    for _ in 0..5 {
        for client in &mut clients {
            assert_eq!(client.value("SELECT 1"), "1");
        }
        direct.query(&format!(
            "SELECT pg_terminate_backend(pid, 10000) FROM {POOLED}"
        ));
    }
    rig.assert_nothing_leaked();
}

#[test]
fn a_server_that_is_killed_in_mid_transaction_and_comes_back() {
    let mut rig = Rig::start();
    let (mut idle, mut in_transaction, mut in_rows) = (rig.client(), rig.client(), rig.client());
    in_transaction.query("BEGIN");
    in_rows.send(&frame::query(ENDLESS));
    for _ in 0..100 {
        in_rows.read();
    }
    rig.server.kill();

    in_transaction.try_send(&frame::query("SELECT 1")).ok();
    let codes = sqlstates(&read_to_ready_or_end(&mut in_transaction));
    assert!(
        matches!(codes.as_slice(), [code] if code == "08006" || code == "57P01"),
        "{codes:?}"
    );
    assert_cut_off(&mut in_rows);
    // Whoever comes now is told that there is no server, at once and not after a time-out.
    idle.send(&frame::query("SELECT 1"));
    let frames = read_to_ready_or_end(&mut idle);
    let codes = sqlstates(&frames);
    assert!(
        matches!(codes.as_slice(), [code] if code.starts_with("08") || code == "57P03"),
        "{codes:?} in {}",
        tags(&frames)
    );
    wait_until(PATIENCE, || rig.held_and_waiting() == (0, 0));

    rig.server.restart().unwrap();
    assert_eq!(rig.client().value("SELECT 1"), "1");
    rig.assert_nothing_leaked();
}

#[test]
fn a_server_that_freezes_is_waited_for_no_longer_than_configured() {
    let rig = Rig::with(|config| {
        config.wait_timeout = Duration::from_millis(500);
        config.connect_timeout = Duration::from_millis(500);
    });
    // Logged in while the server lives, with no server connection left open.
    let mut client = rig.client();
    client.query("SELECT 1");
    rig.direct().query(&format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM {POOLED}"
    ));
    rig.server.signal(Signal::Stop);
    client.send(&frame::query("SELECT 1"));
    let codes = sqlstates(&read_to_ready_or_end(&mut client));
    rig.server.signal(Signal::Continue);
    let is_told = |code: &str| code.starts_with("08") || code == "53300" || code == "57P03";
    assert!(
        matches!(codes.as_slice(), [code] if is_told(code)),
        "{codes:?}"
    );
    assert_eq!(rig.client().value("SELECT 1"), "1");
    wait_until(PATIENCE, || rig.held_and_waiting() == (0, 0));
}

#[test]
fn forged_cancels_hit_nobody() {
    let rig = Rig::start();
    let mut bystander = Bystander::enter(&rig);
    let mut sleeper = rig.client();
    let key = sleeper.key.unwrap();
    sleeper.send(&frame::query("SELECT pg_sleep(1), 'slept'"));
    for bit in [0, 31, 32, 40, 63] {
        let mut forged = key;
        forged[bit / 8] ^= 1 << (bit % 8);
        let mut other = RawPg::connect(rig.port);
        other.send(&frame::cancel(forged));
        assert!(other.rest().is_empty(), "a cancel is never answered");
    }
    assert_eq!(tags(&sleeper.read_until_ready()), "TDCZ");

    sleeper.send(&frame::query("SELECT pg_sleep(60)"));
    let mut direct = rig.direct();
    wait_until(PATIENCE, || {
        direct.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
    });
    sleeper.cancel();
    assert_eq!(sqlstates(&sleeper.read_until_ready()), ["57014"]);
    assert_eq!(sleeper.value("SELECT 1"), "1");
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn wrong_passwords_and_broken_exchanges_open_no_server_connection() {
    let rig = Rig::before(paceline_testkit::scram_postgres("pencil"), |_| {});
    let mut bystander = Bystander::enter(&rig);
    let login = |user: &str, password: &str| {
        let parameters = [("user", user), ("database", "postgres")];
        RawPg::try_login(rig.port, &parameters, Some(password))
            .map(drop)
            .map_err(|error| (error.sqlstate(), error.field(b'M')))
    };
    assert_eq!(login("postgres", "pencil"), Ok(()));
    let (code, message) = login("postgres", "pen").unwrap_err();
    assert_eq!(code.as_deref(), Some("28P01"));
    let (unknown_code, unknown_message) = login("nobody", "pencil").unwrap_err();
    assert_eq!(unknown_code, code, "the code tells which users exist");
    assert_eq!(
        unknown_message.unwrap().replace("nobody", "postgres"),
        message.unwrap()
    );

    let initial = |data: &[u8]| {
        let len = u32::try_from(data.len()).unwrap().to_be_bytes();
        frame::message(b'p', &[b"SCRAM-SHA-256\0", &len[..], data].concat())
    };
    for bytes in [
        frame::query("SELECT 1"),
        frame::message(b'p', b"pencil\0"),
        frame::message(b'p', b"MD5\0\0\0\0\0"),
        initial(b"garbage"),
        initial(b"p=tls-unique,,n=,r=abc"),
        [
            initial(b"n,,n=,r=abc"),
            frame::message(b'p', b"c=biws,r=abc,p=AAAA"),
        ]
        .concat(),
        b"p\0\x7f\xff\xff".to_vec(),
    ] {
        let mut client = RawPg::connect(rig.port);
        client.send(&frame::startup(&[
            ("user", "postgres"),
            ("database", "postgres"),
        ]));
        client.send(&bytes);
        let frames = client.rest();
        assert!(
            !frames.iter().any(|frame| frame.tag == b'Z'),
            "{bytes:?} got in"
        );
        let codes = sqlstates(&frames);
        let is_told = |code: &str| ["08P01", "28P01", "28000"].contains(&code);
        assert!(
            matches!(codes.as_slice(), [code] if is_told(code)),
            "{bytes:?}: {codes:?}"
        );
    }
    bystander.assert_untouched();
    bystander.leave();
    rig.assert_nothing_leaked();
}

#[test]
fn no_descriptors_left() {
    be_the_proxy_if_told(|config| {
        config.pool_size = 4;
        config.wait_timeout = Duration::from_secs(2);
    });
    let server = paceline_testkit::postgres();
    let url = server.url("postgres");
    let proxy = ProxyProcess::start("no_descriptors_left", &url, Some(48));
    let mut early: Vec<RawPg> = (0..2).map(|_| proxy.client()).collect();
    for client in &mut early {
        client.query("BEGIN");
    }
    // Clients come until one is turned away.
    let startup = frame::startup(&[("user", "postgres"), ("database", "postgres")]);
    let mut crowd = Vec::new();
    let is_full = (0..100).any(|_| {
        let mut client = RawPg::connect(proxy.port);
        client.try_send(&startup).ok();
        let is_let_in = loop {
            match client.try_read() {
                Ok(frame) if frame.tag == b'Z' => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        crowd.push(client);
        !is_let_in
    });
    assert!(is_full, "48 descriptors were enough for 100 clients");
    // Those inside work on; one that needs a new server connection is told so, and stays in step.
    for client in &mut early {
        assert_eq!(client.value("SELECT 1"), "1");
    }
    let mut inside = crowd.swap_remove(0);
    inside.send(&frame::query("SELECT 1"));
    let frames = inside.read_until_ready();
    let codes = sqlstates(&frames);
    let is_told = |code: &str| code.starts_with("08") || code.starts_with("53");
    assert!(
        codes.iter().all(|code| is_told(code)) && codes.len() <= 1,
        "{codes:?}"
    );
    // Being full is no busy loop.
    let before = proxy.cpu_time();
    std::thread::sleep(Duration::from_millis(500)); // A stretch of time to measure in, not a wait.
    assert!(
        proxy.cpu_time() - before < Duration::from_millis(200),
        "it spins while it is full"
    );

    drop(crowd);
    let mut newcomer = wait_until_let_in(&proxy, &startup);
    assert_eq!(newcomer.value("SELECT 2"), "2");
    for client in &mut early {
        assert_eq!(sqlstates(&client.query("COMMIT")), [""; 0]);
    }
    assert_few_backends(&server, 4);
}

#[test]
fn a_slow_reader_costs_neither_memory_nor_others() {
    be_the_proxy_if_told(|config| {
        config.pool_size = 3;
        config.workers = 1;
    });
    let server = paceline_testkit::postgres();
    let proxy = ProxyProcess::start(
        "a_slow_reader_costs_neither_memory_nor_others",
        &server.url("postgres"),
        None,
    );
    let mut neighbour = proxy.client();
    assert_eq!(neighbour.value("SELECT 1"), "1");
    let (_, before) = proxy.resident_bytes();

    // 100 MB in one row for one, 300 MB in many for the other; they read only what fits their sockets.
    let (mut one_row, mut many_rows) = (proxy.client(), proxy.client());
    one_row.send(&frame::query("SELECT repeat('x', 100000000)"));
    many_rows.send(&frame::query(
        "SELECT repeat('x', 1000) FROM generate_series(1, 300000)",
    ));
    let mut direct = support::direct(&server);
    wait_until(PATIENCE, || {
        let stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE '%repeat%'";
        direct.value(stuck) == "2"
    });
    for number in 0..200 {
        assert_eq!(
            neighbour.value(&format!("SELECT {number}")),
            number.to_string()
        );
    }
    // Then they read after all, and get everything.
    let row = one_row.read_until_ready();
    assert_eq!(tags(&row), "TDCZ");
    assert_eq!(row[1].body.len(), 100_000_006);
    assert_eq!(many_rows.read_until_ready().len(), 300_003);
    let (_, after) = proxy.resident_bytes();
    let grown = after.saturating_sub(before);
    assert!(
        grown < 4 << 20,
        "the proxy grew by {grown} bytes\n{}",
        proxy.log()
    );
    assert_eq!(neighbour.value("SELECT 1"), "1");
}

#[test]
fn a_large_value_passes_to_the_server_with_flat_memory() {
    be_the_proxy_if_told(|config| config.workers = 1);
    let server = paceline_testkit::postgres();
    let name = "a_large_value_passes_to_the_server_with_flat_memory";
    let proxy = ProxyProcess::start(name, &server.url("postgres"), None);
    let mut client = proxy.client();
    client.query("CREATE TABLE received (line text)");
    let (_, before) = proxy.resident_bytes();

    let value = "y".repeat(64 << 20);
    client.send(&frame::parse("", "SELECT length($1::text)", &[]));
    client.send(&frame::bind("", "", &[Some(&value)]));
    client.send(&[frame::execute("", 0), b"S\0\0\0\x04".to_vec()].concat());
    let frames = client.read_until_ready();
    assert_eq!(tags(&frames), "12DCZ");
    assert_eq!(frames[2].values(), [Some((64 << 20).to_string())]);

    client.send(&frame::query("COPY received FROM STDIN"));
    while client.read().tag != b'G' {}
    client.send(&frame::message(b'd', value.as_bytes()));
    client.send(&[b"d\0\0\0\x05\n".to_vec(), b"c\0\0\0\x04".to_vec()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), [""; 0]);
    assert_eq!(
        client.value("SELECT length(line) FROM received"),
        (64 << 20).to_string()
    );

    let (_, after) = proxy.resident_bytes();
    let grown = after.saturating_sub(before);
    assert!(
        grown < 4 << 20,
        "the proxy grew by {grown} bytes\n{}",
        proxy.log()
    );
}

/// All messages up to ReadyForQuery or the end of the connection, whichever comes first.
fn read_to_ready_or_end(client: &mut RawPg) -> Vec<paceline_testkit::Frame> {
    let mut frames = Vec::new();
    while let Ok(frame) = client.try_read() {
        let is_ready = frame.tag == b'Z';
        if frame.tag != b'D' {
            frames.push(frame);
        }
        if is_ready {
            break;
        }
    }
    frames
}

/// The server has gone while rows were passing. A client in the middle of a row can only see its connection end: an error
/// would be taken for a part of the row. Between rows it is told.
#[track_caller]
fn assert_cut_off(client: &mut RawPg) {
    let frames = read_to_ready_or_end(client);
    let has_ended = frames.last().is_none_or(|frame| frame.tag != b'Z');
    match sqlstates(&frames).as_slice() {
        [] => assert!(has_ended, "half a result without an error"),
        [code] => assert!(code == "57P01" || code == "08006", "{code}"),
        codes => panic!("{codes:?}"),
    }
}

fn wait_until_let_in(proxy: &ProxyProcess, startup: &[u8]) -> RawPg {
    paceline_testkit::wait_for(PATIENCE, || {
        let mut client = RawPg::connect(proxy.port);
        client.try_send(startup).ok()?;
        while client.try_read().ok()?.tag != b'Z' {}
        Some(client)
    })
}

fn assert_few_backends(server: &PrivatePostgres, max: usize) {
    let mut direct = support::direct(server);
    let sql = format!("SELECT count(*) FROM {POOLED}");
    wait_until(PATIENCE, || {
        direct.value(&sql).parse::<usize>().unwrap() <= max
    });
}
