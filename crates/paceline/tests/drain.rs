//! Leaving: each client comes to the end that fits what it is doing, whether the process is told to go or another takes over.

use std::time::{Duration, Instant};

use paceline_testkit::{
    Frame, Launch, Paceline, PrivatePostgres, RawPg, Signal, frame, postgres, psql, wait_until,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A server connection for each client that holds one.
const POOL_SIZE: &str = "postgres.pool_size=3";

/// One of each kind.
struct Clients {
    /// Has nothing to do.
    idle: RawPg,
    listening: RawPg,
    /// Has nothing to do either, but a temporary table.
    pinned: RawPg,
    in_transaction: RawPg,
    in_copy: RawPg,
    /// Waits for a server connection.
    queued: RawPg,
}

impl Clients {
    fn enter(paceline: &Paceline, server: &PrivatePostgres) -> Clients {
        psql(server, &server.url("postgres"), "CREATE TABLE t (x text)");
        let login = || RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
        let mut clients = Clients {
            idle: login(),
            listening: login(),
            pinned: login(),
            in_transaction: login(),
            in_copy: login(),
            queued: login(),
        };
        clients.listening.query("LISTEN news");
        (clients.pinned).query("CREATE TEMPORARY TABLE mine AS SELECT 'kept' AS x");
        (clients.in_transaction).query("BEGIN; INSERT INTO t VALUES ('in a transaction')");
        clients.in_copy.send(&frame::query("COPY t FROM STDIN"));
        assert_eq!(clients.in_copy.read().tag, b'G');
        (clients.queued).send(&frame::query("INSERT INTO t VALUES ('queued')"));
        let pool = || paceline.admin_json("/api/v1/pools")["pools"][0].clone();
        wait_until(PATIENCE, || {
            let pool = pool();
            pool["connections_used"] == 3 && pool["clients_waiting"] == 1
        });
        clients
    }

    /// Those who have begun something are let finish it, and it counts.
    fn finish(&mut self) {
        let frames = self.in_transaction.query("COMMIT");
        assert_eq!(completed(&frames), ["COMMIT"]);
        self.in_copy.send(&frame::message(b'd', b"in a copy\n"));
        self.in_copy.send(&frame::message(b'c', &[]));
        assert_eq!(completed(&self.in_copy.read_until_ready()), ["COPY 1"]);
        assert_eq!(completed(&self.queued.read_until_ready()), ["INSERT 0 1"]);
    }
}

/// What was done, in the server's words; errors are not expected.
fn completed(frames: &[Frame]) -> Vec<String> {
    assert!(frames.iter().all(|frame| frame.tag != b'E'), "{frames:?}");
    let done = frames.iter().filter(|frame| frame.tag == b'C');
    done.map(|frame| String::from_utf8_lossy(&frame.body).replace('\0', ""))
        .collect()
}

/// The last thing that it hears.
#[track_caller]
fn assert_sent_away(client: &mut RawPg) {
    let last = client.rest();
    let codes: Vec<_> = last.iter().filter_map(Frame::sqlstate).collect();
    assert_eq!(codes, ["57P01"], "{last:?}");
}

#[track_caller]
fn assert_ended_well(paceline: &Paceline) {
    let status = paceline.process().wait(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", paceline.log());
}

fn written(server: &PrivatePostgres) -> String {
    let sql = "SELECT string_agg(x, ', ' ORDER BY x) FROM t";
    psql(server, &server.url("postgres"), sql)
}

#[test]
fn at_sigterm_idle_clients_are_sent_away_and_others_finish_first() {
    let server = postgres();
    let paceline = Paceline::launch()
        .database(&server.url("postgres"))
        .args(["--set", POOL_SIZE])
        .start();
    let mut clients = Clients::enter(&paceline, &server);
    paceline.process().signal(Signal::Terminate);
    for client in [
        &mut clients.idle,
        &mut clients.listening,
        &mut clients.pinned,
    ] {
        assert_sent_away(client);
    }
    assert!(paceline.process().exit_status().is_none());
    let since = Instant::now();
    clients.finish();
    for client in [
        &mut clients.in_transaction,
        &mut clients.in_copy,
        &mut clients.queued,
    ] {
        assert_sent_away(client);
    }
    assert_ended_well(&paceline);
    // And not only because the time was over.
    assert!(since.elapsed() < Duration::from_secs(15));
    assert_eq!(written(&server), "in a copy, in a transaction, queued");
}

#[test]
fn who_does_not_finish_in_time_is_cut_and_has_done_nothing() {
    let server = postgres();
    let paceline = Paceline::launch()
        .database(&server.url("postgres"))
        .args(["--set", POOL_SIZE, "--set", "drain_timeout=1s"])
        .start();
    let mut clients = Clients::enter(&paceline, &server);
    let since = Instant::now();
    paceline.process().signal(Signal::Terminate);
    // It had waited for a connection that is free now.
    assert_sent_away(&mut clients.pinned);
    assert_eq!(
        completed(&clients.queued.read_until_ready()),
        ["INSERT 0 1"]
    );
    assert_ended_well(&paceline);
    let took = since.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    for client in [&mut clients.in_transaction, &mut clients.in_copy] {
        assert!(client.rest().iter().all(|frame| frame.tag != b'Z'));
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                    AND pid <> pg_backend_pid()";
    wait_until(PATIENCE, || {
        psql(&server, &server.url("postgres"), sessions) == "0"
    });
    assert_eq!(written(&server), "queued");
}

/// Two processes, one after the other.
fn launch(server: &PrivatePostgres, folder: &tempfile::TempDir) -> Launch {
    let socket = folder.path().join("control.sock");
    let control = format!("control_socket={}", socket.display());
    Paceline::launch()
        .database(&server.url("postgres"))
        .args(["--set", POOL_SIZE, "--set", &control])
}

#[test]
fn after_a_hand_over_everybody_goes_on_until_they_leave() {
    let (server, folder) = (postgres(), tempfile::tempdir().expect("a folder"));
    let old = launch(&server, &folder).start();
    let mut clients = Clients::enter(&old, &server);
    let new = launch(&server, &folder).takes_over_from(&old).start();
    wait_until(PATIENCE, || old.log().contains("has taken over"));
    clients.finish();
    assert_eq!(clients.idle.value("SELECT 'served'"), "served");
    assert_eq!(clients.pinned.value("SELECT x FROM mine"), "kept");
    let mut newcomer = RawPg::login(new.pg_port(), "postgres", None, "postgres");
    newcomer.query("NOTIFY news, 'from the other process'");
    let told = clients.listening.read();
    assert_eq!(told.tag, b'A');
    assert!(String::from_utf8_lossy(&told.body).contains("from the other process"));
    assert!(old.process().exit_status().is_none());
    drop(clients);
    assert_ended_well(&old);
    assert_eq!(newcomer.value("SELECT 'served'"), "served");
    assert_eq!(written(&server), "in a copy, in a transaction, queued");
}

#[test]
fn sigterm_ends_a_hand_over_as_it_ends_anything() {
    let (server, folder) = (postgres(), tempfile::tempdir().expect("a folder"));
    let old = launch(&server, &folder).start();
    let mut clients = Clients::enter(&old, &server);
    let _new = launch(&server, &folder).takes_over_from(&old).start();
    wait_until(PATIENCE, || old.log().contains("has taken over"));
    old.process().signal(Signal::Terminate);
    for client in [
        &mut clients.idle,
        &mut clients.listening,
        &mut clients.pinned,
    ] {
        assert_sent_away(client);
    }
    clients.finish();
    assert_ended_well(&old);
    assert_eq!(written(&server), "in a copy, in a transaction, queued");
}
