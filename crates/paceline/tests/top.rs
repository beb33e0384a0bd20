//! `paceline top` of a running instance, printed once and live on a terminal.

use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use paceline_testkit::http;
use paceline_testkit::origin::{Origin, Peer, Request};
use paceline_testkit::{Paceline, RawPg, postgres, wait_until};

const SOON: Duration = Duration::from_secs(20);
const PACELINE: &str = env!("CARGO_BIN_EXE_paceline");

fn instance(origin: &Origin, database: &str) -> Paceline {
    let paceline = Paceline::launch()
        .upstream(&origin.url(""))
        .database(database)
        .start();
    for _ in 0..3 {
        http::get(&format!("{}/jobs", paceline.http_url()));
    }
    let mut client = RawPg::login(paceline.pg_port(), "postgres", None, "postgres");
    client.query("SELECT count(*) FROM pg_class");
    wait_until(SOON, || {
        let routes = paceline.admin_json("/api/v1/routes");
        routes["routes"][0]["requests"] == 3
    });
    paceline
}

fn application() -> Origin {
    Origin::start(|_: &Request, peer: &mut Peer| peer.respond(200, &[], b"yes"))
}

#[test]
fn what_an_instance_does_is_printed_once() {
    let (server, origin) = (postgres(), application());
    let paceline = instance(&origin, &server.url("postgres"));
    let top = |url: &str| {
        Command::new(PACELINE)
            .args(["top", "--url", url])
            .env("COLUMNS", "120")
            .output()
            .expect("it starts")
    };
    // Its output is no terminal: once, without being told.
    let output = top(&paceline.admin_url());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    let at = |name: &str| text.lines().position(|line| line.starts_with(name));
    let lists = [
        at("routes (by time, since the start)"),
        at("GET /jobs "),
        at("shapes ("),
        at("SELECT pg_class "),
        at("pools ("),
        at("postgres/postgres "),
    ];
    assert!(
        lists.iter().all(Option::is_some) && lists.is_sorted(),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );

    drop(paceline);
    let output = top("http://127.0.0.1:1");
    let complaint = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(
        complaint.contains("Could not ask http://127.0.0.1:1"),
        "{complaint}"
    );
}

#[test]
fn on_a_terminal_it_is_live_and_gives_the_terminal_back() {
    let (server, origin) = (postgres(), application());
    let paceline = instance(&origin, &server.url("postgres"));
    // script(1) makes a terminal for it.
    let command = format!(
        "stty cols 110 rows 30; exec {PACELINE} top --interval 100ms --url {}",
        paceline.admin_url()
    );
    let mut child = Command::new("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &command,
            "/dev/null",
        ])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) of util-linux");
    let mut keys = child.stdin.take().expect("a pipe");
    let mut screen = Screen::of(child.stdout.take().expect("a pipe"));
    screen.await_text("GET /jobs");
    // The next answers are about the interval only.
    screen.await_text("of the last 0.");
    keys.write_all(b"2").expect("it reads keys");
    screen.await_text("SELECT count(*) FROM pg_class");
    keys.write_all(b"\t").expect("it reads keys");
    screen.await_text("postgres/postgres");
    assert!(!screen.text().contains("GET /jobs"), "{}", screen.text());
    keys.write_all(b"q").expect("it reads keys");
    // The screen that was there before comes back.
    screen.read_to_end();
    assert!(screen.said("\x1b[?1049h") && screen.said("\x1b[?1049l"));
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
}

/// As much of a terminal as is needed to know what a person sees: text, and where the cursor is sent.
struct Screen {
    bytes: mpsc::Receiver<Vec<u8>>,
    seen: String,
    /// Bytes of an incomplete character.
    rest: Vec<u8>,
}

impl Screen {
    fn of(mut source: impl Read + Send + 'static) -> Screen {
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Screen {
            bytes,
            seen: String::new(),
            rest: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = self.rest.split_off(valid);
        let text = std::mem::replace(&mut self.rest, rest);
        self.seen
            .push_str(&String::from_utf8(text).expect("valid up to here"));
    }

    #[track_caller]
    fn await_text(&mut self, text: &str) {
        let deadline = Instant::now() + SOON;
        while !self.text().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!("no {text:?} on\n{}", self.text()),
            }
        }
    }

    #[track_caller]
    fn read_to_end(&mut self) {
        while let Ok(bytes) = self.bytes.recv_timeout(SOON) {
            self.take(&bytes);
        }
    }

    /// Whether this was ever sent.
    fn said(&self, bytes: &str) -> bool {
        self.seen.contains(bytes)
    }

    /// What is on it.
    fn text(&self) -> String {
        let mut cells = vec![vec![' '; 200]; 60];
        let (mut row, mut column) = (0, 0);
        let mut rest = self.seen.chars();
        while let Some(next) = rest.next() {
            match next {
                // `ESC [ numbers letter`; others do not matter here.
                '\x1b' if rest.as_str().starts_with('[') => {
                    let code = &rest.as_str()[1..];
                    let end = code.find(|end: char| end.is_ascii_alphabetic());
                    let (numbers, after) = code.split_at(end.unwrap_or(code.len()));
                    let mut numbers = numbers.split(';').map(|number| number.parse().unwrap_or(1));
                    let mut number = || numbers.next().unwrap_or(1_usize).max(1) - 1;
                    match after.chars().next() {
                        Some('H') => (row, column) = (number(), number()),
                        Some('J') => cells.iter_mut().for_each(|line| line.fill(' ')),
                        _ => {}
                    }
                    rest = after.get(1..).unwrap_or_default().chars();
                }
                '\r' => column = 0,
                '\n' => row += 1,
                _ => {
                    cells[row][column] = next;
                    column += 1;
                }
            }
        }
        let lines = cells.iter().map(|line| line.iter().collect::<String>());
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }
}
