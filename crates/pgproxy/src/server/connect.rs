//! Opening a server connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_pgwire::startup::write_startup;
use tokio::time::timeout;

use super::auth::{self, DerivedKeys, Failure};
use super::connection::{CancelKey, Fresh, ServerConnection};
use super::dial::{self, Dialled, Way};
use super::hosts::{Hosts, telling};
use crate::auth::Credential;
use crate::buffer::{Inbox, Outbox};
use crate::config::DatabaseUrl;
use crate::databases::TargetSettings;
use crate::error::Unavailable;
use crate::means::Means;
use crate::roster::Origin;
use crate::settings::Settings;
use crate::stream::Stream;

/// A connection is closed up to this share of its life early, so that those opened together do not go together.
const LIFETIME_JITTER: f32 = 0.1;

/// Where server connections come from.
pub(crate) struct Server {
    known: Mutex<Arc<Known>>,
    neutral: Arc<Settings>,
    means: Arc<Means>,
    derived: DerivedKeys,
    hosts: Hosts,
}

/// Where a server is, and how we log in there.
#[derive(Clone, PartialEq, Eq)]
struct Known {
    url: DatabaseUrl,
    credential: Credential,
}

/// A connection with a session at its other end.
pub(crate) type Opened = Box<ServerConnection>;

/// One attempt at one host.
struct Attempt<'a> {
    /// With this host alone.
    url: &'a DatabaseUrl,
    credential: &'a Credential,
    settings: &'a TargetSettings,
    worker: usize,
    limit: Duration,
}

impl Server {
    pub(crate) fn new(
        url: DatabaseUrl,
        credential: Credential,
        neutral: Arc<Settings>,
        means: Arc<Means>,
    ) -> Self {
        Self {
            known: Mutex::new(Arc::new(Known { url, credential })),
            neutral,
            means,
            derived: DerivedKeys::default(),
            hosts: Hosts::default(),
        }
    }

    /// It has not let us in for so long.
    pub(crate) fn is_late(&self, limit: Duration) -> Unavailable {
        let place = place(&self.lock().url);
        Unavailable::Timeout { place, limit }
    }

    /// It may be elsewhere: names are resolved anew.
    pub(crate) fn doubt(&self) {
        self.hosts.doubt();
    }

    /// Where it is now.
    pub(crate) fn url(&self) -> DatabaseUrl {
        self.lock().url.clone()
    }

    /// What it is given now.
    pub(crate) fn credential(&self) -> Credential {
        self.lock().credential.clone()
    }

    /// It is elsewhere from now on, or wants other credentials. Says whether that is so.
    pub(crate) fn change(&self, url: DatabaseUrl, credential: Credential) -> bool {
        let mut known = self.lock();
        let new = Known { url, credential };
        let is_other = **known != new;
        if is_other {
            *known = Arc::new(new);
        }
        is_other
    }

    /// The credential is this one now.
    pub(crate) fn change_credential(&self, credential: &Credential) {
        let mut known = self.lock();
        if known.credential != *credential {
            Arc::make_mut(&mut known).credential.clone_from(credential);
        }
    }

    /// Connects (over TCP only) and logs in, at the first of its hosts that will do.
    pub(crate) async fn open(
        &self,
        settings: &TargetSettings,
        worker: usize,
    ) -> Result<Opened, Unavailable> {
        let (known, limit) = (Arc::clone(&self.lock()), settings.connect_timeout);
        let hosts = self.hosts.of(&known.url);
        let each = limit / hosts.len() as u32;
        let mut failure = None;
        for (number, url) in hosts {
            let attempt = Attempt {
                url: &url,
                credential: &known.credential,
                settings,
                worker,
                limit: each,
            };
            match self.open_at(&attempt).await {
                Ok(opened) => {
                    self.hosts.found(number);
                    return Ok(opened);
                }
                Err(error) => failure = Some(telling(failure, error)),
            }
        }
        Err(failure.unwrap_or_else(|| Unavailable::Timeout {
            place: place(&known.url),
            limit,
        }))
    }

    /// Opens a connection at one host, which must be what is asked for.
    async fn open_at(&self, attempt: &Attempt<'_>) -> Result<Opened, Unavailable> {
        let Attempt { url, limit, .. } = *attempt;
        let opened = timeout(limit, async {
            let mut opened = self.open_in_some_way(attempt).await?;
            match opened.suits(url.session_attrs).await {
                Ok(true) => Ok(opened),
                Ok(false) => Err(Unavailable::Unsuitable {
                    place: place(url),
                    wanted: url.session_attrs.word(),
                }),
                Err(source) => Err(Unavailable::Connect {
                    place: place(url),
                    source,
                }),
            }
        });
        opened.await.unwrap_or_else(|_| {
            let place = place(url);
            Err(Unavailable::Timeout { place, limit })
        })
    }

    /// Connects, no more: in the clear unless `sslmode` demands otherwise.
    pub(crate) async fn connect_in_time(
        &self,
        settings: &TargetSettings,
    ) -> Result<Stream, Unavailable> {
        let (url, limit) = (self.url(), settings.connect_timeout);
        let hosts = self.hosts.of(&url);
        let each = limit / hosts.len() as u32;
        let way = match dial::ways(url.tls.mode) {
            [Way::Tls] => Way::Tls,
            _ => Way::Clear,
        };
        let mut failure = None;
        for (number, url) in hosts {
            let error = match timeout(each, self.dial(&url, way, each)).await {
                Ok(Ok(dialled)) => {
                    self.hosts.found(number);
                    return Ok(dialled.stream);
                }
                Ok(Err(error)) => unavailable(&url, error),
                Err(_) => Unavailable::Timeout {
                    place: place(&url),
                    limit: each,
                },
            };
            failure = Some(telling(failure, error));
        }
        Err(failure.unwrap_or_else(|| Unavailable::Timeout {
            place: place(&url),
            limit,
        }))
    }

    /// A connection to one host on which nothing was said yet but about TLS.
    async fn dial(
        &self,
        url: &DatabaseUrl,
        way: Way,
        limit: Duration,
    ) -> Result<Dialled, dial::Failure> {
        let stream = self.hosts.reach(&url.host, url.port, limit).await?;
        dial::dial(stream, url, way, &self.means).await
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries the ways that `sslmode` allows.
    async fn open_in_some_way(&self, attempt: &Attempt<'_>) -> Result<Opened, Unavailable> {
        let ways = dial::ways(attempt.url.tls.mode);
        let mut first = None;
        for (number, way) in ways.iter().enumerate() {
            match self.open_in_one_way(attempt, *way).await {
                Ok(opened) => return Ok(opened),
                Err(error) if number + 1 < ways.len() && another_way_may_help(*way, &error) => {
                    first = Some(error);
                }
                // That the server does no TLS explains less than why it refused the connection without.
                Err(Unavailable::Tls { .. }) if first.is_some() => break,
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Unavailable::Tls {
            place: place(attempt.url),
            reason: "no way to connect is left".to_owned(),
        }))
    }

    async fn open_in_one_way(
        &self,
        attempt: &Attempt<'_>,
        way: Way,
    ) -> Result<Opened, Unavailable> {
        let url = attempt.url;
        let failed = |error: io::Error| unavailable(url, error.into());
        let dialled = self.dial(url, way, attempt.limit).await;
        let mut dialled = dialled.map_err(|failure| unavailable(url, failure))?;
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        let DatabaseUrl { user, database, .. } = url;
        let parameters = [("user", user), ("database", database)];
        let parameters = parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        write_startup(parameters, outbox.buf()).map_err(|_| {
            failed(io::Error::other(
                "the names of user and database are too long",
            ))
        })?;
        let login = auth::Login {
            url,
            credential: attempt.credential,
            channel: &dialled.channel,
            means: &self.means,
            derived: &self.derived,
        };
        let welcome = auth::log_in(&mut dialled.stream, &mut inbox, &mut outbox, &login).await;
        let welcome = welcome.map_err(|failure| match failure {
            Failure::Io(error) => failed(error),
            Failure::Refused(error) => error,
        })?;
        let head_start = fastrand::f32() * LIFETIME_JITTER;
        let origin = Origin {
            database: attempt.url.database.as_str().into(),
            user: attempt.url.user.as_str().into(),
            remote: dialled.stream.peer_addr().into(),
            local: dialled.stream.local_addr().into(),
            is_encrypted: dialled.stream.tls().is_some(),
        };
        Ok(Box::new(ServerConnection::new(Fresh {
            stream: dialled.stream,
            inbox,
            reported: welcome.reported,
            listed: self.means.roster.add_server(origin, welcome.process_id),
            cancel_key: Arc::new(CancelKey {
                route: Arc::new(dialled.route),
                process_id: welcome.process_id,
                secret: welcome.secret.into(),
            }),
            settings: Arc::clone(&self.neutral),
            worker: attempt.worker,
            head_start: attempt.settings.limits.lifetime_max.mul_f32(head_start),
        })))
    }
}

/// Whether the server may think better of a connection that is encrypted, or that is not. `28000` is what it says when
/// `pg_hba.conf` has no line for the kind of connection that it was.
fn another_way_may_help(way: Way, error: &Unavailable) -> bool {
    match error {
        Unavailable::Refused { sqlstate, .. } => sqlstate == "28000",
        Unavailable::Tls { .. } => way == Way::TlsIfOffered,
        _ => false,
    }
}

fn unavailable(url: &DatabaseUrl, failure: dial::Failure) -> Unavailable {
    let place = place(url);
    match failure {
        dial::Failure::Io(source) => Unavailable::Connect { place, source },
        dial::Failure::Tls(reason) => Unavailable::Tls { place, reason },
    }
}

fn place(url: &DatabaseUrl) -> String {
    let DatabaseUrl { host, port, .. } = url;
    format!("{host}:{port}")
}
