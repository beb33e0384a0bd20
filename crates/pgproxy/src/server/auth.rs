//! From the startup packet to the first ReadyForQuery.

use std::future::poll_fn;
use std::io;

use paceline_pgwire::auth::ClientAuth;
use paceline_pgwire::backend::Backend;
use paceline_pgwire::{Limits, Piece, Reader};

use super::connection::Reported;
use crate::buffer::{Inbox, Outbox, Spares};
use crate::config::DatabaseUrl;
use crate::error::Unavailable;
use crate::stream::Stream;

/// What the server told before it was ready.
#[derive(Default)]
pub(super) struct Welcome {
    pub(super) reported: Reported,
    pub(super) process_id: u32,
    pub(super) secret: Vec<u8>,
}

/// Why there is no session.
pub(super) enum Failure {
    Io(io::Error),
    Refused(Unavailable),
}

/// Sends what is in the outbox and talks until the server is ready for queries.
pub(super) async fn log_in(
    stream: &mut Stream,
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    database: &DatabaseUrl,
) -> Result<Welcome, Failure> {
    let (limits, spares) = (Limits::backend(), Spares::default());
    let mut reader = Reader::default();
    let password = database.password.as_deref().map(str::as_bytes);
    let mut auth = ClientAuth::new(database.user.as_bytes(), password);
    let mut welcome = Welcome::default();
    loop {
        poll_fn(|context| outbox.poll_flush(stream, context))
            .await
            .map_err(Failure::Io)?;
        let mut taken = 0;
        let is_ready = loop {
            let piece = reader
                .next(&limits, &inbox.bytes()[taken..])
                .map_err(refused)?;
            let Some(piece) = piece else { break false };
            taken += piece.len();
            if step(piece, &mut auth, outbox, &mut welcome)? {
                break true;
            }
        };
        inbox.consume(taken);
        if is_ready {
            return Ok(welcome);
        }
        if outbox.is_empty() {
            let wanted = reader.wants(&limits, inbox.bytes()).map_err(refused)?;
            let read = poll_fn(|context| inbox.poll_fill(stream, wanted, &spares, context)).await;
            if read.map_err(Failure::Io)? == 0 {
                return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

/// Deals with one message; true when the server is ready.
fn step(
    piece: Piece<'_>,
    auth: &mut ClientAuth<'_>,
    outbox: &mut Outbox,
    welcome: &mut Welcome,
) -> Result<bool, Failure> {
    // What is too long to be kept here (a notice of 64 KiB) concerns nobody.
    let Piece::Message(message) = piece else {
        return Ok(false);
    };
    match Backend::parse(message).map_err(refused)? {
        Backend::Authentication(request) => {
            auth.step(request, outbox.buf()).map_err(refused)?;
        }
        Backend::ParameterStatus(status) => {
            welcome
                .reported
                .push((status.name.into(), status.value.into()));
        }
        Backend::BackendKeyData(key) => {
            welcome.process_id = key.process_id;
            welcome.secret = key.secret.to_vec();
        }
        Backend::ErrorResponse(fields) => {
            return Err(Failure::Refused(Unavailable::refused(&fields)));
        }
        Backend::ReadyForQuery(_) => return Ok(true),
        _ => {}
    }
    Ok(false)
}

fn refused(error: paceline_pgwire::Error) -> Failure {
    Failure::Refused(Unavailable::Protocol(error))
}
