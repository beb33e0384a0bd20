//! A client that moves money, and keeps a ledger of what it was told.

use std::io;
use std::time::Duration;

use fastrand::Rng;
use paceline_testkit::{Frame, RawPg, frame};

use super::support::sqlstates;

/// Accounts that there are.
pub(crate) const ACCOUNTS: u32 = 20;

/// What a client was told of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed,
    /// It was told so, or never asked for the commit.
    Failed,
    /// It asked for the commit, and was told that the connection is lost.
    Unknown,
}

/// A transfer that was tried.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) tag: String,
    pub(crate) outcome: Outcome,
}

/// The client.
pub(crate) struct Teller {
    number: usize,
    port: u16,
    random: Rng,
    session: Option<RawPg>,
    has_prepared: bool,
    turn: usize,
    pub(crate) ledger: Vec<Transfer>,
    /// Times that it was cancelled.
    pub(crate) cancelled: usize,
    /// Errors of any kind that it was told.
    pub(crate) told: usize,
}

/// The connection is gone.
struct Lost;

struct Move {
    tag: String,
    token: String,
    from: u32,
    to: u32,
    amount: u32,
}

impl Teller {
    pub(crate) fn new(number: usize, port: u16, seed: u64) -> Self {
        Self {
            number,
            port,
            random: Rng::with_seed(seed ^ (number as u64) << 32),
            session: None,
            has_prepared: false,
            turn: 0,
            ledger: Vec::new(),
            cancelled: 0,
            told: 0,
        }
    }

    /// Whether this one asks for cancels: nobody else may be hit by one.
    fn cancels(&self) -> bool {
        self.number.is_multiple_of(5)
    }

    /// One transaction, or something else that a client does.
    pub(crate) fn take_turn(&mut self) {
        if self.session.is_none() && !self.log_in() {
            return;
        }
        self.turn += 1;
        match self.random.u8(0..40) {
            0 => self.vanish(),
            1..4 if self.cancels() => self.cancel_a_query(),
            4..6 if self.cancels() => self.session.as_ref().unwrap().cancel(),
            _ => self.transfer(),
        }
    }

    fn log_in(&mut self) -> bool {
        let name = format!("teller {}", self.number);
        let options = format!("-c chaos.me={}", self.number);
        let mut session = RawPg::connect(self.port);
        let startup = frame::startup(&[
            ("user", "postgres"),
            ("database", "postgres"),
            ("application_name", &name),
            ("options", &options),
        ]);
        if session.try_send(&startup).is_err() {
            return false;
        }
        self.has_prepared = false;
        // It may be cut while it logs in.
        loop {
            match session.try_read() {
                Ok(frame) if frame.tag == b'Z' => break,
                Ok(frame) if frame.tag == b'E' => {
                    self.accept_errors(&[frame]);
                    return false;
                }
                Ok(frame) if frame.tag == b'K' => {
                    session.key = frame.body.as_slice().try_into().ok()
                }
                Ok(_) => {}
                Err(error) => return self.assert_not_stuck(&error),
            }
        }
        self.session = Some(session);
        true
    }

    fn assert_not_stuck(&self, error: &io::Error) -> bool {
        let is_stuck = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        );
        assert!(!is_stuck, "teller {} got no answer", self.number);
        false
    }

    /// Sends, and reads so many ReadyForQuery.
    fn ask(&mut self, bytes: &[u8], batches: usize) -> Result<Vec<Frame>, Lost> {
        let Some(session) = &mut self.session else {
            return Err(Lost);
        };
        let mut frames = Vec::new();
        let mut due = batches;
        let mut ended = session.try_send(bytes).err();
        while ended.is_none() && due > 0 {
            match session.try_read() {
                Ok(frame) => {
                    due -= usize::from(frame.tag == b'Z');
                    frames.push(frame);
                }
                Err(error) => ended = Some(error),
            }
        }
        self.accept_errors(&frames);
        self.assert_own(&frames);
        match ended {
            None => Ok(frames),
            Some(error) => {
                self.assert_not_stuck(&error);
                self.session = None;
                Err(Lost)
            }
        }
    }

    /// An error that chaos does not explain is a fault of the proxy's.
    fn accept_errors(&mut self, frames: &[Frame]) {
        for frame in frames.iter().filter(|frame| frame.tag == b'E') {
            let code = frame.sqlstate().unwrap_or_default();
            self.told += 1;
            match &*code {
                "57014" => {
                    assert!(self.cancels(), "teller {} was cancelled", self.number);
                    self.cancelled += 1;
                }
                // In a failed transaction; no server connection; a deadlock; the server goes, comes, or is gone.
                "25P02" | "53300" | "40P01" | "57P01" | "57P02" | "57P03" => {}
                _ if code.starts_with("08") => {}
                _ => panic!("teller {}: {code} {:?}", self.number, frame.field(b'M')),
            }
        }
    }

    /// All rows of all answers say for whom they are.
    fn assert_own(&self, frames: &[Frame]) {
        for row in frames.iter().filter(|frame| frame.tag == b'D') {
            let values: Vec<String> = row.values().into_iter().flatten().collect();
            let mine = self.number.to_string();
            let is_own = values[0].split('-').next() == Some(&*mine)
                && values[1] == mine
                && values[2] == format!("teller {mine}");
            assert!(is_own, "teller {mine} was told {values:?}");
        }
    }

    fn transfer(&mut self) {
        let from = self.random.u32(0..ACCOUNTS - 1);
        let work = Move {
            tag: format!("{}-{}", self.number, self.turn),
            token: format!("{}-{}-token", self.number, self.turn),
            from,
            to: self.random.u32(from + 1..ACCOUNTS),
            amount: self.random.u32(1..10),
        };
        let outcome = match self.random.u8(0..5) {
            0 => self.step_by_step(&work),
            1 => self.in_one_string(&work, true),
            2 => self.in_one_string(&work, false),
            3 => self.prepared(&work, false),
            _ => self.prepared(&work, true),
        };
        self.ledger.push(Transfer {
            tag: work.tag,
            outcome,
        });
    }

    /// A Query for each statement, each answer awaited.
    fn step_by_step(&mut self, work: &Move) -> Outcome {
        for sql in ["BEGIN".to_owned()]
            .into_iter()
            .chain(work.statements(self.number))
        {
            match self.ask(&frame::query(&sql), 1) {
                Err(Lost) => return Outcome::Failed,
                Ok(frames) if sqlstates(&frames).is_empty() => {}
                Ok(_) => {
                    self.roll_back();
                    return Outcome::Failed;
                }
            }
        }
        let answer = self.ask(&frame::query("COMMIT"), 1);
        self.judge(answer, true)
    }

    /// All in one Query; without BEGIN and COMMIT it is a transaction as well.
    fn in_one_string(&mut self, work: &Move, is_explicit: bool) -> Outcome {
        let mut sql = work.statements(self.number).join("; ");
        if is_explicit {
            sql = format!("BEGIN; {sql}; COMMIT");
        }
        let answer = self.ask(&frame::query(&sql), 1);
        self.judge(answer, is_explicit)
    }

    /// Named statements, all sent ahead: in one batch, or each in a batch of its own.
    fn prepared(&mut self, work: &Move, is_one_batch: bool) -> Outcome {
        let texts = [
            ("begin", "BEGIN".to_owned()),
            (
                "move",
                "UPDATE accounts SET balance = balance + $2::int WHERE id = $1::int".to_owned(),
            ),
            ("echo", Move::echo("$1::text")),
            (
                "log",
                format!(
                    "INSERT INTO transfers VALUES ($1, $2::int, $3::int, $4::int, {})",
                    self.number
                ),
            ),
            ("commit", "COMMIT".to_owned()),
        ];
        let mut bytes = Vec::new();
        if !self.has_prepared {
            let parses = texts
                .iter()
                .map(|(name, text)| frame::parse(name, text, &[]));
            let preparing = parses.chain([frame::sync()]).collect::<Vec<_>>().concat();
            match self.ask(&preparing, 1) {
                Ok(frames) if sqlstates(&frames).is_empty() => self.has_prepared = true,
                // Some of them may be known now, which another Parse would fail for.
                _ => {
                    self.session = None;
                    return Outcome::Failed;
                }
            }
        }
        let (from, to, amount) = (
            work.from.to_string(),
            work.to.to_string(),
            work.amount.to_string(),
        );
        let less = format!("-{amount}");
        let runs: [(&str, Vec<Option<&str>>); 6] = [
            ("begin", vec![]),
            ("move", vec![Some(&from), Some(&less)]),
            ("move", vec![Some(&to), Some(&amount)]),
            ("echo", vec![Some(&work.token)]),
            (
                "log",
                vec![Some(&work.tag), Some(&from), Some(&to), Some(&amount)],
            ),
            ("commit", vec![]),
        ];
        for (name, parameters) in &runs {
            bytes.extend(frame::bind("", name, parameters));
            bytes.extend(frame::execute("", 0));
            if !is_one_batch {
                bytes.extend(frame::sync());
            }
        }
        if is_one_batch {
            bytes.extend(frame::sync());
        }
        let answer = self.ask(&bytes, if is_one_batch { 1 } else { runs.len() });
        self.judge(answer, true)
    }

    /// What came of a COMMIT that was sent.
    fn judge(&mut self, answer: Result<Vec<Frame>, Lost>, is_explicit: bool) -> Outcome {
        let Ok(frames) = answer else {
            return Outcome::Unknown;
        };
        let codes = sqlstates(&frames);
        let is_ended = |text: &[u8]| {
            frames
                .iter()
                .any(|frame| frame.tag == b'C' && frame.body == text)
        };
        if frames.last().is_some_and(|frame| frame.body != b"I") {
            self.roll_back();
        }
        if codes.is_empty() {
            assert!(
                !is_explicit || is_ended(b"COMMIT\0"),
                "no error and no COMMIT"
            );
            return Outcome::Committed;
        }
        // A lost connection may have been committing.
        let is_lost = codes
            .iter()
            .any(|code| code.starts_with("08") || code.starts_with("57P"));
        if is_lost {
            Outcome::Unknown
        } else {
            Outcome::Failed
        }
    }

    fn roll_back(&mut self) {
        let _ = self.ask(&frame::query("ROLLBACK"), 1);
    }

    /// Goes without a word: in a transaction, in the middle of a message, or while an answer comes.
    fn vanish(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        let spoil = frame::query(
            "BEGIN; UPDATE accounts SET balance = balance + 1000 WHERE id = 0; SELECT pg_sleep(0.01)",
        );
        let length = match self.random.u8(0..3) {
            0 => self.random.usize(0..spoil.len()),
            _ => spoil.len(),
        };
        let _ = session.try_send(&spoil[..length]);
        if self.random.bool() {
            session.vanish();
        }
    }

    /// A query that its own cancel is to end; either may be first.
    fn cancel_a_query(&mut self) {
        let token = format!("'{}-sleep'", self.number);
        let query = frame::query(&format!("{} FROM pg_sleep(0.3)", Move::echo(&token)));
        if let Some(session) = &mut self.session {
            let _ = session.try_send(&query);
            std::thread::sleep(Duration::from_millis(self.random.u64(0..30)));
            session.cancel();
        }
        let _ = self.ask(&[], 1);
    }

    /// Comes to an end without more turns.
    pub(crate) fn leave(&mut self) {
        if let Some(mut session) = self.session.take() {
            let _ = session.try_send(&frame::terminate());
        }
    }
}

impl Move {
    /// A row that says for whom it is: what the client sent, and what its session has.
    fn echo(token: &str) -> String {
        format!("SELECT {token}, current_setting('chaos.me'), current_setting('application_name')")
    }

    fn statements(&self, number: usize) -> Vec<String> {
        let Self {
            tag,
            token,
            from,
            to,
            amount,
        } = self;
        vec![
            format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
            Self::echo(&format!("'{token}'")),
            format!("INSERT INTO transfers VALUES ('{tag}', {from}, {to}, {amount}, {number})"),
        ]
    }
}
