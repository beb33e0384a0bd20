//! A connection to a peer: plain TCP, or TLS over it. Both can move from worker to worker.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::TlsStream;

/// A connection that is registered with the reactor of its worker.
///
/// What [`poll_write`](AsyncWrite::poll_write) has not reported as written must be offered again at the front of the next
/// call: with TLS it may be encrypted already.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

/// A connection on its way to another worker.
pub(crate) enum DetachedStream {
    Plain(std::net::TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// What it is encrypted with.
    pub(crate) fn tls(&self) -> Option<&TlsStream> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream),
        }
    }

    /// Ready when a read will not wait.
    pub(crate) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_read_ready(context),
            Self::Tls(stream) => stream.poll_read_ready(context),
        }
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_addr(),
            Self::Tls(stream) => stream.peer_addr(),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.local_addr(),
        }
    }

    /// Fails when the peer has closed its side, or has sent anything.
    pub(crate) fn check_silent(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => verdict(stream.try_read(&mut [0])),
            Self::Tls(stream) => stream.check_silent(),
        }
    }

    /// Takes it from its worker's reactor.
    pub(crate) fn detach(self) -> io::Result<DetachedStream> {
        match self {
            Self::Plain(stream) => stream.into_std().map(DetachedStream::Plain),
            Self::Tls(mut stream) => {
                stream.detach()?;
                Ok(DetachedStream::Tls(stream))
            }
        }
    }
}

impl DetachedStream {
    /// Registers it with the reactor of the worker that calls this.
    pub(crate) fn attach(self) -> io::Result<Stream> {
        match self {
            Self::Plain(stream) => TcpStream::from_std(stream).map(Stream::Plain),
            Self::Tls(mut stream) => {
                stream.attach()?;
                Ok(Stream::Tls(stream))
            }
        }
    }

    /// As [`Stream::check_silent`]: the reactor that it goes to does not know yet whether there is something to read.
    pub(crate) fn check_silent(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => verdict(io::Read::read(&mut &*stream, &mut [0])),
            Self::Tls(stream) => stream.check_silent(),
        }
    }
}

fn verdict(read: io::Result<usize>) -> io::Result<()> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Err(io::ErrorKind::InvalidData.into()),
        Err(error) => Err(error),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buf),
            Self::Tls(stream) => stream.poll_read(context, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, buf),
            Self::Tls(stream) => stream.poll_write(context, buf),
        }
    }

    /// Nothing: what was reported as written has left.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => stream.poll_shutdown(context),
        }
    }
}
