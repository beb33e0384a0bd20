//! Connections to servers, encrypted or not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use paceline_pgwire::auth::{Channel, ChannelBinding};
use paceline_pgwire::startup::Packet;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::{ChannelBindingMode, DatabaseUrl, ServerTls, SslMode};
use crate::means::Means;
use crate::stream::Stream;
use crate::tls::{self, TlsError, TlsStream};

/// One way to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Clear,
    /// In the clear, if the server does not do TLS.
    TlsIfOffered,
    Tls,
}

/// The ways that `sslmode` allows, in order. Those behind the first are for a server that refuses the one before.
pub(super) fn ways(mode: SslMode) -> &'static [Way] {
    match mode {
        SslMode::Disable => &[Way::Clear],
        SslMode::Allow => &[Way::Clear, Way::Tls],
        SslMode::Prefer => &[Way::TlsIfOffered, Way::Clear],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Way::Tls],
    }
}

/// A connection on which nothing was said yet but about TLS.
pub(super) struct Dialled {
    pub(super) stream: Stream,
    /// What a login can be bound to.
    pub(super) channel: Channel,
    /// How to get there again.
    pub(super) route: Route,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// Something about TLS, in words.
    Tls(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// How one connection to a server was made, so that another can be made the same way.
#[derive(Clone)]
pub(crate) struct Route {
    address: SocketAddr,
    tls: Option<TlsRoute>,
}

#[derive(Clone)]
struct TlsRoute {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    is_direct: bool,
    means: Arc<Means>,
}

impl Route {
    pub(crate) fn clear(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Connects once more, encrypted if the first connection was.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let mut stream = Stream::Plain(TcpStream::connect(self.address).await?);
        let Some(tls) = &self.tls else {
            return Ok(stream);
        };
        match tls.negotiate(&mut stream).await {
            Ok(true) => Ok(stream),
            Ok(false) => Err(io::Error::other("the server does not do TLS any more")),
            Err(Failure::Io(error)) => Err(error),
            Err(Failure::Tls(reason)) => Err(io::Error::other(reason)),
        }
    }
}

/// Encrypts a connection, or does not, as the way says.
pub(super) async fn dial(
    stream: TcpStream,
    url: &DatabaseUrl,
    way: Way,
    means: &Arc<Means>,
) -> Result<Dialled, Failure> {
    let address = stream.peer_addr()?;
    let mut stream = Stream::Plain(stream);
    if way == Way::Clear {
        return in_the_clear(stream, address, &url.tls);
    }
    let route = TlsRoute {
        config: config(&url.tls, means).await?,
        name: server_name(url, address)?,
        is_direct: url.tls.is_direct,
        means: Arc::clone(means),
    };
    if !route.negotiate(&mut stream).await? {
        if way == Way::TlsIfOffered {
            return in_the_clear(stream, address, &url.tls);
        }
        let reason = "the server does not do TLS, and sslmode demands it";
        return Err(Failure::Tls(reason.to_owned()));
    }
    let tls = Some(route);
    Ok(Dialled {
        channel: channel(&stream, url.tls.channel_binding)?,
        stream,
        route: Route { address, tls },
    })
}

fn in_the_clear(
    stream: Stream,
    address: SocketAddr,
    options: &ServerTls,
) -> Result<Dialled, Failure> {
    if options.channel_binding == ChannelBindingMode::Require {
        return Err(Failure::Tls(
            "channel_binding=require needs TLS, which the server does not do".to_owned(),
        ));
    }
    Ok(Dialled {
        stream,
        channel: Channel::Unbindable,
        route: Route::clear(address),
    })
}

/// Files are read on another thread, the first time.
async fn config(options: &ServerTls, means: &Arc<Means>) -> Result<Arc<ClientConfig>, Failure> {
    if let Some(known) = means.connectors.known(options) {
        return Ok(known);
    }
    let (options, shared) = (options.clone(), Arc::clone(means));
    let made = means.hashing.run(move || shared.connectors.get(&options));
    Ok(made.await??)
}

fn server_name(url: &DatabaseUrl, address: SocketAddr) -> Result<ServerName<'static>, Failure> {
    match ServerName::try_from(url.host.clone()) {
        Ok(name) => Ok(name),
        Err(_) if url.tls.mode == SslMode::VerifyFull => {
            let host = &url.host;
            Err(Failure::Tls(format!("no certificate can name '{host}'")))
        }
        Err(_) => Ok(ServerName::IpAddress(address.ip().into())),
    }
}

impl TlsRoute {
    /// Encrypts the stream. False when the server goes on in the clear.
    async fn negotiate(&self, stream: &mut Stream) -> Result<bool, Failure> {
        if !self.is_direct {
            let mut request = Vec::with_capacity(8);
            Packet::SslRequest.write(&mut request);
            stream.write_all(&request).await?;
            // This byte and no more: whatever somebody has put behind it in the clear is for the handshake to fail on.
            match stream.read_u8().await? {
                b'S' => {}
                b'N' => return Ok(false),
                // An error message, from anybody: not worth believing.
                b'E' => return Err(Failure::Tls("the server refused to talk of TLS".to_owned())),
                _ => {
                    return Err(Failure::Tls(
                        "the server does not speak Postgres".to_owned(),
                    ));
                }
            }
        }
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone());
        let connection = connection.map_err(|error| Failure::Tls(error.to_string()))?;
        let shaken = tls::handshake(stream, connection.into(), &[], &self.means.hashing).await;
        shaken.map_err(|error| explain(error, &self.name))?;
        if self.is_direct && stream.tls().and_then(TlsStream::protocol) != Some(tls::ALPN) {
            let reason =
                "the server did not agree on the protocol (ALPN), as sslnegotiation=direct demands";
            return Err(Failure::Tls(reason.to_owned()));
        }
        Ok(true)
    }
}

/// What a login over this stream can be bound to, and whether it must.
fn channel(stream: &Stream, mode: ChannelBindingMode) -> Result<Channel, Failure> {
    let binding =
        || -> Option<ChannelBinding> { tls::channel_binding(stream.tls()?.peer_certificate()?) };
    match mode {
        ChannelBindingMode::Disable => Ok(Channel::Unbindable),
        ChannelBindingMode::Prefer => Ok(binding().map_or(Channel::Unbindable, Channel::Bindable)),
        ChannelBindingMode::Require => binding().map(Channel::Bound).ok_or_else(|| {
            let reason = "channel_binding=require: no login can be bound to the kind of certificate \
                          that the server has";
            Failure::Tls(reason.to_owned())
        }),
    }
}

/// What went wrong in a handshake, in words that lead on.
fn explain(error: io::Error, name: &ServerName<'_>) -> Failure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let reason = match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is not signed by one of those in sslrootcert".to_owned()
            }
            // It signed itself, and as an authority.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                "the server's certificate is not signed by one of those in sslrootcert".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the server's certificate is not for {}", name.to_str())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            problem => format!("the server's certificate cannot be used: {problem}"),
        },
        Some(error) => error.to_string(),
        // The socket's own error, in the middle of a handshake.
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server closed the connection during the handshake".to_owned()
        }
        None => return Failure::Io(error),
    };
    Failure::Tls(reason)
}
