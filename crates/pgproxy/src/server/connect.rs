//! Opening a server connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use paceline_pgwire::startup::write_startup;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::auth::{self, Failure};
use super::connection::{CancelKey, Fresh, ServerConnection};
use crate::buffer::{Inbox, Outbox};
use crate::config::{Config, DatabaseUrl};
use crate::error::Unavailable;
use crate::settings::Settings;
use crate::stream::Stream;

/// A connection is closed up to this share of its life early, so that those opened together do not go together.
const LIFETIME_JITTER: f32 = 0.1;

/// Where server connections come from.
#[derive(Debug)]
pub(crate) struct Server {
    database: DatabaseUrl,
    connect_timeout: Duration,
    lifetime_max: Duration,
    neutral: Arc<Settings>,
}

/// A connection with a session at its other end.
pub(crate) type Opened = Box<ServerConnection>;

impl Server {
    pub(crate) fn new(config: &Config, neutral: Arc<Settings>) -> Self {
        Self {
            database: config.database.clone(),
            connect_timeout: config.connect_timeout,
            lifetime_max: config.lifetime_max,
            neutral,
        }
    }

    /// Connects (over TCP only) and logs in.
    pub(crate) async fn open(&self, worker: usize) -> Result<Opened, Unavailable> {
        let (place, limit) = (self.place(), self.connect_timeout);
        let opened = timeout(limit, self.open_in_time(worker)).await;
        opened.unwrap_or(Err(Unavailable::Timeout { place, limit }))
    }

    /// Connects, no more.
    pub(crate) async fn connect_in_time(&self) -> Result<Stream, Unavailable> {
        let (place, limit) = (self.place(), self.connect_timeout);
        match timeout(limit, self.connect()).await {
            Ok(connected) => connected.map_err(|source| Unavailable::Connect { place, source }),
            Err(_) => Err(Unavailable::Timeout { place, limit }),
        }
    }

    fn place(&self) -> String {
        let DatabaseUrl { host, port, .. } = &self.database;
        format!("{host}:{port}")
    }

    /// A bare connection to the server.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let DatabaseUrl { host, port, .. } = &self.database;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        paceline_listen::tune(&stream);
        Ok(Stream::Plain(stream))
    }

    async fn open_in_time(&self, worker: usize) -> Result<Opened, Unavailable> {
        let failed = |source: io::Error| Unavailable::Connect {
            place: self.place(),
            source,
        };
        let mut stream = self.connect().await.map_err(failed)?;
        let address = stream.peer_addr().map_err(failed)?;
        let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
        let DatabaseUrl { user, database, .. } = &self.database;
        let parameters = [("user", user), ("database", database)];
        let parameters = parameters.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        write_startup(parameters, outbox.buf()).map_err(|_| {
            failed(io::Error::other(
                "the names of user and database are too long",
            ))
        })?;
        let welcome = auth::log_in(&mut stream, &mut inbox, &mut outbox, &self.database).await;
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
            lifetime: self.lifetime_max.mul_f32(jitter),
        })))
    }
}
