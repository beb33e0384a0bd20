//! A question of our own to a session that nobody is using.

use std::future::poll_fn;
use std::io;

use paceline_pgwire::backend::ParameterStatus;
use paceline_pgwire::frontend::Query;
use paceline_pgwire::{Header, Limits, Wire};

use super::ServerConnection;
use crate::buffer::{Inbox, Spares};

/// What is asked of a server to find out whether it answers at all.
pub(crate) const NOTHING: &[u8] = b"";
/// No message of such an answer is longer.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

impl ServerConnection {
    /// Runs one statement and gives the first value of its answer. Whoever gets an error should close the connection.
    pub(crate) async fn ask(&mut self, text: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let spares = Spares::default();
        let mut value = None;
        self.unnamed = None;
        Query { text }.write(self.outbox.buf());
        let (stream, _, outbox) = self.io()?;
        poll_fn(|context| outbox.poll_flush(stream, context)).await?;
        loop {
            let (stream, inbox, _) = self.io()?;
            let wanted = frame_len(inbox)?;
            if wanted <= inbox.len() {
                let mut inbox = std::mem::take(inbox);
                let is_ready = self.hear(&inbox.bytes()[..wanted], &mut value)?;
                inbox.consume(wanted);
                self.inbox = inbox;
                if is_ready {
                    self.inbox.shrink();
                    self.outbox.shrink();
                    return Ok(value);
                }
                continue;
            }
            if poll_fn(|context| inbox.poll_fill(stream, wanted, &spares, context)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Deals with one message of the answer. Says whether it was the last.
    fn hear(&mut self, frame: &[u8], value: &mut Option<Vec<u8>>) -> io::Result<bool> {
        let (tag, body) = (frame[0], &frame[Header::LEN..]);
        match tag {
            b'Z' => return Ok(true),
            b'E' => return Err(io::Error::other("the server answers with an error")),
            b'S' => {
                let status = ParameterStatus::parse(body).map_err(garbled)?;
                self.report(status.name, status.value);
            }
            b'D' if value.is_none() => *value = first_value(body),
            _ => {}
        }
        Ok(false)
    }
}

/// The bytes of the message at the beginning, or of its header as long as that is not there.
pub(crate) fn frame_len(inbox: &Inbox) -> io::Result<usize> {
    match Limits::backend().header(inbox.bytes()).map_err(garbled)? {
        Some(header) if header.frame_len() <= MESSAGE_BYTES_MAX => Ok(header.frame_len()),
        Some(_) => Err(io::Error::other("the server's answer is too long")),
        None => Ok(Header::LEN),
    }
}

pub(crate) fn first_value(row: &[u8]) -> Option<Vec<u8>> {
    let length: [u8; 4] = row.get(2..6)?.try_into().ok()?;
    let length = usize::try_from(i32::from_be_bytes(length)).ok()?;
    row.get(6..6 + length).map(<[u8]>::to_vec)
}

fn garbled(error: paceline_pgwire::Error) -> io::Error {
    io::Error::other(error.to_string())
}
