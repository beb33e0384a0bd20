//! Users that only the database knows: looked up there (`auth_query`), on connections of their own.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paceline_pgwire::backend::Backend;
use paceline_pgwire::frontend::{Bind, Execute, Parse, Query, SYNC};
use paceline_pgwire::{Limits, Piece, Reader, Wire};
use tokio::sync::Semaphore;

use super::authenticator::Known;
use super::secret::Secret;
use crate::buffer::Spares;
use crate::config::{AuthQuery, DatabaseUrl};
use crate::databases::TargetSettings;
use crate::error::Unavailable;
use crate::means::Means;
use crate::server::{Opened, Server};
use crate::settings::Settings;

/// How long an answer holds. A password that was changed, or a user who was dropped, counts for so long at most; a failed login
/// makes the next one ask again.
const KEPT: Duration = Duration::from_secs(30);
/// After a failed login, an answer this young is believed all the same: guessing must not become queries.
const FRESH: Duration = Duration::from_secs(1);
/// Answers at most, of users who exist and of those who do not.
const ANSWERS_MAX: usize = 10_000;
/// Connections for this, over all databases.
const CONNECTIONS_MAX: usize = 2;
/// One that has not been used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What was found, and what is open.
pub(super) struct Queries {
    answers: Mutex<HashMap<Key, Answer>>,
    idle: Mutex<Vec<Idle>>,
    places: Semaphore,
    neutral: Arc<Settings>,
}

/// Where was asked, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    database: String,
    user: String,
}

struct Answer {
    secret: Option<Arc<Secret>>,
    since: Instant,
}

struct Idle {
    url: DatabaseUrl,
    connection: Opened,
    since: Instant,
}

/// What is to be looked up.
pub(super) struct Question<'q> {
    pub(super) query: &'q AuthQuery,
    /// Where, and as whom.
    url: DatabaseUrl,
    user: &'q str,
}

impl<'q> Question<'q> {
    /// Who is this user, for one who wants the database of this URL?
    pub(super) fn new(query: &'q AuthQuery, mut url: DatabaseUrl, user: &'q str) -> Self {
        if let Some(database) = &query.database {
            database.clone_into(&mut url.database);
        }
        url.user.clone_from(&query.user);
        Self { query, url, user }
    }

    fn key(&self) -> Key {
        let place = format!("{}:{}/{}", self.url.host, self.url.port, self.url.database);
        Key {
            database: place,
            user: self.user.to_owned(),
        }
    }
}

impl Queries {
    pub(super) fn new(neutral: Arc<Settings>) -> Self {
        Self {
            neutral,
            answers: Mutex::default(),
            idle: Mutex::default(),
            places: Semaphore::new(CONNECTIONS_MAX),
        }
    }

    /// What the database keeps of this user's password, if it has one that is valid.
    pub(super) async fn ask(
        &self,
        question: Question<'_>,
        known: &Known,
        means: &Arc<Means>,
        worker: usize,
    ) -> Result<Option<Arc<Secret>>, Unavailable> {
        let key = question.key();
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let _place = self.places.acquire().await;
        // Somebody else may have asked meanwhile.
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let found = self.look_up(&question, known, means, worker).await?;
        let secret = found.map(|text| Arc::new(Secret::parse(&text)));
        self.remember(key, secret.clone());
        Ok(secret)
    }

    /// A login with what was found has failed: perhaps it holds no more.
    pub(super) fn doubt(&self, question: &Question<'_>) {
        let key = question.key();
        let mut answers = lock(&self.answers);
        if answers
            .get(&key)
            .is_some_and(|answer| answer.since.elapsed() >= FRESH)
        {
            answers.remove(&key);
        }
    }

    /// To be called now and then.
    pub(super) fn round(&self, now: Instant) {
        lock(&self.idle).retain(|idle| now.saturating_duration_since(idle.since) < IDLE_MAX);
    }

    /// Nothing that was found holds any more, and nothing that is open is of use.
    pub(super) fn forget(&self) {
        lock(&self.answers).clear();
        lock(&self.idle).clear();
    }

    fn known(&self, key: &Key) -> Option<Option<Arc<Secret>>> {
        let answers = lock(&self.answers);
        let answer = answers.get(key)?;
        (answer.since.elapsed() < KEPT).then(|| answer.secret.clone())
    }

    fn remember(&self, key: Key, secret: Option<Arc<Secret>>) {
        let mut answers = lock(&self.answers);
        if answers.len() >= ANSWERS_MAX {
            answers.retain(|_, answer| answer.since.elapsed() < KEPT);
        }
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        let since = Instant::now();
        answers.insert(key, Answer { secret, since });
    }

    async fn look_up(
        &self,
        question: &Question<'_>,
        known: &Known,
        means: &Arc<Means>,
        worker: usize,
    ) -> Result<Option<String>, Unavailable> {
        let config = &known.config;
        // One that has died while it idled is worth a second try.
        if let Some(mut connection) = self.take(&question.url, worker)
            && let Ok(found) = run(&mut connection, question, config.connect_timeout).await
        {
            self.put(question, connection);
            return Ok(found);
        }
        let (url, neutral) = (question.url.clone(), Arc::clone(&self.neutral));
        let server = Server::new(url, known.looker.clone(), neutral, Arc::clone(means));
        let settings = TargetSettings::new(config, &config.databases[0], None);
        let mut connection = server.open(&settings, worker).await?;
        let found = run(&mut connection, question, config.connect_timeout).await?;
        self.put(question, connection);
        Ok(found)
    }

    fn take(&self, url: &DatabaseUrl, worker: usize) -> Option<Opened> {
        let mut idle = lock(&self.idle);
        let at = idle.iter().position(|idle| idle.url == *url)?;
        let mut connection = idle.swap_remove(at).connection;
        drop(idle);
        connection.wake(worker).ok()?;
        Some(connection)
    }

    fn put(&self, question: &Question<'_>, connection: Opened) {
        let mut idle = lock(&self.idle);
        if idle.len() >= CONNECTIONS_MAX {
            idle.remove(0);
        }
        idle.push(Idle {
            url: question.url.clone(),
            connection,
            since: Instant::now(),
        });
    }
}

/// Asks on a connection.
async fn run(
    connection: &mut Opened,
    question: &Question<'_>,
    limit: Duration,
) -> Result<Option<String>, Unavailable> {
    let url = &question.url;
    let place = format!("{}:{}", url.host, url.port);
    let lost = |source: io::Error| Unavailable::Connect {
        place: place.clone(),
        source,
    };
    match tokio::time::timeout(limit, exchange(connection, question)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(Failure::Io(error))) => Err(lost(error)),
        Ok(Err(Failure::Refused(error))) => Err(error),
        Err(_) => Err(Unavailable::Timeout { place, limit }),
    }
}

enum Failure {
    Io(io::Error),
    Refused(Unavailable),
}

impl From<paceline_pgwire::Error> for Failure {
    fn from(error: paceline_pgwire::Error) -> Self {
        Self::Refused(Unavailable::Protocol(error))
    }
}

async fn exchange(
    connection: &mut Opened,
    question: &Question<'_>,
) -> Result<Option<String>, Failure> {
    let (stream, inbox, outbox) = connection.io().map_err(Failure::Io)?;
    // Nobody who may create things in the database can put another meaning under the query's names.
    let pin = b"SET search_path = pg_catalog";
    Query { text: pin }.write(outbox.buf());
    Parse {
        statement: b"",
        text: question.query.sql.as_bytes(),
        types: Parse::NO_TYPES,
    }
    .write(outbox.buf());
    Bind {
        portal: b"",
        statement: b"",
        rest: &one_text_parameter(question.user),
    }
    .write(outbox.buf());
    Execute {
        portal: b"",
        rows_max: 0,
    }
    .write(outbox.buf());
    outbox.put(SYNC);
    poll_fn(|context| outbox.poll_flush(stream, context))
        .await
        .map_err(Failure::Io)?;
    let (limits, spares, mut reader) = (Limits::backend(), Spares::default(), Reader::default());
    let (mut found, mut refused, mut ready) = (None, None, 0);
    while ready < 2 {
        while let Some(piece) = reader.next(&limits, inbox.bytes())? {
            let len = piece.len();
            if let Piece::Message(message) = piece {
                match Backend::parse(message)? {
                    Backend::ReadyForQuery(_) => ready += 1,
                    Backend::DataRow(row) => {
                        found.get_or_insert_with(|| last_column(row));
                    }
                    Backend::ErrorResponse(fields) => {
                        refused.get_or_insert(Unavailable::refused(&fields));
                    }
                    _ => {}
                }
            }
            inbox.consume(len);
        }
        if ready < 2 {
            let read = poll_fn(|context| inbox.poll_fill(stream, 0, &spares, context)).await;
            if read.map_err(Failure::Io)? == 0 {
                return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
    match refused {
        Some(error) => Err(Failure::Refused(error)),
        None => Ok(found.flatten()),
    }
}

/// What follows the names in a Bind message.
fn one_text_parameter(value: &str) -> Vec<u8> {
    // No formats: all are text. One value; a startup packet bounds its length. No result formats.
    let mut rest = vec![0, 0, 0, 1];
    rest.extend((value.len() as u32).to_be_bytes());
    rest.extend(value.as_bytes());
    rest.extend([0, 0]);
    rest
}

/// The last value of a DataRow, if it is a text.
fn last_column(row: &[u8]) -> Option<String> {
    let (count, mut rest) = row.split_first_chunk::<2>()?;
    let mut last = None;
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        (last, rest) = match i32::from_be_bytes(*len) {
            -1 => (None, after),
            len => {
                let (value, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
                (Some(value), after)
            }
        };
    }
    last.and_then(|value| String::from_utf8(value.to_vec()).ok())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
