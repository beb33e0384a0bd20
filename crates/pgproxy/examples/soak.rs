//! What takes too long for `make test`: the proxy, in a process of its own before a real server, with values as large as
//! Postgres knows, with 2,000 idle clients, and with server sessions that die at random. Prints a line per trial; the exit
//! code is 1 when one failed.
//!
//! `make soak`. Not optimised, so that overflow checks and debug assertions take part.
#![allow(
    clippy::unwrap_used,
    reason = "a trial may panic: that is how it fails"
)]
#![allow(clippy::print_stdout, reason = "the report")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use paceline_testkit::{Ended, PrivatePostgres, RawPg, frame, run_to_end, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::child::{ProxyProcess, be_the_proxy_if_told};
use support::tool::postgres_tool_at;
use support::{PATIENCE, POOLED, sqlstates, tags};

/// As large as a value can be (1 GiB) less some room for what Postgres puts around it.
const VALUE_BYTES: usize = (1 << 30) - 4096;
/// How much is handed to the socket at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// How long the server may take to store it.
const COMPRESSION_TIME_MAX: Duration = Duration::from_secs(180);
/// The proxy's buffers, and some room for the allocator. A copy of the value would be 256 times as much.
const GROWTH_BYTES_MAX: usize = 4 << 20;

const IDLE_CLIENTS: usize = 2_000;
/// Of the proxy's memory. Socket buffers are the kernel's.
const BYTES_PER_IDLE_CLIENT_MAX: usize = 24 << 10;
/// How long the idle clients are watched, and how much of that the proxy may work.
const IDLE_TIME: Duration = Duration::from_secs(5);
const IDLE_WORK_MAX: Duration = Duration::from_millis(250);

/// pgbench gives up a client at its first error, so that it is started again for each round.
const ROUNDS: u32 = 12;
const ROUND_SECONDS: u32 = 5;
const PGBENCH_CLIENTS: usize = 32;
const BETWEEN_KILLS: Duration = Duration::from_millis(250);

const POOL_SIZE: usize = 20;

/// The proxy's process and its server.
struct Soak {
    proxy: ProxyProcess,
    server: PrivatePostgres,
}

/// Does something to the proxy, and gives the figures in a few words; panics when the proxy fails.
type Trial = fn(&Soak) -> String;

const TRIALS: [(&str, Trial); 6] = [
    ("1 GiB down, SELECT", select_down),
    ("1 GiB down, COPY", copy_down),
    ("1 GiB up, Bind", bind_up),
    ("1 GiB up, COPY", copy_up),
    ("2,000 idle clients", idle_clients),
    ("pgbench, dying sessions", dying_sessions),
];

fn main() -> ExitCode {
    be_the_proxy_if_told(|config| config.pool_size = POOL_SIZE);
    allow_descriptors();
    let failed = TRIALS.iter().filter(|(name, trial)| !passes(name, *trial));
    match failed.count() {
        0 => ExitCode::SUCCESS,
        failed => {
            println!("soak: {failed} of {} trials failed", TRIALS.len());
            ExitCode::FAILURE
        }
    }
}

/// Each trial has a proxy and a server of its own, so that one that fails spoils no other.
fn passes(name: &str, trial: Trial) -> bool {
    let start = Instant::now();
    let figures = catch_unwind(AssertUnwindSafe(|| {
        let server = paceline_testkit::postgres();
        let proxy = ProxyProcess::of_this_program(&server.url("postgres"));
        let soak = Soak { proxy, server };
        let figures = trial(&soak);
        soak.assert_settled();
        figures
    }));
    let seconds = start.elapsed().as_secs_f64();
    match &figures {
        Ok(figures) => println!("soak: ok      {name:24} {seconds:6.1} s  {figures}"),
        // The panic has said why.
        Err(_) => println!("soak: FAILED  {name:24} {seconds:6.1} s"),
    }
    figures.is_ok()
}

/// The clients' ends of the connections are in this process, the other ends in the one that it starts.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("a process may use its own hard limit");
}

impl Soak {
    /// Runs this, and gives how much memory the proxy had more at any time during it than at most before.
    fn growth_bytes(&self, run: impl FnOnce()) -> usize {
        let (_, before) = self.proxy.resident_bytes();
        run();
        let (_, after) = self.proxy.resident_bytes();
        after - before
    }

    /// As [`Soak::growth_bytes`], for one value.
    fn passes_flat(&self, pass: impl FnOnce(&mut RawPg)) -> String {
        let mut client = self.proxy.client();
        client.query("CREATE TABLE received (line text)");
        let start = Instant::now();
        let growth = self.growth_bytes(|| pass(&mut client));
        assert!(
            growth < GROWTH_BYTES_MAX,
            "the proxy grew by {growth} bytes\n{}",
            self.proxy.log()
        );
        let seconds = start.elapsed().as_secs_f64();
        format!("grew by {} KiB, {seconds:.1} s", growth >> 10)
    }

    /// Nobody is held or forgotten, and clients are served.
    fn assert_settled(&self) {
        let mut direct = support::direct(&self.server);
        wait_until(PATIENCE, || {
            let sql = format!(
                "SELECT count(*) <= {POOL_SIZE} AND count(*) FILTER (WHERE state <> 'idle') = 0 FROM {POOLED}"
            );
            direct.value(&sql) == "t"
        });
        // More at once than the pool has places: each of them gets one.
        let mut clients: Vec<_> = (0..POOL_SIZE).map(|_| self.proxy.client()).collect();
        for client in &mut clients {
            client.query("BEGIN");
        }
        for client in &mut clients {
            assert_eq!(client.value("SELECT 1"), "1");
            assert_eq!(sqlstates(&client.query("COMMIT")), [""; 0]);
        }
    }
}

fn select_down(soak: &Soak) -> String {
    soak.passes_flat(|client| {
        let frames = client.query(&format!("SELECT repeat('x', {VALUE_BYTES})"));
        assert_eq!(tags(&frames), "TDCZ");
        // The number of values, then the length of the only one.
        assert_all_x(&frames[1].body[6..]);
    })
}

fn copy_down(soak: &Soak) -> String {
    soak.passes_flat(|client| {
        let sql = format!("COPY (SELECT repeat('x', {VALUE_BYTES})) TO STDOUT");
        let frames = client.query(&sql);
        assert_eq!(tags(&frames), "HdcCZ");
        let (end, value) = frames[1].body.split_last().expect("a row is not empty");
        assert_eq!(*end, b'\n');
        assert_all_x(value);
    })
}

fn bind_up(soak: &Soak) -> String {
    soak.passes_flat(|client| {
        client.send(&frame::parse("", "SELECT length($1::text)", &[]));
        // No names, one parameter as text; after it, results as text.
        let before = [b"\0\0\0\0\0\x01", &length(VALUE_BYTES)[..]].concat();
        send_large(client, b'B', &before, &[0, 0]);
        client.send(&[frame::execute("", 0), frame::sync()].concat());
        let frames = client.read_until_ready();
        assert_eq!(tags(&frames), "12DCZ");
        assert_eq!(frames[2].values(), [Some(VALUE_BYTES.to_string())]);
    })
}

fn copy_up(soak: &Soak) -> String {
    soak.passes_flat(|client| {
        client.send(&frame::query("COPY received FROM STDIN"));
        while client.read().tag != b'G' {}
        send_large(client, b'd', &[], b"\n");
        client.send(&frame::message(b'c', &[]));
        // The server compresses the value now, which takes longer than the client waits for one message.
        wait_until(COMPRESSION_TIME_MAX, || {
            !client.is_silent_for(Duration::from_secs(1))
        });
        assert_eq!(sqlstates(&client.read_until_ready()), [""; 0]);
        let received = client.value("SELECT length(line) FROM received");
        assert_eq!(received, VALUE_BYTES.to_string());
    })
}

/// Sends one message, which has the value between these bytes.
fn send_large(client: &mut RawPg, tag: u8, before: &[u8], after: &[u8]) {
    client.send(&[tag]);
    client.send(&length(4 + before.len() + VALUE_BYTES + after.len()));
    client.send(before);
    let chunk = vec![b'x'; CHUNK_BYTES];
    let mut left = VALUE_BYTES;
    while left > 0 {
        let part = left.min(CHUNK_BYTES);
        client.send(&chunk[..part]);
        left -= part;
    }
    client.send(after);
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes)
        .expect("a value is below 4 GiB")
        .to_be_bytes()
}

#[track_caller]
fn assert_all_x(value: &[u8]) {
    assert_eq!(value.len(), VALUE_BYTES);
    assert!(value.iter().all(|byte| *byte == b'x'));
}

fn idle_clients(soak: &Soak) -> String {
    let mut clients = Vec::with_capacity(IDLE_CLIENTS);
    let growth = soak.growth_bytes(|| {
        for number in 0..IDLE_CLIENTS {
            let mut client = soak.proxy.client();
            let answer = client.value(&format!("SELECT {number}"));
            assert_eq!(answer, number.to_string());
            clients.push(client);
        }
    });
    let per_client = growth / IDLE_CLIENTS;
    assert!(
        per_client < BYTES_PER_IDLE_CLIENT_MAX,
        "an idle client costs {per_client} bytes"
    );
    let before = soak.proxy.cpu_time();
    std::thread::sleep(IDLE_TIME); // A stretch of time to measure in, not a wait.
    let work = soak.proxy.cpu_time() - before;
    assert!(work < IDLE_WORK_MAX, "idle clients cost {work:?} of work");
    for (number, client) in clients.iter_mut().enumerate() {
        let answer = client.value(&format!("SELECT {number} + 1"));
        assert_eq!(answer, (number + 1).to_string());
    }
    format!(
        "{:.1} KiB each, {work:?} of work in {IDLE_TIME:?}",
        per_client as f64 / 1024.0
    )
}

fn dying_sessions(soak: &Soak) -> String {
    let pgbench = |arguments: &str| {
        let mut command = postgres_tool_at(soak.proxy.port, &soak.server, "pgbench");
        command.args(arguments.split_whitespace());
        run_to_end(&mut command, PATIENCE * 4)
    };
    assert_eq!(pgbench("-i -q -s 1").code, Some(0));
    let (mut kills, mut lost, mut transactions) = (0, 0, 0);
    let growth = soak.growth_bytes(|| {
        for _ in 0..ROUNDS {
            let arguments =
                format!("-S -n -M prepared -j 2 -c {PGBENCH_CLIENTS} -T {ROUND_SECONDS}");
            let (ended, killed) = while_killing(&soak.server, || pgbench(&arguments));
            let gave_up = clients_that_gave_up(&ended);
            assert!(
                gave_up <= killed,
                "{killed} killed sessions cost {gave_up} clients"
            );
            kills += killed;
            lost += gave_up;
            transactions += transactions_of(&ended);
        }
    });
    assert!(kills > 0, "no session was there to be killed");
    assert!(
        growth < 4 * GROWTH_BYTES_MAX,
        "the proxy grew by {growth} bytes"
    );
    format!(
        "{transactions} transactions, {kills} sessions killed, {lost} clients told; grew by {} KiB",
        growth >> 10
    )
}

/// Ends random sessions of the server as long as `run` takes; gives also how many it ended.
fn while_killing<T: Send>(server: &PrivatePostgres, run: impl FnOnce() -> T + Send) -> (T, usize) {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM {POOLED} ORDER BY random() LIMIT 1) AS victim"
    );
    let mut direct = support::direct(server);
    let mut killed = 0;
    std::thread::scope(|scope| {
        let running = scope.spawn(run);
        while !running.is_finished() {
            std::thread::sleep(BETWEEN_KILLS); // The pace.
            killed += direct
                .value(&sql)
                .parse::<usize>()
                .expect("count(*) is a number");
        }
        (running.join().expect("it does not panic"), killed)
    })
}

/// Each of them because it was told that its session is lost, and for nothing else.
fn clients_that_gave_up(ended: &Ended) -> usize {
    // 2: the run went to its end, but without some of its clients.
    assert!(matches!(ended.code, Some(0 | 2)), "{ended:?}");
    let aborted: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains(" aborted in "))
        .collect();
    for line in ended.stderr.lines().filter(|line| line.contains("ERROR:")) {
        assert!(line.contains("connection"), "{line}");
    }
    assert!(aborted.len() < PGBENCH_CLIENTS, "{ended:?}");
    aborted.len()
}

fn transactions_of(ended: &Ended) -> usize {
    let line = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    let line = line.unwrap_or_else(|| panic!("{ended:?}"));
    line.split('/')
        .next()
        .and_then(|number| number.parse().ok())
        .expect("pgbench prints a number")
}
