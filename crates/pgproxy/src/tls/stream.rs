//! TLS over a socket that may change its worker: rustls has the records, this has the socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::stream::Stream;

/// What is encrypted at once, and so the most that is held encrypted while the peer does not read.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The socket under TLS.
enum Socket {
    /// Registered with the reactor of a worker.
    Attached(TcpStream),
    /// Between two workers.
    Detached(std::net::TcpStream),
    /// Changing from one to the other has failed.
    Lost,
}

impl Socket {
    fn attached(&mut self) -> io::Result<&mut TcpStream> {
        match self {
            Self::Attached(stream) => Ok(stream),
            Self::Detached(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// For rustls: never waits.
impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Attached(stream) => stream.try_read(buf),
            Self::Detached(stream) => stream.read(buf),
            Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// For rustls: never waits.
impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Attached(stream) => stream.try_write(buf),
            Self::Detached(stream) => stream.write(buf),
            Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Attached(stream) => stream.try_write_vectored(bufs),
            Self::Detached(stream) => stream.write_vectored(bufs),
            Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TLS session over a socket.
pub(crate) struct TlsStream {
    socket: Socket,
    connection: Connection,
    /// Decrypted and not read yet.
    readable: usize,
    /// Encrypted but not sent as a whole: reported as written when it is.
    accepted: usize,
    /// The peer has said that nothing more comes, or has gone without saying so. The protocol inside has an end of its own
    /// for every message, so that a connection that was cut is not taken for a shorter message.
    is_at_end: bool,
    is_closing: bool,
}

impl TlsStream {
    /// Encrypts a stream from here on. The handshake is done; the peer may have said something behind it already.
    pub(super) fn wrap(stream: &mut Stream, mut connection: Connection) -> io::Result<()> {
        let state = connection.process_new_packets();
        let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let wrapped = Box::new(Self {
            socket: Socket::Lost,
            connection,
            readable: state.plaintext_bytes_to_read(),
            accepted: 0,
            is_at_end: state.peer_has_closed(),
            is_closing: false,
        });
        let inner = std::mem::replace(stream, Stream::Tls(wrapped));
        if let (Stream::Tls(wrapped), Stream::Plain(socket)) = (stream, inner) {
            wrapped.socket = Socket::Attached(socket);
        }
        Ok(())
    }

    /// The certificate that the peer has shown.
    pub(crate) fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificates()?.first()
    }

    /// The protocol that both sides have agreed on.
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Attached(stream) => stream.peer_addr(),
            Socket::Detached(stream) => stream.peer_addr(),
            Socket::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.socket {
            Socket::Attached(stream) => stream.local_addr(),
            Socket::Detached(stream) => stream.local_addr(),
            Socket::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.readable > 0 || self.is_at_end {
                return Poll::Ready(Ok(()));
            }
            ready!(self.socket.attached()?.poll_read_ready(context))?;
            match self.take_in() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => taken?,
            }
            self.answer(context)?;
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_read_ready(context))?;
        while self.readable > 0 && buf.remaining() > 0 {
            let count = self.connection.reader().read(buf.initialize_unfilled())?;
            self.readable = self.readable.saturating_sub(count);
            buf.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Reports bytes as written when the socket has them. Until then, they are to be offered again.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.accepted == 0 {
            // Answers of the protocol's own go first.
            ready!(self.poll_send(context))?;
            let count = buf.len().min(WRITE_BYTES_MAX);
            self.accepted = self.connection.writer().write(&buf[..count])?;
        }
        ready!(self.poll_send(context))?;
        Poll::Ready(Ok(std::mem::take(&mut self.accepted)))
    }

    /// Tells the peer that nothing more comes (`close_notify`), then closes the socket's sending side.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            self.is_closing = true;
            self.connection.send_close_notify();
        }
        ready!(self.poll_send(context))?;
        Pin::new(self.socket.attached()?).poll_shutdown(context)
    }

    /// Fails when the peer has closed its side, or has sent anything but records of the protocol's own.
    pub(crate) fn check_silent(&mut self) -> io::Result<()> {
        loop {
            if self.is_at_end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.readable > 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            match self.take_in() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                taken => taken?,
            }
        }
    }

    pub(crate) fn detach(&mut self) -> io::Result<()> {
        if let Socket::Attached(stream) = std::mem::replace(&mut self.socket, Socket::Lost) {
            self.socket = Socket::Detached(stream.into_std()?);
        }
        Ok(())
    }

    pub(crate) fn attach(&mut self) -> io::Result<()> {
        if let Socket::Detached(stream) = std::mem::replace(&mut self.socket, Socket::Lost) {
            self.socket = Socket::Attached(TcpStream::from_std(stream)?);
        }
        Ok(())
    }

    /// Reads from the socket once and decrypts what is whole.
    fn take_in(&mut self) -> io::Result<()> {
        if self.connection.read_tls(&mut self.socket)? == 0 {
            self.is_at_end = true;
            return Ok(());
        }
        match self.connection.process_new_packets() {
            Ok(state) => {
                self.readable = state.plaintext_bytes_to_read();
                self.is_at_end = state.peer_has_closed();
                Ok(())
            }
            Err(error) => {
                // The alert that says why, if the socket takes it.
                let _ = self.connection.write_tls(&mut self.socket);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Sends what the protocol itself has to answer (new keys). Whatever does not go now goes before the next data.
    fn answer(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.poll_send(context) {
            Poll::Ready(sent) => sent,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            ready!(self.socket.attached()?.poll_write_ready(context))?;
            match self.connection.write_tls(&mut self.socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Says goodbye, if the socket takes it at once: a peer can then tell the end from a cut.
impl Drop for TlsStream {
    fn drop(&mut self) {
        if !self.is_closing && self.accepted == 0 {
            self.connection.send_close_notify();
            let _ = self.connection.write_tls(&mut self.socket);
        }
    }
}
