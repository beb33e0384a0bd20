//! A server that the tests can make slow, silent or rude.

use crate::{Arrivals, Cancel, Load, Plan, Report, Scenario, Target, run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub(crate) fn execute(plan: &Plan) -> Report {
    run(plan, &Cancel::new()).unwrap()
}

pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An HTTP server of one thread per connection, which does to each request what the test says.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) answered: Arc<AtomicUsize>,
}

pub(crate) enum Answer {
    /// And wait for the next request.
    Bytes(&'static [u8]),
    /// And close the connection.
    Last(&'static [u8]),
    Silence,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answered = Arc::new(AtomicUsize::new(0));
        let (handler, counter) = (Arc::new(handler), Arc::clone(&answered));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (handler, counter) = (Arc::clone(&handler), Arc::clone(&counter));
                let stream = stream.unwrap();
                // Ends when the client goes; its errors are the client's business.
                std::thread::spawn(move || drop(converse(&stream, &*handler, &counter)));
            }
        });
        Self { address, answered }
    }

    /// Nobody listens there.
    pub(crate) fn refusing() -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        Self {
            address,
            answered: Arc::default(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// One second of evenly spaced requests, without warm-up.
    pub(crate) fn plan(&self, rate: f64) -> Plan {
        let scenario = Scenario::from_toml("[[route]]\npath = '/'").unwrap();
        let mut plan = Plan::new(self.target(), scenario);
        plan.load = Load::Open {
            rate,
            arrivals: Arrivals::Constant,
        };
        plan.warmup = Duration::ZERO;
        plan.duration = Duration::from_secs(1);
        plan
    }
}

fn converse(
    stream: &TcpStream,
    handler: &dyn Fn(&str) -> Answer,
    answered: &AtomicUsize,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let length = request
            .lines()
            .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
        request.push_str(&String::from_utf8_lossy(&body));
        let answer = handler(&request);
        answered.fetch_add(1, Ordering::Relaxed);
        match answer {
            Answer::Bytes(bytes) => (&mut &*stream).write_all(bytes)?,
            Answer::Last(bytes) => return (&mut &*stream).write_all(bytes),
            Answer::Silence => {}
        }
    }
}
