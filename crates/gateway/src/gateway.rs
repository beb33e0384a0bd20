//! The gateway as a whole: made once, served by each worker, looked at by the admin server.

use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use paceline_journal::Journal;
use paceline_listen::{Acceptor, DrainSignal};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::appraise::Appraiser;
use crate::guests::Guests;
use crate::pool::Pool;
use crate::stats::{self, Reach, Stats, Tally, count};
use crate::worker::Worker;
use crate::{Config, Error, connection};

/// The HTTP half: a streaming reverse proxy to one application.
#[derive(Debug)]
pub struct Gateway {
    config: Arc<Config>,
    journal: Arc<Journal>,
    reach: Arc<Reach>,
    tallies: Mutex<Vec<Arc<Tally>>>,
    /// Client connections, over all workers.
    clients: Arc<AtomicUsize>,
    /// For hashes that only our own journal can make sense of.
    seed: u64,
}

impl Gateway {
    /// Makes a gateway that notes its requests in `journal`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] when a value in `config` cannot work.
    pub fn new(config: Config, journal: Arc<Journal>) -> Result<Arc<Self>, Error> {
        check(&config)?;
        Ok(Arc::new(Self {
            config: Arc::new(config),
            journal,
            reach: Arc::default(),
            tallies: Mutex::default(),
            clients: Arc::default(),
            seed: RandomState::new().hash_one(0),
        }))
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The sums of all workers.
    pub fn stats(&self) -> Stats {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        stats::sum(tallies.iter(), &self.reach)
    }

    /// Serves the connections of one listening socket: once per worker, inside a `LocalRuntime`, or a `LocalSet` on a
    /// single-threaded runtime. Returns when `drain` has begun and every client has left; until then requests in flight are
    /// finished and idle connections closed. How long that may take is for the caller to say. Once it is handed over, every
    /// connection is closed behind the next answer on it.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] when the socket cannot be registered.
    pub async fn serve(
        self: Arc<Self>,
        listener: std::net::TcpListener,
        drain: DrainSignal,
    ) -> Result<(), Error> {
        let mut acceptor = Acceptor::new(listener)?;
        let worker = self.worker();
        let guests = Guests::new(Arc::clone(&self.clients), self.config.clients_max);
        {
            let mut draining = pin!(drain.accepting_ends());
            let mut sweep = pin!(tokio::time::sleep(self.config.upstream_idle_timeout));
            loop {
                tokio::select! {
                    // A busy listener must not keep us from hearing the signal.
                    biased;
                    () = &mut draining => break,
                    () = &mut sweep => {
                        let next = Instant::now() + worker.pool.sweep(Instant::now());
                        sweep.as_mut().reset(next.into());
                    }
                    (tcp, peer) = acceptor.accept() => {
                        welcome(&worker, &guests, tcp, peer, &drain);
                    }
                }
            }
        }
        // To clients in the kernel's queue the connection stands: closing the socket now would reset them.
        while let Some((tcp, peer)) = accept_now(&mut acceptor).await {
            welcome(&worker, &guests, tcp, peer, &drain);
        }
        drop(acceptor);
        guests.all_gone().await;
        worker.pool.close_idle();
        Ok(())
    }

    fn worker(&self) -> Rc<Worker> {
        let tally = Arc::new(Tally::default());
        self.tallies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&tally));
        Rc::new(Worker {
            config: Arc::clone(&self.config),
            journal: Arc::clone(&self.journal),
            reach: Arc::clone(&self.reach),
            pool: Pool::new(&self.config, Arc::clone(&tally)),
            appraiser: Appraiser::new(self.seed),
            tally,
        })
    }
}

/// Gives a client its task, or tells it to come back.
fn welcome(
    worker: &Rc<Worker>,
    guests: &Rc<Guests>,
    tcp: TcpStream,
    peer: SocketAddr,
    drain: &DrainSignal,
) {
    if let Some(guest) = guests.seat() {
        let (worker, drain) = (Rc::clone(worker), drain.clone());
        spawn_local(async move {
            let _guest = guest;
            count(&worker.tally.clients_total);
            connection::serve(&worker, tcp, peer, drain).await;
            count(&worker.tally.clients_ended);
        });
        return;
    }
    count(&worker.tally.clients_refused);
    // Those who come after even these are closed without a word.
    if let Some(guest) = guests.stand() {
        spawn_local(async move {
            let _guest = guest;
            connection::refuse(tcp).await;
        });
    }
}

/// A connection that is there already.
async fn accept_now(acceptor: &mut Acceptor) -> Option<(TcpStream, SocketAddr)> {
    let mut accepting = pin!(acceptor.accept());
    poll_fn(|context| match accepting.as_mut().poll(context) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn check(config: &Config) -> Result<(), Error> {
    let wrong = |setting, reason| Err(Error::Setting { setting, reason });
    let waits = [
        ("connect_timeout", config.connect_timeout),
        ("response_timeout", config.response_timeout),
        ("body_idle_timeout", config.body_idle_timeout),
        ("header_timeout", config.header_timeout),
        ("keep_alive_timeout", config.keep_alive_timeout),
        ("upstream_idle_timeout", config.upstream_idle_timeout),
    ];
    for (setting, wait) in waits {
        if wait < Duration::from_millis(1) {
            return wrong(setting, "a wait must be at least a millisecond");
        }
        if wait > Config::WAIT_LIMIT {
            return wrong(setting, "a wait must not be longer than a year");
        }
    }
    if config.clients_max == 0 {
        return wrong("clients_max", "nobody could connect");
    }
    for (setting, bytes) in [
        ("header_bytes_max", config.header_bytes_max),
        ("uri_bytes_max", config.uri_bytes_max),
    ] {
        if !(64..=Config::HEADER_BYTES_LIMIT).contains(&bytes) {
            return wrong(setting, "it must be between 64 bytes and 256 KiB");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_work_are_named() {
        let journal = || Journal::new(paceline_journal::Config::default());
        assert!(Gateway::new(Config::default(), journal()).is_ok());
        for (config, setting) in [
            (
                Config {
                    response_timeout: Duration::ZERO,
                    ..Config::default()
                },
                "response_timeout",
            ),
            (
                Config {
                    connect_timeout: Duration::MAX,
                    ..Config::default()
                },
                "connect_timeout",
            ),
            (
                Config {
                    clients_max: 0,
                    ..Config::default()
                },
                "clients_max",
            ),
            (
                Config {
                    header_bytes_max: 1 << 30,
                    ..Config::default()
                },
                "header_bytes_max",
            ),
            (
                Config {
                    uri_bytes_max: 1,
                    ..Config::default()
                },
                "uri_bytes_max",
            ),
        ] {
            let text = Gateway::new(config, journal()).unwrap_err().to_string();
            assert!(text.contains(setting), "{text}");
        }
    }
}
