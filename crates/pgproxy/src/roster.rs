//! Who is here: a card for each client and each server connection, for whoever wants to look, or to send a client away.
//!
//! A card is made once for each connection. What changes on it are atomics, written where a client takes a server connection
//! or gives it back anyway.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
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
    now: AtomicU32,
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
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) database: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) remote: Address,
    pub(crate) local: Address,
    pub(crate) is_encrypted: bool,
}

/// A socket's address, without what only link-local ones have besides, in half the memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Address {
    ip: [u8; 16],
    port: u16,
}

impl Address {
    /// `None` when it could not be had.
    pub(crate) fn get(self) -> Option<(IpAddr, u16)> {
        let ip = Ipv6Addr::from(self.ip).to_canonical();
        (self.port != 0).then_some((ip, self.port))
    }
}

impl From<io::Result<SocketAddr>> for Address {
    fn from(found: io::Result<SocketAddr>) -> Self {
        let Ok(address) = found else {
            return Self::default();
        };
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: address.port(),
        }
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct ClientCard {
    pub(crate) id: u64,
    pub(crate) origin: Origin,
    pub(crate) application: Box<str>,
    /// Seconds since 1970.
    pub(crate) since: u32,
    /// When it last asked for a server connection, in seconds since 1970.
    asked: AtomicU32,
    state: AtomicU8,
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
    pub(crate) since: u32,
    /// The client that holds it; 0 is none.
    client: AtomicU64,
    asked: AtomicU32,
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

    pub(crate) fn add_client(self: &Arc<Self>, origin: Origin, application: &str) -> ListedClient {
        let id = self.next_id();
        let since = seconds();
        let card = Arc::new(ClientCard {
            id,
            origin,
            application: application.into(),
            since,
            state: AtomicU8::new(ClientState::Idle as u8),
            asked: AtomicU32::new(since),
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
            asked: AtomicU32::new(since),
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
        seconds().into()
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
        self.asked.load(Relaxed).max(self.since).into()
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
        self.asked.load(Relaxed).max(self.since).into()
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

/// Seconds since 1970, which are enough until 2106.
fn seconds() -> u32 {
    // A clock before 1970 is no clock.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as u32)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_small() {
        let bytes = size_of::<ClientCard>();
        assert!(bytes <= 144, "a card has {bytes} bytes");
    }

    #[test]
    fn addresses_are_told_as_they_were() {
        let of = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for text in ["127.0.0.1:6432", "[::1]:6432", "[2001:db8::5]:1"] {
            let address = of(text);
            let told = Address::from(Ok(address)).get();
            assert_eq!(told, Some((address.ip(), address.port())));
        }
        assert_eq!(
            Address::from(Err(io::ErrorKind::NotConnected.into())).get(),
            None
        );
    }
}
