//! From the startup packet to the first ReadyForQuery.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_pgwire::auth::{Channel, ClientAuth, Derivation, Progress, ScramKeys};
use paceline_pgwire::backend::{Authentication, Backend};
use paceline_pgwire::{Limits, Piece, Reader};

use super::connection::Reported;
use crate::auth::Credential;
use crate::buffer::{Inbox, Outbox, Spares};
use crate::config::{DatabaseUrl, ServerMethod};
use crate::error::Unavailable;
use crate::hashing::Hashing;
use crate::means::Means;
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

/// How we log in.
pub(super) struct Login<'a> {
    pub(super) url: &'a DatabaseUrl,
    pub(super) credential: &'a Credential,
    pub(super) channel: &'a Channel,
    pub(super) means: &'a Means,
    pub(super) derived: &'a DerivedKeys,
}

/// The keys that were derived last, so that opening many connections does not derive the same ones again and again.
#[derive(Default)]
pub(super) struct DerivedKeys(Mutex<Option<(Derivation, Arc<ScramKeys>)>>);

impl DerivedKeys {
    async fn get(&self, wanted: Derivation, hashing: &Hashing) -> io::Result<Arc<ScramKeys>> {
        if let Some((known, keys)) = &*self.lock()
            && *known == wanted
        {
            return Ok(Arc::clone(keys));
        }
        let work = wanted.clone();
        let keys = Arc::new(hashing.run(move || work.run()).await?);
        *self.lock() = Some((wanted, Arc::clone(&keys)));
        Ok(keys)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Derivation, Arc<ScramKeys>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a message of the server led to.
enum Step {
    GoesOn,
    Derive(Derivation),
    Ready,
}

/// Sends what is in the outbox and talks until the server is ready for queries.
pub(super) async fn log_in(
    stream: &mut Stream,
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    login: &Login<'_>,
) -> Result<Welcome, Failure> {
    let (limits, spares) = (Limits::backend(), Spares::default());
    let mut reader = Reader::default();
    let nonce = login.means.random.bytes().map_err(Failure::Io)?;
    let credential = login.credential.borrow();
    let is_encrypted = matches!(stream, Stream::Tls(_));
    let methods = &login.url.tls.require_auth;
    let mut auth = ClientAuth::new(login.url.user.as_bytes(), credential, nonce)
        .over(login.channel)
        .may_tell_password(is_encrypted || methods.contains(&ServerMethod::Password));
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
            match step(piece, &mut auth, methods, outbox, &mut welcome)? {
                Step::GoesOn => {}
                Step::Ready => break true,
                Step::Derive(wanted) => {
                    let keys = login.derived.get(wanted, &login.means.hashing).await;
                    let keys = keys.map_err(Failure::Io)?;
                    auth.derived(&keys, outbox.buf()).map_err(refused)?;
                }
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

/// Deals with one message.
fn step(
    piece: Piece<'_>,
    auth: &mut ClientAuth<'_>,
    methods: &[ServerMethod],
    outbox: &mut Outbox,
    welcome: &mut Welcome,
) -> Result<Step, Failure> {
    // What is too long to be kept here (a notice of 64 KiB) concerns nobody.
    let Piece::Message(message) = piece else {
        return Ok(Step::GoesOn);
    };
    match Backend::parse(message).map_err(refused)? {
        Backend::Authentication(request) => {
            check_method(&request, auth, methods).map_err(refused)?;
            let progress = auth.step(request, outbox.buf()).map_err(refused)?;
            if let Progress::Derive(wanted) = progress {
                return Ok(Step::Derive(wanted));
            }
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
        Backend::ReadyForQuery(_) => return Ok(Step::Ready),
        _ => {}
    }
    Ok(Step::GoesOn)
}

/// Refuses what `require_auth` does not name.
fn check_method(
    request: &Authentication<'_>,
    auth: &ClientAuth<'_>,
    methods: &[ServerMethod],
) -> Result<(), paceline_pgwire::Error> {
    let (method, name) = match request {
        Authentication::CleartextPassword => (ServerMethod::Password, "cleartext"),
        Authentication::Md5Password { .. } => (ServerMethod::Md5, "md5"),
        Authentication::Sasl(_) => (ServerMethod::Scram, "SCRAM"),
        Authentication::Ok if !auth.has_begun() => (ServerMethod::None, "no"),
        _ => return Ok(()),
    };
    if methods.is_empty() || methods.contains(&method) {
        Ok(())
    } else {
        Err(paceline_pgwire::Error::ForbiddenMethod(name))
    }
}

fn refused(error: paceline_pgwire::Error) -> Failure {
    Failure::Refused(Unavailable::Protocol(error))
}
