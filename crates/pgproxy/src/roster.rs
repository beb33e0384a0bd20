//! Who is here: a card for each client and each server connection, for whoever wants to look, or to send a client away.
//!
//! A card is made once for each connection. What changes on it are atomics, written where a client takes a server connection
//! or gives it back anyway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{SystemTime, UNIX_EPOCH};

/// All that are here.
#[derive(Default)]
pub(crate) struct Roster {
    clients: Mutex<HashMap<u64, Arc<ClientCard>>>,
    servers: Mutex<HashMap<u64, Arc<ServerCard>>>,
    last_id: AtomicU64,
    /// Server connections up to this number are to be closed.
    outdated: AtomicU64,
    /// Seconds since 1970, as of the last round.
    now: AtomicU64,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ClientState {
    Idle,
    /// It holds a server connection.
    Active,
    /// It waits for one.
    Waiting,
}

/// What is known of a connection from its beginning on.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) is_encrypted: bool,
}

/// A client.
#[derive(Debug)]
pub(crate) struct ClientCard {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) application: String,
    /// Seconds since 1970.
    pub(crate) since: u64,
    state: AtomicU8,
    /// When it last asked for a server connection, in seconds since 1970.
    asked: AtomicU64,
    /// The server connection that it holds; 0 is none.
    server: AtomicU64,
    is_killed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A server connection.
#[derive(Debug)]
pub(crate) struct ServerCard {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) process_id: u32,
    pub(crate) since: u64,
    /// The client that holds it; 0 is none.
    client: AtomicU64,
    asked: AtomicU64,
    /// Statements prepared on it, as of the end of its last transaction.
    prepared: AtomicUsize,
}

/// A client's place in the roster, until this is dropped.
pub(crate) struct ListedClient {
    roster: Arc<Roster>,
    card: Arc<ClientCard>,
}

/// A server connection's place in the roster, until this is dropped.
pub(crate) struct ListedServer {
    roster: Arc<Roster>,
    card: Arc<ServerCard>,
}

impl Roster {
    /// To be called once a second.
    pub(crate) fn tick(&self) {
        self.now.store(seconds(), Relaxed);
    }

    pub(crate) fn add_client(
        self: &Arc<Self>,
        origin: Origin,
        application: String,
    ) -> ListedClient {
        let id = self.next_id();
        let since = seconds();
        let card = Arc::new(ClientCard {
            id,
            origin,
            application,
            since,
            state: AtomicU8::new(ClientState::Idle as u8),
            asked: AtomicU64::new(since),
            server: AtomicU64::new(0),
            is_killed: AtomicBool::new(false),
            waker: Mutex::default(),
        });
        lock(&self.clients).insert(id, Arc::clone(&card));
        let roster = Arc::clone(self);
        ListedClient { roster, card }
    }

    pub(crate) fn add_server(self: &Arc<Self>, origin: Origin, process_id: u32) -> ListedServer {
        let id = self.next_id();
        let since = seconds();
        let card = Arc::new(ServerCard {
            id,
            origin,
            process_id,
            since,
            client: AtomicU64::new(0),
            asked: AtomicU64::new(since),
            prepared: AtomicUsize::new(0),
        });
        lock(&self.servers).insert(id, Arc::clone(&card));
        let roster = Arc::clone(self);
        ListedServer { roster, card }
    }

    /// All clients, the first to come first.
    pub(crate) fn clients(&self) -> Vec<Arc<ClientCard>> {
        let mut clients: Vec<_> = lock(&self.clients).values().cloned().collect();
        clients.sort_unstable_by_key(|card| card.id);
        clients
    }

    /// All server connections, the oldest first.
    pub(crate) fn servers(&self) -> Vec<Arc<ServerCard>> {
        let mut servers: Vec<_> = lock(&self.servers).values().cloned().collect();
        servers.sort_unstable_by_key(|card| card.id);
        servers
    }

    /// Sends away the clients of which this holds; says how many.
    pub(crate) fn kill(&self, which: impl Fn(&ClientCard) -> bool) -> usize {
        let clients = self.clients();
        let killed = clients.iter().filter(|card| which(card));
        killed.map(|card| card.kill()).count()
    }

    /// The server connections that are there are to be closed.
    pub(crate) fn outdate(&self) {
        let last = self.last_id.load(Relaxed);
        self.outdated.fetch_max(last, Relaxed);
    }

    /// Those that are to be closed and are still there.
    pub(crate) fn outdated(&self) -> Vec<Arc<ServerCard>> {
        let (mut servers, last) = (self.servers(), self.outdated.load(Relaxed));
        servers.retain(|card| card.id <= last);
        servers
    }

    /// Seconds since 1970, to the second.
    pub(crate) fn now(&self) -> u64 {
        seconds()
    }

    fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }
}

impl ClientCard {
    pub(crate) fn state(&self) -> ClientState {
        match self.state.load(Relaxed) {
            state if state == ClientState::Active as u8 => ClientState::Active,
            state if state == ClientState::Waiting as u8 => ClientState::Waiting,
            _ => ClientState::Idle,
        }
    }

    /// When it last asked for a server connection, to the second.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Relaxed).max(self.since)
    }

    /// The server connection that it holds.
    pub(crate) fn server(&self) -> Option<u64> {
        Some(self.server.load(Relaxed)).filter(|id| *id != 0)
    }

    /// Whether somebody wants it to go.
    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed.load(Relaxed)
    }

    fn kill(&self) {
        self.is_killed.store(true, Relaxed);
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }
}

impl ServerCard {
    /// The client that holds it.
    pub(crate) fn client(&self) -> Option<u64> {
        Some(self.client.load(Relaxed)).filter(|id| *id != 0)
    }

    /// When it was last given to a client, to the second.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Relaxed).max(self.since)
    }

    /// Statements prepared on it.
    pub(crate) fn prepared(&self) -> usize {
        self.prepared.load(Relaxed)
    }
}

impl ListedClient {
    /// Says how its task is woken; to be told again by each task that it has.
    pub(crate) fn wake_by(&self, waker: &Waker) {
        *lock(&self.card.waker) = Some(waker.clone());
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.card.is_killed()
    }

    /// It waits for a server connection.
    pub(crate) fn waits(&self) {
        self.card
            .asked
            .store(self.roster.now.load(Relaxed), Relaxed);
        self.set(ClientState::Waiting);
    }

    /// It holds this one.
    pub(crate) fn holds(&self, server: &ListedServer) {
        let now = self.roster.now.load(Relaxed);
        self.card.asked.store(now, Relaxed);
        self.card.server.store(server.card.id, Relaxed);
        self.set(ClientState::Active);
        server.card.asked.store(now, Relaxed);
        server.card.client.store(self.card.id, Relaxed);
    }

    /// It holds nothing any more, and waits for nothing.
    pub(crate) fn rests(&self) {
        self.card.server.store(0, Relaxed);
        self.set(ClientState::Idle);
    }

    fn set(&self, state: ClientState) {
        self.card.state.store(state as u8, Relaxed);
    }
}

impl ListedServer {
    /// So many statements are prepared on it.
    pub(crate) fn has_prepared(&self, count: usize) {
        self.card.prepared.store(count, Relaxed);
    }

    /// No client holds it.
    pub(crate) fn rests(&self) {
        self.card.client.store(0, Relaxed);
    }
}

impl Drop for ListedClient {
    fn drop(&mut self) {
        lock(&self.roster.clients).remove(&self.card.id);
    }
}

impl Drop for ListedServer {
    fn drop(&mut self) {
        lock(&self.roster.servers).remove(&self.card.id);
    }
}

fn seconds() -> u64 {
    // A clock before 1970 is no clock.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
