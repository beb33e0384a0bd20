//! A session for ourselves: opened as those of the pools are, and talked to through a client library.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use paceline_pgwire::Wire;
use paceline_pgwire::backend::{
    Authentication, BackendKeyData, ParameterStatus, ReadyForQuery, TransactionStatus,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};

use crate::auth::Credential;
use crate::config::{Config, Database, DatabaseUrl};
use crate::databases::TargetSettings;
use crate::error::Unavailable;
use crate::means::Means;
use crate::server::{Opened, Server};
use crate::settings::SettingsTable;

/// Bytes on their way in each direction.
const BUFFER_BYTES: usize = 64 * 1024;
/// A client library's startup packet is far smaller.
const STARTUP_BYTES_MAX: u32 = 10_000;

/// Opens a session as the URL says (hosts, `sslmode` and its companions, password), and gives an in-memory stream for a client
/// library to speak on: its startup packet, in the clear and whatever is in it, is answered at once, and what follows goes to
/// the server. To be called in a tokio runtime, which carries what is said; the session ends with the stream.
///
/// # Errors
///
/// Why there is no session.
pub async fn open_session(url: DatabaseUrl, limit: Duration) -> Result<DuplexStream, Unavailable> {
    let place = format!("{}:{}", url.host, url.port);
    let means = Means::new().map_err(|source| Unavailable::Connect { place, source })?;
    let credential = Credential::of_password(url.password.as_deref());
    let database = Database::new(url.clone());
    let config = Config {
        databases: vec![database.clone()],
        connect_timeout: limit,
        ..Config::default()
    };
    let settings = TargetSettings::new(&config, &database, None);
    let neutral = SettingsTable::new().neutral();
    let server = Server::new(url, credential, neutral, Arc::new(means));
    let connection = server.open(&settings, 0).await?;
    let (ours, theirs) = duplex(BUFFER_BYTES);
    tokio::spawn(async move {
        // The client library sees the stream end, and says so.
        if let Err(error) = carry(theirs, connection).await {
            tracing::debug!(%error, "A session of our own has ended.");
        }
    });
    Ok(ours)
}

async fn carry(mut client: DuplexStream, mut connection: Opened) -> io::Result<()> {
    let length = client.read_u32().await?;
    if !(8..=STARTUP_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await?;
    client.write_all(&greeting(&connection)).await?;
    let (stream, _, _) = connection.io()?;
    copy_bidirectional(&mut client, stream).await?;
    Ok(())
}

/// What a server says to a client that it lets in without asking anything.
fn greeting(connection: &Opened) -> BytesMut {
    let mut bytes = BytesMut::new();
    Authentication::Ok.write(&mut bytes);
    for (name, value) in &connection.reported {
        ParameterStatus { name, value }.write(&mut bytes);
    }
    let key = &connection.cancel_key;
    let (process_id, secret) = (key.process_id, &*key.secret);
    BackendKeyData { process_id, secret }.write(&mut bytes);
    ReadyForQuery(TransactionStatus::Idle).write(&mut bytes);
    bytes
}
