//! What the parts of a process can ask of the whole: to read its configuration again, to leave. The console and the admin
//! port ask; whoever runs the process does it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

/// Requests that may wait at once.
const WISHES_MAX: usize = 16;

/// Makes the two ends: one to ask, which can be cloned, and one to be asked.
pub fn control() -> (Control, mpsc::Receiver<Wish>) {
    let (sender, receiver) = mpsc::channel(WISHES_MAX);
    let settings = Arc::new(Mutex::new(Arc::from([])));
    (Control { sender, settings }, receiver)
}

/// The asking end.
#[derive(Debug, Clone)]
pub struct Control {
    sender: mpsc::Sender<Wish>,
    settings: Arc<Mutex<Arc<[Setting]>>>,
}

/// What was asked for.
#[derive(Debug)]
pub enum Wish {
    /// To read the configuration again, and to answer what came of it.
    Reload(oneshot::Sender<Reloaded>),
    /// To end the process.
    Leave(Leave),
}

/// How to end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Without waiting for anybody.
    Now,
    /// As after SIGTERM: idle clients are sent away, transactions come to their end.
    AfterTransactions,
    /// When the last client has left by itself; none is accepted any more.
    AfterClients,
}

/// What came of reading the configuration again. Wrong: nothing has changed, and these are the reasons.
pub type Reloaded = Result<Effect, Vec<String>>;

/// What a changed configuration has brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// What is different now, in words.
    pub changed: Vec<String>,
    /// Keys that have changed and will have their effect at the next start.
    pub need_restart: Vec<String>,
    /// What was odd about the configuration.
    pub warnings: Vec<String>,
}

/// A key of the configuration, for whoever wants to see all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its dotted path.
    pub key: String,
    /// The value in effect; secrets are hidden.
    pub value: Option<String>,
    /// The value without any configuration.
    pub default: Option<String>,
    /// Whether a reload can change it.
    pub reloadable: bool,
}

/// Nobody is there to do what was asked, or too much was asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the process is busy with other requests, or is leaving")]
pub struct Busy;

impl Control {
    /// Asks for the configuration to be read again, and waits for what comes of it.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn reload(&self) -> Result<Reloaded, Busy> {
        let (answer, answered) = oneshot::channel();
        self.ask(Wish::Reload(answer))?;
        answered.await.map_err(|_| Busy)
    }

    /// Asks the process to leave.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn leave(&self, how: Leave) -> Result<(), Busy> {
        self.ask(Wish::Leave(how))
    }

    /// All keys of the configuration, as last read.
    pub fn settings(&self) -> Arc<[Setting]> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says what the keys are from now on.
    pub fn set_settings(&self, settings: Vec<Setting>) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings.into();
    }

    fn ask(&self, wish: Wish) -> Result<(), Busy> {
        self.sender.try_send(wish).map_err(|_| Busy)
    }
}
