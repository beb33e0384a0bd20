//! Handshakes: the socket is the worker's, the cryptography is done elsewhere ([`Hashing`]).

use std::io;

use rustls::Connection;
use tokio::net::TcpStream;

use super::TlsStream;
use crate::hashing::Hashing;
use crate::stream::Stream;

/// Brings a handshake to its end: the stream is encrypted from then on. What the peer has sent of it already, if anything, is
/// `early`.
///
/// # Errors
///
/// Those of the socket, and those of the protocol ([`rustls::Error`], as the source of one of kind `InvalidData`).
pub(crate) async fn handshake(
    stream: &mut Stream,
    mut connection: Connection,
    mut early: &[u8],
    hashing: &Hashing,
) -> io::Result<()> {
    let Stream::Plain(socket) = stream else {
        return Err(io::Error::other("it is encrypted already"));
    };
    while connection.is_handshaking() || !early.is_empty() {
        send(socket, &mut connection).await?;
        if early.is_empty() {
            receive(socket, &mut connection).await?;
        } else {
            connection.read_tls(&mut early)?;
        }
        let (back, processed) = hashing
            .run(move || {
                let processed = connection.process_new_packets();
                (connection, processed)
            })
            .await?;
        connection = back;
        if let Err(error) = processed {
            // The alert that says why.
            let _ = send(socket, &mut connection).await;
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
    send(socket, &mut connection).await?;
    TlsStream::wrap(stream, connection)
}

async fn send(stream: &TcpStream, connection: &mut Connection) -> io::Result<()> {
    while connection.wants_write() {
        stream.writable().await?;
        match connection.write_tls(&mut Socket(stream)) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn receive(stream: &TcpStream, connection: &mut Connection) -> io::Result<()> {
    loop {
        stream.readable().await?;
        match connection.read_tls(&mut Socket(stream)) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// For rustls: never waits.
struct Socket<'s>(&'s TcpStream);

impl io::Read for Socket<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }
}

impl io::Write for Socket<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
