//! A cancel reaches the query of the client that asked, or nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use paceline_testkit::frame;
use support::{Over, PATIENCE, Rig, sqlstates};

/// Clients cancel their own queries at any moment: before they begin, while they run, after they have ended. All share few server
/// connections, over two workers, with neighbours that ask for nothing of the kind.
#[test]
fn ten_thousand_cancels_hit_nobody_who_did_not_ask() {
    const CANCELLERS: usize = 4;
    const CANCELS_EACH: usize = 2_500;
    const NEIGHBOURS: usize = 4;
    let rig = Rig::with(|config| config.pool_size = 10);
    let (is_over, hits, served) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    std::thread::scope(|scope| {
        for number in 0..NEIGHBOURS {
            let (rig, is_over, served) = (&rig, &is_over, &served);
            scope.spawn(move || {
                let mut client = rig.client();
                let mut turn = 0;
                while !is_over.load(Ordering::Relaxed) {
                    turn += 1;
                    let wanted = format!("{number}-{turn}");
                    let sql = format!("SELECT '{wanted}' FROM pg_sleep(0.001)");
                    assert_eq!(client.value(&sql), wanted);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let over = Over(&is_over);
        let cancellers: Vec<_> = (0..CANCELLERS)
            .map(|number| {
                let (rig, hits) = (&rig, &hits);
                scope.spawn(move || {
                    let mut random = Rng::with_seed(number as u64);
                    let mut client = rig.client();
                    for _ in 0..CANCELS_EACH {
                        // As long as a cancel takes on a busy machine, or as short as to have ended before.
                        let is_early = random.u8(0..4) == 0;
                        let seconds = if is_early { random.f64() * 0.02 } else { 0.0 };
                        client.send(&frame::query(&format!("SELECT pg_sleep({seconds})")));
                        if is_early {
                            std::thread::sleep(Duration::from_micros(random.u64(0..3000)));
                            client.cancel();
                        }
                        let codes = sqlstates(&client.read_until_ready());
                        assert!(codes.iter().all(|code| code == "57014"), "{codes:?}");
                        hits.fetch_add(codes.len(), Ordering::Relaxed);
                        if !is_early {
                            client.cancel();
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = cancellers.into_iter().map(|thread| thread.join()).collect();
        drop(over);
        assert!(
            ended.iter().all(Result::is_ok),
            "a client that cancels failed"
        );
    });
    let (hits, served) = (hits.into_inner(), served.into_inner());
    assert!(
        hits > 200 && served > 1000,
        "{hits} hits, {served} queries of neighbours"
    );
    rig.assert_nothing_leaked();
}

#[test]
fn a_cancel_ends_the_wait_for_a_server_connection() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.wait_timeout = PATIENCE;
    });
    let (mut holder, mut first, mut second) = (rig.client(), rig.client(), rig.client());
    holder.query("BEGIN");
    first.send(&frame::query("SELECT 'first'"));
    rig.wait_for_queue(1);
    second.send(&frame::query("SELECT 'second'"));
    rig.wait_for_queue(2);
    first.cancel();
    assert_eq!(sqlstates(&first.read_until_ready()), ["57014"]);
    rig.wait_for_queue(1);
    // One that comes after the wait hits nothing of what follows.
    first.cancel();
    holder.query("COMMIT");
    assert_eq!(
        second.read_until_ready()[1].values(),
        [Some("second".to_owned())]
    );
    assert_eq!(first.value("SELECT 'again'"), "again");
    rig.assert_nothing_leaked();
}
