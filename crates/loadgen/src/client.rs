//! The HTTP client: how a request is made and a connection opened.

use crate::scenario::Sample;
use crate::{Error, Target};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Whom to ask.
#[derive(Clone)]
pub(crate) struct Client {
    target: Target,
    host: HeaderValue,
    addresses: Vec<SocketAddr>,
}

/// A connection between requests.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
}

impl Client {
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        Ok(Self {
            host: HeaderValue::from_str(target.authority())
                .expect("a URI's authority is made of visible characters"),
            target: target.clone(),
            addresses: target.resolve()?,
        })
    }

    pub(crate) fn request(&self, sample: Sample) -> Result<Request<Full<Bytes>>, http::Error> {
        let path = if self.target.prefix().is_empty() {
            sample.path
        } else {
            format!("{}{}", self.target.prefix(), sample.path)
        };
        let mut request = Request::builder()
            .method(sample.method)
            .uri(path)
            .body(Full::new(sample.body))?;
        *request.headers_mut() = sample.headers;
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        Ok(request)
    }

    /// Must be called within a `LocalSet`, where the connection's own task then runs.
    pub(crate) async fn connect(&self) -> Result<Connection, String> {
        // An array of addresses is tried in turn.
        let stream = TcpStream::connect(&self.addresses[..])
            .await
            .map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| describe(&e))?;
        // Its errors reach the request that is under way.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(Connection { sender })
    }
}

impl Connection {
    /// Whether the server still holds its end, as far as is known.
    pub(crate) fn is_usable(&self) -> bool {
        self.sender.is_ready()
    }
}

/// An error with what caused it.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
