//! A running gateway, and an origin that is nothing but a socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use paceline_gateway::{Config, Gateway, Upstream};
use paceline_journal::{Journal, RequestSummary};
use paceline_listen::{Drain, bind, drain};
use paceline_testkit::http::Connection;
use paceline_testkit::wait_for;

/// Longer than anything here should take.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A gateway with one worker, ended on drop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) journal: Arc<Journal>,
    drain: Drain,
    worker: Option<JoinHandle<()>>,
}

impl Running {
    /// With the settings that a user gets.
    pub(crate) fn before(upstream: &str) -> Running {
        Running::with(upstream, |_| ())
    }

    pub(crate) fn with(upstream: &str, change: impl FnOnce(&mut Config)) -> Running {
        let mut config = Config {
            upstream: Upstream::parse(upstream).unwrap(),
            ..Config::default()
        };
        change(&mut config);
        let journal = Journal::new(paceline_journal::Config::default());
        let gateway = Gateway::new(config, Arc::clone(&journal)).unwrap();
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let (drain, signal) = drain();
        let serving = Arc::clone(&gateway);
        let worker = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let local = tokio::task::LocalSet::new();
            local
                .block_on(&runtime.unwrap(), serving.serve(listener, signal))
                .unwrap();
        });
        Running {
            address,
            gateway,
            journal,
            drain,
            worker: Some(worker),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::to(self.address)
    }

    /// The only request so far, once it has ended.
    pub(crate) fn only_request(&self) -> RequestSummary {
        wait_for(LONG, || self.journal.recent().pop())
    }

    pub(crate) fn start_draining(&self) {
        self.drain.start();
    }

    /// Whether the worker has returned.
    pub(crate) fn has_ended(&self) -> bool {
        self.worker.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.start();
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
            && !thread::panicking()
        {
            panic!("the worker has panicked");
        }
    }
}

/// Calls `converse` with each connection, one after the other, and its number; returns the URL.
pub(crate) fn raw_origin(converse: impl Fn(usize, TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let stream = stream.unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            converse(number, stream);
        }
    });
    url
}

/// Reads up to the end of a head; false when the connection ended before.
pub(crate) fn read_head(stream: &mut TcpStream) -> bool {
    !read_head_text(stream).is_empty()
}

/// Reads a head, and gives it; empty when the connection ended before.
pub(crate) fn read_head_text(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Writes these bytes. Whether they arrive is not an origin's concern.
pub(crate) fn write(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Waits until the peer has closed.
pub(crate) fn closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A problem's type, without what all of them begin with.
pub(crate) fn problem(response: &paceline_testkit::http::Response) -> String {
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json"),
        "{response:?}"
    );
    let json = response.json();
    assert_eq!(json["status"], response.status);
    json["type"]
        .as_str()
        .unwrap()
        .trim_start_matches("urn:paceline:problem:")
        .to_owned()
}
