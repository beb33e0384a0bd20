//! A primary with a standby, before clients that write without pause: whichever of the two is the primary, it is found, and what
//! was acknowledged is there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use paceline_testkit::{Frame, PrivatePostgres, RawPg, Signal, options, wait_until};
use support::{
    Over, PATIENCE, Serving, config, direct, extended, read_answer, read_answer_to, serve,
    sqlstates,
};

const WRITERS: usize = 6;
/// From the promotion on: the longest pause between two attempts is 2 s, and the machine may be busy.
const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// What a writer may be told: it is cut off, the server ends, the server refuses to write.
const EXCUSES: [&str; 4] = ["08006", "57P01", "57P02", "25006"];

/// A server whose commits are acknowledged when they are written down, on a standby too if there must be one.
fn primary(names: &str) -> PrivatePostgres {
    let mut options = options();
    for (name, value) in [
        ("synchronous_commit", "on"),
        ("synchronous_standby_names", names),
    ] {
        options.settings.push((name.to_owned(), value.to_owned()));
    }
    PrivatePostgres::start(options).unwrap()
}

fn set(server: &PrivatePostgres, name: &str, value: &str) {
    let mut client = direct(server);
    let altered = client.query(&format!("ALTER SYSTEM SET {name} = '{value}'"));
    assert_eq!(sqlstates(&altered), [""; 0]);
    client.query("SELECT pg_reload_conf()");
    let sql = format!("SELECT current_setting('{name}') = '{value}'");
    wait_until(PATIENCE, || client.value(&sql) == "t");
}

fn wait_for_standby(primary: &PrivatePostgres) {
    let sql = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
    let mut client = direct(primary);
    wait_until(PATIENCE, || client.value(sql) == "1");
}

fn promote(server: &PrivatePostgres) {
    assert_eq!(direct(server).value("SELECT pg_promote()"), "t");
}

fn before(servers: [&PrivatePostgres; 2]) -> Serving {
    let [one, two] = servers.map(PrivatePostgres::port);
    let mut config = config(&format!(
        "postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/postgres?target_session_attrs=read-write"
    ));
    config.wait_timeout = PATIENCE;
    serve(config)
}

/// Clients that write numbers, and what became of them.
#[derive(Default)]
struct Writers {
    is_over: AtomicBool,
    next: AtomicUsize,
    written: [AtomicUsize; WRITERS],
    acknowledged: Mutex<Vec<usize>>,
    /// The server has said that it does not write.
    refused: Mutex<Vec<usize>>,
}

impl Writers {
    fn run(&self, writer: usize, port: u16) {
        let login = || RawPg::login(port, "postgres", None, "postgres");
        let mut client = login();
        while !self.is_over.load(Relaxed) {
            let number = self.next.fetch_add(1, Relaxed);
            let frames = write(&mut client, writer, number);
            let codes = sqlstates(&frames);
            let is_acknowledged = codes.is_empty() && frames.last().is_some_and(is_idle);
            if is_acknowledged {
                self.acknowledged.lock().unwrap().push(number);
                self.written[writer].fetch_add(1, Relaxed);
            } else {
                let is_excused = codes.iter().all(|code| EXCUSES.contains(&code.as_str()));
                assert!(is_excused, "{codes:?}");
                if codes == ["25006"] {
                    self.refused.lock().unwrap().push(number);
                }
            }
            match frames.last() {
                Some(last) if is_idle(last) => {}
                Some(last) if last.tag == b'Z' => drop(client.query("ROLLBACK")),
                _ => client = login(),
            }
        }
    }

    /// Waits until each of them has written so many times more.
    fn go_on(&self, count: usize, limit: Duration) {
        let goals = [(); WRITERS].map(|()| count);
        let before: Vec<_> = self.written.iter().map(|done| done.load(Relaxed)).collect();
        wait_until(limit, || {
            let now = self.written.iter().map(|done| done.load(Relaxed));
            now.zip(&before)
                .zip(goals)
                .all(|((now, before), goal)| now >= before + goal)
        });
    }

    /// What was acknowledged is there, once; what was refused is not.
    fn check(self, server: &PrivatePostgres) {
        let rows = direct(server).rows("SELECT n FROM written");
        let all: Vec<usize> = rows
            .into_iter()
            .flatten()
            .map(|number| number.unwrap().parse().unwrap())
            .collect();
        let there: HashSet<usize> = all.iter().copied().collect();
        assert_eq!(there.len(), all.len(), "something was written twice");
        let acknowledged = self.acknowledged.into_inner().unwrap();
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|number| !there.contains(number))
            .collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let refused = self.refused.into_inner().unwrap();
        assert!(refused.iter().all(|number| !there.contains(number)));
    }
}

/// By itself, with the extended protocol, or within a transaction: gives all that was answered.
fn write(client: &mut RawPg, writer: usize, number: usize) -> Vec<Frame> {
    let insert = format!("INSERT INTO written VALUES ({number})");
    match writer % 3 {
        0 => read_answer(client, &insert),
        1 => read_answer_to(client, &extended(&insert)),
        _ => {
            let mut frames = Vec::new();
            for sql in ["BEGIN", &insert, "COMMIT"] {
                frames.extend(read_answer(client, sql));
                if !sqlstates(&frames).is_empty() {
                    break;
                }
            }
            frames
        }
    }
}

fn is_idle(frame: &Frame) -> bool {
    frame.tag == b'Z' && frame.body == b"I"
}

/// Runs this while the writers write, and looks at what they have written.
fn while_writing(serving: &Serving, act: impl FnOnce(&Writers)) -> Writers {
    let writers = Writers::default();
    std::thread::scope(|scope| {
        for number in 0..WRITERS {
            let (writers, port) = (&writers, serving.port);
            scope.spawn(move || writers.run(number, port));
        }
        let _over = Over(&writers.is_over);
        writers.go_on(30, PATIENCE);
        act(&writers);
        writers.go_on(30, PATIENCE);
    });
    writers
}

#[test]
fn after_a_crash_the_promoted_standby_is_found_and_nothing_acknowledged_is_lost() {
    // Nothing is acknowledged that the standby has not.
    let mut one = primary("*");
    let two = one.standby().unwrap();
    set(&two, "synchronous_standby_names", "");
    wait_for_standby(&one);
    direct(&one).query("CREATE TABLE written (n int)");
    let serving = before([&one, &two]);
    let writers = while_writing(&serving, |writers| {
        one.signal(Signal::Quit);
        one.stop();
        promote(&two);
        writers.go_on(1, FOUND_WITHIN);
    });
    writers.check(&two);
}

#[test]
fn a_planned_switch_over_leads_to_the_new_primary_and_back() {
    let mut one = primary("");
    let mut two = one.standby().unwrap();
    wait_for_standby(&one);
    direct(&one).query("CREATE TABLE written (n int)");
    let serving = before([&one, &two]);
    let writers = while_writing(&serving, |writers| {
        for _ in 0..2 {
            // Its sessions stay: each write that meets one is refused, and the pool leaves them.
            let refused = || writers.refused.lock().unwrap().len();
            let refused_before = refused();
            set(&one, "default_transaction_read_only", "on");
            wait_until(PATIENCE, || refused() > refused_before);
            wait_until(PATIENCE, || {
                let sql = format!("SELECT count(*) FROM {}", support::POOLED);
                direct(&one).value(&sql) == "0"
            });
            one.stop();
            promote(&two);
            writers.go_on(1, FOUND_WITHIN);
            // The old one comes back, behind the new one, and nobody goes there.
            one.follow(&two).unwrap();
            one.restart().unwrap();
            wait_for_standby(&two);
            set(&one, "default_transaction_read_only", "off");
            writers.go_on(30, PATIENCE);
            std::mem::swap(&mut one, &mut two);
        }
    });
    writers.check(&one);
}
