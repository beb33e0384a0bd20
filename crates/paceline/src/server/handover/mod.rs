//! One process takes over from another: the listening sockets are passed, not opened again, so that no connection is
//! refused in between.
//!
//! ```text
//! successor                              predecessor
//!   connects to control_socket  ──────▶  looks whose process it is
//!   take-over                   ──────▶
//!                               ◀──────  socket, socket, …, end
//!   (starts, both accept)
//!   ready                       ──────▶  accepts nobody any more
//!                               ◀──────  leaving
//!   cancel                      ──────▶  for its clients, which stay until they leave
//!                               ◀──────  cancelled
//! ```
//!
//! A successor that fails before it is ready closes the connection, and nothing has changed for the predecessor.

mod give;
mod take;

use std::io;
use std::net::TcpListener;

use paceline_listen::Lines;
use serde::{Deserialize, Serialize};

pub(super) use give::{ControlSocket, Offer};
pub(super) use take::{Taken, take};

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Http,
    Postgres,
    Admin,
}

/// A listening socket with its purpose.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) kind: Kind,
    pub(super) listener: TcpListener,
}

/// One line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
enum Message {
    TakeOver {
        version: String,
    },
    /// With a descriptor.
    Socket {
        kind: Kind,
    },
    End {
        process: u32,
    },
    Ready,
    Leaving,
    Refused {
        reason: String,
    },
    Cancel {
        process_id: u32,
        secret: Vec<u8>,
    },
    Cancelled,
}

fn send(lines: &mut Lines, message: &Message) -> io::Result<()> {
    lines.send(&serde_json::to_string(message)?, None)
}

/// The next message; none when the other end has closed.
fn next(lines: &mut Lines) -> io::Result<Option<Message>> {
    let line = lines.receive_line()?;
    Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
}

/// Whether the process at the other end is our own user's, or root's.
fn is_trusted(lines: &Lines) -> io::Result<bool> {
    let peer = lines.peer_uid()?;
    Ok(peer == rustix::process::getuid().as_raw() || peer == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were() {
        let messages = [
            Message::TakeOver {
                version: "0.1.0".to_owned(),
            },
            Message::Socket { kind: Kind::Http },
            Message::End { process: 7 },
            Message::Ready,
            Message::Refused {
                reason: "a \"quote\"\nand a line".to_owned(),
            },
            Message::Cancel {
                process_id: u32::MAX,
                secret: vec![0, 255],
            },
        ];
        for message in messages {
            let line = serde_json::to_string(&message).expect("a line");
            assert!(!line.contains('\n'), "{line}");
            let read: Message = serde_json::from_str(&line).expect("a message");
            assert_eq!(read, message);
        }
    }
}
