//! On the steady path a worker asks the allocator for nothing: counted on its thread, over many transactions.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::sync::mpsc;

use paceline_journal::Journal;
use paceline_pgproxy::Proxy;
use paceline_sql::{Limits, Statements};
use paceline_testkit::{RawPg, frame};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::LocalSet;

const WARM_UP: usize = 200;
const TRANSACTIONS: usize = 2_000;
/// What a worker does once a second, whatever its clients do: it compares the workers and looks for idle connections.
const ALLOCATIONS_MAX: u64 = 60;

/// A transaction of a client; the number tells one from the next.
type Transaction = fn(&mut RawPg, usize);

/// One proxy with one worker, whose thread counts its allocations while a client runs transactions.
fn allocations(transaction: Transaction) -> u64 {
    let server = paceline_testkit::postgres();
    let mut config = support::config(&server.url("postgres"));
    config.workers = 1;
    let listener = paceline_listen::bind(config.listen, 1).unwrap().remove(0);
    let port = listener.local_addr().unwrap().port();
    let journal = Journal::new(paceline_journal::Config::default());
    let proxy = Proxy::new(
        config,
        journal,
        Arc::new(Statements::new(Limits::default())),
    )
    .unwrap();
    let (drain, signal) = paceline_listen::drain();
    let (is_warm, is_done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, has_begun) = mpsc::channel();
    let worker = {
        let (is_warm, is_done) = (Arc::clone(&is_warm), Arc::clone(&is_done));
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let tasks = LocalSet::new();
            let serving = tasks.spawn_local(proxy.serve(0, listener, signal));
            tasks.block_on(&runtime, is_warm.notified());
            begin.send(()).unwrap();
            let counted =
                allocation_counter::measure(|| tasks.block_on(&runtime, is_done.notified()));
            tasks.block_on(&runtime, serving).unwrap();
            counted.count_total
        })
    };
    let mut client = RawPg::login(port, server.user(), server.password(), "postgres");
    (0..WARM_UP).for_each(|number| transaction(&mut client, number));
    is_warm.notify_one();
    has_begun.recv().unwrap();
    (WARM_UP..WARM_UP + TRANSACTIONS).for_each(|number| transaction(&mut client, number));
    is_done.notify_one();
    drop(client);
    drain.start();
    worker.join().unwrap()
}

#[track_caller]
fn assert_steady(transaction: Transaction) {
    let counted = allocations(transaction);
    assert!(
        counted <= ALLOCATIONS_MAX,
        "{counted} allocations in {TRANSACTIONS} transactions"
    );
}

fn batch(client: &mut RawPg, messages: &[Vec<u8>]) {
    client.send(&messages.concat());
    let answers = client.read_until_ready();
    assert!(support::sqlstates(&answers).is_empty(), "{answers:?}");
}

fn simple(client: &mut RawPg, _: usize) {
    batch(client, &[frame::query("SELECT 1")]);
}

fn simple_with_values(client: &mut RawPg, number: usize) {
    batch(
        client,
        &[frame::query(&format!(
            "SELECT relname FROM pg_class WHERE oid = {number};"
        ))],
    );
}

fn extended(client: &mut RawPg, number: usize) {
    let messages = [
        frame::parse("", "SELECT $1::text", &[]),
        frame::bind("", "", &[Some(&number.to_string())]),
        frame::describe(b'P', ""),
        frame::execute("", 0),
        frame::sync(),
    ];
    batch(client, &messages);
}

fn prepared(client: &mut RawPg, number: usize) {
    if number == 0 {
        let parse = frame::parse("statement", "SELECT $1::text", &[]);
        batch(client, &[parse, frame::sync()]);
    }
    let messages = [
        frame::bind("", "statement", &[Some(&number.to_string())]),
        frame::execute("", 0),
        frame::sync(),
    ];
    batch(client, &messages);
}

fn several_in_one_transaction(client: &mut RawPg, _: usize) {
    for text in ["BEGIN", "SELECT 1", "COMMIT"] {
        batch(client, &[frame::query(text)]);
    }
}

/// A text that is new each time has to be parsed: the opposite of the steady path.
fn new_each_time(client: &mut RawPg, number: usize) {
    batch(client, &[frame::query(&format!("SELECT 1 AS a{number}"))]);
}

#[test]
fn the_steady_path_does_not_allocate() {
    let paths: [(&str, Transaction); 5] = [
        ("simple", simple),
        ("simple, with values", simple_with_values),
        ("extended", extended),
        ("prepared", prepared),
        ("transaction", several_in_one_transaction),
    ];
    for (name, transaction) in paths {
        eprintln!("{name}");
        assert_steady(transaction);
    }
}

#[test]
fn allocations_are_counted() {
    let counted = allocations(new_each_time);
    assert!(
        counted > TRANSACTIONS as u64,
        "{counted} allocations in {TRANSACTIONS} transactions that cannot do without"
    );
}
