//! Work that no visitor waits for, and work that no I/O thread may wait for.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::error::ApiError;
use crate::{mail, password};

/// Mails that wait to be sent. Whoever adds one to a full queue waits.
const MAILS_MAX: usize = 10_000;
const MAILS_AT_ONCE: usize = 16;

struct Mail {
    company: i32,
    application: i32,
}

/// The queue of mails, and the right to use a core for long.
pub(crate) struct Background {
    mails: mpsc::Sender<Mail>,
    cores: Arc<Semaphore>,
}

impl Background {
    pub(crate) fn start() -> Self {
        let (mails, queue) = mpsc::channel(MAILS_MAX);
        tokio::spawn(send_all(queue));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Background {
            mails,
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    pub(crate) async fn mail(&self, company: i32, application: i32) {
        let mail = Mail {
            company,
            application,
        };
        // It fails only when the program ends, and the queue with it.
        let _ = self.mails.send(mail).await;
    }

    /// The hash of a password, made on a thread of its own, as many at once as there are cores.
    pub(crate) async fn hash(&self, password: String, salt: String) -> Result<String, ApiError> {
        let core = Arc::clone(&self.cores).acquire_owned().await;
        let hashed = tokio::task::spawn_blocking(move || {
            let _core = core;
            password::hash(&password, &salt)
        });
        hashed.await.map_err(|_| ApiError::Busy)
    }
}

async fn send_all(mut queue: mpsc::Receiver<Mail>) {
    let places = Arc::new(Semaphore::new(MAILS_AT_ONCE));
    while let Some(mail) = queue.recv().await {
        let place = Arc::clone(&places).acquire_owned().await;
        tokio::spawn(async move {
            mail::send(mail.company, mail.application).await;
            drop(place);
        });
    }
}
