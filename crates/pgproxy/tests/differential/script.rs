//! Scripts: what three clients do in turns, made from one seed.

use fastrand::Rng;

use super::message::Message;
use super::texts::{self, Text};

/// Clients of a script.
pub(crate) const CLIENTS: usize = 3;
const STEPS_MAX: usize = 50;
const NAMES: [&str; 3] = ["", "a", "b"];
const PORTALS: [&str; 3] = ["", "p", "q"];

/// What three clients do in turns.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Server connections of the proxy.
    pub(crate) pool_size: usize,
    /// Parameters of each client's startup packet.
    pub(crate) startups: Vec<Vec<(&'static str, String)>>,
    pub(crate) steps: Vec<Step>,
}

/// What one client does before it is another's turn.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) client: usize,
    pub(crate) work: Work,
}

/// See [`Step`].
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Sends these at once, the last of them one that makes answers come.
    Send(Vec<Message>),
    /// Ends its session; its next step begins another.
    Leave { vanishes: bool },
}

/// What is known of a client while the script is made: the texts that its names may stand for.
#[derive(Default)]
struct Known {
    statements: [Option<Text>; NAMES.len()],
}

struct Maker {
    random: Rng,
    /// Whether sessions may keep their server connection beyond a transaction.
    may_pin: bool,
    known: Vec<Known>,
}

impl Script {
    /// The script of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let pool_size = random.usize(1..=CLIENTS);
        let startups = (0..CLIENTS).map(|_| startup(&mut random)).collect();
        let steps_max = random.usize(1..=STEPS_MAX);
        let mut maker = Maker {
            random,
            may_pin: pool_size >= CLIENTS,
            known: (0..CLIENTS).map(|_| Known::default()).collect(),
        };
        let steps = (0..steps_max).map(|_| maker.step()).collect();
        Self {
            pool_size,
            startups,
            steps,
        }
    }
}

fn startup(random: &mut Rng) -> Vec<(&'static str, String)> {
    let mut parameters = Vec::new();
    if random.bool() {
        parameters.push(("application_name", format!("app {}", random.u8(0..3))));
    }
    if random.u8(0..4) == 0 {
        parameters.push(("DateStyle", "German".to_owned()));
    }
    if random.u8(0..4) == 0 {
        parameters.push((
            "options",
            format!("-c work_mem={}MB -c s.x=startup", random.u8(1..4)),
        ));
    }
    parameters
}

impl Maker {
    fn step(&mut self) -> Step {
        let client = self.random.usize(0..CLIENTS);
        let work = match self.random.u8(0..100) {
            0..2 => {
                self.known[client] = Known::default();
                let vanishes = self.random.bool();
                Work::Leave { vanishes }
            }
            2..40 => Work::Send(vec![self.query(client)]),
            40..46 => Work::Send(self.copy(client)),
            _ => Work::Send(self.batches(client)),
        };
        Step { client, work }
    }

    /// A Query of one statement or several.
    fn query(&mut self, client: usize) -> Message {
        let count = match self.random.u8(0..10) {
            0 => 0,
            1..8 => 1,
            _ => self.random.usize(2..5),
        };
        let texts: Vec<String> = (0..count)
            .map(|_| {
                let text = texts::any(&mut self.random, client, self.may_pin, false);
                text.without_parameters(&mut self.random)
            })
            .filter(|text| count == 1 || !is_otherwise_among_others(text))
            .collect();
        Message::Query(texts.join("; "))
    }

    /// A COPY by the simple or the extended protocol, all of it sent ahead.
    fn copy(&mut self, client: usize) -> Vec<Message> {
        let is_extended = self.random.bool();
        let text = if self.random.u8(0..4) == 0 {
            format!("COPY (SELECT n, note FROM t{client} ORDER BY 1, 2) TO STDOUT")
        } else {
            format!("COPY t{client} FROM STDIN")
        };
        let mut messages = if is_extended {
            // Nothing else has these names: what follows an Execute of it must be CopyData.
            let (name, portal) = ("copy", "copy");
            vec![
                Message::CloseStatement(name),
                Message::ClosePortal(portal),
                Message::Parse { name, text },
                bind(portal, name, Vec::new(), false),
                Message::Execute {
                    portal,
                    rows_max: 0,
                },
            ]
        } else {
            vec![Message::Query(text)]
        };
        for _ in 0..self.random.usize(0..4) {
            let number = self.random.i32(0..100);
            let is_wrong = self.random.u8(0..8) == 0;
            let line = if is_wrong {
                "no number".to_owned()
            } else {
                format!("{number}\tcopied\n")
            };
            messages.push(Message::CopyData(line));
        }
        messages.push(if self.random.u8(0..4) == 0 {
            Message::CopyFail
        } else {
            Message::CopyDone
        });
        if is_extended {
            messages.push(Message::Sync);
        }
        messages
    }

    /// Batches of the extended protocol; the last may lack its Sync.
    fn batches(&mut self, client: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        let count = if self.random.u8(0..4) == 0 {
            self.random.usize(2..4)
        } else {
            1
        };
        for _ in 0..count {
            if self.random.u8(0..3) == 0 {
                for _ in 0..self.random.usize(0..6) {
                    messages.push(self.any_message(client));
                }
            } else {
                self.usual(client, &mut messages);
            }
            messages.push(Message::Sync);
        }
        if self.random.u8(0..6) == 0 {
            messages.pop();
            messages.push(Message::Flush);
        }
        messages
    }

    /// Parse, Bind, Describe, Execute, as drivers send them.
    fn usual(&mut self, client: usize, messages: &mut Vec<Message>) {
        let name = self.random.usize(0..NAMES.len());
        let is_known = self.known[client].statements[name].is_some();
        if !is_known || self.random.bool() {
            if is_known && name != 0 {
                messages.push(Message::CloseStatement(NAMES[name]));
            }
            let parse = self.parse(client, name);
            messages.push(parse);
        }
        if self.random.bool() {
            messages.push(Message::DescribeStatement(NAMES[name]));
        }
        let portal = if self.random.u8(0..4) == 0 {
            self.portal()
        } else {
            ""
        };
        let bind = self.bind(client, portal, name);
        messages.push(bind);
        if self.random.bool() {
            messages.push(Message::DescribePortal(portal));
        }
        let rows_max = self.rows_max();
        messages.push(Message::Execute { portal, rows_max });
        if rows_max > 0 && self.random.bool() {
            messages.push(Message::Execute {
                portal,
                rows_max: self.rows_max(),
            });
        }
    }

    fn any_message(&mut self, client: usize) -> Message {
        let name = self.random.usize(0..NAMES.len());
        let portal = self.portal();
        match self.random.u8(0..12) {
            0..3 => self.parse(client, name),
            3..6 => self.bind(client, portal, name),
            6..8 => Message::DescribePortal(portal),
            8..10 => Message::Execute {
                portal,
                rows_max: self.rows_max(),
            },
            10 => {
                self.known[client].statements[name] = None;
                Message::CloseStatement(NAMES[name])
            }
            _ => Message::ClosePortal(portal),
        }
    }

    fn parse(&mut self, client: usize, name: usize) -> Message {
        let text = texts::any(&mut self.random, client, self.may_pin, true);
        let sql = text.sql.clone();
        self.known[client].statements[name] = Some(text);
        Message::Parse {
            name: NAMES[name],
            text: sql,
        }
    }

    fn bind(&mut self, client: usize, portal: &'static str, name: usize) -> Message {
        let parameters = match &self.known[client].statements[name] {
            Some(text) => text.parameters(&mut self.random),
            None => Vec::new(),
        };
        bind(portal, NAMES[name], parameters, self.random.u8(0..4) == 0)
    }

    fn portal(&mut self) -> &'static str {
        PORTALS[self.random.usize(0..PORTALS.len())]
    }

    fn rows_max(&mut self) -> u32 {
        if self.random.bool() {
            0
        } else {
            self.random.u32(1..4)
        }
    }
}

fn bind(
    portal: &'static str,
    statement: &'static str,
    parameters: Vec<Option<String>>,
    is_binary: bool,
) -> Message {
    Message::Bind {
        portal,
        statement,
        parameters,
        is_binary,
    }
}

/// What docs/pooling.md says of texts of several statements: a DEALLOCATE does not reach what was prepared by the protocol, and what
/// comes behind a RESET sees the server's default.
fn is_otherwise_among_others(text: &str) -> bool {
    text == "DEALLOCATE a" || text.starts_with("RESET ") || text.ends_with(" DEFAULT")
}
