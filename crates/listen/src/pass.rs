//! Passing listening sockets to another process over a Unix socket (`SCM_RIGHTS`, unix(7)).
//!
//! What is said is lines of text; a line may have a descriptor with it. The descriptors come in the order of their
//! lines, however the kernel cuts the bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The longest line; both sides are Paceline.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Descriptors that may wait for their lines.
const DESCRIPTORS_MAX: usize = 2048;
/// Descriptors that one read takes.
const DESCRIPTORS_PER_READ: usize = 64;

/// A Unix connection on which lines go both ways.
#[derive(Debug)]
pub struct Lines {
    stream: UnixStream,
    read: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Lines {
    /// Speaks over this connection. Its time-outs hold.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            read: Vec::new(),
            descriptors: VecDeque::new(),
        }
    }

    /// The connection.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The user whose process is at the other end, as the kernel has it.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn peer_uid(&self) -> io::Result<u32> {
        let peer = rustix::net::sockopt::socket_peercred(&self.stream)?;
        Ok(peer.uid.as_raw())
    }

    /// Sends a line, which must have no line break in it, and with it a descriptor.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn send(&mut self, line: &str, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = [line.as_bytes(), b"\n"].concat();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let mut sent = 0;
        while sent < bytes.len() {
            let rest = [IoSlice::new(&bytes[sent..])];
            match sendmsg(
                self.stream.as_fd(),
                &rest,
                &mut control,
                SendFlags::NOSIGNAL,
            ) {
                Ok(count) => sent += count,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // It went with the first byte.
            control.clear();
        }
        Ok(())
    }

    /// The next line; none when the other end has closed.
    ///
    /// # Errors
    /// Those of the system call, a time-out among them; a line that is too long or no text.
    pub fn receive_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                let line = String::from_utf8(line).map_err(|_| invalid("a line is no text"))?;
                return Ok(Some(line.trim_end_matches('\n').to_owned()));
            }
            if self.read.len() > LINE_BYTES_MAX {
                return Err(invalid("a line is too long"));
            }
            if self.receive()? == 0 {
                return match self.read.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// The descriptor of the oldest line that came with one.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 4096];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_READ))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut buffers = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(self.stream.as_fd(), &mut buffers, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                received => break received?,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if self.descriptors.len() > DESCRIPTORS_MAX {
            return Err(invalid("there are too many descriptors"));
        }
        self.read.extend_from_slice(&bytes[..received.bytes]);
        Ok(received.bytes)
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Lines, Lines) {
        let (one, other) = UnixStream::pair().unwrap();
        (Lines::new(one), Lines::new(other))
    }

    #[test]
    fn sockets_arrive_in_the_order_of_their_lines_and_still_listen() {
        let (mut from, mut to) = pair();
        let listeners: Vec<_> = (0..100)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        for (number, listener) in listeners.iter().enumerate() {
            from.send(&format!("socket {number}"), Some(listener.as_fd()))
                .unwrap();
        }
        from.send("end", None).unwrap();
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        drop(listeners);
        for (number, address) in addresses.into_iter().enumerate() {
            assert_eq!(
                to.receive_line().unwrap().unwrap(),
                format!("socket {number}")
            );
            let listener = TcpListener::from(to.descriptor().unwrap());
            assert_eq!(listener.local_addr().unwrap(), address);
            let client = std::net::TcpStream::connect(address).unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        assert_eq!(to.receive_line().unwrap().as_deref(), Some("end"));
        assert!(to.descriptor().is_none());
        drop(from);
        assert_eq!(to.receive_line().unwrap(), None);
    }

    #[test]
    fn half_a_line_and_an_endless_one_are_errors() {
        let (from, mut to) = pair();
        (&from.stream).write_all(b"half").unwrap();
        drop(from);
        assert_eq!(
            to.receive_line().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );

        let (from, mut to) = pair();
        let writer = std::thread::spawn(move || {
            let _ = (&from.stream).write_all(&vec![b'x'; 4 * LINE_BYTES_MAX]);
        });
        assert_eq!(
            to.receive_line().unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        drop(to);
        writer.join().unwrap();
    }

    #[test]
    fn the_other_end_is_known_by_its_user() {
        let (one, _other) = pair();
        assert_eq!(one.peer_uid().unwrap(), rustix::process::getuid().as_raw());
    }
}
