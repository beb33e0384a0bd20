//! While it runs: whoever sends garbage, lies, vanishes or dies ends what is his own, and touches
//! nobody else.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::time::Duration;

use paceline_testkit::origin::{Origin, Peer};
use paceline_testkit::{
    Paceline, PrivatePostgres, RawPg, Signal, frame, free_port, http, postgres, psql, wait_for,
    wait_until,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Both halves in front of healthy servers, and one healthy client on each, which must not notice
/// what others do.
struct Bystanders {
    server: PrivatePostgres,
    _origin: Origin,
    paceline: Paceline,
    session: RawPg,
    connection: http::Connection,
}

impl Bystanders {
    fn start(options: &[&str]) -> Bystanders {
        let server = postgres();
        let origin = Origin::start(|_, peer| peer.respond(200, &[], b"fine"));
        let paceline = Paceline::launch()
            .upstream(&origin.url(""))
            .database(&server.url("postgres"))
            .args(options.iter().copied())
            .start();
        let mut session = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
        session.query("BEGIN");
        session.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        let connection = http::Connection::to(paceline.http_addr());
        let mut bystanders = Bystanders {
            server,
            _origin: origin,
            paceline,
            session,
            connection,
        };
        bystanders.ask();
        bystanders
    }

    fn ask(&mut self) {
        self.connection
            .send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        assert_eq!(self.connection.response().text(), "fine");
        assert_eq!(self.session.value("SELECT n FROM kept"), "1");
    }

    /// Both still work on the same connections, and in the same transaction; and afterwards no
    /// server connection is held by anybody.
    fn assert_untouched(mut self) {
        self.ask();
        self.session.query("COMMIT");
        assert_nothing_held(&self.paceline);
        let mut newcomer = RawPg::login(self.paceline.pg_port(), "postgres", None, "postgres");
        assert_eq!(newcomer.value("SELECT n + 1 FROM kept"), "2");
        assert_eq!(http::get(&self.paceline.http_url()).text(), "fine");
        assert!(
            !self.paceline.log().contains("panicked"),
            "{}",
            self.paceline.log()
        );
    }
}

fn pool(paceline: &Paceline) -> Value {
    paceline.admin_json("/api/v1/pools")["pools"][0].clone()
}

#[track_caller]
fn assert_nothing_held(paceline: &Paceline) {
    wait_until(PATIENCE, || pool(paceline)["connections_used"] == 0);
}

#[test]
fn garbage_on_the_http_port_touches_nobody() {
    let bystanders = Bystanders::start(&[]);
    let rows: [&[u8]; 8] = [
        b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in rows {
        let mut connection = http::Connection::to(bystanders.paceline.http_addr());
        connection.send(bytes);
        connection.end_sending();
        let answer = connection.rest();
        let text = String::from_utf8_lossy(&answer);
        let refused = text.is_empty()
            || text.starts_with("HTTP/1.1 4")
            || text.starts_with("HTTP/1.1 502")
            || text.starts_with("HTTP/1.1 505");
        assert!(refused, "{:?} got {text:?}", String::from_utf8_lossy(bytes));
    }
    bystanders.assert_untouched();
}

#[test]
fn a_header_without_an_end_is_refused_when_it_is_too_long() {
    let bystanders = Bystanders::start(&[]);
    let mut connection = http::Connection::to(bystanders.paceline.http_addr());
    connection.send("GET / HTTP/1.1\r\nhost: x\r\nx-long: ");
    let piece = [b'a'; 64 * 1024];
    while connection.try_send(&piece).is_ok() {}
    // It is answered, or the reset overtook the answer.
    let answer = connection.rest();
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
        "{answer:?}"
    );
    bystanders.assert_untouched();
}

#[test]
fn garbage_on_the_postgres_port_touches_nobody() {
    let bystanders = Bystanders::start(&[]);
    let port = bystanders.paceline.pg_port();
    let startup = frame::startup(&[("user", "postgres"), ("database", "postgres")]);
    let lying = |length: u32| [&b"Q"[..], &length.to_be_bytes(), b"SELECT 1\0"].concat();
    // Before and after the login.
    let rows: [(&str, bool, Vec<u8>); 13] = [
        (
            "an HTTP request",
            false,
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        ),
        ("a startup of length 0", false, vec![0; 8]),
        (
            "a startup of length 3",
            false,
            [0, 0, 0, 3, 0, 3, 0, 0].to_vec(),
        ),
        (
            "a startup of 2 GiB",
            false,
            [0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0].to_vec(),
        ),
        ("protocol 2.0", false, [0, 0, 0, 8, 0, 2, 0, 0].to_vec()),
        (
            "half a startup",
            false,
            startup[..startup.len() / 2].to_vec(),
        ),
        (
            "a startup without its end",
            false,
            [&[0, 0, 0, 13, 0, 3, 0, 0][..], b"user\0"].concat(),
        ),
        ("an unknown message", true, frame::message(b'?', b"what")),
        ("a message of length 0", true, lying(0)),
        ("a message of negative length", true, lying(0xffff_ffff)),
        ("a message of 2 GiB", true, lying(0x7fff_fff0)),
        (
            "a query without its end",
            true,
            frame::message(b'Q', b"SELECT 1"),
        ),
        ("a Bind of nothing", true, frame::message(b'B', &[])),
    ];
    for (what, after_login, bytes) in rows {
        let mut client = if after_login {
            RawPg::login(port, "postgres", None, "postgres")
        } else {
            RawPg::connect(port)
        };
        client.send(&bytes);
        client.end_sending();
        let answers = client.rest();
        let errors: Vec<_> = answers
            .iter()
            .filter_map(|frame| frame.sqlstate())
            .collect();
        assert!(
            answers.iter().all(|frame| frame.tag != b'D'),
            "{what}: {answers:?}"
        );
        assert!(
            errors.iter().all(|code| code.len() == 5),
            "{what}: {errors:?}"
        );
        if after_login {
            assert_eq!(errors, ["08P01"], "{what}: {answers:?}");
        }
    }
    bystanders.assert_untouched();
}

#[test]
fn half_a_message_and_then_nothing_holds_nothing() {
    let bystanders = Bystanders::start(&[]);
    let port = bystanders.paceline.pg_port();
    let batch = [
        frame::parse("s", "SELECT $1::int", &[]),
        frame::bind("", "s", &[Some("1")]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat();
    // Cut at every byte.
    for length in 1..batch.len() {
        let mut client = RawPg::login(port, "postgres", None, "postgres");
        client.send(&batch[..length]);
        client.vanish();
    }
    bystanders.assert_untouched();
}

#[test]
fn a_client_that_vanishes_in_mid_row_leaves_no_connection_behind() {
    let bystanders = Bystanders::start(&["--set", "postgres.pool_size=2"]);
    let port = bystanders.paceline.pg_port();
    for _ in 0..6 {
        let mut client = RawPg::login(port, "postgres", None, "postgres");
        client.send(&frame::query(
            "SELECT repeat('x', 5000) FROM generate_series(1, 1000000)",
        ));
        while client.read().tag != b'D' {}
        client.vanish();
    }
    bystanders.assert_untouched();
}

#[test]
fn a_server_that_is_killed_in_mid_transaction_costs_that_transaction_only() {
    let bystanders = Bystanders::start(&[]);
    let port = bystanders.paceline.pg_port();
    let mut victim = RawPg::login(port, "postgres", None, "postgres");
    victim.query("BEGIN");
    let backend = victim.value("SELECT pg_backend_pid()");
    let admin = bystanders.server.url("postgres");
    psql(
        &bystanders.server,
        &admin,
        &format!("SELECT pg_terminate_backend({backend})"),
    );
    victim.send(&frame::query("SELECT 1"));
    let error = wait_for(PATIENCE, || {
        victim.try_read().ok().and_then(|f| f.sqlstate())
    });
    assert!(["57P01", "08006"].contains(&error.as_str()), "{error}");
    drop(victim);
    bystanders.assert_untouched();
}

#[test]
fn while_the_servers_are_gone_each_half_says_so_and_recovers() {
    let mut server = postgres();
    let port = free_port().unwrap();
    let answer = |_: &_, peer: &mut Peer| peer.respond(200, &[], b"back");
    let origin = Origin::start_at(port, answer);
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(&server.url("postgres"))
        .start();
    assert_eq!(http::get(&paceline.http_url()).text(), "back");
    drop(origin);
    server.stop();

    let refused = http::get(&paceline.http_url());
    assert!([502, 503].contains(&refused.status), "{refused:?}");
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(refused.json()["status"], refused.status);
    wait_until(PATIENCE, || {
        let ready = http::get(&format!("{}/readyz", paceline.admin_url()));
        ready.status == 503 && ready.json()["reasons"].as_array().map(Vec::len) == Some(2)
    });
    assert_eq!(
        http::get(&format!("{}/livez", paceline.admin_url())).status,
        200
    );
    let sqlstate = wait_for(PATIENCE, || {
        match RawPg::try_login(paceline.pg_port(), &[("user", "postgres")], None) {
            Err(refusal) => refusal.sqlstate(),
            Ok(mut client) => client
                .query("SELECT 1")
                .iter()
                .find_map(|frame| frame.sqlstate()),
        }
    });
    assert_eq!(sqlstate, "08001");

    server.restart().unwrap();
    let _origin = Origin::start_at(port, answer);
    wait_until(PATIENCE, || {
        http::get(&format!("{}/readyz", paceline.admin_url())).status == 200
    });
    assert_eq!(http::get(&paceline.http_url()).text(), "back");
    let mut client = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    assert_eq!(client.value("SELECT 1"), "1");
    assert_nothing_held(&paceline);
}

/// Linux's.
const O_NONBLOCK: i32 = 0o4000;
const DESCRIPTORS: usize = 96;
const CROWD: usize = 200;

/// More than there are descriptors for, on these ports, none of which says anything. Those for whom there is none are sent away
/// at once instead of being left to wait.
fn crowd(ports: &[u16]) -> Vec<TcpStream> {
    let crowd: Vec<TcpStream> = (ports.iter().cycle().take(CROWD))
        .map(|port| {
            let stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    let is_sent_away = |stream: &&TcpStream| match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    };
    let at_once = Duration::from_secs(10);
    wait_until(at_once, || {
        crowd.iter().filter(is_sent_away).count() >= CROWD - DESCRIPTORS
    });
    crowd
}

#[test]
fn without_descriptors_left_those_who_are_in_are_served_and_others_later() {
    let server = postgres();
    let origin = Origin::start(|_, peer| peer.respond(200, &[], b"fine"));
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(&server.url("postgres"))
        .descriptors_max(u32::try_from(DESCRIPTORS).unwrap())
        .start();
    let mut session = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    assert_eq!(session.value("SELECT 1"), "1");
    let mut connection = http::Connection::to(paceline.http_addr());
    let mut ask = || {
        connection.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
        connection.response().text()
    };
    assert_eq!(ask(), "fine");
    let crowd = crowd(&[paceline.http_addr().port(), paceline.pg_port()]);
    assert_eq!(ask(), "fine");
    assert_eq!(session.value("SELECT 2"), "2");
    drop(crowd);
    wait_until(PATIENCE, || {
        http::try_get(&paceline.http_url()).is_ok_and(|response| response.text() == "fine")
    });
    let mut newcomer = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    assert_eq!(newcomer.value("SELECT 3"), "3");
    assert_nothing_held(&paceline);
    assert!(!paceline.log().contains("panicked"));
}

#[test]
fn without_descriptors_left_for_a_server_connection_clients_share_those_that_there_are() {
    let server = postgres();
    let paceline = Paceline::launch()
        .database(&server.url("postgres"))
        .args(["--set", "postgres.wait_timeout=1s"])
        .descriptors_max(u32::try_from(DESCRIPTORS).unwrap())
        .start();
    let login = || RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    let (mut holder, mut other) = (login(), login());
    holder.query("BEGIN");
    let crowd = crowd(&[paceline.pg_port()]);
    let refused = other.query("SELECT 1");
    assert_eq!(
        refused[0].sqlstate().as_deref(),
        Some("53000"),
        "{refused:?}"
    );
    let field = |code| refused[0].field(code).unwrap_or_default();
    assert!(field(b'M').contains("Too many open files"), "{refused:?}");
    assert!(field(b'H').contains("ulimit -n"), "{refused:?}");
    assert_eq!(holder.value("SELECT 'goes on'"), "goes on");
    other.send(&frame::query("SELECT 'shared'"));
    holder.query("COMMIT");
    let frames = other.read_until_ready();
    assert_eq!(frames[1].values(), [Some("shared".to_owned())]);

    holder.query("BEGIN");
    drop(crowd);
    wait_until(PATIENCE, || {
        other
            .query("SELECT 1")
            .iter()
            .any(|frame| frame.tag == b'D')
    });
    holder.query("COMMIT");
    assert_nothing_held(&paceline);
}

/// Statements that are lines in its log, and then its end.
fn log_a_lot_and_leave(paceline: &Paceline) {
    let mut client = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    for number in 0..40 {
        assert_eq!(
            client.value(&format!("SELECT {number} FROM pg_sleep(0.002)")),
            number.to_string()
        );
    }
    let slow = || paceline.admin_json("/api/v1/slow")["statements"].clone();
    wait_until(PATIENCE, || {
        slow().as_array().is_some_and(|slow| slow.len() >= 40)
    });
    paceline.process().signal(Signal::Terminate);
    let status = paceline.process().wait(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let server = postgres();
    for redirection in [">&- 2>&-", ">/dev/full 2>/dev/full"] {
        let paceline = Paceline::launch()
            .database(&server.url("postgres"))
            .args(["--set", "log.slow_query=1ms"])
            .redirected(redirection)
            .start();
        log_a_lot_and_leave(&paceline);
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let server = postgres();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // Both its ends: opening one of them would wait for the other.
    let mut both = File::options();
    let mut reader = both
        .read(true)
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(&pipe)
        .unwrap();
    let launch = Paceline::launch()
        .database(&server.url("postgres"))
        .args(["--set", "log.slow_query=1ms"])
        .env("LOG", pipe.to_str().unwrap())
        .redirected("2>\"$LOG\"");
    let paceline = launch.clone().start();
    while reader.write(&[b'x'; 4096]).is_ok() {}
    log_a_lot_and_leave(&paceline);

    // And who read it has gone.
    let mut reader = both.open(&pipe).unwrap();
    let paceline = launch.start();
    while reader.read(&mut [0; 4096]).is_ok() {}
    drop(reader);
    log_a_lot_and_leave(&paceline);
}
