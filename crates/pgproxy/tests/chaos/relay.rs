//! A wire that can be cut: passes bytes between a port of its own and another, until it is told to break one of its connections in
//! the middle of whatever passes next.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use fastrand::Rng;

/// See the module.
pub(crate) struct Relay {
    pub(crate) port: u16,
    wires: Arc<Mutex<Vec<Arc<Wire>>>>,
}

/// One connection, both its sockets.
struct Wire {
    ends: [TcpStream; 2],
    is_to_be_cut: AtomicBool,
    is_dead: AtomicBool,
}

impl Relay {
    /// Leads to this port of 127.0.0.1.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let own = listener.local_addr().unwrap().port();
        let wires = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::clone(&wires);
        // It ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                    connect(client, server, &accepted);
                }
            }
        });
        Self { port: own, wires }
    }

    /// Cuts one of the connections in the middle of what passes next.
    pub(crate) fn cut_one(&self, random: &mut Rng) {
        let mut wires = self.wires.lock().unwrap();
        wires.retain(|wire| !wire.is_dead.load(Ordering::Relaxed));
        if !wires.is_empty() {
            let chosen = random.usize(0..wires.len());
            wires[chosen].is_to_be_cut.store(true, Ordering::Relaxed);
        }
    }
}

fn connect(client: TcpStream, server: TcpStream, wires: &Mutex<Vec<Arc<Wire>>>) {
    for end in [&client, &server] {
        let _ = end.set_nodelay(true);
    }
    let wire = Arc::new(Wire {
        ends: [client, server],
        is_to_be_cut: AtomicBool::new(false),
        is_dead: AtomicBool::new(false),
    });
    wires.lock().unwrap().push(Arc::clone(&wire));
    for direction in [0, 1] {
        let wire = Arc::clone(&wire);
        thread::spawn(move || wire.pass(&wire.ends[direction], &wire.ends[1 - direction]));
    }
}

impl Wire {
    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buf = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buf) {
            if self.is_to_be_cut.load(Ordering::Relaxed) {
                let _ = to.write_all(&buf[..count / 2]);
                self.is_dead.store(true, Ordering::Relaxed);
                let _ = from.shutdown(Shutdown::Both);
                break;
            }
            if to.write_all(&buf[..count]).is_err() {
                break;
            }
        }
        self.is_dead.store(true, Ordering::Relaxed);
        // What was read is passed on before the end is.
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }
}
