//! `LISTEN` for clients that share server connections: one connection of each target listens for all of them.
//!
//! A client's LISTEN runs on whichever connection it has. When its transaction has ended, the session asks what that
//! connection listens to, subscribes here, and lets it go once the listening connection has confirmed. What a client gets is
//! put into its [`Letterbox`]; the session takes it out between transactions, wherever it lives by then.

mod letterbox;
mod listener;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paceline_pgwire::Wire;
use paceline_pgwire::backend::Notification;
use tokio::sync::Notify;

pub(crate) use letterbox::Letterbox;

use crate::databases::Target;

/// A client that listens to more than that keeps a connection of its own for it.
pub(crate) const CHANNELS_MAX: usize = 1000;

type Name = Arc<[u8]>;

/// What the listening connection of a target is to listen to, and for whom.
pub(crate) struct Hub {
    /// A channel of our own, to which it always listens. A session that moves its channels here sends a mark through it: what the
    /// server tells before the mark is the session's to pass on, what it tells behind it comes from here.
    marks: Name,
    inner: Mutex<Inner>,
    /// Something else is wanted than before.
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    channels: HashMap<Name, Channel>,
    /// Those who subscribe to any of them.
    clients: HashMap<u64, Arc<Letterbox>>,
    /// There is a task that keeps the connection.
    is_running: bool,
    /// The connection is to be given up for another.
    is_revoked: bool,
}

#[derive(Default)]
struct Channel {
    listeners: HashMap<u64, Arc<Letterbox>>,
    /// The server has confirmed that the connection listens to it.
    is_active: bool,
}

/// The channels of one client. Dropping it ends them.
pub(crate) struct Subscriptions {
    client: u64,
    target: Arc<Target>,
    letterbox: Arc<Letterbox>,
    names: HashSet<Name>,
}

impl Subscriptions {
    pub(crate) fn new(client: u64, target: Arc<Target>) -> Self {
        Self {
            client,
            target,
            letterbox: Arc::default(),
            names: HashSet::new(),
        }
    }

    pub(crate) fn letterbox(&self) -> &Letterbox {
        &self.letterbox
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn contains(&self, channel: &[u8]) -> bool {
        self.names.contains(channel)
    }

    /// Subscribes, in a task of this worker if there is none yet. Gives those names that are new.
    pub(crate) fn add(&mut self, names: Vec<Vec<u8>>, worker: usize) -> Vec<Vec<u8>> {
        let hub = &self.target.hub;
        let mut inner = hub.lock();
        let letterbox = Arc::clone(&self.letterbox);
        inner.clients.insert(self.client, letterbox);
        let mut fresh = Vec::new();
        for name in names {
            let shared: Name = name.as_slice().into();
            let channel = inner.channels.entry(Arc::clone(&shared)).or_default();
            let letterbox = Arc::clone(&self.letterbox);
            channel.listeners.insert(self.client, letterbox);
            if self.names.insert(shared) {
                fresh.push(name);
            }
        }
        if !inner.is_running && !inner.channels.is_empty() {
            inner.is_running = true;
            tokio::task::spawn_local(listener::run(Arc::clone(&self.target), worker));
        }
        hub.changed.notify_one();
        fresh
    }

    /// Whether the server has confirmed all of them.
    pub(crate) fn are_active(&self) -> bool {
        let inner = self.target.hub.lock();
        let is_active = |name| {
            inner
                .channels
                .get(name)
                .is_some_and(|found: &Channel| found.is_active)
        };
        self.names.iter().all(is_active)
    }

    /// Ends one, or all.
    pub(crate) fn remove(&mut self, name: Option<&[u8]>) {
        let removed: Vec<Name> = match name {
            Some(name) => self.names.take(name).into_iter().collect(),
            None => self.names.drain().collect(),
        };
        let mut inner = self.target.hub.lock();
        for name in removed {
            if let Some(channel) = inner.channels.get_mut(&name) {
                channel.listeners.remove(&self.client);
            }
        }
        drop(inner);
        self.target.hub.changed.notify_one();
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.remove(None);
        self.target.hub.lock().clients.remove(&self.client);
    }
}

/// Tells what a session has passed on itself from what comes by the listening connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) client: u64,
    /// Which of the client's moves it belongs to.
    pub(crate) number: u64,
}

impl Mark {
    /// The reverse of its text.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let (client, number) = std::str::from_utf8(payload).ok()?.split_once('.')?;
        let (client, number) = (client.parse().ok()?, number.parse().ok()?);
        Some(Self { client, number })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.client, self.number)
    }
}

/// What a connection that listens to something has to do to listen to what is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Change {
    listen: Vec<Name>,
    unlisten: Vec<Name>,
    /// Somebody wants again what was not given up yet.
    again: Vec<Name>,
}

impl Default for Hub {
    fn default() -> Self {
        let number = fastrand::u128(..);
        Self {
            marks: format!("paceline_{number:032x}").into_bytes().into(),
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }
}

impl Hub {
    /// The channel of the marks. It needs no quotes.
    pub(crate) fn marks(&self) -> &[u8] {
        &self.marks
    }

    /// The target is elsewhere now, or its connections are wanted anew.
    pub(crate) fn reconnect(&self) {
        let mut inner = self.lock();
        inner.is_revoked = inner.is_running;
        drop(inner);
        self.changed.notify_one();
    }

    /// Forgets channels that nobody listens to, and says what is to be done.
    fn change(&self, listening: &HashSet<Name>) -> Change {
        let mut inner = self.lock();
        inner
            .channels
            .retain(|_, channel| !channel.listeners.is_empty());
        let is_new = |name: &&Name| !listening.contains(*name);
        let is_old = |name: &&Name| !inner.channels.contains_key(*name);
        let is_inactive = |name: &&Name| {
            let channel = inner.channels.get(*name);
            channel.is_some_and(|channel| !channel.is_active)
        };
        Change {
            listen: inner.channels.keys().filter(is_new).cloned().collect(),
            unlisten: listening.iter().filter(is_old).cloned().collect(),
            again: listening.iter().filter(is_inactive).cloned().collect(),
        }
    }

    /// Whether the connection is to be given up, so that another is opened. Says so once.
    fn is_revoked(&self) -> bool {
        std::mem::take(&mut self.lock().is_revoked)
    }

    /// The server has confirmed these. Whoever waits for it is woken.
    fn confirm(&self, names: &[Name]) {
        let mut inner = self.lock();
        for name in names {
            if let Some(channel) = inner.channels.get_mut(name) {
                channel.is_active = true;
                channel
                    .listeners
                    .values()
                    .for_each(|letterbox| letterbox.stir());
            }
        }
    }

    /// The connection is lost: notifications may pass unheard until there is another. All are told.
    fn lose(&self, notice: &Arc<[u8]>) {
        let mut inner = self.lock();
        let mut told = HashSet::new();
        for channel in inner.channels.values_mut() {
            // Who is not confirmed yet is not promised anything either.
            if std::mem::replace(&mut channel.is_active, false) {
                for (client, letterbox) in &channel.listeners {
                    if told.insert(*client) {
                        letterbox.put(Arc::clone(notice));
                    }
                }
            }
        }
    }

    /// Whether nobody listens any more: then the task ends, and the next one to listen starts another.
    fn is_over(&self) -> bool {
        let mut inner = self.lock();
        inner
            .channels
            .retain(|_, channel| !channel.listeners.is_empty());
        let is_over = inner.channels.is_empty();
        inner.is_running = !is_over;
        is_over
    }

    /// Puts a notification into the letterboxes of those who listen, a mark into that of its client.
    fn deliver(&self, frame: &[u8], body: &[u8]) -> Result<(), paceline_pgwire::Error> {
        let Notification {
            channel, payload, ..
        } = Notification::parse(body)?;
        let inner = self.lock();
        if *channel == *self.marks {
            let client = Mark::parse(payload).and_then(|mark| inner.clients.get(&mark.client));
            if let Some(letterbox) = client {
                letterbox.put(frame.into());
            }
        } else if let Some(channel) = inner.channels.get(channel) {
            let letter: Arc<[u8]> = frame.into();
            for letterbox in channel.listeners.values() {
                letterbox.put(Arc::clone(&letter));
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
