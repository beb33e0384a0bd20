//! From the first byte of a connection to a session.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use paceline_pgwire::Reader;
use paceline_pgwire::auth::ChannelBinding;
use paceline_pgwire::startup::{
    ACCEPT_ENCRYPTION, PACKET_BYTES_MAX, Packet, REFUSE_ENCRYPTION, Startup,
};
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Client, ClientStatements};
use crate::auth::Claim;
use crate::buffer::{Inbox, Outbox};
use crate::config::Mode;
use crate::console;
use crate::databases::{Admission, Target};
use crate::error::Refusal;
use crate::observe;
use crate::roster::{ListedClient, Origin};
use crate::session::Session;
use crate::settings::Settings;
use crate::stream::Stream;
use crate::tls::{self, Accepting, TlsStream};
use crate::worker::{Seat, Worker};

/// Requests for encryption that a client may make before it goes on in the clear: one of each kind, as in Postgres.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

/// The first byte of a TLS handshake, which no startup packet can begin with: it would be far too long.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection that has not said yet what it wants.
pub(crate) struct Arrival {
    pub(crate) worker: Rc<Worker>,
    pub(crate) stream: Stream,
    /// What is known of the client's side of TLS, if it is encrypted.
    pub(crate) encryption: Option<Encryption>,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) seat: Seat,
}

/// What a client's TLS says of it.
#[derive(Debug, Default)]
pub(crate) struct Encryption {
    /// What its login can be bound to.
    pub(crate) binding: Option<ChannelBinding>,
    /// Whom its certificate names, which was checked.
    pub(crate) common_name: Option<String>,
}

/// What a connection wants.
enum Wish {
    /// A session under these settings.
    Session(Arc<Target>, Admission, Arc<Settings>, ListedClient),
    /// The console.
    Console(console::Rights),
    /// A connection of its own to the server; the startup packet has this many bytes.
    Observed(usize),
}

/// Why there will be no session.
pub(super) enum Failure {
    /// Nobody is there any more, or nobody has to be told.
    Gone,
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Deals with a connection from its first byte to a session, or to its end.
pub(crate) async fn welcome(
    worker: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
) -> Option<Box<Session>> {
    let limit = worker.proxy.config().login_timeout;
    let (inbox, outbox) = (Inbox::default(), Outbox::default());
    let mut arrival = Arrival {
        worker,
        stream: Stream::Plain(stream),
        encryption: None,
        inbox,
        outbox,
        seat,
    };
    let wish = match timeout(limit, Box::pin(arrival.greet())).await {
        Ok(wish) => wish,
        Err(_) => Err(Refusal::login_timeout().into()),
    };
    match wish {
        Ok(Wish::Session(target, admission, settings, listed)) => {
            return Box::pin(arrival.open_session(target, admission, settings, listed)).await;
        }
        Ok(Wish::Console(rights)) => Box::pin(console::run(arrival, rights)).await,
        Ok(Wish::Observed(packet_bytes)) => Box::pin(observe::run(arrival, packet_bytes)).await,
        Err(Failure::Gone) => {}
        Err(Failure::Refused(refusal)) => {
            tracing::debug!(%peer, error = refusal.message, "A client was not let in.");
            arrival.tell(&refusal).await;
        }
    }
    None
}

impl Arrival {
    /// Reads packets until one asks for a session, and checks who asks.
    async fn greet(&mut self) -> Result<Wish, Failure> {
        let mut encryption_requests = 0;
        loop {
            if encryption_requests == 0 && self.inbox.bytes().first() == Some(&TLS_HANDSHAKE) {
                self.begin_tls_at_once().await?;
                encryption_requests = ENCRYPTION_REQUESTS_MAX;
                continue;
            }
            let parsed = Packet::parse(self.inbox.bytes());
            let parsed = parsed.map_err(|error| Refusal::client_protocol(&error))?;
            match parsed {
                None => self.fill(PACKET_BYTES_MAX).await?,
                Some((request @ (Packet::SslRequest | Packet::GssEncRequest), len)) => {
                    let is_for_tls = request == Packet::SslRequest;
                    self.inbox.consume(len);
                    encryption_requests += 1;
                    if encryption_requests > ENCRYPTION_REQUESTS_MAX || self.encryption.is_some() {
                        return Err(Refusal::too_many_encryption_requests().into());
                    }
                    let accepting = self.worker.proxy.acceptor.current();
                    if let (true, Some(config)) = (is_for_tls, &accepting.config) {
                        self.begin_tls(config, &accepting).await?;
                    } else {
                        self.outbox.put(&[REFUSE_ENCRYPTION]);
                        self.flush().await?;
                    }
                }
                Some((Packet::CancelRequest(request), len)) => {
                    let proxy = &self.worker.proxy;
                    match proxy.fixed.mode {
                        Mode::Transaction => proxy.cancel_keys.relay(&request).await,
                        Mode::Observe => {
                            observe::relay_cancel(proxy, &self.inbox.bytes()[..len]).await;
                        }
                    }
                    return Err(Failure::Gone);
                }
                Some((Packet::Startup(_), len)) => return self.start(len).await,
            }
        }
    }

    /// TLS, asked for in the clear.
    async fn begin_tls(
        &mut self,
        config: &Arc<ServerConfig>,
        accepting: &Accepting,
    ) -> Result<(), Failure> {
        // What was sent ahead in the clear would count as encrypted later, whoever has put it there.
        if !self.inbox.is_empty() {
            return Err(Refusal::data_before_tls().into());
        }
        self.outbox.put(&[ACCEPT_ENCRYPTION]);
        self.flush().await?;
        self.shake_hands(config, accepting, &[]).await
    }

    /// TLS from the first byte, which has come.
    async fn begin_tls_at_once(&mut self) -> Result<(), Failure> {
        let accepting = self.worker.proxy.acceptor.current();
        // What we could say in the clear, nobody would understand.
        let config = accepting.config.as_ref().ok_or(Failure::Gone)?;
        let early = self.inbox.bytes().to_vec();
        self.inbox.consume(early.len());
        self.shake_hands(config, &accepting, &early).await?;
        // Without it, a client could be lured here that means to speak another protocol.
        match self.stream.tls().and_then(TlsStream::protocol) {
            Some(tls::ALPN) => Ok(()),
            _ => Err(Refusal::no_alpn().into()),
        }
    }

    async fn shake_hands(
        &mut self,
        config: &Arc<ServerConfig>,
        accepting: &Accepting,
        early: &[u8],
    ) -> Result<(), Failure> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(|_| Failure::Gone)?;
        let hashing = &self.worker.proxy.means.hashing;
        let shaken = tls::handshake(&mut self.stream, connection.into(), early, hashing).await;
        if let Err(error) = shaken {
            tracing::debug!(%error, "A TLS handshake with a client failed.");
            return Err(Failure::Gone);
        }
        let certificate = self.stream.tls().and_then(TlsStream::peer_certificate);
        self.encryption = Some(Encryption {
            binding: accepting.binding.clone(),
            common_name: certificate.and_then(tls::common_name),
        });
        Ok(())
    }

    async fn start(&mut self, packet_bytes: usize) -> Result<Wish, Failure> {
        let proxy = Arc::clone(&self.worker.proxy);
        let config = proxy.config();
        if self.worker.is_draining() {
            return Err(Refusal::shutting_down().into());
        }
        if proxy.workers.clients_total() > config.clients_max {
            return Err(Refusal::too_many_clients(config.clients_max).into());
        }
        if self.encryption.is_none() && proxy.acceptor.current().is_required() {
            return Err(Refusal::tls_required().into());
        }
        if proxy.fixed.mode == Mode::Observe {
            return Ok(Wish::Observed(packet_bytes));
        }
        let Ok(Some((Packet::Startup(startup), _))) = Packet::parse(self.inbox.bytes()) else {
            return Err(Failure::Gone);
        };
        startup.negotiate(self.outbox.buf());
        let user = text(startup.user().ok_or_else(Refusal::no_user)?);
        let database = text(startup.database().ok_or_else(Refusal::no_user)?);
        let named = |name: &[u8]| startup.parameters().find(|(found, _)| *found == name);
        let application =
            named(b"application_name").map_or_else(String::new, |(_, value)| text(value));
        // What is wrong with the rest is told only to those who may come in.
        let settings = settings(&proxy.settings, &startup);
        self.inbox.consume(packet_bytes);
        let encryption = self.encryption.take();
        let claim = Claim {
            user: &user,
            database: &database,
            peer: self.stream.peer_addr().map_err(|_| Failure::Gone)?,
            common_name: encryption
                .as_ref()
                .and_then(|known| known.common_name.as_deref()),
            is_encrypted: encryption.is_some(),
            worker: self.worker.index,
        };
        let binding = encryption.as_ref().and_then(|known| known.binding.clone());
        let identity = self.log_in(claim, binding).await?;
        if console::is_meant(&config, &database) {
            return Ok(Wish::Console(console::rights(&config, &identity.user)?));
        }
        let target = proxy.databases.target(&database, &identity)?;
        let admission = proxy.databases.admit(&database, &identity.user)?;
        target.tally.of(self.worker.index).logins.add(1);
        let listed = self.listed(database, identity.user, application);
        Ok(Wish::Session(target, admission, settings?, listed))
    }

    /// A place in the roster.
    fn listed(&self, database: String, user: String, application: String) -> ListedClient {
        let proxy = &self.worker.proxy;
        let origin = Origin {
            database: database.into(),
            user: user.into(),
            remote: self.stream.peer_addr().into(),
            local: self.stream.local_addr().into(),
            is_encrypted: self.stream.tls().is_some(),
        };
        proxy.means.roster.add_client(origin, &application)
    }

    async fn open_session(
        self,
        target: Arc<Target>,
        admission: Admission,
        settings: Arc<Settings>,
        listed: ListedClient,
    ) -> Option<Box<Session>> {
        let proxy = Arc::clone(&self.worker.proxy);
        let cancelable = proxy.cancel_keys.register(&proxy.means.random).ok()?;
        let client = Client {
            stream: self.stream,
            inbox: self.inbox,
            outbox: self.outbox,
            reader: Reader::default(),
            target,
            admission,
            subscriptions: None,
            statements: ClientStatements::default(),
            startup: Arc::clone(&settings),
            settings,
            cancelable,
            listed,
            seat: self.seat,
        };
        Session::new(self.worker, client).introduce().await
    }

    pub(super) async fn fill(&mut self, wanted: usize) -> Result<(), Failure> {
        let (inbox, stream, spares) = (&mut self.inbox, &mut self.stream, &self.worker.spares);
        match poll_fn(|context| inbox.poll_fill(stream, wanted, spares, context)).await {
            Ok(0) | Err(_) => Err(Failure::Gone),
            Ok(_) => Ok(()),
        }
    }

    pub(crate) async fn send(&mut self) -> std::io::Result<()> {
        let (outbox, stream) = (&mut self.outbox, &mut self.stream);
        poll_fn(|context| outbox.poll_flush(stream, context)).await
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let (outbox, stream) = (&mut self.outbox, &mut self.stream);
        let flushed = poll_fn(|context| outbox.poll_flush(stream, context)).await;
        flushed.map_err(|_| Failure::Gone)
    }

    pub(crate) async fn tell(&mut self, refusal: &Refusal) {
        refusal.write_fatal(self.outbox.buf());
        let limit = self.worker.proxy.config().login_timeout;
        let _ = timeout(limit, self.flush()).await;
    }
}

fn settings(
    table: &crate::settings::SettingsTable,
    startup: &Startup<'_>,
) -> Result<Arc<Settings>, Refusal> {
    table.of_startup(startup.parameters())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
