//! A tiny blocking HTTP/1.1 client, and a raw one that sends whatever bytes it is told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics if it is not.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

/// GETs a URL; panics if there is no answer.
#[track_caller]
pub fn get(url: &str) -> Response {
    try_get(url).unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// GETs a URL.
pub fn try_get(url: &str) -> io::Result<Response> {
    try_request("GET", url, &[], b"")
}

/// Sends a request and reads the answer; panics if there is none.
#[track_caller]
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    try_request(method, url, headers, body)
        .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

/// Sends a request with a JSON body.
#[track_caller]
pub fn send_json(method: &str, url: &str, body: &Value) -> Response {
    let headers = [("content-type", "application/json")];
    request(method, url, &headers, body.to_string().as_bytes())
}

/// Sends a request on a connection of its own and reads the answer.
pub fn try_request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Response> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| invalid("only http:// URLs"))?;
    let (authority, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = authority
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| invalid("no address"))?;
    let mut connection = Connection::open(address)?;
    let target = if target.is_empty() { "/" } else { target };
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("connection"))
    {
        head.push_str("connection: close\r\n");
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    connection.try_send(head.as_bytes())?;
    connection.try_send(body)?;
    connection.try_response(method)
}

/// A connection on which any bytes can be sent. Reads give up after 20 seconds.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; panics if it cannot.
    #[track_caller]
    pub fn to(address: SocketAddr) -> Connection {
        Connection::open(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"))
    }

    fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream: BufReader::new(stream),
        })
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    /// Sends these bytes; the peer may be gone.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Ends our side; the answer can still be read.
    pub fn end_sending(&mut self) {
        self.stream.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// Reads the answer to a request that was not HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response("GET").unwrap()
    }

    /// Reads the answer to a request of this method.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        loop {
            let response = read_response(&mut self.stream, method)?;
            // 1xx answers come before the one that counts; 101 is the last.
            if response.status >= 200 || response.status == 101 {
                return Ok(response);
            }
        }
    }

    /// Reads one line, without its end.
    pub fn line(&mut self) -> io::Result<String> {
        read_line(&mut self.stream)
    }

    /// Reads exactly so many bytes.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the peer closes (or resets) the connection, and gives what came; panics when it
    /// stays open.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error) if is_timeout(&error) => panic!("the peer keeps the connection open"),
            _ => bytes,
        }
    }
}

fn read_response(stream: &mut BufReader<TcpStream>, method: &str) -> io::Result<Response> {
    let line = read_line(stream)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok())
        .ok_or_else(|| invalid(&format!("not a status line: {line:?}")))?;
    let mut response = Response {
        status,
        headers: read_headers(stream)?,
        body: Vec::new(),
    };
    if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
        response.body = read_body(stream, &response.headers, true)?;
    }
    Ok(response)
}

pub(crate) fn read_headers(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| invalid(&format!("not a header: {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// Reads a body by its length or chunks; without either, to the end of the stream or not at all.
pub(crate) fn read_body(
    stream: &mut impl BufRead,
    headers: &[(String, String)],
    until_end: bool,
) -> io::Result<Vec<u8>> {
    let header = |name: &str| {
        headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream)?;
            let digits = line.split(';').next().unwrap_or("").trim();
            let size = u64::from_str_radix(digits, 16)
                .map_err(|_| invalid(&format!("not a chunk size: {line:?}")))?;
            if size == 0 {
                read_headers(stream)?;
                return Ok(body);
            }
            read_exactly(stream, size, &mut body)?;
            read_line(stream)?;
        }
    }
    match header("content-length").map(str::parse::<u64>) {
        Some(Ok(length)) => read_exactly(stream, length, &mut body)?,
        Some(Err(_)) => return Err(invalid("not a content-length")),
        None if until_end => drop(stream.read_to_end(&mut body)?),
        None => {}
    }
    Ok(body)
}

fn read_exactly(stream: &mut impl BufRead, count: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let read = stream.take(count).read_to_end(into)?;
    if read as u64 == count {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

pub(crate) fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
