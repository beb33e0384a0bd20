//! What the gateway can be told: plain values that cannot be wrong.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Uri;

use crate::Error;
use crate::error::without_user;

/// The settings of the HTTP half. Every wait and every size has a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The application that is proxied to.
    pub upstream: Upstream,
    /// Change nothing but the trace header: no header is added to answers, and `Forwarded` and `X-Forwarded-*` pass as
    /// they came.
    pub observe: bool,
    /// Whether the peers that connect here are proxies whose `Forwarded` and `X-Forwarded-*` headers can be believed:
    /// then they are added to, otherwise replaced, because a client can write into them what it likes.
    pub trust_forwarded: bool,
    /// How long connecting to the application may take.
    pub connect_timeout: Duration,
    /// How long the application may take from the last byte of the request to the first of its answer.
    pub response_timeout: Duration,
    /// How long a body, either way, may stand still.
    pub body_idle_timeout: Duration,
    /// How long a client may take from the first byte of a request to the end of its headers, and from connecting to
    /// the first byte.
    pub header_timeout: Duration,
    /// How long a client may keep a connection without asking anything.
    pub keep_alive_timeout: Duration,
    /// How long a connection to the application is kept without use. The default is below the five seconds after which
    /// common servers (Node.js, Uvicorn) close theirs, so that a request seldom meets a connection on its way out.
    pub upstream_idle_timeout: Duration,
    /// Unused connections to the application that each worker keeps.
    pub upstream_idle_max: usize,
    /// Client connections, over all workers; whoever comes after them is told to come back (503).
    pub clients_max: usize,
    /// Bytes of a request's header section, names and values; above it, 431. At most [`Config::HEADER_BYTES_LIMIT`].
    pub header_bytes_max: usize,
    /// Bytes of a request's target; above it, 414.
    pub uri_bytes_max: usize,
    /// Bytes of a request's body; above it, 413. Bodies are never held in memory, so that the default is no limit.
    pub body_bytes_max: Option<u64>,
}

impl Config {
    /// No header section may be larger than this, whatever [`Config::header_bytes_max`] says.
    pub const HEADER_BYTES_LIMIT: usize = 256 * 1024;

    /// No wait may be longer than this.
    pub const WAIT_LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            upstream: Upstream {
                host: "127.0.0.1".into(),
                port: 3000,
                prefix: "".into(),
                literal: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 3000))),
            },
            observe: false,
            trust_forwarded: false,
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            body_idle_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(75),
            upstream_idle_timeout: Duration::from_secs(4),
            upstream_idle_max: 256,
            clients_max: 10_000,
            header_bytes_max: 32 * 1024,
            uri_bytes_max: 8 * 1024,
            body_bytes_max: None,
        }
    }
}

/// The application's address, from a URL such as `http://127.0.0.1:3000` or `http://app:3000/api`. The path, if there
/// is one, is put before the path of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    host: Box<str>,
    port: u16,
    /// Empty, or begins with a slash and does not end with one.
    prefix: Box<str>,
    /// Set when the host is an IP address, which then needs no resolver.
    literal: Option<SocketAddr>,
}

impl Upstream {
    /// Reads a URL of the form `http://host[:port][/prefix]`; the port defaults to 80.
    ///
    /// # Errors
    ///
    /// [`Error::Upstream`] with one sentence that says what is wrong with the URL.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Upstream {
            url: without_user(url),
            reason,
        };
        let uri: Uri = url.trim().parse().map_err(|_| wrong("it is not a URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(wrong(
                    "TLS to the application is not supported: use http://",
                ));
            }
            _ => return Err(wrong("it must begin with http://")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it must not contain a user"));
        }
        if uri.query().is_some() {
            return Err(wrong("it must not contain a query"));
        }
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if bare.is_empty() {
            return Err(wrong("it names no host"));
        }
        let port = match (authority.port_u16(), authority.as_str().len() == host.len()) {
            (Some(0), _) => return Err(wrong("port 0 cannot be connected to")),
            (Some(port), _) => port,
            (None, true) => 80,
            (None, false) => return Err(wrong("its port is not a number up to 65535")),
        };
        Ok(Self {
            host: bare.into(),
            port,
            prefix: uri.path().trim_end_matches('/').into(),
            literal: bare
                .parse()
                .ok()
                .map(|address| SocketAddr::new(address, port)),
        })
    }

    /// The host name or IP address, the latter without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands before each request's path; often empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The address, if it is known without asking a resolver.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        self.literal
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host, port, prefix, ..
        } = self;
        if host.contains(':') {
            write!(f, "http://[{host}]:{port}{prefix}")
        } else {
            write!(f, "http://{host}:{port}{prefix}")
        }
    }
}

impl std::str::FromStr for Upstream {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        Self::parse(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_written() {
        for (url, expected) in [
            ("http://127.0.0.1:3000", Ok("http://127.0.0.1:3000")),
            ("http://app", Ok("http://app:80")),
            ("http://app:8000/", Ok("http://app:8000")),
            ("http://app:8000/api/v1/", Ok("http://app:8000/api/v1")),
            ("http://[::1]:3000", Ok("http://[::1]:3000")),
            (" http://app:1 ", Ok("http://app:1")),
            (
                "https://app",
                Err("TLS to the application is not supported: use http://"),
            ),
            ("app:3000", Err("it must begin with http://")),
            ("/path", Err("it must begin with http://")),
            ("http://", Err("it is not a URL")),
            ("http://app:0", Err("port 0 cannot be connected to")),
            (
                "http://app:99999",
                Err("its port is not a number up to 65535"),
            ),
            ("http://user:secret@app", Err("it must not contain a user")),
            ("http://app/?a=b", Err("it must not contain a query")),
            ("", Err("it is not a URL")),
        ] {
            let got = Upstream::parse(url);
            match expected {
                Ok(text) => assert_eq!(got.unwrap().to_string(), text, "{url}"),
                Err(reason) => {
                    let text = got.unwrap_err().to_string();
                    assert!(text.contains(reason), "{url}: {text}");
                    assert!(!text.contains("secret"), "{url}: {text}");
                }
            }
        }
    }

    #[test]
    fn only_an_ip_address_needs_no_resolver() {
        assert!(
            Upstream::parse("http://[::1]:3000")
                .unwrap()
                .literal()
                .is_some()
        );
        assert!(
            Upstream::parse("http://localhost:3000")
                .unwrap()
                .literal()
                .is_none()
        );
        assert_eq!(
            Config::default().upstream,
            Upstream::parse("http://127.0.0.1:3000").unwrap()
        );
    }
}
