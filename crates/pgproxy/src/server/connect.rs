//! Opening a server connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_pgwire::startup::write_startup;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::auth::{self, Failure};
use super::connection::{CancelKey, Fresh, ServerConnection};
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
}

/// A connection with a session at its other end.
pub(crate) type Opened = Box<ServerConnection>;

impl Server {
    pub(crate) fn new(url: DatabaseUrl, neutral: Arc<Settings>) -> Self {
        Self {
            url: Mutex::new(Arc::new(url)),
            neutral,
        }
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

    /// Connects (over TCP only) and logs in.
    pub(crate) async fn open(
        &self,
        settings: &TargetSettings,
        worker: usize,
    ) -> Result<Opened, Unavailable> {
        let (url, limit) = (self.url(), settings.connect_timeout);
        let opened = timeout(limit, self.open_in_time(&url, settings, worker)).await;
        opened.unwrap_or_else(|_| {
            let place = place(&url);
            Err(Unavailable::Timeout { place, limit })
        })
    }

    /// Connects, no more.
    pub(crate) async fn connect_in_time(
        &self,
        settings: &TargetSettings,
    ) -> Result<Stream, Unavailable> {
        let (url, limit) = (self.url(), settings.connect_timeout);
        let place = place(&url);
        match timeout(limit, connect(&url)).await {
            Ok(connected) => connected.map_err(|source| Unavailable::Connect { place, source }),
            Err(_) => Err(Unavailable::Timeout { place, limit }),
        }
    }

    /// A bare connection to the server.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        connect(&self.url()).await
    }

    fn lock(&self) -> MutexGuard<'_, Arc<DatabaseUrl>> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_in_time(
        &self,
        url: &DatabaseUrl,
        settings: &TargetSettings,
        worker: usize,
    ) -> Result<Opened, Unavailable> {
        let failed = |source: io::Error| Unavailable::Connect {
            place: place(url),
            source,
        };
        let mut stream = connect(url).await.map_err(failed)?;
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

async fn connect(url: &DatabaseUrl) -> io::Result<Stream> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
    paceline_listen::tune(&stream);
    Ok(Stream::Plain(stream))
}

fn place(url: &DatabaseUrl) -> String {
    let DatabaseUrl { host, port, .. } = url;
    format!("{host}:{port}")
}
