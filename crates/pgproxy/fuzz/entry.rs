//! What is fuzzed: what the proxy makes of a client's bytes before there is a server: startup packets, their settings and options,
//! and the console's commands. Shared by the libFuzzer target and by a plain test.
//!
//! The proxy is a real one, before a port where nobody listens. Whatever comes, it neither panics nor leaves the client waiting.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use paceline_journal::Journal;
use paceline_pgproxy::{Config, Database, DatabaseUrl, Proxy};
use paceline_sql::{Limits, Statements};

const PROTOCOL_3_0: u32 = 196_608;
/// How long the proxy may take to answer and to close.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the proxy, which ends with the process, and gives its port.
pub(crate) fn start() -> u16 {
    let nowhere = DatabaseUrl::parse("postgres://postgres@127.0.0.1:1/postgres").expect("a URL");
    let config = Config {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        databases: vec![Database::new(nowhere)],
        workers: 1,
        wait_timeout: Duration::from_millis(1),
        ..Config::default()
    };
    let mut listeners = paceline_listen::bind(config.listen, 1).expect("a free port");
    let listener = listeners.remove(0);
    let port = listener.local_addr().expect("an address").port();
    let journal = Journal::new(paceline_journal::Config::default());
    let statements = Arc::new(Statements::new(Limits::default()));
    let proxy = Proxy::new(config, journal, statements).expect("a proxy");
    std::thread::spawn(move || {
        let (_drain, signal) = paceline_listen::drain();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, proxy.serve(0, listener, signal));
    });
    port
}

/// Sends what the input stands for, and reads to the end.
///
/// # Panics
///
/// When the proxy leaves the client waiting, or is gone.
pub(crate) fn run(port: u16, data: &[u8]) {
    let [kind, data @ ..] = data else { return };
    let bytes = match kind % 4 {
        // Anything at all.
        0 => data.to_vec(),
        // Parameters of any form.
        1 => startup(data),
        // Options of any form, among ordinary parameters.
        2 => startup(
            &[
                b"user\0postgres\0database\0postgres\0options\0",
                &without_zero(data)[..],
                b"\0\0",
            ]
            .concat(),
        ),
        // A command of the console.
        _ => [
            startup(b"user\0postgres\0database\0paceline\0\0"),
            message(b'Q', &[&without_zero(data)[..], b"\0"].concat()),
        ]
        .concat(),
    };
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the proxy listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // It may close before it has read everything.
    let _ = stream.write_all(&bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let is_waiting =
                    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!is_waiting, "the proxy neither answers nor closes");
                return;
            }
        }
    }
}

fn startup(parameters: &[u8]) -> Vec<u8> {
    let body = [&PROTOCOL_3_0.to_be_bytes()[..], parameters].concat();
    [&length(&body)[..], &body].concat()
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length(body), body].concat()
}

fn length(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len() + 4)
        .expect("a short message")
        .to_be_bytes()
}

fn without_zero(data: &[u8]) -> Vec<u8> {
    data.iter().copied().filter(|byte| *byte != 0).collect()
}
