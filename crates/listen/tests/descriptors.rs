//! A process without a free descriptor goes on accepting: it closes who it cannot serve, and serves again afterwards.
#![expect(clippy::unwrap_used, reason = "for tests only")]
#![expect(
    clippy::print_stdout,
    reason = "one half of the test talks to the other"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use paceline_listen::{Acceptor, bind};

const ROLE: &str = "PACELINE_LISTEN_TEST_SERVER";
const LONG: Duration = Duration::from_secs(20);
/// Enough for the runtime and a few connections.
const DESCRIPTORS_MAX: usize = 64;

/// The other half: runs in a process of its own, whose limit is lowered. Each line on its standard input is a command.
#[test]
fn server() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
        let mut acceptor = Acceptor::new(listener).unwrap();
        say(&format!("listening {}", acceptor.local_addr().unwrap()));
        let (send, mut commands) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lines() {
                let _ = send.send(line.unwrap());
            }
        });
        processor_ticks();
        let mut hoard = Vec::new();
        loop {
            tokio::select! {
                (stream, _) = acceptor.accept() => {
                    let stream = stream.into_std().unwrap();
                    stream.set_nonblocking(false).unwrap();
                    (&stream).write_all(b"hello").unwrap();
                }
                command = commands.recv() => match command.as_deref() {
                    Some("hoard") => {
                        while let Ok(file) = File::open("/dev/null") {
                            hoard.push(file);
                        }
                        say("hoarded");
                    }
                    Some("release") => {
                        hoard.clear();
                        say("released");
                    }
                    Some("processor time") => say(&format!("ticks {}", processor_ticks())),
                    _ => return,
                },
            }
        }
    });
}

#[test]
fn without_descriptors_clients_are_closed_and_not_left_waiting() {
    let mut server = Server::start();
    assert_eq!(server.greeting(), "hello");

    server.tell("hoard", "hoarded");
    let before = server.ticks();
    for _ in 0..50 {
        assert_eq!(server.greeting(), "", "closed at once, without an answer");
    }
    // Nothing to accept, nothing to do: a listener that reports itself as ready for ever would burn this second.
    std::thread::sleep(Duration::from_secs(1));
    let used = server.ticks() - before;
    assert!(
        used < 50,
        "{used} ticks of processor time (100 are a second)"
    );

    server.tell("release", "released");
    for _ in 0..50 {
        assert_eq!(server.greeting(), "hello");
    }
}

struct Server {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<std::process::ChildStdout>,
    address: SocketAddr,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new("prlimit")
            .arg(format!("--nofile={DESCRIPTORS_MAX}"))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "server", "--nocapture", "--test-threads=1"])
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Server {
            child,
            commands,
            answers,
            address,
        };
        server.address = server.answer("listening ").parse().unwrap();
        server
    }

    /// What a new client hears until the connection ends.
    fn greeting(&self) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
                panic!("the client is left waiting: {error}")
            }
            _ => text,
        }
    }

    fn tell(&mut self, command: &str, answer: &str) {
        writeln!(self.commands, "{command}").unwrap();
        self.answer(answer);
    }

    fn ticks(&mut self) -> u64 {
        writeln!(self.commands, "processor time").unwrap();
        self.answer("ticks ").parse().unwrap()
    }

    /// The rest of the next line that begins like this; the test harness writes some of its own.
    fn answer(&mut self, prefix: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(
                self.answers.read_line(&mut line).unwrap(),
                0,
                "the server has ended"
            );
            if let Some(at) = line.find(prefix) {
                return line[at + prefix.len()..].trim().to_owned();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Of this process, user and system. Read through a descriptor that is already open: there may be no other.
fn processor_ticks() -> u64 {
    thread_local!(static STAT: File = File::open("/proc/self/stat").unwrap());
    STAT.with(|mut stat| {
        use std::io::{Seek, SeekFrom};
        let mut text = String::new();
        stat.seek(SeekFrom::Start(0)).unwrap();
        stat.read_to_string(&mut text).unwrap();
        let mut fields = text.rsplit(") ").next().unwrap().split(' ').skip(11);
        let mut next = || fields.next().unwrap().parse::<u64>().unwrap();
        next() + next()
    })
}
