//! An HTTP server that does what a test tells it, also what no server should do.
//!
//! ```
//! use paceline_testkit::{http, origin::{Next, Origin}};
//!
//! let origin = Origin::start(|request, peer| match request.path.as_str() {
//!     "/fine" => peer.respond(200, &[("x-a", "b")], b"hello"),
//!     _ => {
//!         peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
//!         Next::Close
//!     }
//! });
//! assert_eq!(http::get(&origin.url("/fine")).text(), "hello");
//! assert!(http::try_get(&origin.url("/broken")).is_err());
//! assert_eq!(origin.requests().len(), 2);
//! ```

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http::{read_body, read_headers, read_line};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined; empty under [`Origin::start_unread`].
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next request is read from it.
    Keep,
    /// It is closed in order.
    Close,
    /// It is reset: the peer sees "connection reset".
    Reset,
}

/// The client's end of a connection.
#[derive(Debug)]
pub struct Peer {
    stream: BufReader<TcpStream>,
}

impl Peer {
    /// Sends an ordinary answer with a length.
    pub fn respond(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> Next {
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes());
        self.send(body);
        Next::Keep
    }

    /// Sends any bytes. Whether they arrive is not this server's concern.
    pub fn send(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    }

    /// Reads what is there, at most so many bytes; 0 when the peer is gone.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        self.stream.read(buffer).unwrap_or(0)
    }

    /// Waits until the peer has closed the connection; false if it has not in time.
    pub fn wait_closed(&mut self, timeout: Duration) -> bool {
        let _ = self.stream.get_ref().set_read_timeout(Some(timeout));
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !crate::http::is_timeout(&error),
            }
        }
    }
}

type Handler = dyn Fn(&Request, &mut Peer) -> Next + Send + Sync;

/// The server: a thread for each connection, on a free port of 127.0.0.1; ended on drop.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    reads_bodies: bool,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Origin {
    /// Starts it. The handler is called for each request, after its body was read.
    pub fn start(handler: impl Fn(&Request, &mut Peer) -> Next + Send + Sync + 'static) -> Origin {
        Origin::start_on(0, true, Box::new(handler))
    }

    /// The handler is called once the head was read; the body is left to [`Peer::read`].
    pub fn start_unread(
        handler: impl Fn(&Request, &mut Peer) -> Next + Send + Sync + 'static,
    ) -> Origin {
        Origin::start_on(0, false, Box::new(handler))
    }

    /// As [`Origin::start`], on this port: a server that comes back.
    pub fn start_at(
        port: u16,
        handler: impl Fn(&Request, &mut Peer) -> Next + Send + Sync + 'static,
    ) -> Origin {
        Origin::start_on(port, true, Box::new(handler))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path (which begins with a slash, or is empty).
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Closes all connections that are open now; new ones are still accepted.
    pub fn drop_connections(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn start_on(port: u16, reads_bodies: bool, handler: Box<Handler>) -> Origin {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler,
            reads_bodies,
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Origin {
            address,
            shared,
            acceptor: Some(acceptor),
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.drop_connections();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(handle) = stream.try_clone() else {
            continue;
        };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.open.lock().unwrap().push(handle);
        let shared = Arc::clone(shared);
        thread::spawn(move || converse(stream, &shared));
    }
}

fn converse(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let peer_address = stream.peer_addr().ok();
    let mut peer = Peer {
        stream: BufReader::new(stream),
    };
    let mut next = Next::Keep;
    while next == Next::Keep {
        let Some(request) = read_request(&mut peer, shared.reads_bodies) else {
            next = Next::Close;
            continue;
        };
        shared.requests.lock().unwrap().push(request.clone());
        next = (shared.handler)(&request, &mut peer);
    }
    let stream = peer.stream.get_ref();
    if next == Next::Reset {
        // Lingering for no time at all is how one says "reset".
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    } else {
        let _ = stream.shutdown(Shutdown::Both);
    }
    // The other handle must go too, or the connection would stay open.
    shared
        .open
        .lock()
        .unwrap()
        .retain(|s| s.peer_addr().ok() != peer_address);
}

fn read_request(peer: &mut Peer, reads_body: bool) -> Option<Request> {
    let line = read_line(&mut peer.stream).ok()?;
    let mut words = line.split(' ');
    let method = words.next()?.to_owned();
    let path = words.next()?.to_owned();
    let headers = read_headers(&mut peer.stream).ok()?;
    if headers
        .iter()
        .any(|(n, v)| n == "expect" && v.eq_ignore_ascii_case("100-continue"))
    {
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    let body = if reads_body {
        read_body(&mut peer.stream, &headers, false).ok()?
    } else {
        Vec::new()
    };
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}
