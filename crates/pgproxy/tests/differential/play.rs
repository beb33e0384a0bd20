//! Plays a script against a port, and writes down what each client hears.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use paceline_testkit::{Frame, RawPg, frame};

use super::message::{Answer, Message};
use super::script::{CLIENTS, Script, Step, Work};

/// What was heard at each step.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    /// `None` for a step that was left out.
    pub(crate) steps: Vec<Option<String>>,
}

/// Which steps are left out, because their client could not get a server connection before others let go.
pub(crate) enum Choice<'a> {
    /// Those that would find this many server connections held.
    ByHolders(usize),
    /// The same as the other time.
    As(&'a Transcript),
}

struct Player {
    session: RawPg,
    /// What the server has reported of its settings.
    reported: BTreeMap<String, String>,
    /// In a transaction, or in the middle of a batch.
    holds: bool,
    is_skipping: bool,
    /// In a failed transaction, as the last ReadyForQuery said.
    has_failed: bool,
    /// What was heard since then.
    batch: String,
}

/// Plays it.
pub(crate) fn play(script: &Script, port: u16, choice: &Choice<'_>) -> Transcript {
    // All log in first: the first of those with the same settings needs a server connection for it.
    let mut players: Vec<Option<Player>> = (0..CLIENTS)
        .map(|client| Player::log_in(port, &script.startups[client]).ok())
        .collect();
    let mut transcript = Transcript::default();
    for (number, step) in script.steps.iter().enumerate() {
        let is_left_out = match choice {
            Choice::As(other) => other.steps[number].is_none(),
            Choice::ByHolders(max) => {
                let holds = |player: &Option<Player>| player.as_ref().is_some_and(|p| p.holds);
                let holders = players.iter().filter(|player| holds(player)).count();
                !holds(&players[step.client]) && holders >= *max
            }
        };
        transcript.steps.push((!is_left_out).then(|| {
            take_step(script, step, &mut players[step.client], port)
                .unwrap_or_else(|error| format!("no answer: {}\n", error.kind()))
        }));
    }
    transcript
}

fn take_step(
    script: &Script,
    step: &Step,
    seat: &mut Option<Player>,
    port: u16,
) -> io::Result<String> {
    let mut heard = String::new();
    if seat.is_none() {
        match Player::log_in(port, &script.startups[step.client]) {
            Ok(player) => *seat = Some(player),
            Err(refusal) => return Ok(told(&refusal)),
        }
    }
    let Some(player) = seat else {
        return Ok(heard);
    };
    match &step.work {
        Work::Send(messages) => match player.converse(messages, &mut heard) {
            Ok(()) => Ok(heard),
            Err(error) => {
                *seat = None;
                if error.kind() == io::ErrorKind::WouldBlock {
                    return Err(error);
                }
                heard.push_str("the connection ended\n");
                Ok(heard)
            }
        },
        Work::Leave { vanishes } => {
            if let Some(mut player) = seat.take() {
                if *vanishes {
                    player.session.vanish();
                } else {
                    player.session.try_send(&frame::terminate())?;
                    player.session.rest();
                }
            }
            Ok(heard)
        }
    }
}

impl Player {
    fn log_in(port: u16, parameters: &[(&'static str, String)]) -> Result<Self, Frame> {
        let mut session = RawPg::connect(port);
        let mut pairs = vec![("user", "postgres"), ("database", "postgres")];
        pairs.extend(
            parameters
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        session.send(&frame::startup(&pairs));
        let mut player = Self {
            session,
            reported: BTreeMap::new(),
            holds: false,
            is_skipping: false,
            has_failed: false,
            batch: String::new(),
        };
        loop {
            let frame = player.session.read();
            match frame.tag {
                b'S' => player.note_status(&frame),
                b'Z' => return Ok(player),
                b'E' => return Err(frame),
                _ => {}
            }
        }
    }

    fn note_status(&mut self, frame: &Frame) {
        let text = String::from_utf8_lossy(&frame.body);
        let mut parts = text.split('\0');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        self.reported.insert(next(), next());
    }

    /// Sends all of it at once, and reads all answers.
    fn converse(&mut self, messages: &[Message], heard: &mut String) -> io::Result<()> {
        let bytes: Vec<u8> = messages.iter().flat_map(Message::bytes).collect();
        // An end of the connection is noticed when reading.
        let _ = self.session.try_send(&bytes);
        for message in messages {
            if self.is_skipping && *message != Message::Sync {
                continue;
            }
            match message.answer() {
                Answer::None => {}
                Answer::Until(ends) => {
                    self.holds = true;
                    let before = self.batch.len();
                    let end = self.read_until(ends, true)?;
                    let lost = ["E C08", "E C53", "E C57"];
                    let is_own = lost.map(|class| self.batch[before..].starts_with(class));
                    if end == b'E' && message.is_named_parse() && !is_own.contains(&true) {
                        // Of two reasons the proxy may tell the other one: that the name is taken is known to it alone.
                        self.batch.truncate(before);
                        self.batch.push_str("E a Parse that fails\n");
                    }
                    if end == b'E' && self.batch[before..].starts_with("t ") {
                        // Prepared again under other settings, it fails before its parameters can be told.
                        let told = self.batch[before..].find('\n').map_or(0, |at| at + 1);
                        self.batch.drain(before..before + told);
                    }
                    self.is_skipping = end == b'E';
                }
                Answer::Ready => {
                    self.is_skipping = false;
                    let had_failed = self.has_failed;
                    self.read_until(b"Z", false)?;
                    if had_failed && self.has_failed {
                        // A statement cannot be prepared in a failed transaction, so that one which this server connection does
                        // not know cannot be described either: here the error comes one message earlier.
                        self.batch.clear();
                    }
                    heard.push_str(&std::mem::take(&mut self.batch));
                    // What is reported may come in any order and at any time before; what counts is what is known now. Where a
                    // setting may have changed, a client may be told behind this message what it is again.
                    let may_lag = |tag: &str| heard.contains(&format!("C {tag}"));
                    let tags = ["SET", "RESET", "DISCARD", "BEGIN", "COMMIT", "ROLLBACK"];
                    if !self.holds && !tags.into_iter().any(may_lag) {
                        let _ = writeln!(heard, "known: {:?}", self.reported);
                    }
                }
            }
        }
        Ok(())
    }

    fn read_until(&mut self, ends: &[u8], or_error: bool) -> io::Result<u8> {
        loop {
            let frame = self.session.try_read()?;
            match frame.tag {
                b'S' => self.note_status(&frame),
                b'Z' => {
                    self.holds = frame.body != b"I";
                    self.has_failed = frame.body == b"E";
                    let _ = writeln!(self.batch, "Z {}", String::from_utf8_lossy(&frame.body));
                }
                _ => self.batch.push_str(&told(&frame)),
            }
            if ends.contains(&frame.tag) || or_error && frame.tag == b'E' {
                return Ok(frame.tag);
            }
        }
    }
}

/// A message as a line, without what differs between two servers: OIDs of tables, lines of the server's source.
fn told(frame: &Frame) -> String {
    let tag = char::from(frame.tag);
    match frame.tag {
        b'E' | b'N' => {
            let fields = frame.body.split(|byte| *byte == 0);
            let mut fields: Vec<String> = fields
                .filter(|field| field.first().is_some_and(|code| !b"FLR".contains(code)))
                .map(|field| without_name(&String::from_utf8_lossy(field)))
                .collect();
            fields.sort();
            format!("{tag} {}\n", fields.join(" | "))
        }
        b'T' => format!("T {:?}\n", columns(&frame.body)),
        _ => format!("{tag} {}\n", frame.body.escape_ascii()),
    }
}

/// A statement has another name at the server, which its errors tell.
fn without_name(text: &str) -> String {
    let Some((before, rest)) = text.split_once("prepared statement \"") else {
        return text.to_owned();
    };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{before}prepared statement …{after}")
}

/// Of each column of a RowDescription its name, and what follows the table's OID.
fn columns(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        columns.push((name, rest[end + 5..end + 19].to_vec()));
        rest = &rest[end + 19..];
    }
    columns
}
