//! What the random tests have found, each as small as it became.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use paceline_testkit::{RawPg, frame};
use support::{Rig, sqlstates, tags};

/// An error skips what follows: a Parse of the unnamed statement that was skipped has not replaced the one before.
#[test]
fn a_skipped_parse_leaves_the_unnamed_statement() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send(&[frame::parse("", "SELECT 'first'", &[]), frame::sync()].concat());
    assert_eq!(tags(&client.read_until_ready()), "1Z");
    let batch = [
        frame::bind("", "nowhere", &[]),
        frame::parse("", "SELECT 'second'", &[]),
        frame::parse("", "SELECT 'third'", &[]),
        frame::sync(),
    ];
    client.send(&batch.concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
    let run = [
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    client.send(&run);
    let frames = client.read_until_ready();
    assert_eq!(tags(&frames), "2DCZ");
    assert_eq!(frames[1].values(), [Some("first".to_owned())]);
    // One that fails has taken the place of the one before, and is none.
    client.send(&[frame::parse("", "SELEKT", &[]), frame::sync()].concat());
    assert_eq!(sqlstates(&client.read_until_ready()), ["42601"]);
    client.send(&run);
    assert_eq!(sqlstates(&client.read_until_ready()), ["26000"]);
}

/// A connection that was brought in line with its client's settings went to the next in the queue before the client had used it; with
/// settings of their own, clients in a queue passed the connections on for ever.
#[test]
fn clients_with_settings_of_their_own_get_to_work_in_a_queue() {
    const CLIENTS: usize = 30;
    const TURNS: usize = 20;
    let rig = Rig::with(|config| config.pool_size = 2);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let port = rig.port;
            scope.spawn(move || {
                let options = format!("-c found.number={number}");
                let parameters = [
                    ("user", "postgres"),
                    ("database", "postgres"),
                    ("options", &options),
                ];
                let mut client = RawPg::try_login(port, &parameters, None).unwrap();
                for _ in 0..TURNS {
                    let value = client.value("SELECT current_setting('found.number')");
                    assert_eq!(value, number.to_string());
                }
            });
        }
    });
    let waits = rig.pool().waits.count();
    let most = u64::try_from(CLIENTS * (TURNS + 1)).unwrap();
    assert!(
        waits <= most,
        "{waits} waits for {most} transactions and logins"
    );
}

/// A BEGIN that got no server connection was refused, and what the client had sent behind it ran on the next one that was free, each
/// statement as a transaction of its own.
#[test]
fn what_is_sent_behind_a_refused_begin_does_not_run() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(500);
    });
    rig.direct().query("CREATE TABLE behind (id int)");
    let statements = ["BEGIN", "INSERT INTO behind VALUES (1)", "COMMIT"];
    let simple = |sql: &&str| frame::query(sql);
    let extended = |sql: &&str| {
        [
            frame::parse("", sql, &[]),
            frame::bind("", "", &[]),
            frame::execute("", 0),
            frame::sync(),
        ]
        .concat()
    };
    let ahead: [Vec<Vec<u8>>; 2] = [
        statements.iter().map(simple).collect(),
        statements.iter().map(extended).collect(),
    ];
    for messages in ahead {
        let mut holder = rig.client();
        holder.query("BEGIN");
        let mut client = rig.client();
        client.send(&messages.concat());
        assert_eq!(client.read().sqlstate().as_deref(), Some("53300"));
        holder.query("COMMIT");
        let rest = client.rest();
        assert_eq!(
            (tags(&rest), sqlstates(&rest)),
            ("ZE".into(), vec!["08006".into()])
        );
        assert_eq!(rig.direct().value("SELECT count(*) FROM behind"), "0");
    }
    rig.assert_nothing_leaked();
}

/// Who has waited for the answer goes on.
#[test]
fn a_refused_begin_alone_does_not_end_the_session() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = Duration::from_millis(300);
    });
    let mut holder = rig.client();
    holder.query("BEGIN");
    let mut client = rig.client();
    assert_eq!(sqlstates(&client.query("BEGIN")), ["53300"]);
    holder.query("COMMIT");
    assert_eq!(client.value("SELECT 1"), "1");
}
