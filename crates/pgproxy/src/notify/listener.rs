//! The connection that listens, for as long as anybody wants it.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use paceline_pgwire::frontend::Query;
use paceline_pgwire::{ErrorFields, Header, Report, Severity, SqlState, Wire};
use tokio::time::sleep;

use super::{Change, Hub, Name};
use crate::buffer::Spares;
use crate::databases::{Attempt, Target};
use crate::server::{ServerConnection, frame_len};

/// The pause after a refusal that no patience helps against.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);
/// Channels that are named in one statement.
const NAMES_AT_ONCE: usize = 100;

/// Keeps the connection until nobody listens any more.
pub(super) async fn run(target: Arc<Target>, worker: usize) {
    let hub = &target.hub;
    while !hub.is_over() {
        match target.attempt(worker).await {
            Attempt::Wait(pause) => sleep(pause).await,
            Attempt::Refused(_) => sleep(REFUSED_PAUSE).await,
            Attempt::Opened(mut connection) => {
                let mut listening = HashSet::new();
                if let Err(error) = listen(hub, &mut connection, &mut listening).await {
                    tracing::warn!(
                        %error,
                        database = target.database,
                        channels = listening.len(),
                        "The connection that listens was lost; it is opened again."
                    );
                    hub.lose(&notice());
                    // A server that takes connections and refuses LISTEN (a standby) is not to be asked without end.
                    if listening.is_empty() {
                        sleep(REFUSED_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// Listens to what is wanted, until that is nothing or the connection is lost.
async fn listen(
    hub: &Hub,
    connection: &mut ServerConnection,
    listening: &mut HashSet<Name>,
) -> io::Result<()> {
    loop {
        let Change {
            listen,
            unlisten,
            again,
        } = hub.change(listening);
        hub.confirm(&again);
        for names in unlisten.chunks(NAMES_AT_ONCE) {
            run_each(hub, connection, "UNLISTEN", names).await?;
            names.iter().for_each(|name| {
                listening.remove(name);
            });
        }
        for names in listen.chunks(NAMES_AT_ONCE) {
            // To the marks as long as to anything else.
            let marks = listening.is_empty().then_some(&hub.marks);
            let names: Vec<Name> = marks.into_iter().chain(names).cloned().collect();
            run_each(hub, connection, "LISTEN", &names).await?;
            hub.confirm(&names);
            listening.extend(names.into_iter().filter(|name| *name != hub.marks));
        }
        if listening.is_empty() {
            return Ok(());
        }
        tokio::select! {
            () = hub.changed.notified() => {}
            heard = hear(hub, connection) => {
                heard?;
            }
        }
        if hub.is_revoked() {
            return Err(io::Error::other("all connections are replaced"));
        }
    }
}

/// Runs one statement for each of the names, and waits until all are done.
async fn run_each(
    hub: &Hub,
    connection: &mut ServerConnection,
    verb: &str,
    names: &[Name],
) -> io::Result<()> {
    let mut text = Vec::new();
    for name in names {
        text.extend_from_slice(verb.as_bytes());
        text.extend_from_slice(b" \"");
        for &byte in name.iter() {
            if byte == b'"' {
                text.push(b'"');
            }
            text.push(byte);
        }
        text.extend_from_slice(b"\";");
    }
    Query { text: &text }.write(connection.outbox.buf());
    let (stream, _, outbox) = connection.io()?;
    poll_fn(|context| outbox.poll_flush(stream, context)).await?;
    while hear(hub, connection).await? != b'Z' {}
    Ok(())
}

/// Waits for a message and deals with it. Gives its type.
async fn hear(hub: &Hub, connection: &mut ServerConnection) -> io::Result<u8> {
    let spares = Spares::default();
    loop {
        let (stream, inbox, _) = connection.io()?;
        let wanted = frame_len(inbox)?;
        if wanted <= inbox.len() {
            let frame = &inbox.bytes()[..wanted];
            let (tag, body) = (frame[0], &frame[Header::LEN..]);
            match tag {
                b'A' => hub
                    .deliver(frame, body)
                    .map_err(|error| io::Error::other(error.to_string()))?,
                b'E' => {
                    let message = ErrorFields::prefix(body);
                    let message = message.message().unwrap_or_default();
                    let message = String::from_utf8_lossy(message).into_owned();
                    return Err(io::Error::other(message));
                }
                _ => {}
            }
            inbox.consume(wanted);
            return Ok(tag);
        }
        if poll_fn(|context| inbox.poll_fill(stream, wanted, &spares, context)).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What listeners are told when notifications may have been lost.
fn notice() -> Arc<[u8]> {
    let mut out = Vec::new();
    let message = "the connection that listens was lost: notifications may have been missed";
    Report::new(Severity::Warning, SqlState(*b"01000"), message)
        .hint("Look for yourself whether anything has happened meanwhile.")
        .write(&mut out);
    out.into()
}
