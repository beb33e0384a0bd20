//! A Postgres client that sends whatever bytes it is told: for hostile tests.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};

use crate::http::is_timeout;

const TIMEOUT: Duration = Duration::from_secs(20);
const PROTOCOL_3_0: u32 = 196_608;

/// One message from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its type, such as `b'Z'`.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// A field of an ErrorResponse or NoticeResponse, such as `b'C'`, the SQLSTATE.
    pub fn field(&self, code: u8) -> Option<String> {
        self.body.split(|byte| *byte == 0).find_map(|field| {
            let (first, rest) = field.split_first()?;
            (*first == code).then(|| String::from_utf8_lossy(rest).into_owned())
        })
    }

    /// The SQLSTATE, if this is an error.
    pub fn sqlstate(&self) -> Option<String> {
        (self.tag == b'E').then(|| self.field(b'C')).flatten()
    }

    /// The values of a DataRow as text; `None` is NULL.
    #[track_caller]
    pub fn values(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "not a DataRow");
        let mut rest = &self.body[2..];
        let mut values = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
                values.push(None);
                rest = tail;
                continue;
            };
            values.push(Some(String::from_utf8_lossy(&tail[..length]).into_owned()));
            rest = &tail[length..];
        }
        values
    }
}

/// The client. Reads give up after 20 seconds.
#[derive(Debug)]
pub struct RawPg {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// Process id and secret of BackendKeyData, once it came.
    pub key: Option<[u8; 8]>,
}

impl RawPg {
    /// Connects to a port of 127.0.0.1 and sends nothing.
    #[track_caller]
    pub fn connect(port: u16) -> RawPg {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        RawPg {
            stream: BufReader::new(stream),
            address,
            key: None,
        }
    }

    /// Connects, logs in and reads up to ReadyForQuery.
    #[track_caller]
    pub fn login(port: u16, user: &str, password: Option<&str>, database: &str) -> RawPg {
        RawPg::try_login(port, &[("user", user), ("database", database)], password)
            .unwrap_or_else(|frame| panic!("could not log in: {:?}", frame.field(b'M')))
    }

    /// As [`RawPg::login`], with these startup parameters; the server's error, if it refuses.
    #[track_caller]
    pub fn try_login(
        port: u16,
        parameters: &[(&str, &str)],
        password: Option<&str>,
    ) -> Result<RawPg, Frame> {
        let mut client = RawPg::connect(port);
        client.send(&frame::startup(parameters));
        client.authenticate(password).map(|()| client)
    }

    /// Goes on after the startup message up to ReadyForQuery; the server's error, if it refuses.
    #[track_caller]
    pub fn authenticate(&mut self, password: Option<&str>) -> Result<(), Frame> {
        let mut scram = None;
        loop {
            let frame = self.read();
            let kind = frame
                .body
                .first_chunk::<4>()
                .map(|bytes| u32::from_be_bytes(*bytes));
            match (frame.tag, kind) {
                (b'Z', _) => return Ok(()),
                (b'E', _) => return Err(frame),
                (b'K', _) => self.key = frame.body.as_slice().try_into().ok(),
                (b'R', Some(3)) => {
                    let password = password.expect("the server asks for a password");
                    self.send(&frame::message(
                        b'p',
                        &[password.as_bytes(), b"\0"].concat(),
                    ));
                }
                (b'R', Some(10)) => {
                    let password = password.expect("the server asks for a password");
                    let client =
                        ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    let first = client.message();
                    let length = u32::try_from(first.len()).unwrap().to_be_bytes();
                    self.send(&frame::message(
                        b'p',
                        &[b"SCRAM-SHA-256\0", &length[..], first].concat(),
                    ));
                    scram = Some(client);
                }
                (b'R', Some(11)) => {
                    let client = scram.as_mut().expect("SASL continues only what it began");
                    client.update(&frame.body[4..]).unwrap();
                    let answer = frame::message(b'p', client.message());
                    self.send(&answer);
                }
                (b'R', Some(12)) => {
                    scram
                        .as_mut()
                        .expect("as above")
                        .finish(&frame.body[4..])
                        .unwrap();
                }
                (b'R', Some(0)) | (b'S' | b'N' | b'v', _) => {}
                _ => panic!("unexpected during startup: {frame:?}"),
            }
        }
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap();
    }

    /// Sends these bytes; the peer may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one byte: the answer to an SSLRequest.
    #[track_caller]
    pub fn read_byte(&mut self) -> u8 {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).unwrap();
        byte[0]
    }

    /// Reads one message.
    #[track_caller]
    pub fn read(&mut self) -> Frame {
        self.try_read()
            .unwrap_or_else(|error| panic!("no message came: {error}"))
    }

    /// Reads one message.
    pub fn try_read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let length = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(4));
        let length = length.ok_or(io::ErrorKind::InvalidData)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Frame { tag: head[0], body })
    }

    /// Reads up to ReadyForQuery, which is the last of the messages given.
    #[track_caller]
    pub fn read_until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.last().is_none_or(|frame: &Frame| frame.tag != b'Z') {
            frames.push(self.read());
        }
        frames
    }

    /// Sends a simple Query and reads up to ReadyForQuery.
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&frame::query(sql));
        self.read_until_ready()
    }

    /// The rows of a simple Query as text; panics on an error.
    #[track_caller]
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let frames = self.query(sql);
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            panic!("{sql}: {:?} {:?}", error.sqlstate(), error.field(b'M'));
        }
        frames
            .iter()
            .filter(|frame| frame.tag == b'D')
            .map(Frame::values)
            .collect()
    }

    /// The one value of a simple Query.
    #[track_caller]
    pub fn value(&mut self, sql: &str) -> String {
        let rows = self.rows(sql);
        let value = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().next().flatten());
        value.unwrap_or_else(|| panic!("{sql} gave no value"))
    }

    /// Sends a CancelRequest for this session, on a connection of its own, and waits until the
    /// server has closed that.
    #[track_caller]
    pub fn cancel(&self) {
        let key = self.key.expect("the server sent BackendKeyData");
        let mut other = RawPg::connect(self.address.port());
        other.send(&frame::cancel(key));
        other.rest();
    }

    /// Reads until the server closes (or resets) the connection, and gives the messages that came;
    /// panics when it stays open.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            match self.try_read() {
                Ok(frame) => frames.push(frame),
                Err(error) if is_timeout(&error) => panic!("the server keeps the connection open"),
                Err(_) => return frames,
            }
        }
    }

    /// Whether nothing comes for so long.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let silent = match self.stream.get_ref().peek(&mut [0]) {
            Err(error) => is_timeout(&error),
            Ok(_) => false,
        };
        self.stream
            .get_ref()
            .set_read_timeout(Some(TIMEOUT))
            .unwrap();
        silent && self.stream.buffer().is_empty()
    }

    /// Ends our side of the connection; answers can still be read.
    pub fn end_sending(&mut self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Vanishes: the server sees a reset.
    pub fn vanish(self) {
        let socket = socket2::SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Messages from a client, as bytes.
pub mod frame {
    use super::PROTOCOL_3_0;

    /// Any message: type, length, body.
    pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend(length(body.len() + 4));
        bytes.extend_from_slice(body);
        bytes
    }

    /// StartupMessage, protocol 3.0.
    pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
        for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
            body.extend(cstring(text));
        }
        body.push(0);
        untagged(&body)
    }

    /// SSLRequest.
    pub fn ssl_request() -> Vec<u8> {
        untagged(&80_877_103_u32.to_be_bytes())
    }

    /// CancelRequest.
    pub fn cancel(key: [u8; 8]) -> Vec<u8> {
        untagged(&[&80_877_102_u32.to_be_bytes()[..], &key].concat())
    }

    /// Query.
    pub fn query(sql: &str) -> Vec<u8> {
        message(b'Q', &cstring(sql))
    }

    /// Parse, with parameter types as OIDs.
    pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
        let mut body = [cstring(name), cstring(sql)].concat();
        body.extend(count(types.len()));
        body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
        message(b'P', &body)
    }

    /// Bind, with parameters and results as text.
    pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>]) -> Vec<u8> {
        let mut body = [cstring(portal), cstring(statement)].concat();
        body.extend(count(0));
        body.extend(count(parameters.len()));
        for parameter in parameters {
            match parameter {
                Some(text) => {
                    body.extend(length(text.len()));
                    body.extend_from_slice(text.as_bytes());
                }
                None => body.extend((-1_i32).to_be_bytes()),
            }
        }
        body.extend(count(0));
        message(b'B', &body)
    }

    /// Describe, of a statement (`b'S'`) or a portal (`b'P'`).
    pub fn describe(kind: u8, name: &str) -> Vec<u8> {
        message(b'D', &[&[kind][..], &cstring(name)].concat())
    }

    /// Execute; `rows_max` 0 is all.
    pub fn execute(portal: &str, rows_max: u32) -> Vec<u8> {
        message(
            b'E',
            &[&cstring(portal)[..], &rows_max.to_be_bytes()].concat(),
        )
    }

    /// Close, of a statement (`b'S'`) or a portal (`b'P'`).
    pub fn close(kind: u8, name: &str) -> Vec<u8> {
        message(b'C', &[&[kind][..], &cstring(name)].concat())
    }

    /// Sync.
    pub fn sync() -> Vec<u8> {
        message(b'S', &[])
    }

    /// Flush.
    pub fn flush() -> Vec<u8> {
        message(b'H', &[])
    }

    /// Terminate.
    pub fn terminate() -> Vec<u8> {
        message(b'X', &[])
    }

    fn untagged(body: &[u8]) -> Vec<u8> {
        [&length(body.len() + 4)[..], body].concat()
    }

    fn cstring(text: &str) -> Vec<u8> {
        [text.as_bytes(), b"\0"].concat()
    }

    fn length(bytes: usize) -> [u8; 4] {
        u32::try_from(bytes).unwrap().to_be_bytes()
    }

    fn count(items: usize) -> [u8; 2] {
        u16::try_from(items).unwrap().to_be_bytes()
    }
}
