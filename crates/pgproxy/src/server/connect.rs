//! Opening a server connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_pgwire::startup::write_startup;
use tokio::time::timeout;

use super::auth::{self, Failure};
use super::connection::{CancelKey, Fresh, ServerConnection};
use super::hosts::{Hosts, telling};
use crate::buffer::{Inbox, Outbox};
use crate::config::DatabaseUrl;
use crate::databases::TargetSettings;
use crate::error::Unavailable;
use crate::settings::Settings;
use crate::stream::Stream;

/// A connection is closed up to this share of its life early, so that those opened together do not go together.
const LIFETIME_JITTER: f32 = 0.1;

/// Where server connections come from.
pub(crate) struct Server {
    url: Mutex<Arc<DatabaseUrl>>,
    neutral: Arc<Settings>,
    hosts: Hosts,
}

/// A connection with a session at its other end.
pub(crate) type Opened = Box<ServerConnection>;

impl Server {
    pub(crate) fn new(url: DatabaseUrl, neutral: Arc<Settings>) -> Self {
        Self {
            url: Mutex::new(Arc::new(url)),
            neutral,
            hosts: Hosts::default(),
        }
    }

    /// It may be elsewhere: names are resolved anew.
    pub(crate) fn doubt(&self) {
        self.hosts.doubt();
    }

    /// Where it is now.
    pub(crate) fn url(&self) -> Arc<DatabaseUrl> {
        Arc::clone(&self.lock())
    }

    /// It is elsewhere from now on, or wants other credentials. Says whether that is so.
    pub(crate) fn change(&self, url: DatabaseUrl) -> bool {
        let mut known = self.lock();
        let is_other = **known != url;
        if is_other {
            *known = Arc::new(url);
        }
        is_other
    }

    /// The password is this one now.
    pub(crate) fn change_password(&self, password: &Option<String>) {
        let mut known = self.lock();
        if known.password != *password {
            Arc::make_mut(&mut known).password.clone_from(password);
        }
    }

    /// Connects (over TCP only) and logs in, at the first of its hosts that will do.
    pub(crate) async fn open(
        &self,
        settings: &TargetSettings,
        worker: usize,
    ) -> Result<Opened, Unavailable> {
        let (url, limit) = (self.url(), settings.connect_timeout);
        let hosts = self.hosts.of(&url);
        let each = limit / hosts.len() as u32;
        let mut failure = None;
        for (number, url) in hosts {
            match self.open_at(&url, settings, worker, each).await {
                Ok(opened) => {
                    self.hosts.found(number);
                    return Ok(opened);
                }
                Err(error) => failure = Some(telling(failure, error)),
            }
        }
        Err(failure.unwrap_or_else(|| Unavailable::Timeout {
            place: place(&url),
            limit,
        }))
    }

    /// Opens a connection at one host, which must be what is asked for.
    async fn open_at(
        &self,
        url: &DatabaseUrl,
        settings: &TargetSettings,
        worker: usize,
        limit: Duration,
    ) -> Result<Opened, Unavailable> {
        let opened = timeout(limit, async {
            let mut opened = self.open_in_time(url, settings, worker, limit).await?;
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

    /// Connects, no more.
    pub(crate) async fn connect_in_time(
        &self,
        settings: &TargetSettings,
    ) -> Result<Stream, Unavailable> {
        let (url, limit) = (self.url(), settings.connect_timeout);
        let hosts = self.hosts.of(&url);
        let each = limit / hosts.len() as u32;
        let mut failure = None;
        for (number, url) in hosts {
            let place = place(&url);
            let error = match timeout(each, self.connect(&url, each)).await {
                Ok(Ok(stream)) => {
                    self.hosts.found(number);
                    return Ok(stream);
                }
                Ok(Err(source)) => Unavailable::Connect { place, source },
                Err(_) => Unavailable::Timeout { place, limit: each },
            };
            failure = Some(telling(failure, error));
        }
        Err(failure.unwrap_or_else(|| Unavailable::Timeout {
            place: place(&url),
            limit,
        }))
    }

    /// A bare connection to one host.
    async fn connect(&self, url: &DatabaseUrl, limit: Duration) -> io::Result<Stream> {
        let stream = self.hosts.reach(&url.host, url.port, limit).await?;
        Ok(Stream::Plain(stream))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<DatabaseUrl>> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_in_time(
        &self,
        url: &DatabaseUrl,
        settings: &TargetSettings,
        worker: usize,
        limit: Duration,
    ) -> Result<Opened, Unavailable> {
        let failed = |source: io::Error| Unavailable::Connect {
            place: place(url),
            source,
        };
        let mut stream = self.connect(url, limit).await.map_err(failed)?;
        let address = stream.peer_addr().map_err(failed)?;
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        let DatabaseUrl { user, database, .. } = url;
        let parameters = [("user", user), ("database", database)];
        let parameters = parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        write_startup(parameters, outbox.buf()).map_err(|_| {
            failed(io::Error::other(
                "the names of user and database are too long",
            ))
        })?;
        let welcome = auth::log_in(&mut stream, &mut inbox, &mut outbox, url).await;
        let welcome = welcome.map_err(|failure| match failure {
            Failure::Io(error) => failed(error),
            Failure::Refused(error) => error,
        })?;
        let jitter = 1.0 - fastrand::f32() * LIFETIME_JITTER;
        Ok(Box::new(ServerConnection::new(Fresh {
            stream,
            inbox,
            reported: welcome.reported,
            cancel_key: CancelKey {
                address,
                process_id: welcome.process_id,
                secret: welcome.secret.into(),
            },
            settings: Arc::clone(&self.neutral),
            worker,
            lifetime: settings.lifetime_max.mul_f32(jitter),
        })))
    }
}

fn place(url: &DatabaseUrl) -> String {
    let DatabaseUrl { host, port, .. } = url;
    format!("{host}:{port}")
}
