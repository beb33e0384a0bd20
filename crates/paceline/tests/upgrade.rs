//! One process takes over from another under load, and nobody notices.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use paceline_testkit::origin::Origin;
use paceline_testkit::{
    Paceline, PrivatePostgres, RawPg, Signal, frame, http, postgres, psql, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Setup {
    server: PrivatePostgres,
    origin: Origin,
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Setup {
        Setup {
            server: postgres(),
            origin: Origin::start(|_, peer| peer.respond(200, &[], b"hello")),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn control_socket(&self) -> String {
        self.folder
            .path()
            .join("control.sock")
            .display()
            .to_string()
    }

    fn launch(&self) -> paceline_testkit::Launch {
        Paceline::launch()
            .upstream(&self.origin.url(""))
            .database(&self.server.url("postgres"))
            .args(["--workers", "2", "--set"])
            .args([format!("control_socket={}", self.control_socket()).as_str()])
    }
}

/// Does something over and over until it is told to stop, and counts.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn new() -> Load {
        Load {
            stop: Arc::default(),
            done: Arc::default(),
            threads: Vec::new(),
        }
    }

    fn add(&mut self, mut turn: impl FnMut() + Send + 'static) {
        let (stop, done) = (Arc::clone(&self.stop), Arc::clone(&self.done));
        self.threads.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                turn();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }

    /// Waits until so much more has been done.
    fn goes_on(&self, count: u64) {
        let goal = self.done.load(Ordering::Relaxed) + count;
        wait_until(PATIENCE, || {
            assert!(self.threads.iter().all(|thread| !thread.is_finished()));
            self.done.load(Ordering::Relaxed) >= goal
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn select(client: &mut RawPg) {
    client.send(&frame::query("SELECT 1"));
    let frames = client.read_until_ready();
    assert!(frames.iter().any(|frame| frame.tag == b'D'), "{frames:?}");
}

#[test]
fn no_request_and_no_transaction_fails_while_another_process_takes_over() {
    let setup = Setup::new();
    let old = setup.launch().start();
    let (pg_port, url) = (old.pg_port(), old.http_url());
    let mut load = Load::new();
    // A connection for all the time, a connection for each statement, and requests.
    for _ in 0..2 {
        let mut client = RawPg::login(pg_port, "postgres", None, "postgres");
        load.add(move || select(&mut client));
        load.add(move || select(&mut RawPg::login(pg_port, "postgres", None, "postgres")));
        let url = format!("{url}/");
        load.add(move || assert_eq!(http::get(&url).status, 200));
    }
    load.goes_on(100);
    let new = setup.launch().takes_over_from(&old).start();
    load.goes_on(200);
    wait_until(PATIENCE, || new.log().contains("Took over."));
    // The connections of all the time are still with the old one.
    assert!(old.process().exit_status().is_none(), "{}", old.log());
    load.end();
    let ended = old.process().wait(PATIENCE).unwrap();
    assert!(ended.success(), "{}", old.log());
    select(&mut RawPg::login(pg_port, "postgres", None, "postgres"));
    // And once more, with nobody there.
    let third = setup.launch().takes_over_from(&new).start();
    assert!(new.process().wait(PATIENCE).unwrap().success());
    select(&mut RawPg::login(pg_port, "postgres", None, "postgres"));
    drop(third);
    assert!(!Path::new(&setup.control_socket()).exists());
}

#[test]
fn cancel_requests_reach_clients_of_the_process_before() {
    let setup = Setup::new();
    let old = setup.launch().start();
    let mut client = RawPg::login(old.pg_port(), "postgres", None, "postgres");
    client.send(&frame::query("SELECT pg_sleep(600)"));
    wait_until(PATIENCE, || {
        let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(600)' AND state = 'active'";
        psql(&setup.server, &setup.server.url("postgres"), active).trim() == "1"
    });
    let new = setup.launch().takes_over_from(&old).start();
    wait_until(PATIENCE, || old.log().contains("has taken over"));
    assert_eq!(new.pg_port(), old.pg_port());
    client.cancel();
    let frames = client.read_until_ready();
    let sqlstate = frames.iter().find_map(|frame| frame.sqlstate());
    assert_eq!(sqlstate.as_deref(), Some("57014"));
    // Its session goes on, and the process with it, until it leaves.
    select(&mut client);
    assert!(old.process().exit_status().is_none());
    drop(client);
    assert!(old.process().wait(PATIENCE).unwrap().success());
}

#[test]
fn who_does_not_get_ready_leaves_the_other_one_as_it_was() {
    let setup = Setup::new();
    let old = setup.launch().start();
    let failed = Paceline::launch()
        .database("postgres://postgres@127.0.0.1:1/postgres")
        .args([
            "--set",
            &format!("control_socket={}", setup.control_socket()),
        ])
        .takes_over_from(&old)
        .run_to_end(PATIENCE);
    assert_eq!(failed.code, Some(2), "{}", failed.stderr);
    wait_until(PATIENCE, || old.log().contains("this one goes on"));
    select(&mut RawPg::login(
        old.pg_port(),
        "postgres",
        None,
        "postgres",
    ));
    // A plain start beside it would take the control socket away.
    let second = setup.launch().run_to_end(PATIENCE);
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("--takeover"), "{}", second.stderr);
    // After it has gone, taking over is starting.
    old.process().signal(Signal::Terminate);
    assert!(old.process().wait(PATIENCE).unwrap().success());
    let new = setup.launch().takes_over_from(&old).start();
    select(&mut RawPg::login(
        new.pg_port(),
        "postgres",
        None,
        "postgres",
    ));
}

#[test]
fn the_time_for_old_clients_has_an_end() {
    let setup = Setup::new();
    let old = setup
        .launch()
        .args(["--set", "handover_timeout=100ms"])
        .start();
    let mut idle = RawPg::login(old.pg_port(), "postgres", None, "postgres");
    let mut busy = RawPg::login(old.pg_port(), "postgres", None, "postgres");
    busy.send(&frame::query("BEGIN"));
    busy.read_until_ready();
    let _new = setup.launch().takes_over_from(&old).start();
    let last = idle.read();
    assert_eq!(last.sqlstate().as_deref(), Some("57P01"));
    // An open transaction comes to its end first.
    busy.send(&frame::query("COMMIT"));
    let frames = busy.read_until_ready();
    assert!(frames.iter().any(|frame| frame.tag == b'C'), "{frames:?}");
    assert_eq!(busy.read().sqlstate().as_deref(), Some("57P01"));
    assert!(old.process().wait(PATIENCE).unwrap().success());
}

#[test]
fn taking_over_needs_a_place_to_meet() {
    let outcome = Paceline::launch()
        .database("postgres://postgres@127.0.0.1:1/postgres")
        .args(["--takeover"])
        .run_to_end(PATIENCE);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("control_socket"),
        "{}",
        outcome.stderr
    );
}
