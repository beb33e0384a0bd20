//! Signs that the server is not what it was: it refuses to write, it shuts down. Then whatever is open is looked at before
//! it is used again, names are resolved anew, and what belongs to an old primary goes.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use paceline_pgwire::SqlState;
use tokio::time::timeout;

use super::Target;
use crate::pool::Lease;
use crate::server::{Opened, ServerConnection};

/// A client that tries to write in a read-only transaction is such a sign, too, and may do so all day.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a connection may take to say that it is well; at most half of what its client has.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// `read_only_sql_transaction`, `admin_shutdown`, `crash_shutdown`.
const SIGNS: [SqlState; 3] = [
    SqlState(*b"25006"),
    SqlState(*b"57P01"),
    SqlState(*b"57P02"),
];

/// What is remembered of signs.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    last: Mutex<Option<Instant>>,
    /// Connections of late were to a standby, and nothing else is asked for.
    is_standby: AtomicBool,
}

impl Target {
    /// A server has said this to a client.
    pub(crate) fn heed(&self, sqlstate: SqlState) {
        if SIGNS.contains(&sqlstate) && self.doubt.may_rise(Instant::now()) {
            tracing::info!(
                database = self.database,
                %sqlstate,
                "The server may have changed its part: its connections are looked at before they are used again."
            );
            self.server.doubt();
            self.pool.raise_doubt();
        }
    }

    /// A connection was opened.
    pub(super) fn note_part(&self, connection: &ServerConnection) {
        self.doubt
            .is_standby
            .store(connection.is_standby(), Relaxed);
    }

    /// Looks whether a connection that nobody has used for a while still lives, and is what is asked for.
    pub(crate) async fn examine(&self, lease: &mut Lease<Opened>) -> bool {
        let (wanted, is_standby) = (
            self.server.url().session_attrs,
            self.doubt.is_standby.load(Relaxed),
        );
        let limit = ANSWER_MAX.min(self.settings().wait_timeout / 2);
        let is_sound = match timeout(limit, lease.is_sound(wanted, is_standby)).await {
            Ok(Ok(is_sound)) => is_sound,
            Ok(Err(error)) => {
                tracing::debug!(%error, "An idle server connection has died.");
                false
            }
            Err(_) => {
                tracing::info!(
                    database = self.database,
                    "An idle server connection does not answer."
                );
                false
            }
        };
        if is_sound {
            lease.trust();
        }
        is_sound
    }
}

impl Doubt {
    fn may_rise(&self, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let may = last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL);
        if may {
            *last = Some(now);
        }
        may
    }
}
